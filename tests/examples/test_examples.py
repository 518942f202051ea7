"""Every example, and the README's, runs from a checkout as it is, in any directory."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mini_diffuser_ros.data import open_episodes
from mini_diffuser_ros.policy import load_policy

REPOSITORY = Path(__file__).parents[2]
EXAMPLES = REPOSITORY / "examples"
TESTED = (
    "decide_on_a_cloud",
    "fuse_your_own_images",
    "plan_and_draw_a_motion",
    "record_in_simulation",
    "train_from_python",
    "your_own_world",
)

pytestmark = pytest.mark.process


def run(folder: Path, example: str, *words: str | Path) -> str:
    """What an example prints that is run in a folder."""
    command = [sys.executable, EXAMPLES / f"{example}.py", *words]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def has_a_picture(file: Path) -> bool:
    """Whether it is an image of more than one colour."""
    return len(np.unique(np.asarray(Image.open(file).convert("L")))) > 1


def test_there_is_a_test_for_every_example() -> None:
    assert sorted(file.stem for file in EXAMPLES.glob("*.py")) == sorted(TESTED)


@pytest.mark.parametrize("example", TESTED)
def test_an_example_is_short_and_says_how_it_is_run(example: str) -> None:
    text = (EXAMPLES / f"{example}.py").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= (60 if example != "your_own_world" else 130)  # a world has a dozen methods
    assert f"\npython examples/{example}.py" in text


def test_a_sentence_and_a_cloud_become_keyframes(tmp_path: Path) -> None:
    said = run(tmp_path, "decide_on_a_cloud", "stack the orange block on the purple block")
    shares = [float(share) for share in re.findall(r"^\d+\. +(\d+) %", said, re.MULTILINE)]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(100.0, abs=len(shares))
    assert has_a_picture(tmp_path / "decision.png")


def test_images_become_a_cloud(tmp_path: Path) -> None:
    said = run(tmp_path, "fuse_your_own_images")
    assert re.match(r"[1-9]\d{2,} points of front, left_shoulder in panda_link0\n", said)
    assert has_a_picture(tmp_path / "fused.png")


def test_a_motion_is_drawn_and_one_into_the_wall_refused(tmp_path: Path) -> None:
    assert re.search(r"^refused: .*wall", run(tmp_path, "plan_and_draw_a_motion"), re.MULTILINE)
    assert has_a_picture(tmp_path / "motion.png")


def test_recordings_are_trained_on(tmp_path: Path) -> None:
    said = run(tmp_path, "record_in_simulation", "recordings", "3")
    episodes = list(open_episodes(tmp_path / "recordings"))
    assert len(episodes) + said.count("the goal") == 3
    assert len(episodes) >= 2
    assert all(repr(episode.sentences[0]) in said for episode in episodes)
    said = run(tmp_path, "train_from_python", "recordings", "out", "2")
    assert repr(episodes[0].sentences[0]) in said
    cloud = episodes[0].keyframes[0].cloud
    assert load_policy(tmp_path / "out" / "policy").decide(cloud, episodes[0].sentences[0], steps=1)


def test_a_world_of_ones_own_is_run_to_its_end(tmp_path: Path) -> None:
    said = run(tmp_path, "your_own_world")
    assert re.search(r"^terminated after \d+ keyframes", said, re.MULTILINE)
    assert said.endswith("the task is done\n")


def test_the_python_of_the_readme_runs(tmp_path: Path) -> None:
    snippets = re.findall(r"^```python\n(.*?)^```", (REPOSITORY / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    assert snippets
    for code in snippets:
        ended = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr
