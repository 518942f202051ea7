"""Grasps: where the fingers close, and that the hand has room there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.libero.grasps import (
    GraspAnnotation,
    clearance,
    find_grasps,
    hand_rotation,
    read_annotations,
    top_down_tool,
)
from mini_diffuser_ros.libero.measured_scene import MeasuredScene, SceneError
from mini_diffuser_ros.support.settings import SettingsError

from .toy_table import BASE_HEIGHT, BOWL_RADIUS, toy_model

WALL = '<body name="wall_1_main" pos="{x} {y} {z}"><geom type="box" group="0" size="{size}"/></body>'
numbers = st.floats(-1.0, 1.0)


def scene_with(extra: str = "") -> MeasuredScene:
    return MeasuredScene(*toy_model(extra))


def grasps_of(scene: MeasuredScene, thing: str, annotation: GraspAnnotation) -> np.ndarray:
    found = find_grasps(annotation, scene.pose(thing), scene.points(thing), scene.surroundings((thing,)))
    return found[0].base_from_tool


def test_a_flat_box_is_gripped_across_its_narrow_side_and_low() -> None:
    tool = grasps_of(scene_with(), "cheese_1", GraspAnnotation())
    np.testing.assert_allclose(tool[:3, 3], (0.5, -0.03, 0.011), atol=0.003)
    assert abs(tool[1, 1]) > 0.99  # the fingers open along y, across 4 cm and not 8


def test_a_rim_is_gripped_on_the_side_that_has_room() -> None:
    annotation = GraspAnnotation("rim", side=90.0)
    bowl = scene_with().pose("bowl_1")[:3, 3]
    free = grasps_of(scene_with(), "bowl_1", annotation)[:3, 3] - bowl
    assert free[1] > 0.9 * (BOWL_RADIUS - 0.01)
    wall = WALL.format(x=0.5, y=0.15 + BOWL_RADIUS + 0.025, z=BASE_HEIGHT + 0.1, size="0.1 0.01 0.1")
    beside = grasps_of(scene_with(wall), "bowl_1", annotation)[:3, 3] - bowl
    assert beside[1] < 0.5 * BOWL_RADIUS


def test_of_a_thing_with_a_part_to_hold_it_by_only_that_is_gripped() -> None:
    corner = GraspAnnotation(part=((0.02, -1.0, -1.0), (1.0, 1.0, 1.0)))
    assert grasps_of(scene_with(), "cheese_1", corner)[0, 3] > 0.525
    nothing = GraspAnnotation(part=((0.5, 0.0, 0.0), (0.6, 1.0, 1.0)))
    scene = scene_with()
    assert find_grasps(nothing, scene.pose("cheese_1"), scene.points("cheese_1"), scene.surroundings()) == []


@given(st.lists(st.tuples(numbers, numbers, numbers), min_size=1, max_size=20), st.tuples(numbers, numbers, numbers))
def test_more_things_never_leave_more_room(points: list[tuple[float, ...]], more: tuple[float, ...]) -> None:
    tool = top_down_tool(np.array([0.1, 0.0, 0.2]), 0.3)
    assert clearance(tool, np.array([*points, more])) <= clearance(tool, np.array(points))


@given(st.floats(-3.1, 3.1), st.floats(-0.04, 0.04), st.floats(-0.03, 0.1))
def test_room_is_measured_from_the_hand_wherever_it_is(yaw: float, x: float, z: float) -> None:
    there = top_down_tool(np.array([0.4, -0.2, 0.3]), yaw)
    here = np.eye(4)
    points = np.array([[x, 0.0, z]])
    seen = points @ there[:3, :3].T + there[:3, 3]
    assert clearance(there, seen) == pytest.approx(clearance(here, points), abs=1e-9)


@given(st.tuples(numbers, numbers, numbers), st.tuples(numbers, numbers, numbers))
def test_the_hand_approaches_as_it_is_told_and_turns_least(
    approach: tuple[float, ...], closing: tuple[float, ...]
) -> None:
    a, c = np.array(approach), np.array(closing)
    if np.linalg.norm(np.cross(a, c)) < 1e-3:
        return
    rotation = hand_rotation(a, c)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(rotation) == pytest.approx(1.0)
    np.testing.assert_allclose(rotation[:, 2], a / np.linalg.norm(a), atol=1e-9)
    assert rotation[0, 0] >= -1e-9


def test_the_page_of_annotations_is_read_and_a_misspelt_field_named(tmp_path: Path) -> None:
    page = read_annotations()
    assert page.of("akita_black_bowl").hold == "rim"
    assert page.of("something else") == page.default
    wrong = tmp_path / "page.yaml"
    wrong.write_text("things:\n  bowl: {hold: rim, dept: 0.02}\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"things.bowl.dept"):
        read_annotations(wrong)


def test_a_scene_is_measured_in_the_frame_of_the_arm() -> None:
    scene = scene_with()
    np.testing.assert_allclose(scene.pose("bowl_1")[:3, 3], (0.5, 0.15, 0.0))
    np.testing.assert_allclose(scene.region("table_corner_region").base_from_region[:3, 3], (0.7, 0.3, 0.0), atol=1e-9)
    points = scene.points("cheese_1")
    np.testing.assert_allclose(points.max(axis=0) - points.min(axis=0), (0.08, 0.04, 0.02), atol=1e-6)
    joint = scene.nearest_joint("cabinet_1_top_region", "cabinet_1")
    assert (joint.body, joint.is_hinge, joint.low) == ("cabinet_1_top", False, -0.16)
    np.testing.assert_allclose(joint.axis, (0.0, -1.0, 0.0))


def test_what_is_left_out_of_the_surroundings_is_gone_with_its_drawers() -> None:
    scene = scene_with()
    everything, rest = scene.surroundings(), scene.surroundings(("cabinet_1",))
    assert everything[:, 1].min() == pytest.approx(rest[:, 1].min(), abs=0.3)
    assert rest[:, 2].max() < 0.06 < everything[:, 2].max()


@pytest.mark.parametrize("name", ["nothing_1", "bowl_9"])
def test_a_name_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(SceneError, match=name):
        scene_with().pose(name)
    with pytest.raises(SceneError, match=name):
        scene_with().region(name)
    with pytest.raises(SceneError, match="plate_1"):
        scene_with().nearest_joint("plate_1", "plate_1")


def test_a_handle_is_gripped_from_the_side_that_it_is_on() -> None:
    handle = GraspAnnotation("handle", part=((0.025, -1.0, -1.0), (1.0, 1.0, 1.0)))
    tool = grasps_of(scene_with(), "cheese_1", handle)
    assert tool[0, 2] < -0.8  # from outside, along -x
    assert abs(tool[1, 1]) > 0.99  # the fingers open along y, across it
    assert 0.515 < tool[0, 3] < 0.54
