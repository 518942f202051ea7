"""The reference that the simulated arm follows."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mini_diffuser_ros.records import JointTrajectory
from mini_diffuser_ros.simulation.realtime.arm_controller import ArmController

BRAKING = np.array([10.0, 5.0])


def trajectory() -> JointTrajectory:
    """A smooth motion of two seconds from (0, 0) to (1, -0.5)."""
    times = np.linspace(0.0, 2.0, 101)
    part, speed = (1 - np.cos(np.pi * times / 2)) / 2, np.pi * np.sin(np.pi * times / 2) / 4
    way = np.array([1.0, -0.5])
    zeros = np.zeros((101, 2))
    return JointTrajectory(("a", "b"), times, part[:, None] * way, speed[:, None] * way, zeros)


def test_it_holds_where_it_is_put() -> None:
    arm = ArmController(np.array([0.3, 0.4]), BRAKING)
    positions, velocities, _ = arm.reference(5.0)
    assert np.array_equal(positions, [0.3, 0.4])
    assert not velocities.any()
    assert arm.is_resting(5.0)


def test_it_follows_a_trajectory_to_its_end_and_holds_there() -> None:
    arm = ArmController(np.zeros(2), BRAKING)
    arm.follow(trajectory(), now=7.0)
    assert np.allclose(arm.reference(8.0)[0], [0.5, -0.25])
    assert not arm.is_resting(8.9)
    assert arm.is_resting(9.0)
    assert np.allclose(arm.reference(20.0)[0], [1.0, -0.5])


@settings(max_examples=30)
@given(st.floats(0.05, 1.95))
def test_braking_is_continuous_and_within_the_deceleration(at: float) -> None:
    arm = ArmController(np.zeros(2), BRAKING)
    arm.follow(trajectory(), now=0.0)
    before, speed, _ = arm.reference(at)
    arm.brake(at)
    assert np.allclose(arm.reference(at)[0], before)
    assert np.allclose(arm.reference(at)[1], speed)
    times = at + np.linspace(0.0, 1.0, 401)
    period = times[1] - times[0]
    velocities = np.array([arm.reference(time)[1] for time in times])
    positions = np.array([arm.reference(time)[0] for time in times])
    assert np.all(np.abs(np.diff(velocities, axis=0)) <= BRAKING * period + 1e-9)
    mean_velocities = (velocities[1:] + velocities[:-1]) / 2
    assert np.allclose(np.diff(positions, axis=0), mean_velocities * period, atol=1e-5)
    assert arm.is_resting(at + 1.0)
    assert np.array_equal(arm.reference(at + 1.0)[0], arm.reference(at + 9.0)[0])


@settings(max_examples=30)
@given(st.floats(0.05, 1.5), st.floats(0.02, 0.2))
def test_a_trajectory_that_begins_ahead_takes_over_without_a_jump(at: float, lead: float) -> None:
    arm = ArmController(np.zeros(2), BRAKING)
    arm.follow(trajectory(), now=0.0)
    positions, velocities, accelerations = arm.reference(at)
    ahead = JointTrajectory(
        ("a", "b"), np.array([lead, lead + 0.5]), np.array([positions, positions]), np.zeros((2, 2)), np.zeros((2, 2))
    )
    arm.follow(ahead, now=at)
    taken_over = arm.reference(at)
    assert np.allclose(taken_over.positions, positions)
    assert np.allclose(taken_over.velocities, velocities)
    assert np.allclose(taken_over.accelerations, accelerations)
    assert np.allclose(arm.reference(at + lead).positions, positions)
    assert arm.is_resting(at + lead + 0.5 + 1e-9)
