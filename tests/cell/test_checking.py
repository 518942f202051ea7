"""A cell file is read as it was written, and what does not fit in it is named."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mini_diffuser_ros.cell import (
    DRIVEN,
    CameraIntrinsics,
    Cell,
    CellCamera,
    CellError,
    check_cell,
    faults_of,
    fitting,
    read_cell,
)
from mini_diffuser_ros.cell.quantities import QUANTITIES, numbers_of, pattern_of
from mini_diffuser_ros.geometry import inverse_transform, quaternion_from_matrix
from mini_diffuser_ros.motion.profiles import PROFILES
from mini_diffuser_ros.records import Distortion
from mini_diffuser_ros.robots import ROBOTS, load_robot
from mini_diffuser_ros.support.settings import from_mapping, to_mapping
from mini_diffuser_ros.viewing.cell_picture import draw_cell

from .cells import cells, look_at

CONFIG = Path(__file__).parents[2] / "config"
EXAMPLE = CONFIG / "cells" / "example.yaml"


def example() -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text())
    return values


def changed(where: str, value: object) -> dict[str, Any]:
    """The example with the value of a dotted name set; None takes it out."""
    values = example()
    target: Any = values
    *parents, last = where.split(".")
    for parent in parents:
        target = target[int(parent)] if parent.isdecimal() else target.setdefault(parent, {})
    if value is None:
        del target[last]
    else:
        target[last] = value
    return values


def errors(values: dict[str, Any]) -> list[str]:
    return [str(one) for one in faults_of(from_mapping(Cell, values, "cell")) if one.level == "error"]


def test_the_example_fits() -> None:
    cell, faults = check_cell(EXAMPLE, ["front", "wrist"])
    assert faults == []
    assert cell == read_cell(EXAMPLE)


def test_the_launch_knows_the_drivers_of_these_robots() -> None:
    assert {file.stem for file in (CONFIG / "robots").glob("*.yaml")} == {*DRIVEN, "sim"}
    assert {name for name in ROBOTS if load_robot(name).arm_action and load_robot(name).gripper_action} == set(DRIVEN)


@settings(max_examples=30)  # YAML takes its time
@given(cell=cells())
def test_any_cell_comes_back_as_it_was_written(cell: Cell, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("cells") / "cell.yaml"
    file.write_text(yaml.safe_dump(to_mapping(cell)))
    assert read_cell(file) == cell


@given(data=st.data(), cell=cells())
def test_any_length_in_millimetres_and_any_angle_in_degrees_is_found(data: st.DataObject, cell: Cell) -> None:
    factors = {"translation": 1000, "lower": 1000, "upper": 1000, "height": 1000, "center": 1000, "half_extents": 1000}
    factors |= {"width": 1000, "max_tool_speed": 1000, "yaw": math.degrees(1.0)}
    least = {"yaw": 0.06}
    leaves = [
        (name, name.rpartition(".")[2])
        for name, values in numbers_of(cell)
        if (name.rpartition(".")[2] in factors and "intrinsics" not in name)
        and max(map(abs, values)) > least.get(name.rpartition(".")[2], 0.01)
    ]
    name, kind = data.draw(st.sampled_from(leaves))
    values: Any = to_mapping(cell)
    *parents, last = name.split(".")
    target = values
    for parent in parents:
        target = target[int(parent)] if parent.isdecimal() else target[parent]
    written = target[last]
    scaled = [number * factors[kind] for number in written] if isinstance(written, list) else written * factors[kind]
    target[last] = scaled
    if kind in ("lower", "upper"):  # a box that is turned inside out is refused by itself
        other = "upper" if kind == "lower" else "lower"
        target[other] = [number * factors[kind] for number in target[other]]
    found = [one for one in faults_of(from_mapping(Cell, values, "cell")) if one.level == "error"]
    assert name in [one.name for one in found]
    line = next(one for one in found if one.name == name)
    assert "if these are" in line.remedy
    assert "\n" not in str(line)


def test_the_profiles_are_those_of_motion() -> None:
    assert fitting.PROFILES == PROFILES


@given(cell=cells(), axis=st.integers(0, 2))
def test_a_mirrored_rotation_is_found(cell: Cell, axis: int) -> None:
    mirror = np.ones(3)
    mirror[axis] = -1.0
    name, camera = next(iter(cell.cameras.items()))
    matrix = camera.parent_from_camera[:3, :3] * mirror
    bent = replace(camera, quaternion=None, rotation=tuple(tuple(map(float, row)) for row in matrix))
    found = faults_of(replace(cell, cameras={**cell.cameras, name: bent}))
    assert [one.name for one in found if one.level == "error"] == [f"cameras.{name}.rotation"]
    assert "is mirrored" in found[0].problem


@given(cell=cells())
def test_a_camera_that_is_turned_round_looks_away(cell: Cell) -> None:
    name, camera = next(iter(cell.cameras.items()))
    turned = camera.parent_from_camera[:3, :3] @ np.diag([-1.0, 1.0, -1.0])
    rows = tuple(tuple(map(float, row)) for row in turned)
    found = faults_of(replace(cell, cameras={**cell.cameras, name: replace(camera, quaternion=None, rotation=rows)}))
    assert any("looks away from the workspace" in str(one) for one in found if one.level == "error")


def test_the_inverse_of_a_pose_is_recognised() -> None:
    inverse = inverse_transform(read_cell(EXAMPLE).cameras["front"].parent_from_camera)
    values = changed("cameras.front.translation", inverse[:3, 3].tolist())
    values["cameras"]["front"] |= {"rotation": inverse[:3, :3].tolist()}
    del values["cameras"]["front"]["quaternion"]
    (line,) = errors(values)
    assert "the parent in the camera instead: write translation [1.1, 0, 0.55], quaternion [" in line


def test_a_quaternion_with_w_first_is_recognised() -> None:
    right = quaternion_from_matrix(look_at(np.array([0.1, 0.9, 0.7]), np.array([0.5, 0.0, 0.1])))
    x, y, z, w = map(float, right)
    values = changed("cameras.front.translation", [0.1, 0.9, 0.7])
    values["cameras"]["front"]["quaternion"] = [w, x, y, z]
    (line,) = errors(values)
    assert f"seen if w was written first: write translation [0.1, 0.9, 0.7], quaternion [{x:.4f}, {y:.4f}" in line


def test_every_number_has_a_unit() -> None:
    lens = CameraIntrinsics(640, 480, 600.0, 600.0, 320.0, 240.0, Distortion("plumb_bob", (0.1,)))
    full = replace(read_cell(EXAMPLE), cameras={"one": CellCamera("", "", "", (0.0, 0.0, 0.0), None, None, lens)})
    assert [name for name, _ in numbers_of(full) if pattern_of(name) not in QUANTITIES] == []


@pytest.mark.parametrize(
    ("where", "value", "line"),
    [
        ("robot", "abb", "robot is 'abb', of which no driver is known: known are fr3, panda; a robot of your own is"),
        ("robot", "FR3", "robot is 'FR3', of which no driver is known: did you mean 'fr3'?"),
        ("robot", "ur5e", "robot is 'ur5e', of which no driver is known: give arm_action and gripper.action"),
        ("cameras.wrist.serial", "000000000001", "cameras.wrist.serial is 000000000001, that of front"),
        ("cameras.wrist.frame", "front_color_optical_frame", "is front_color_optical_frame, that of front"),
        ("cameras.front.translation", [1100.0, 0.0, 550.0], "write [1.1, 0, 0.55] if these are millimetres"),
        ("cameras.front.translation", [110, 0, 55], "[1.1, 0, 0.55] if these are centimetres"),
        ("cameras.wrist.translation", [5.0, 0.0, 4.0], "[0.05, 0, 0.04] if these are centimetres"),
        ("cameras.front.translation", [1.1, 0.0, -0.2], "inside the table, whose top is at 0 m"),
        ("cameras.front.translation", [0.0, 0.0, 0.1], "m inside of fr3_link"),
        ("cameras.front.quaternion", [0.6344, 0.6344, -0.3124], "expected x, y, z, w"),
        (
            "cameras.front.quaternion",
            [90, 0, 180],
            "if these are roll, pitch, yaw in degrees, write [0.0000, 0.7071, 0",
        ),
        ("cameras.front.quaternion", [0.6, 0.6, -0.3, -0.3], "of length 0.949: expected x, y, z, w of length 1"),
        ("cameras.front.quaternion", None, "cameras.front.quaternion is missing"),
        ("cameras.front.parent", None, "cameras.front.parent is missing, but translation is given"),
        ("cameras.front.parent", "fr3_lnk0", "no frame of fr3: did you mean fr3_link0?"),
        ("cameras.wrist.parent", "panda_hand", "a frame of panda, but the robot is fr3"),
        ("cameras.le-ft", {}, "cannot be part of a topic's name"),
        ("workspace", {"lower": [0.25, -0.38, -0.5], "upper": [0.8, 0.38, -0.1]}, "lies beneath the table"),
        ("workspace.lower", [0.25, -0.38, -0.02], "begins 0.020 m beneath the table: set its z to 0.004"),
        ("workspace", {"lower": [1.3, -0.38, 0.004], "upper": [1.9, 0.38, 0.55]}, "lies wholly farther than"),
        ("table.height", 0.48, "m: measure it from the robot's base"),
        ("boxes.0.center", [0.0, 0.0, 0.0], "holds fr3_link1 of the robot at home"),
        ("boxes.0.center", [0.3, 0.0, 0.45], "of the robot at home"),
        ("boxes.0.yaw", 90, "write 1.5708 if these are degrees"),
        ("boxes.0.name", "table", "boxes.0.name is 'table', the table's"),
        ("speeds.max_tool_speed", 250, "write 0.25 if these are mm/s"),
        ("speeds.profile", "colaborative", "did you mean 'collaborative'?"),
        ("speeds.max_tool_speed", 3.5, "is 3.5 m/s, but the maker of fr3 allows"),
        ("speeds.max_tool_speed", 0.5, "with people beside the arm (profile collaborative) it is 0.25 m/s"),
        ("speeds.profile", "./nowhere.yaml", "is './nowhere.yaml', where no file is: give the path"),
        ("arm_action", "my arm/follow", "arm_action is 'my arm/follow': expected a name of ROS"),
        ("cameras.front.frame", "/front", "cameras.front.frame is '/front': expected a frame of TF, without"),
        ("cameras.wrist.serial", " 000000000002", "is ' 000000000002': write '000000000002', without blanks"),
        ("cameras.front.quaternion", [0, 0, 0, 0], "of length 0.000: expected x, y, z, w of length 1"),
        ("table.height", 75, "write 0.075 if these are millimetres or 0.75 if these are centimetres"),
        ("speeds.speed", 150, "expected percent in [1, 100]"),
        ("speeds.speed", 0.2, "write 20 if these are a share"),
        ("speeds", {"max_tool_speed": 1.5}, "with people beside the arm (profile collaborative) it is 0.25 m/s"),
        ("speeds", {"profile": None, "max_tool_speed": 0.26}, "give at most 0.25, or another profile"),
        ("gripper.width", 80, "write 0.08 if these are millimetres"),
        ("gripper.width", 0.12, "the fingers of fr3 open to 0.08 m"),
    ],
)
def test_what_does_not_fit_is_named_in_one_line(where: str, value: object, line: str) -> None:
    found = errors(changed(where, value))
    assert any(line in one for one in found), found
    assert not any("\n" in one for one in found)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("robot: fr3", "cameras is missing"),
        ("robot: fr3\nrobot: panda", "robot is written twice, in lines 1 and 2"),
        ("[1, 2]", "the top level is [1, 2], expected a mapping of fields"),
        ("cameras: {front: {serial: 123}}", "serial is 123, expected a text"),
        ("cameras: {front: {seriel: '123'}}", "did you mean 'serial'?"),
        ("cameras: {front: {translation: [.nan, 0, 0]}}", "expected a finite number"),
        ("robot: [", "is not YAML"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_in_one_line(tmp_path: Path, text: str, line: str) -> None:
    file = tmp_path / "cell.yaml"
    file.write_text(text)
    with pytest.raises(CellError) as refused:
        read_cell(file)
    assert line in str(refused.value)
    assert str(file) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CellError, match="cannot be read: No such file"):
        read_cell(tmp_path / "none.yaml")


def test_an_unknown_camera_is_named_with_the_nearest() -> None:
    _, faults = check_cell(EXAMPLE, ["front", "writs"])
    assert [str(one) for one in faults] == ["cameras has no 'writs': unknown camera 'writs'; did you mean 'wrist'?"]


def test_warnings_do_not_keep_a_cell_from_being_read(tmp_path: Path) -> None:
    file = tmp_path / "cell.yaml"
    file.write_text(yaml.safe_dump(changed("speeds.speed", 1)))
    cell, faults = check_cell(file)
    assert [one.level for one in faults] == ["warning"]
    assert read_cell(file) == cell


MULTIPLIED = "a0: &a0 [x, x, x, x]\n" + "".join(
    f"a{number}: &a{number} [{', '.join([f'*a{number - 1}'] * 10)}]\n" for number in range(1, 10)
)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "is empty; config/cells/example.yaml is to be copied and filled in"),
        (b"# nothing yet\n", "is empty"),
        (MULTIPLIED.encode(), "values by its references (&, *); write out what is meant"),
        (b"robot: &a [*a]\n", "has a reference in line 1 that holds itself"),
        (b"robot: " + 3000 * b"[", "is nested too deeply"),
        (b"robot: fr3\n\ttable: {}\n", "in line 2"),
        ("robot: fr3 # Zelle f\xfcr\n".encode("latin-1"), "is no text in UTF-8"),
        (b"robot: fr3\x00\n", "is not YAML"),
        (b"robot: fr3\ncameras: {1: {}}\n", "cameras has 1 as a name, expected a text"),
        (b"robot: fr3\nrobot: panda\n", "robot is written twice, in lines 1 and 2"),
        (b"when: 2026-13-45\n", "is not YAML: month must be in 1..12"),
        (b"x: !!python/object/apply:os.getcwd []\n", "could not determine a constructor"),
        (b"#" * (2 << 20), "is larger than 1 MiB; is it the right file?"),
    ],
)
def test_a_file_that_is_no_cell_is_named_in_one_line(tmp_path: Path, content: bytes, line: str) -> None:
    file = tmp_path / "cell.yaml"
    file.write_bytes(content)
    with pytest.raises(CellError) as refused:
        read_cell(file)
    assert line in str(refused.value)
    assert "\n" not in str(refused.value)
    assert str(file) in str(refused.value)


@pytest.mark.parametrize("path", ["/dev/zero", "."])
def test_what_is_no_file_of_a_person_is_refused(path: str) -> None:
    with pytest.raises(CellError, match=r"is larger than 1 MiB|cannot be read: Is a directory"):
        read_cell(path)


def test_a_cell_with_a_pose_that_is_none_is_drawn_without_it() -> None:
    cell = from_mapping(Cell, changed("cameras.front.quaternion", [0, 0, 0, 0]), "cell")
    assert draw_cell(cell) is not None
