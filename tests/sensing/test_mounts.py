"""A camera may move with the link that it is fixed to, and with nothing else."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.geometry import axis_angle_matrix, matrix_from_pose
from mini_diffuser_ros.robots import load_robot
from mini_diffuser_ros.sensing.mounts import MountWatch

ROBOT = load_robot("panda")
NAMES = [*ROBOT.arm_joint_names, *ROBOT.finger_joint_names]
LIMITS = (0.015, 0.03)

postures = st.lists(st.floats(-0.8, 0.8), min_size=7, max_size=7).map(lambda q: np.array(q) + ROBOT.home)
unit = st.floats(-1.0, 1.0)
mounts = st.tuples(unit, unit, unit, unit, unit, unit).map(lambda v: matrix_from_pose([*v, 0.7]))
links = st.sampled_from([link.name for link in ROBOT.links if link.name != ROBOT.base_frame and link.role != "finger"])


def links_at(posture: np.ndarray) -> dict[str, np.ndarray]:
    return ROBOT.forward_kinematics(dict(zip(NAMES, [*posture, 0.03, 0.03], strict=True)))


@given(mounts, st.lists(postures, min_size=2, max_size=6))
def test_a_camera_that_stays_is_fixed_whatever_the_arm_does(camera: np.ndarray, moves: list[np.ndarray]) -> None:
    watch = MountWatch(*LIMITS)
    for posture in moves:
        assert watch.fault(camera, lambda posture=posture: links_at(posture)) == ""
    assert watch.is_fixed


@given(links, mounts, st.lists(postures, min_size=2, max_size=6))
def test_a_camera_may_move_with_any_link(link: str, mount: np.ndarray, moves: list[np.ndarray]) -> None:
    watch = MountWatch(*LIMITS)
    for posture in moves:
        at = links_at(posture)
        assert watch.fault(at[link] @ mount, lambda at=at: at) == ""


@given(mounts, postures, st.floats(0.03, 0.5), st.tuples(unit, unit, unit))
def test_a_fixed_camera_that_jumps_is_named(
    camera: np.ndarray, posture: np.ndarray, distance: float, direction: tuple[float, ...]
) -> None:
    length = np.linalg.norm(direction)
    if length < 0.1:
        return
    watch = MountWatch(*LIMITS)
    watch.fault(camera, lambda: links_at(ROBOT.home))
    assert watch.fault(camera, lambda: links_at(posture)) == ""
    jumped = camera.copy()
    jumped[:3, 3] += distance * np.array(direction) / length
    told = watch.fault(jumped, lambda: links_at(ROBOT.home))
    assert f"has moved by {distance:.3f} m and 0.0 degrees against the base" in told
    assert watch.fault(camera, lambda: links_at(posture)) == ""


@given(mounts, st.floats(0.05, 3.0))
def test_a_camera_that_turns_is_named(camera: np.ndarray, angle: float) -> None:
    watch = MountWatch(*LIMITS)
    watch.fault(camera, dict)
    turned = camera.copy()
    turned[:3, :3] = axis_angle_matrix((0.6, 0.0, 0.8), angle)[:3, :3] @ camera[:3, :3]
    assert f"{np.degrees(angle):.1f} degrees" in watch.fault(turned, dict)


def test_a_camera_on_the_hand_whose_frame_jumps_is_named_with_its_link() -> None:
    watch, mount, moved = MountWatch(*LIMITS), np.eye(4), np.eye(4)
    mount[:3, 3], moved[:3, 3] = (0.05, 0.0, 0.05), (0.05, 0.08, 0.05)
    for turn in (0.0, 0.5):
        at = links_at(ROBOT.home + turn)
        assert watch.fault(at["panda_hand"] @ mount, lambda at=at: at) == ""
    told = watch.fault(at["panda_hand"] @ moved, lambda: at)
    assert "has moved by 0.080 m" in told
    assert "against panda_" in told
    assert not watch.is_fixed


def test_links_that_are_known_later_count_from_then_on() -> None:
    watch, mount = MountWatch(*LIMITS), np.eye(4)
    at, then = links_at(ROBOT.home), links_at(ROBOT.home + 0.3)
    assert watch.fault(at["panda_hand"] @ mount, dict) == ""
    assert watch.fault(at["panda_hand"] @ mount, lambda: at) == ""
    assert watch.fault(then["panda_hand"] @ mount, lambda: then) == ""


@given(postures, st.floats(0.006, 0.014), st.floats(-0.8, 0.8))
def test_a_pushed_tripod_is_not_taken_for_one_on_an_arm_that_rests(
    posture: np.ndarray, distance: float, turn: float
) -> None:
    """However near a link that it is said to move with has stayed."""
    watch, camera = MountWatch(*LIMITS, fixed=(0.005, 0.01)), np.eye(4)
    for at in (links_at(ROBOT.home + turn), links_at(posture)):
        assert watch.fault(camera, lambda at=at: at) == ""
    camera[0, 3] = distance
    watch.fault(camera, lambda: links_at(ROBOT.home + turn))
    assert f"has moved by {distance:.3f} m" in watch.fault(camera, lambda: links_at(ROBOT.home + turn))
    assert watch.is_fixed


@given(links, postures)
def test_a_camera_on_the_arm_may_be_as_late_as_its_link_allows(link: str, posture: np.ndarray) -> None:
    """Its frame and the joint states are a few milliseconds apart while the arm moves."""
    watch, mount = MountWatch(*LIMITS, fixed=(0.005, 0.01)), np.eye(4)
    start, steps = links_at(ROBOT.home), np.linspace(0.0, 1.0, 40)
    watch.fault(start[link] @ mount, lambda: start)
    for step in steps:
        at = links_at(ROBOT.home + step * (posture - ROBOT.home))
        late = links_at(ROBOT.home + max(0.0, step - 0.004) * (posture - ROBOT.home))
        assert watch.fault(late[link] @ mount, lambda at=at: at) == ""
