"""All that a policy is made of is of one robot and in one frame; what does not say its robot is of any."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mini_diffuser_ros.commands.main import main
from mini_diffuser_ros.data import EpisodeStore, open_episodes
from mini_diffuser_ros.policy import MiniDiffuser, MiniDiffuserConfig, save_policy
from mini_diffuser_ros.records import LAB, Episode, Provenance

from .conftest import edit_recording
from .test_command import RECIPE

Refuse = Callable[..., str]
CELL = Path(__file__).parents[2] / "config" / "cells" / "example.yaml"  # of an fr3


def of(robot: str, frame: str = "") -> Callable[[dict[str, Any]], None]:
    """Changes a recording's robot, and its frame."""

    def change(index: dict[str, Any]) -> None:
        index["world"]["robots"] = [robot] if robot else []
        index["base_frame"] = frame or index["base_frame"]

    return change


@pytest.fixture
def pandas(recordings: Path) -> Path:
    """Three recordings of a panda."""
    for file in recordings.glob("*.zip"):
        edit_recording(file, of("panda"))
    return recordings


@pytest.fixture
def refuse(tmp_path: Path, pandas: Path, capsys: pytest.CaptureFixture[str]) -> Refuse:
    """The line that a training is refused with; nothing has been fused then."""
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE, encoding="utf-8")

    def run(*words: str) -> str:
        capsys.readouterr()
        arguments = ["--config", str(recipe), "--data", str(pandas), "--out", str(tmp_path / "out"), *words]
        assert main(["train", *arguments]) == 2
        (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("mini-diffuser train:")]
        assert not list(tmp_path.rglob("clouds-*"))
        return line

    return run


def test_recordings_of_two_robots_are_no_training(refuse: Refuse, pandas: Path) -> None:
    edit_recording(pandas / "stack_blobs-seed00000002.zip", of("fr3", "fr3_link0"))
    line = refuse()
    assert "2 robots: panda in 2 episodes; fr3 in stack_blobs-seed00000002" in line
    assert "one policy is of one robot: train on those of one" in line
    assert "2 robots" in refuse("--skip-bad")


def test_nor_are_those_of_two_frames_but_who_says_no_robot_may_be_of_any(refuse: Refuse, pandas: Path) -> None:
    edit_recording(pandas / "stack_blobs-seed00000001.zip", of("", "world"))
    line = refuse()
    assert "2 frames: panda_link0 in 2 episodes; world in stack_blobs-seed00000001" in line
    edit_recording(pandas / "stack_blobs-seed00000001.zip", of("", "panda_link0"))
    assert "frames" not in refuse("--validate.steps", "1000")


def test_neither_what_is_rehearsed_nor_the_cell_is_of_another(
    refuse: Refuse, tmp_path: Path, make_episode: Callable[[int], Episode]
) -> None:
    old = EpisodeStore(tmp_path / "old")
    for seed in range(40, 42):
        old.write(replace(make_episode(seed), provenance=Provenance((LAB,), ("fr3",))), seed)
    line = refuse("--rehearse", str(old.path))
    assert "2 robots: panda in 3 episodes; fr3 in 2 episodes (first fr3 in stack_blobs-seed00000040)" in line
    line = refuse("--data.cell", str(CELL))
    assert f"2 robots: panda in 3 episodes; fr3 in data.cell {CELL}" in line


def test_nor_the_policy_that_it_starts_from_or_that_is_assessed(
    refuse: Refuse, pandas: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fusion, tasks = open_episodes(pandas).fusion, {"stack_blobs": ("stack red on blue",)}
    model = MiniDiffuser(MiniDiffuserConfig.small())
    save_policy(model, tmp_path / "fr3", None, fusion, tasks, Provenance((LAB,), ("fr3",)))
    recipe = tmp_path / "plain.yaml"
    recipe.write_text("data: {workers: 1}\n", encoding="utf-8")
    line = refuse("--config", str(recipe), "--from", str(tmp_path / "fr3"))
    assert "2 robots: panda in 3 episodes; fr3 in the policy fr3" in line
    assert main(["assess", str(tmp_path / "fr3"), "--data", str(pandas)]) == 2
    assert f"fr3 in the policy {tmp_path / 'fr3'}" in capsys.readouterr().err


def test_a_policy_of_several_robots_is_of_each_of_them(refuse: Refuse, tmp_path: Path, pandas: Path) -> None:
    fusion, tasks = open_episodes(pandas).fusion, {"stack_blobs": ("stack red on blue",)}
    model = MiniDiffuser(MiniDiffuserConfig.small())
    recipe = tmp_path / "plain.yaml"
    recipe.write_text("data: {workers: 1}\n", encoding="utf-8")
    for robots, fits in ((("fr3", "panda"), True), (("fr3", "ur5"), False)):
        policy = tmp_path / "_".join(robots)
        save_policy(model, policy, None, fusion, tasks, Provenance((LAB,), robots))
        line = refuse("--config", str(recipe), "--from", str(policy), "--validate.steps", "1000")
        assert ("2 robots" not in line) is fits
