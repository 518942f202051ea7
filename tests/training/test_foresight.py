"""What will not work is said before anything is fused, all of it at once."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from mini_diffuser_ros.commands.main import main
from mini_diffuser_ros.data import EpisodeStore
from mini_diffuser_ros.records import Episode

from .test_command import RECIPE

EpisodeMaker = Callable[[int], Episode]
Refuse = Callable[..., str]
WORDS = "put the red block on the green block and then the blue block on the red block and then wait"


@pytest.fixture
def refuse(tmp_path: Path, recordings: Path, capsys: pytest.CaptureFixture[str]) -> Refuse:
    """The line that a training is refused with; nothing has been fused then."""
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE, encoding="utf-8")

    def run(*words: str) -> str:
        capsys.readouterr()
        out = tmp_path / "out"
        assert main(["train", "--config", str(recipe), "--data", str(recordings), "--out", str(out), *words]) == 2
        (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("mini-diffuser train:")]
        assert not list(tmp_path.rglob("clouds-*"))
        return line

    return run


def add(recordings: Path, make_episode: EpisodeMaker, seed: int, **changed: object) -> None:
    episode = replace(make_episode(seed), **changed)
    EpisodeStore(recordings).write(episode, seed)


def test_sentences_tasks_and_sizes_are_told_at_once(
    refuse: Refuse, recordings: Path, make_episode: EpisodeMaker
) -> None:
    add(recordings, make_episode, 7, sentences=(WORDS,), task="pile")
    network = ("--model.overrides.layers.dropout", "0.1", "--model.overrides.text.max_tokens", "16")
    line = refuse("--shards", "2", "--batch.scenes", "4", *network)
    assert "3 things will not work: " in line
    assert "pile-seed00000007: sentence of " in line
    assert "model.overrides.text.max_tokens" in line
    assert "task 'pile' has a single demonstration" in line
    assert "shards is above 1 with dropout in the network" in line


def test_of_many_damaged_episodes_it_says_how_many(
    refuse: Refuse, recordings: Path, make_episode: EpisodeMaker
) -> None:
    for seed in range(20, 26):
        add(recordings, make_episode, seed)
        file = recordings / f"stack_blobs-seed{seed:08d}.zip"
        file.write_bytes(file.read_bytes()[:40])
    line = refuse()
    assert "6 things will not work: " in line
    assert "stack_blobs-seed00000020.zip" in line
    assert line.count(".zip") >= 2
    assert line.endswith("...") or line.endswith("and 2 more")


def test_clouds_that_the_network_does_not_look_at(refuse: Refuse) -> None:
    workspace = "{lower: [2.0, 2.0, 2.0], upper: [3.0, 3.0, 3.0]}"
    assert "have no point in the network's workspace" in refuse("--model.overrides.scene.workspace", workspace)


def test_a_disk_that_cannot_hold_the_checkpoints(refuse: Refuse, monkeypatch: pytest.MonkeyPatch) -> None:
    def little(_: object) -> SimpleNamespace:
        return SimpleNamespace(free=3_000_000)

    monkeypatch.setattr("mini_diffuser_ros.training.foresight.shutil.disk_usage", little)
    line = refuse("--checkpoint.keep", "7")
    assert "3 MB free, and checkpoints of " in line
    assert "lower checkpoint.keep (7)" in line
