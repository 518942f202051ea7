"""LIBERO's own demonstrations: made-up small files, since none can be had here, read and shown again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mini_diffuser_ros.data.errors import EpisodeFileError
from mini_diffuser_ros.libero.demonstrations import read_demonstrations, replay
from mini_diffuser_ros.records import CameraView
from mini_diffuser_ros.robots import load_robot

h5py = pytest.importorskip("h5py")
Array = NDArray[np.float64]

ARM = 7
MODEL = """<mujoco><worldbody>
  <body name="stove_1_main" pos="0.1 -0.2 0.9" quat="0.707 0 0 0.707"><geom size="1"/></body>
  <body name="cup_1_main" pos="0 0 1"><freejoint/></body>
</worldbody></mujoco>"""


def course() -> tuple[Array, Array]:
    """States (T, 1 + 7 + 7) and actions (T, 7): twenty frames of motion, a rest in which it grips, as many back."""
    speeds = np.concatenate([np.full(20, 0.5), np.zeros(14), np.full(20, -0.5)])
    places = np.cumsum(speeds) * 0.05
    states = np.zeros((len(speeds), 1 + 2 * ARM))
    states[:, 0], states[:, 1], states[:, 1 + ARM] = np.arange(len(speeds)) * 0.05, places, speeds
    actions = np.zeros((len(speeds), 7))
    actions[:, -1] = np.where(np.arange(len(speeds)) < 26, -1.0, 1.0)
    return states, actions


def write(file: Path, **changes: Any) -> Path:
    """A file as LIBERO's are laid out; ``changes`` of members, None for none of them."""
    states, actions = course()
    members = {"states": states, "actions": actions} | changes
    with h5py.File(file, "w") as content:
        data = content.create_group("data")
        data.attrs["problem_info"] = members.pop("problem_info", json.dumps({"language_instruction": ["lift the cup"]}))
        for number in (10, 2):
            group = data.create_group(f"demo_{number}")
            group.attrs["model_file"] = members.get("model_file", MODEL)
            for name in ("states", "actions"):
                if members[name] is not None:
                    group.create_dataset(name, data=members[name])
    return file


class Shower:
    """Shows states of an arm of which the first joint alone moves."""

    name = "LIBERO"
    description = load_robot("panda")

    def __init__(self) -> None:
        self.state = np.zeros(1 + 2 * ARM)
        self.fixtures: Mapping[str, Array] = {}

    def show(self, state: Array, fixtures: Mapping[str, Array]) -> None:
        self.state, self.fixtures = state, fixtures

    def arm_velocities(self, state: Array) -> Array:
        return state[1 + ARM :]

    def views(self) -> tuple[CameraView, ...]:
        blank = np.zeros((4, 4, 3), np.uint8)
        view = CameraView("agentview", blank, np.ones((4, 4), np.float32), np.eye(3), np.eye(4), float(self.state[0]))
        return (view,)

    def joint_positions(self) -> dict[str, float]:
        return {"panda_joint1": float(self.state[1])}

    def tcp_pose(self) -> Array:
        return np.array([self.state[1], 0.0, 0.3, 1.0, 0.0, 0.0, 0.0])


def test_demonstrations_come_by_number_with_sentence_and_fixtures(tmp_path: Path) -> None:
    first, second = read_demonstrations(write(tmp_path / "lift_demo.hdf5"))
    assert (first.source, second.source) == ("lift_demo demo_2", "lift_demo demo_10")
    assert first.sentence == "lift the cup"
    np.testing.assert_array_equal(first.states, course()[0])
    assert list(first.fixtures) == ["stove_1_main"]
    np.testing.assert_allclose(first.fixtures["stove_1_main"], [0.1, -0.2, 0.9, 0.0, 0.0, 0.707, 0.707])


def test_keyframes_are_the_start_the_rest_the_grip_and_the_end(tmp_path: Path) -> None:
    demonstration = next(read_demonstrations(write(tmp_path / "lift_demo.hdf5")))
    shower = Shower()
    episode = replay(demonstration, shower, "lift_the_cup")
    frames = [round(keyframe.stamp / 0.05) for keyframe in episode.keyframes]
    assert (frames[0], frames[-1]) == (0, len(demonstration.states) - 1)
    assert 27 in frames  # the first frame that shows what the action of frame 26 told the gripper
    grip = episode.keyframes[frames.index(27)]
    assert [keyframe.gripper_open for keyframe in episode.keyframes[frames.index(27) :]] == [False] * (
        len(frames) - frames.index(27)
    )
    assert episode.keyframes[frames.index(27) - 1].gripper_open
    assert grip.pose[0] == pytest.approx(demonstration.states[26, 1])
    assert grip.views[0].stamp == pytest.approx(27 * 0.05)
    assert episode.sentences == ("lift the cup",)
    assert dict(shower.fixtures) == dict(demonstration.fixtures)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"states": None}, "has no states"),
        ({"states": np.full((54, 15), np.nan)}, "no finite number"),
        ({"states": np.zeros(54)}, "shape"),
        ({"actions": np.zeros((3, 7))}, "actions of shape"),
        ({"actions": np.zeros((54, 3))}, "actions of shape"),
        ({"problem_info": "{}"}, "language_instruction"),
        ({"problem_info": json.dumps({"language_instruction": ""})}, "empty"),
        ({"model_file": "<mujoco>"}, "no XML"),
        ({"model_file": "<!DOCTYPE a [<!ENTITY b 'c'>]><mujoco/>"}, "entities"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(tmp_path: Path, changes: dict[str, Any], complaint: str) -> None:
    file = write(tmp_path / "lift_demo.hdf5", **changes)
    with pytest.raises(EpisodeFileError, match=complaint) as caught:
        list(read_demonstrations(file))
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_files_are_refused(tmp_path: Path) -> None:
    text = tmp_path / "text_demo.hdf5"
    text.write_text("no HDF5", encoding="utf-8")
    with pytest.raises(EpisodeFileError, match="HDF5"):
        list(read_demonstrations(text))
    with h5py.File(tmp_path / "empty_demo.hdf5", "w") as content:
        content.create_group("data").attrs["problem_info"] = json.dumps({"language_instruction": "a"})
    with pytest.raises(EpisodeFileError, match="demo_0"):
        list(read_demonstrations(tmp_path / "empty_demo.hdf5"))
