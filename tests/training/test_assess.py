"""``mini-diffuser assess``: what it refuses before anything is learned."""

from __future__ import annotations

from pathlib import Path

import pytest

from mini_diffuser_ros.commands import assess
from mini_diffuser_ros.commands.main import main
from mini_diffuser_ros.data import open_episodes
from mini_diffuser_ros.data.store.conversion import convert
from mini_diffuser_ros.data.store.database import Contents
from mini_diffuser_ros.policy import MiniDiffuser, MiniDiffuserConfig, read_checkpoint, save_policy
from mini_diffuser_ros.policy.knowledge.knowledge import Knowledge
from mini_diffuser_ros.records import FusionConfig
from mini_diffuser_ros.training.knowledge.lesson import Demonstrations, Lesson

TASKS = {"stack_blobs": ("stack red on blue",)}


def _policy(folder: Path, tasks: dict[str, tuple[str, ...]], fusion: FusionConfig | None) -> str:
    save_policy(MiniDiffuser(MiniDiffuserConfig.small()), folder, tasks=tasks, fusion=fusion)
    return str(folder)


def _said(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["assess", *words]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said


def test_what_cannot_be_learned_is_said_in_one_line(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["--data", str(recordings)]
    fusion = open_episodes(recordings).fusion
    good = _policy(tmp_path / "good", TASKS, fusion)
    assert "unknown part 'familarity'; did you mean 'familiarity'" in _said(
        [good, *data, "--parts", "familarity"], capsys
    )
    untaught = _policy(tmp_path / "untaught", {}, fusion)
    assert "does not say which sentences it was taught" in _said([untaught, *data], capsys)
    other = _policy(tmp_path / "other", {"dance": ("dance",)}, fusion)
    assert "has none of the policy's tasks, which are dance" in _said([other, *data], capsys)
    elsewhere = _policy(tmp_path / "elsewhere", TASKS, FusionConfig(voxel_size=0.02))
    stored = tmp_path / "stored"
    list(convert(open_episodes(recordings), stored, Contents.CLOUDS, 1))
    assert "fused" in _said([elsewhere, "--data", str(stored)], capsys)
    assert "no such directory" in _said([str(tmp_path / "nowhere"), *data], capsys)
    further = tmp_path / "further.yaml"
    further.write_text("stack_blob: [stack red upon blue]\n")
    said = _said([good, *data, "--sentences", str(further)], capsys)
    assert f"{further}: stack_blob is unknown: unknown task 'stack_blob'; did you mean 'stack_blobs'?" in said
    further.write_text("stack_blobs: 3\n")
    assert "tasks.stack_blobs is 3, expected a list" in _said([good, *data, "--sentences", str(further)], capsys)
    assert read_checkpoint(good).knowledge is None


def test_images_are_fused_as_those_that_the_policy_was_trained_on(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fusion = FusionConfig(voxel_size=0.03)
    coarse = _policy(tmp_path / "coarse", TASKS, fusion)
    seen: list[Demonstrations] = []

    def learn(lesson: Lesson, names: object, known: Knowledge) -> Knowledge:
        seen.append(lesson.demonstrations)
        return known

    monkeypatch.setattr(assess, "learn", learn)
    assert main(["assess", coarse, "--data", str(recordings)]) == 0
    [demonstrations] = seen
    found = {one.source: one.clouds for one in (*demonstrations.training, *demonstrations.held_out)}
    for episode in open_episodes(recordings, fusion):
        for keyframe, cloud in zip(episode.keyframes, found[episode.source], strict=True):
            assert len(cloud) == len(keyframe.cloud)


def test_parts_are_not_added_to_damaged_knowledge(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = _policy(tmp_path / "good", TASKS, open_episodes(recordings).fusion)
    config = Path(good) / "config.json"
    config.write_text(config.read_text().replace('"format_version"', '"knowledge": {}, "format_version"'))
    text = config.read_text()
    config.write_text(text[: text.rindex(',\n  "sha256"')] + "\n}\n")  # a person's edit, without the seal
    said = _said([good, "--data", str(recordings), "--parts", "familiarity"], capsys)
    assert "knowledge" in said
    assert "leave out --parts to learn all of it anew" in said
