"""Velocity limits that depend on position, from robot folders and from a robot's own URDF."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mini_diffuser_ros.robots import ROBOTS, RobotDescription, load_robot, with_limits_of_urdf
from mini_diffuser_ros.support.settings import SettingsError

FR3 = load_robot("fr3")
OFFSET = np.array([0.6599, 0.2517, 0.2, 0.3533, 0.5757, 0.4878, 0.4628])  # documentation of 2026
UPPER = np.array([2.9007, 1.8361, 2.9007, -0.1169, 2.8763, 4.6216, 3.0508])
LIBFRANKA_OFFSET = np.array([0.3, 0.2, 0.2, 0.3, 0.35, 0.35, 0.35])
LIBFRANKA_UPPER = np.array([2.7501, 1.7918, 2.9065, -0.1458, 2.8101, 4.5205, 3.0196])
TWICE_DECELERATION = np.array([12.0, 5.17, 7.0, 8.0, 34.0, 11.0, 34.0])


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=50)
def test_fr3_keeps_the_stricter_of_both_published_sets(seed: int) -> None:
    q = np.random.default_rng(seed).uniform(*FR3.position_limits.T)

    _, highest = FR3.velocity_range(q)

    for offset, upper in ((OFFSET, UPPER), (LIBFRANKA_OFFSET, LIBFRANKA_UPPER)):
        room = np.maximum(TWICE_DECELERATION * (upper - q), 0.0)
        assert np.all(highest <= np.maximum(np.sqrt(room) - offset, 0.0) + 1e-12)
    assert np.all(highest <= FR3.velocity_limits)


def test_velocity_near_an_end_is_that_of_the_rate_limiter() -> None:
    q = np.array([-0.3226, 0.9123, -0.1440, -2.817, 0.5281, 2.4291, 0.6271])

    lowest, highest = FR3.velocity_range(q)

    assert -1.06 <= lowest[3] <= -1.0
    assert highest[3] == 2.62


@pytest.mark.parametrize("name", [name for name in ROBOTS if name != "fr3"])
def test_other_arms_have_constant_limits(name: str) -> None:
    robot = load_robot(name)
    lowest, highest = robot.velocity_range(robot.position_limits.T)

    np.testing.assert_array_equal(highest, np.tile(robot.velocity_limits, (2, 1)))
    np.testing.assert_array_equal(lowest, -highest)
    np.testing.assert_array_equal(robot.usable_range(), robot.position_limits)


def test_at_the_ends_of_the_usable_range_joints_move_inwards_only() -> None:
    lower, upper = FR3.usable_range().T

    assert np.all(FR3.velocity_range(upper)[1] <= 1e-9)
    assert np.all(FR3.velocity_range(upper)[0] < -0.5)
    assert np.all(FR3.velocity_range(lower)[0] >= -1e-9)
    assert np.all(FR3.velocity_range(upper - 0.01)[1] > 0.0)


@pytest.mark.parametrize("name", ROBOTS)
def test_tool_motion_is_the_tool_pose_of_each_row(name: str) -> None:
    robot = load_robot(name)
    rows = np.random.default_rng(1).uniform(*robot.position_limits.T, (20, len(robot.home)))

    places, rotations = robot.tcp_motion(rows)

    for row, place, rotation in zip(rows, places, rotations, strict=True):
        np.testing.assert_allclose(robot.tcp_pose(row)[:3, 3], place, atol=1e-12)
        np.testing.assert_allclose(robot.tcp_pose(row)[:3, :3], rotation, atol=1e-12)


def urdf_of(robot: RobotDescription, shrink: float = 0.1, left_out: str = "", **changes: str) -> str:
    """A URDF of the arm's joints with ranges a little smaller than those of its folder, and a curve each."""
    joints = []
    for name, (lower, upper) in zip(robot.arm_joint_names, robot.position_limits, strict=True):
        values = {"lower": f"{lower + shrink}", "upper": f"{upper - shrink}", "velocity": "1.5"} | changes
        attributes = " ".join(f'{key}="{value}"' for key, value in values.items())
        curve = '<position_based_velocity_limits velocity_offset="0.4" deceleration_limit="5"/>'
        joints.append(
            f'<joint name="{name}" type="revolute"><limit effort="87" {attributes}/>'
            f"{'' if left_out == name else curve}</joint>"
        )
    return f'<robot name="arm">{"".join(joints)}</robot>'


@pytest.mark.parametrize("name", ROBOTS)
def test_a_robots_own_urdf_replaces_ranges_and_velocities(name: str) -> None:
    robot = load_robot(name)

    own = with_limits_of_urdf(robot, urdf_of(robot), "robot.urdf")

    np.testing.assert_allclose(own.position_limits, robot.position_limits + np.array([0.1, -0.1]))
    upper = own.position_limits[:, 1]
    np.testing.assert_allclose(own.velocity_range(upper - 0.2)[1], np.sqrt(2.0) - 0.4)
    np.testing.assert_allclose(own.velocity_range(upper - 0.016)[1], 0.0, atol=1e-9)
    np.testing.assert_array_equal(own.acceleration_limits, robot.acceleration_limits)


def test_a_urdf_without_the_curve_of_a_joint_leaves_that_joint_constant() -> None:
    own = with_limits_of_urdf(FR3, urdf_of(FR3, left_out="fr3_joint3"), "robot.urdf")

    highest = own.velocity_range(own.position_limits[:, 1] - 1e-6)[1]
    assert highest[2] == 1.5
    assert np.all(np.delete(highest, 2) == 0.0)


@pytest.mark.parametrize(
    ("urdf", "words"),
    [
        ("<robot", "is not XML"),
        ("<robot/>", "has no limits of joint 'fr3_joint1', which fr3 has"),
        (urdf_of(FR3, velocity="fast"), "velocity of fr3_joint1 is 'fast', expected a number"),
        (urdf_of(FR3, velocity="-1"), "velocity is"),
        (urdf_of(FR3, lower="nan"), "lower of fr3_joint1 is 'nan', expected a number"),
        (urdf_of(FR3, lower="3.1"), "has ranges in which the home of fr3 does not lie"),
        (urdf_of(FR3, lower="-171.9"), "position is up to 171.9, expected radians .* are these degrees"),
        (urdf_of(FR3, velocity="124.6"), "velocity is up to 124.6, expected rad/s of at most 15: are these degrees"),
    ],
)
def test_a_urdf_that_cannot_be_is_refused_in_one_line(urdf: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words) as refused:
        with_limits_of_urdf(FR3, urdf, "robot.urdf")

    assert "\n" not in str(refused.value)
    assert str(refused.value).startswith("robot.urdf: ")


def test_arms_are_told_apart_by_a_digest_of_their_limits() -> None:
    digests = {load_robot(name).limits_digest() for name in ROBOTS}
    assert len(digests) == len(ROBOTS)
    fr3 = load_robot("fr3")
    assert replace(fr3).limits_digest() == fr3.limits_digest()
    changed = (
        replace(fr3, velocity_curves=()),
        replace(fr3, velocity_curves=fr3.velocity_curves[:1]),
        replace(fr3, velocity_limits=fr3.velocity_limits * 1.01),
        replace(fr3, position_limits=fr3.position_limits + 1e-3),
    )
    assert len({robot.limits_digest() for robot in (fr3, *changed)}) == 5
