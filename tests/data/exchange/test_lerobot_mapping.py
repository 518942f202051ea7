"""Datasets of others, written here as LeRobot writes them, become episodes by a mapping."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from mini_diffuser_ros.commands.main import main
from mini_diffuser_ros.data import open_episodes
from mini_diffuser_ros.data.exchange.lerobot_statistics import histogram_of
from mini_diffuser_ros.data.exchange.lerobot_writer import DatasetWriter, WrittenFrame
from mini_diffuser_ros.data.formats.images import encode_color, encode_depth
from mini_diffuser_ros.geometry import matrix_from_pose, matrix_from_rpy

SIZE = (12, 16)
LENGTH = 40
CLOSED_FROM = 20
RESTS = (*range(10, 16), *range(28, 34))  # frames in which nothing moves

MAPPING: dict[str, Any] = {
    "robot": "none",
    "tool": {"feature": "observation.state", "rotation": "rpy", "columns": [1, 2, 3, 4, 5, 6], "metres": 0.001},
    "gripper": {"feature": "observation.state", "column": 0, "threshold": 0.5, "open_above": False},
    "joints": {"feature": "observation.joints", "columns": [1, 2, 3, 4, 5, 6, 7]},
    "cameras": {
        "top": {
            "depth": "depth_of_top",
            "depth_metres": 0.001,
            "intrinsics": [20.0, 21.0, 7.5, 5.5],
            "base_from_camera": [0.5, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0],
        },
    },
}


def of_top(**change: object) -> dict[str, Any]:
    return {"cameras": {"top": MAPPING["cameras"]["top"] | change}}


def states() -> NDArray[np.float64]:
    """(T, 7) whether closed, x y z in millimetres, roll pitch yaw: moves but for its rests."""
    moving = np.array([frame not in RESTS for frame in range(LENGTH)])
    way = np.cumsum(moving) * 5.0
    closed = np.arange(LENGTH) >= CLOSED_FROM
    fixed = np.tile([3.0, 0.1, -0.2], (LENGTH, 1))
    return np.column_stack([closed, 400.0 + way, -way, np.full(LENGTH, 200.0), fixed])


def write(
    folder: Path,
    depth: str = "uint16",
    marks: tuple[int, ...] | None = None,
    values: NDArray[np.float64] | None = None,
) -> None:
    """An episode of forty frames at 10 Hz, of :func:`states` unless others are given."""
    values = states() if values is None else values
    features: dict[str, Any] = {
        "observation.images.top": {"dtype": "image", "shape": [*SIZE, 3], "names": ["height", "width", "channels"]},
        "depth_of_top": {"dtype": depth, "shape": [*SIZE, 1] if depth == "image" else [*SIZE], "names": None},
        "observation.state": {"dtype": "float64", "shape": [values.shape[1]], "names": None},
        "observation.joints": {"dtype": "float64", "shape": [8], "names": None},
    }
    if marks is not None:
        features["mark"] = {"dtype": "bool", "shape": [1], "names": None}
    folder.mkdir()
    writer = DatasetWriter(folder, 10, None, features)
    rng = np.random.default_rng(0)

    def frame(number: int, state: NDArray[np.float64]) -> WrittenFrame:
        color = rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8)
        steps = np.full(SIZE, 500 + number, np.uint16)
        numbers = {"observation.state": state, "observation.joints": np.full(8, state[1] / 100.0)}
        images = {"observation.images.top": encode_color(color)}
        if depth == "image":
            images["depth_of_top"] = encode_depth(steps * 1e-4)  # as many steps, whatever a step is
        else:
            numbers["depth_of_top"] = steps if depth == "uint16" else (steps * 1e-3).astype(depth)
        if marks is not None:
            numbers["mark"] = np.array(number in marks)
        return WrittenFrame(numbers, images, {}, {"observation.images.top": histogram_of(color)})

    writer.add((frame(number, state) for number, state in enumerate(values)), "Pick the cube!")
    writer.close()


def imported(tmp_path: Path, mapping: dict[str, Any]) -> int:
    (tmp_path / "mapping.yaml").write_text(yaml.safe_dump(mapping))
    return main(["import", str(tmp_path / "in"), str(tmp_path / "out"), "--mapping", str(tmp_path / "mapping.yaml")])


def test_keyframes_are_where_the_gripper_changes_and_the_arm_rests(tmp_path: Path) -> None:
    write(tmp_path / "in")
    assert imported(tmp_path, MAPPING) == 0
    (episode,) = open_episodes(tmp_path / "out")
    numbers = [round(10 * keyframe.stamp) for keyframe in episode.keyframes]
    assert numbers[:: len(numbers) - 1] == [0, LENGTH - 1]
    assert CLOSED_FROM in numbers
    inner = [number for number in numbers[1:-1] if number != CLOSED_FROM]
    assert [number in RESTS for number in inner] == [True] * len(inner)
    assert min(inner) < CLOSED_FROM < max(inner)
    assert (episode.task, episode.sentences) == ("pick_the_cube", ("Pick the cube!",))


def test_a_gripper_that_never_changes_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "in")
    assert imported(tmp_path, MAPPING | {"gripper": MAPPING["gripper"] | {"threshold": 40.0}}) == 0
    assert "the gripper is open at every keyframe" in capsys.readouterr().err


@pytest.mark.parametrize("depth", ["uint16", "image", "float32"])
def test_poses_depth_and_calibration_are_what_the_mapping_says(tmp_path: Path, depth: str) -> None:
    write(tmp_path / "in", depth, marks=(3, 20, 39))
    mapping = MAPPING | {"keyframes": "mark"}
    if depth == "float32":  # metres need no unit
        mapping["cameras"] = {"top": {**MAPPING["cameras"]["top"], "depth_metres": None}}
    assert imported(tmp_path, mapping) == 0
    (episode,) = open_episodes(tmp_path / "out")
    assert [round(10 * keyframe.stamp) for keyframe in episode.keyframes] == [3, 20, 39]
    assert [keyframe.gripper_open for keyframe in episode.keyframes] == [True, False, False]
    for number, keyframe in zip((3, 20, 39), episode.keyframes, strict=True):
        state = states()[number]
        np.testing.assert_allclose(keyframe.pose[:3], state[1:4] / 1000.0)
        np.testing.assert_allclose(matrix_from_pose(keyframe.pose)[:3, :3], matrix_from_rpy(state[4:]), atol=1e-12)
        assert keyframe.joint_positions == {}
        (view,) = keyframe.views
        np.testing.assert_allclose(view.depth, (500 + number) / 1000.0, atol=1e-6)
        np.testing.assert_array_equal(view.intrinsics, [[20.0, 0.0, 7.5], [0.0, 21.0, 5.5], [0.0, 0.0, 1.0]])
        np.testing.assert_array_equal(view.base_from_camera, matrix_from_pose([0.5, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0]))


def test_unit_quaternions_are_taken_to_the_bit_and_others_are_made_unit(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    turned = rng.normal(size=(LENGTH, 4))
    turned /= np.linalg.norm(turned, axis=1)[:, None]
    turned[20] *= 1.01
    assert (np.linalg.norm(turned, axis=1) != 1.0).sum() > 1  # the rounding of a norm is not that of its quaternion
    values = np.column_stack([np.arange(LENGTH) >= CLOSED_FROM, np.full((LENGTH, 3), 0.3), turned])
    write(tmp_path / "in", marks=(3, 11, 20, 39), values=values)
    tool = {"feature": "observation.state", "rotation": "xyzw", "columns": [1, 2, 3, 4, 5, 6, 7]}
    assert imported(tmp_path, MAPPING | {"tool": tool, "keyframes": "mark"}) == 0
    first, second, third, last = (keyframe.pose[3:] for keyframe in open_episodes(tmp_path / "out")[0].keyframes)
    for pose, number in ((first, 3), (second, 11), (last, 39)):
        assert pose.tolist() == turned[number].tolist()
    np.testing.assert_allclose(third, turned[20] / 1.01)


def test_a_camera_on_the_hand_moves_with_it(tmp_path: Path) -> None:
    write(tmp_path / "in")
    hand = [0.05, 0.0, -0.1, 0.0, 0.0, 0.6, 0.8]
    camera = {name: value for name, value in MAPPING["cameras"]["top"].items() if name != "base_from_camera"}
    assert imported(tmp_path, MAPPING | {"cameras": {"top": camera | {"tool_from_camera": hand}}}) == 0
    (episode,) = open_episodes(tmp_path / "out")
    for keyframe in episode.keyframes:
        expected = matrix_from_pose(keyframe.pose) @ matrix_from_pose(hand)
        np.testing.assert_allclose(keyframe.views[0].base_from_camera, expected, atol=1e-12)


def test_all_that_is_missing_is_named_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "in")
    assert main(["import", str(tmp_path / "in"), str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    for name in ("robot (fr3, panda", "tool (", "gripper (", "of cameras top: depth, intrinsics, base_from_camera"):
        assert name in error
    assert "depth_of_top (uint16 12x16)" in error
    assert not (tmp_path / "out").exists()


def test_of_many_features_those_that_are_asked_for_are_told_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "in")
    file = tmp_path / "in" / "meta" / "info.json"
    info = json.loads(file.read_text())
    image = info["features"]["observation.images.top"]
    cameras = {f"observation.images.exterior_{number}_left": image for number in range(1, 9)}
    flags = {f"next.flag_{number}": {"dtype": "bool", "shape": [1], "names": None} for number in range(20)}
    info["features"] = {**cameras, **flags, **info["features"]}
    file.write_text(json.dumps(info))
    assert main(["import", str(tmp_path / "in"), str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert "exterior_8_left, top: depth, intrinsics" in error
    for name in ("observation.state (float64 7)", "observation.joints (float64 8)", "depth_of_top (uint16 12x16)"):
        assert name in error


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tool": MAPPING["tool"] | {"metres": 1.0}}, "is tool.metres 0.001"),
        ({"tool": MAPPING["tool"] | {"rotation": "wxyz", "columns": [1, 2, 3, 4, 5, 6, 0]}}, "are tool.columns and"),
        ({"tool": MAPPING["tool"] | {"columns": [1, 2, 3, 4, 5, 9]}}, "observation.state (float64 7) has no entry 9"),
        ({"tool": MAPPING["tool"] | {"feature": "pose"}}, "has no feature pose; it has observation.images.top"),
        ({"gripper": {"feature": "observation.state", "column": 0}}, "gripper.threshold is missing"),
        (
            {"robot": "panda", "joints": {"feature": "observation.joints", "columns": [0, 1]}},
            "joints.columns has 2 numbers, expected",
        ),
        ({"robot": "panda", "joints": None}, "joints (feature)"),
        ({"robot": "fanda"}, "fanda"),
        ({"robot": "panda"}, "the joint positions of a panda put the tool"),
        ({"tool": MAPPING["tool"] | {"columns": [1, 2, 3, 4, 5, 2]}}, "expected radians: are tool.columns right"),
        (
            {"tool": MAPPING["tool"] | {"rotation": "rotation_vector", "columns": [1, 2, 3, 1, 4, 5]}},
            "are they degrees",
        ),
        ({"stamps": "observation.state"}, "observation.state (float64 7) is not one number a frame"),
        ({"stamps": "episode_index"}, "expected later and later ones"),
        (of_top(base_from_camera=[0.5, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]), "quaternion qx qy qz qw of norm 1"),
        (of_top(base_from_camera=[0.5, 0.0, 1.0, 180.0, 0.0, 0.0, 0.0]), "quaternion qx qy qz qw of norm 1"),
        (of_top(base_from_camera=None, tool_from_camera=[0.0] * 7), "quaternion qx qy qz qw of norm 1"),
        (
            {"cameras": {"../top": MAPPING["cameras"]["top"] | {"color": "observation.images.top"}}},
            "camera '../top' cannot name a file",
        ),
        ({"camera": {}}, "unknown field 'camera'; did you mean 'cameras'?"),
        ({"cameras": {"top": MAPPING["cameras"]["top"] | {"depth": "observation.joints"}}}, "expected (height, width)"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, Any], message: str
) -> None:
    write(tmp_path / "in")
    assert imported(tmp_path, MAPPING | change) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_dataset_of_another_name_is_not_added_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "in")
    assert imported(tmp_path, MAPPING) == 0
    (tmp_path / "in").rename(tmp_path / "before")
    (tmp_path / "before").rename(tmp_path / "in_2")
    (tmp_path / "in").symlink_to("in_2")
    assert imported(tmp_path, MAPPING) == 0
    assert "added 0 of 1 episodes" in capsys.readouterr().out


def say(folder: Path, **values: object) -> None:
    info = folder / "meta" / "info.json"
    info.write_text(json.dumps(json.loads(info.read_text()) | values))


def loop(folder: Path) -> None:
    file = folder / "data" / "chunk-000" / "file-000.parquet"
    file.unlink()
    file.symlink_to(file.name)


def pipe(folder: Path) -> None:
    file = folder / "data" / "chunk-000" / "file-000.parquet"
    file.unlink()
    os.mkfifo(file)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: say(folder, total_episodes=10**15), "has 1 episodes, expected those from 0 to"),
        (
            lambda folder: say(folder, fps=1000),
            "timestamp of episode 0 goes on by 0.1 s a frame, info.json says",
        ),
        (lambda folder: say(folder, fps=1), "goes on by 0.1 s a frame, info.json says fps 1:"),
        (loop, "cannot be read (Symlink loop"),
        (pipe, "is no file"),
    ],
)
def test_a_dataset_that_is_not_as_it_says_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Callable[[Path], None], message: str
) -> None:
    write(tmp_path / "in")
    change(tmp_path / "in")
    assert imported(tmp_path, MAPPING) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
