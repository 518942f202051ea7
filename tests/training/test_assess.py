"""``mini-diffuser assess``: what it refuses before anything is learned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mini_diffuser_ros.commands import assess
from mini_diffuser_ros.commands.main import main
from mini_diffuser_ros.data import EpisodeStore, open_episodes
from mini_diffuser_ros.data.store.conversion import convert
from mini_diffuser_ros.data.store.database import Contents
from mini_diffuser_ros.policy import MiniDiffuser, MiniDiffuserConfig, read_checkpoint, save_policy
from mini_diffuser_ros.policy.knowledge.knowledge import Knowledge
from mini_diffuser_ros.records import Episode, FusionConfig
from mini_diffuser_ros.training.config import DataConfig
from mini_diffuser_ros.training.demonstrations import survey_demonstrations
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


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[Demonstrations]:
    """The demonstrations of each lesson; nothing is learned."""
    seen: list[Demonstrations] = []

    def learn(lesson: Lesson, names: object, known: Knowledge) -> Knowledge:
        seen.append(lesson.demonstrations)
        return known

    monkeypatch.setattr(assess, "learn", learn)
    return seen


def test_tasks_that_it_was_not_taught_are_left_out_and_named(
    recordings: Path,
    tmp_path: Path,
    heard: list[Demonstrations],
    make_episode: Callable[[int], Episode],
    caplog: pytest.LogCaptureFixture,
) -> None:
    EpisodeStore(recordings).write(replace(make_episode(9), task="dance"), 9)
    policy = _policy(tmp_path / "good", TASKS, open_episodes(recordings).fusion)
    assert main(["assess", policy, "--data", str(recordings)]) == 0
    [demonstrations] = heard
    assert {one.task for one in (*demonstrations.training, *demonstrations.held_out)} == {"stack_blobs"}
    assert "1 demonstrations are left out, of tasks that it was not taught: dance" in caplog.text


@pytest.mark.parametrize("seed", ["0", "7"])
def test_what_it_was_trained_on_is_not_held_out_whatever_the_seed(
    recordings: Path, tmp_path: Path, heard: list[Demonstrations], seed: str, caplog: pytest.LogCaptureFixture
) -> None:
    survey = survey_demonstrations(DataConfig(path=str(recordings)))
    first, second, third = survey.episodes
    folder = tmp_path / "policy"
    fusion, model = open_episodes(recordings).fusion, MiniDiffuser(MiniDiffuserConfig.small())
    said = [first.digest.hex(), third.digest.hex()]
    save_policy(model, folder, tasks=TASKS, fusion=fusion, trained_on=said)
    assert main(["assess", str(folder), "--data", str(recordings), "--seed", seed]) == 0
    assert [one.source for one in heard[0].held_out] == [second.stored.source]
    assert [one.source for one in heard[0].training] == [first.stored.source, third.stored.source]
    save_policy(model, folder, tasks=TASKS, fusion=fusion, trained_on=[*said, second.digest.hex()])
    assert main(["assess", str(folder), "--data", str(recordings), "--seed", seed]) == 0
    assert "it was trained on all of them" in caplog.text
    assert len(heard[1].held_out) == 1
