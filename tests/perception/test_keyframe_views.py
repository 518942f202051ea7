"""Keyframes of images of one's own: the page's lines write a recording that is read back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mini_diffuser_ros.data import open_episodes
from mini_diffuser_ros.geometry import pose_from_matrix
from mini_diffuser_ros.perception import keyframe_from_views
from mini_diffuser_ros.records import CameraView
from mini_diffuser_ros.robots import load_robot

PAGE = Path(__file__).parents[2] / "docs" / "recordings.md"
ROBOT = load_robot("panda")
JOINTS = dict(zip(ROBOT.arm_joint_names, ROBOT.home, strict=True)) | dict.fromkeys(ROBOT.finger_joint_names, 0.04)


def picture(height: float) -> tuple[str, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """What a camera sees that looks straight down from a metre at things of a height beside the arm."""
    color = np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    depth = np.full((40, 40), 1.0 - height, np.float32)
    base_from_camera = np.array([[0, -1, 0, 0.6], [-1, 0, 0, 0.25], [0, 0, -1, 1], [0, 0, 0, 1]], np.float64)
    return "above", color, depth, np.array([[200, 0, 19.5], [0, 200, 19.5], [0, 0, 1]], np.float64), base_from_camera


def my_demonstration() -> Iterator[tuple]:
    pose = pose_from_matrix(ROBOT.tcp_pose(ROBOT.home))
    for number in range(2):
        yield float(number), pose, number == 0, JOINTS, [picture(0.05 + 0.1 * number)]


def test_the_lines_of_the_page_write_a_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    section = PAGE.read_text(encoding="utf-8").partition("### Writing them from Python")[2]
    (code,) = re.findall(r"```python\n(.*?)```", section.partition("\n### ")[0], re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(code, {"my_demonstration": my_demonstration})
    assert (tmp_path / "first.png").exists()
    (episode,) = open_episodes(tmp_path / "recordings" / "mine")
    assert [keyframe.gripper_open for keyframe in episode.keyframes] == [True, False]
    assert episode.keyframes[1].cloud.points[:, 2] == pytest.approx(0.15, abs=1e-3)
    assert len(code.splitlines()) < 25


def test_joints_that_are_not_known_leave_the_arm_in() -> None:
    view = CameraView(*picture(0.05))
    keyframe = keyframe_from_views([view], np.array([0.5, 0, 0.3, 1, 0, 0, 0]), True, robot=ROBOT)
    assert keyframe.views == (view,)
    assert len(keyframe.cloud) > 100
    with pytest.raises(ValueError, match="expected \\(7,\\)"):
        keyframe_from_views([view], np.zeros(3), True)
