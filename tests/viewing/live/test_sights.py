"""What the page gets to see: no more of it than it can show, and nothing that is no number."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mini_diffuser_ros.records import StaticBox, Workspace
from mini_diffuser_ros.robots import load_robot
from mini_diffuser_ros.support.drawing import GripperGlyph, Wireframe
from mini_diffuser_ros.viewing.live.sights import (
    PICTURE_WIDTH,
    DrawnArm,
    StandingThings,
    lines_values,
    packed_picture,
    packed_points,
)


def unpacked(values: dict[str, object], content: bytes) -> tuple[np.ndarray, np.ndarray]:
    count = int(values["count"])  # type: ignore[call-overload]
    steps = np.frombuffer(content, "<i2", 3 * count).reshape(count, 3)
    colors = np.frombuffer(content, np.uint8, 3 * count, 6 * count).reshape(count, 3)
    assert len(content) == 9 * count
    return np.array(values["center"]) + float(values["unit"]) * steps, colors  # type: ignore[arg-type]


@given(st.integers(0, 200), st.integers(0, 2**32 - 1))
def test_points_come_back_to_a_tenth_of_a_millimetre(count: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    points = generator.uniform(-1.5, 1.5, (count, 3))
    colors = generator.integers(0, 256, (count, 3)).astype(np.uint8)
    shown, painted = unpacked(*packed_points(points, colors))
    np.testing.assert_allclose(shown, points, atol=1e-4)
    np.testing.assert_array_equal(painted, colors)


def test_points_that_are_nowhere_are_left_out_and_told() -> None:
    points = np.array([[0.1, 0.2, 0.3], [np.nan, 0.0, 0.0], [1e30, 0.0, 0.0]])
    values, content = packed_points(points, np.zeros((3, 3), np.uint8))
    assert values["count"] == 1
    assert "2 points" in values["left_out"]
    assert len(content) == 9
    json.dumps(values, allow_nan=False)


def test_the_arm_is_drawn_where_its_joints_are() -> None:
    robot = load_robot("panda")
    surface = DrawnArm(robot)
    home = dict(zip(robot.arm_joint_names, robot.home, strict=True))
    (values, content), tool = surface.packed(home)
    points, _ = unpacked(values, content)
    np.testing.assert_allclose(tool[:3], robot.tcp_pose(np.array(robot.home))[:3, 3], atol=1e-6)
    assert np.linalg.norm(points - tool[:3], axis=1).min() < 0.02  # the fingers reach it
    assert len(points) < 8000
    turned = {**home, robot.arm_joint_names[0]: home[robot.arm_joint_names[0]] + 1.0}
    assert np.linalg.norm(surface.packed(turned)[1][:3] - tool[:3]) > 0.2
    with pytest.raises(ValueError, match="no finite position"):
        surface.packed({})


def test_lines_are_those_of_what_stands_and_of_what_is_planned() -> None:
    pose = np.array([0.5, 0.0, 0.2, 1.0, 0.0, 0.0, 0.0])
    standing = StandingThings(
        workspace=Workspace((0.2, -0.5, 0.0), (0.8, 0.5, 0.7)),
        boxes=(StaticBox("shelf", (0.9, 0.0, 0.5), (0.02, 1.0, 0.5), 0.3),),
    )
    planned = [Wireframe(np.array([[[0.0, 0.0, 0.0], [0.0, 0.0, 1.0]]]), (0, 0, 255), "planned arm")]
    candidates = [GripperGlyph(pose, True, "1: 80 %"), GripperGlyph(pose * np.nan, True, "2: 20 %")]
    values = lines_values(standing, candidates, planned, [GripperGlyph(pose, False, "measured")])
    labels = [line["label"] for line in values["lines"]]
    assert labels == ["", "shelf", "planned arm", "1: 80 %", "measured"]
    assert all(low < high for low, high in zip(values["low"], values["high"], strict=True))
    json.dumps(values, allow_nan=False)


@pytest.mark.parametrize("size", [(128, 128), (1080, 1920), (2160, 3840), (3, 5000), (1, 1)])
def test_pictures_are_small(size: tuple[int, int]) -> None:
    values, content = packed_picture(np.full((*size, 3), 77, np.uint8)[..., ::-1])
    picture = Image.open(io.BytesIO(content))
    assert picture.size == (values["width"], values["height"])
    assert max(picture.width, 1) <= PICTURE_WIDTH
    assert np.abs(np.asarray(picture).astype(int) - 77).max() < 5
