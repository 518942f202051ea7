"""Decision frames are read off the motion: where it goes and when the gripper changes."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.training.frames import FrameKind, frame_kinds

FIRST, LATER, GRASP, OTHER = FrameKind.FIRST, FrameKind.LATER, FrameKind.GRASP, FrameKind.OTHER


def poses(*positions: tuple[float, float, float]) -> np.ndarray:
    return np.array([[*position, 1.0, 0.0, 0.0, 0.0] for position in positions])


HOME, A, B, HIGH = (0.40, 0.0, 0.5), (0.5, 0.2), (0.6, -0.1), 0.2
PICK_AND_PLACE = poses(HOME, (*A, HIGH), (*A, 0.02), (*A, HIGH), (*B, HIGH), (*B, 0.06), (*B, HIGH))
GRIPPER = np.array([True, True, False, False, False, True, True])


def test_pick_and_place_decides_at_its_start_and_after_the_lift() -> None:
    assert frame_kinds(PICK_AND_PLACE, GRIPPER) == [FIRST, GRASP, OTHER, LATER, OTHER, OTHER]


def test_pushing_decides_only_at_its_start_even_if_the_gripper_closes_on_the_way() -> None:
    push = poses(HOME, (*A, HIGH), (*A, 0.04), (*A, HIGH))
    assert frame_kinds(push, np.array([True, True, True, True])) == [FIRST, OTHER, OTHER]
    assert frame_kinds(push, np.array([True, False, False, False])) == [FIRST, OTHER, OTHER]


def test_going_home_at_the_end_is_no_decision() -> None:
    ended_at_home = np.concatenate([PICK_AND_PLACE[:-1], poses(HOME)])
    assert frame_kinds(ended_at_home, GRIPPER)[-1] is OTHER


@given(
    yaw=st.floats(-3.2, 3.2),
    shift=st.tuples(st.floats(-1, 1), st.floats(-1, 1), st.floats(-1, 1)),
)
def test_kinds_do_not_depend_on_where_the_scene_stands(yaw: float, shift: tuple[float, float, float]) -> None:
    turned = PICK_AND_PLACE.copy()
    cos, sin = np.cos(yaw), np.sin(yaw)
    turned[:, :2] = turned[:, :2] @ np.array([[cos, sin], [-sin, cos]])
    turned[:, :3] += shift
    assert frame_kinds(turned, GRIPPER) == frame_kinds(PICK_AND_PLACE, GRIPPER)


def test_first_and_later_frames_decide() -> None:
    assert [kind.decides_object for kind in FrameKind] == [True, True, False, False]
