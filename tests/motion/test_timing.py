"""Trajectories keep every limit, at any instant, and follow their path."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mini_diffuser_ros.motion import interpolate
from mini_diffuser_ros.motion.limits import DynamicLimits
from mini_diffuser_ros.motion.path import rounded_path, straight_path
from mini_diffuser_ros.motion.timing import stop_trajectory, time_path
from mini_diffuser_ros.records import JointTrajectory
from mini_diffuser_ros.robots import RobotDescription

VELOCITY = np.array([1.0, 1.0, 1.0, 1.0, 1.3, 1.3, 1.3])
ACCELERATION = np.array([6.0, 3.0, 4.0, 5.0, 6.0, 8.0, 8.0])
JERK = np.array([370.0, 180.0, 250.0, 310.0, 370.0, 500.0, 500.0])
PERIOD = 0.02
JOINTS = st.lists(st.floats(-2.5, 2.5), min_size=7, max_size=7).map(np.array)
"""Enough for any arm of the tests; each takes as many as it has joints."""


def limits_of(joints: int) -> DynamicLimits:
    return DynamicLimits(VELOCITY[:joints], ACCELERATION[:joints], JERK[:joints])


def timed(pieces: list, robot: RobotDescription) -> JointTrajectory:
    return time_path(pieces, robot.arm_joint_names, limits_of(len(robot.home)), PERIOD)


def dense(trajectory: JointTrajectory) -> tuple[np.ndarray, np.ndarray]:
    """Times (D,) and states (D, 3, J) ten times denser than the samples."""
    times = np.unique(np.concatenate([np.arange(0.0, trajectory.duration, 0.002), trajectory.times]))
    return times, np.stack(interpolate(trajectory, times), axis=1)


def assert_within_limits(trajectory: JointTrajectory, jerk_tolerance: float) -> None:
    limits = limits_of(len(trajectory.joint_names))
    times, states = dense(trajectory)
    spans = np.diff(times)[:, None]
    jerk = np.diff(states[:, 2], axis=0) / spans
    jerk = jerk[spans[:, 0] > 1e-4]  # quotients over shorter spans are rounding
    assert np.all(np.abs(states[:, 1]) <= limits.velocity * (1.0 + 1e-3))
    assert np.all(np.abs(states[:, 2]) <= limits.acceleration * (1.0 + 1e-3))
    assert np.all(np.abs(jerk) <= limits.jerk * (1.0 + jerk_tolerance))


@given(start=JOINTS, goal=JOINTS)
@settings(max_examples=20, deadline=None)
def test_straight_segment_is_straight_exact_and_within_limits(
    robot: RobotDescription, start: np.ndarray, goal: np.ndarray
) -> None:
    start, goal = start[: len(robot.home)], goal[: len(robot.home)]
    trajectory = timed([straight_path(start, goal)], robot)

    np.testing.assert_array_equal(trajectory.positions[0], start)
    np.testing.assert_array_equal(trajectory.positions[-1], goal)
    assert np.all(trajectory.velocities[[0, -1]] == 0.0)
    assert np.all(trajectory.accelerations[[0, -1]] == 0.0)
    assert np.all(np.diff(trajectory.times) > 0.0)
    assert_within_limits(trajectory, jerk_tolerance=1e-2)
    _, states = dense(trajectory)
    direction = goal - start
    length = np.linalg.norm(direction)
    if length > 0.0:
        along = (states[:, 0] - start) @ direction / length
        off_line = states[:, 0] - start - along[:, None] * direction / length
        assert np.max(np.abs(off_line)) < 1e-9


def test_some_joint_is_at_a_limit(robot: RobotDescription) -> None:
    trajectory = timed([straight_path(np.zeros_like(robot.home), np.ones_like(robot.home))], robot)

    assert np.max(np.abs(trajectory.velocities) / limits_of(len(robot.home)).velocity) == pytest.approx(1.0, abs=1e-3)


@given(waypoints=st.lists(JOINTS, min_size=3, max_size=4).map(np.stack), spans=st.sampled_from([4, 8, 16]))
@settings(max_examples=20, deadline=None)
def test_rounded_path_keeps_limits_and_ends(robot: RobotDescription, waypoints: np.ndarray, spans: int) -> None:
    # Corners of distinct points; a doubled point is no corner.
    waypoints = waypoints[:, : len(robot.home)] + np.arange(len(waypoints))[:, None] * 0.01
    trajectory = timed([rounded_path(waypoints, spans)], robot)

    np.testing.assert_array_equal(trajectory.positions[[0, -1]], waypoints[[0, -1]])
    # Quintics between samples follow a curved jerk only nearly.
    assert_within_limits(trajectory, jerk_tolerance=0.2)


def test_pieces_join_at_rest(robot: RobotDescription) -> None:
    corner = np.full_like(robot.home, 0.5)
    goal = corner - 1.5 * (np.arange(len(corner)) == 3)

    trajectory = timed([straight_path(np.zeros_like(corner), corner), straight_path(corner, goal)], robot)

    index = int(np.argmin(np.abs(trajectory.positions - corner).sum(axis=1)))
    np.testing.assert_array_equal(trajectory.positions[index], corner)
    assert np.all(trajectory.velocities[index] == 0.0)
    assert np.all(np.diff(trajectory.times) > 0.0)


def test_no_motion_is_a_trajectory_too(robot: RobotDescription) -> None:
    trajectory = timed([straight_path(robot.home, robot.home)], robot)

    assert len(trajectory.times) >= 2
    # To the last digit: a spline of two equal points rounds between them.
    assert np.abs(trajectory.positions - robot.home).max() <= 1e-15
    assert np.all(trajectory.velocities == 0.0)


@given(
    velocity=st.lists(st.floats(-1.0, 1.0), min_size=7, max_size=7).map(np.array),
    acceleration=st.lists(st.floats(-3.0, 3.0), min_size=7, max_size=7).map(np.array),
)
@settings(max_examples=40, deadline=None)
def test_stop_begins_where_the_arm_is_and_ends_at_rest(
    robot: RobotDescription, velocity: np.ndarray, acceleration: np.ndarray
) -> None:
    velocity, acceleration = velocity[: len(robot.home)], acceleration[: len(robot.home)]
    limits = limits_of(len(robot.home))
    trajectory = stop_trajectory(robot.home, velocity, acceleration, robot.arm_joint_names, limits, PERIOD)

    np.testing.assert_allclose(trajectory.positions[0], robot.home)
    np.testing.assert_allclose(trajectory.velocities[0], velocity, atol=1e-12)
    np.testing.assert_allclose(trajectory.velocities[-1], 0.0, atol=1e-9)
    np.testing.assert_allclose(trajectory.accelerations[-1], 0.0, atol=1e-9)
    assert np.all(np.abs(trajectory.accelerations) <= limits.acceleration + 1e-9)
    jerk = np.diff(trajectory.accelerations, axis=0) / np.diff(trajectory.times)[:, None]
    assert np.all(np.abs(jerk) <= limits.jerk * (1.0 + 1e-6))


def test_state_is_held_before_and_after(robot: RobotDescription) -> None:
    trajectory = timed([straight_path(np.zeros_like(robot.home), np.ones_like(robot.home))], robot)

    positions, velocities, _ = interpolate(trajectory, [-1.0, 99.0])

    np.testing.assert_allclose(positions, [np.zeros_like(robot.home), np.ones_like(robot.home)], atol=1e-12)
    np.testing.assert_allclose(velocities, 0.0, atol=1e-12)
    np.testing.assert_allclose(interpolate(trajectory, 99.0)[0], np.ones_like(robot.home), atol=1e-12)


def test_samples_are_interpolated_exactly(robot: RobotDescription) -> None:
    waypoints = np.outer([0.0, 1.0, -1.0], np.ones_like(robot.home))
    trajectory = timed([rounded_path(waypoints, 8)], robot)

    positions, velocities, accelerations = interpolate(trajectory, trajectory.times)

    np.testing.assert_allclose(positions, trajectory.positions, atol=1e-12)
    np.testing.assert_allclose(velocities, trajectory.velocities, atol=1e-9)
    np.testing.assert_allclose(accelerations, trajectory.accelerations, atol=1e-6)
