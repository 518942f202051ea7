"""Stops that replace the trajectory under way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mini_diffuser_ros.motion import MotionPlanner, interpolate
from mini_diffuser_ros.motion.braking import LEAD, TrajectoryProgress, braking_trajectory, continued, is_followed
from mini_diffuser_ros.motion.retiming import PacedTrajectory
from mini_diffuser_ros.records import JointTrajectory
from mini_diffuser_ros.robots import RobotDescription
from mini_diffuser_ros.simulation.realtime.arm_controller import ArmController

from .conftest import moved


@pytest.fixture(scope="module")
def trajectory(planner: MotionPlanner, robot: RobotDescription) -> JointTrajectory:
    return planner.plan_joints(robot.home, moved(robot, 0.8, 0.0, 0.0, 0.0, 0.0, 0.3))


@settings(max_examples=25)
@given(st.floats(0.0, 1.0))
def test_a_stop_continues_the_motion_smoothly_and_ends_at_rest(
    planner: MotionPlanner, robot: RobotDescription, trajectory: JointTrajectory, part: float
) -> None:
    elapsed = part * trajectory.duration
    stop = braking_trajectory(planner, PacedTrajectory.of(trajectory), elapsed)
    arm = ArmController(robot.home, robot.acceleration_limits)
    arm.follow(trajectory, now=0.0)
    arm.follow(stop, now=elapsed)
    times = elapsed + np.linspace(0.0, float(stop.times[-1]), 400)
    references = [arm.reference(time) for time in times]
    accelerations = np.array([reference.accelerations for reference in references])
    assert np.all(np.abs(accelerations) <= robot.acceleration_limits)
    velocities = np.array([reference.velocities for reference in references])
    step = times[1] - times[0]
    assert np.abs(np.diff(velocities, axis=0)).max() <= robot.acceleration_limits.max() * step * 1.01 + 1e-9
    assert references[-1].velocities == pytest.approx(np.zeros_like(robot.home), abs=1e-6)
    assert arm.is_resting(times[-1] + 1e-9)


def test_until_the_lead_is_over_the_arm_goes_on_as_planned(planner: MotionPlanner, trajectory: JointTrajectory) -> None:
    elapsed = trajectory.duration / 2.0
    stop = braking_trajectory(planner, PacedTrajectory.of(trajectory), elapsed)
    assert stop.times[0] == LEAD
    assert stop.positions[0] == pytest.approx(interpolate(trajectory, elapsed + LEAD)[0])


def test_an_arm_that_lags_follows_and_one_that_is_held_does_not(
    robot: RobotDescription, trajectory: JointTrajectory
) -> None:
    elapsed = 0.8 * trajectory.duration
    assert is_followed(trajectory, elapsed, interpolate(trajectory, elapsed - 0.15)[0])
    assert not is_followed(trajectory, elapsed, robot.home)


def test_at_rest_there_is_nothing_to_brake(
    planner: MotionPlanner, robot: RobotDescription, trajectory: JointTrajectory
) -> None:
    still = JointTrajectory(
        trajectory.joint_names,
        np.array([0.0, 1.0]),
        np.tile(robot.home, (2, 1)),
        np.zeros((2, len(robot.home))),
        np.zeros((2, len(robot.home))),
    )
    assert np.allclose(braking_trajectory(planner, PacedTrajectory.of(still), 0.5).positions, robot.home)


@settings(max_examples=25)
@given(st.floats(0.05, 0.95))
def test_a_controller_in_step_is_believed(trajectory: JointTrajectory, part: float) -> None:
    progress = TrajectoryProgress(trajectory, sent_at=100.0)
    assert progress.elapsed(100.1) is None
    at = part * trajectory.duration
    progress.heard(interpolate(trajectory, at)[0], now=100.0 + at + 0.01)
    assert progress.elapsed(100.0 + at + 0.05) == pytest.approx(at + 0.045, abs=0.003)


def test_a_controller_that_is_late_or_silent_is_not_believed(trajectory: JointTrajectory) -> None:
    progress = TrajectoryProgress(trajectory, sent_at=100.0)
    at = trajectory.duration / 2.0
    progress.heard(interpolate(trajectory, at)[0], now=100.0 + at + 0.2)
    assert progress.elapsed(100.0 + at + 0.2) is None
    progress.heard(interpolate(trajectory, at)[0], now=100.0 + at)
    assert progress.elapsed(100.0 + at) is not None
    assert progress.elapsed(100.0 + at + 1.0) is None


def test_by_its_own_stamps_a_controller_is_known_however_late_its_goal_arrived(trajectory: JointTrajectory) -> None:
    progress, began = TrajectoryProgress(trajectory, sent_at=100.0), 5000.2
    for at in (0.3, 0.35, 0.4):
        # The goal came 0.2 s late, its words take 2 ms.
        progress.heard(interpolate(trajectory, at)[0], now=100.202 + at, stamp=began + at)
    assert progress.elapsed(100.65) == pytest.approx(0.45, abs=0.003)
    assert progress.stamp(0.5) == pytest.approx(began + 0.5, abs=1e-4)


def test_stamps_that_do_not_fit_together_are_not_used(trajectory: JointTrajectory) -> None:
    progress = TrajectoryProgress(trajectory, sent_at=100.0)
    for at in (0.3, 0.35):
        progress.heard(interpolate(trajectory, at)[0], now=100.002 + at, stamp=5000.0)
    assert progress.stamp(0.5) == 0.0
    assert progress.elapsed(100.36) == pytest.approx(0.36, abs=0.003)


@settings(max_examples=20)
@given(at=st.floats(0.2, 0.8), back=st.floats(0.0, 1.0))
def test_a_controller_is_passed_over_to_another_speed_without_a_jump(
    planner: MotionPlanner, robot: RobotDescription, trajectory: JointTrajectory, at: float, back: float
) -> None:
    now, whole = at * trajectory.duration, PacedTrajectory.of(trajectory)
    changed = planner.retimed(whole, now + LEAD, back)
    arm = ArmController(robot.home, robot.acceleration_limits)
    arm.follow(trajectory, now=0.0)
    arm.follow(replace(changed.trajectory, times=changed.trajectory.times + LEAD), now=now)
    references = [arm.reference(now + time) for time in np.arange(0.0, 2.0 * LEAD, 1e-3)]
    accelerations = np.array([reference.accelerations for reference in references])
    assert np.all(np.abs(accelerations) <= robot.acceleration_limits)
    assert np.all(np.abs(np.diff(accelerations, axis=0)) <= robot.jerk_limits * 1e-3)


@settings(max_examples=20)
@given(at=st.floats(0.2, 0.8), back=st.floats(0.0, 1.0), late=st.floats(0.0, 0.9))
def test_a_controller_that_takes_over_late_by_its_stamp_has_nothing_to_make_good(
    planner: MotionPlanner, robot: RobotDescription, trajectory: JointTrajectory, at: float, back: float, late: float
) -> None:
    now = at * trajectory.duration
    changed = planner.retimed(PacedTrajectory.of(trajectory), now + LEAD, back)
    sent = continued(trajectory, now + 0.2 * LEAD, now + LEAD, changed.trajectory)
    arm = ArmController(robot.home, robot.acceleration_limits)
    arm.follow(trajectory, now=0.0)
    taken = now + late * LEAD
    arm.follow(replace(sent, times=sent.times - taken), now=taken)
    before, after = interpolate(trajectory, taken), arm.reference(taken)
    assert after.positions == pytest.approx(before[0], abs=1e-6)
    assert after.velocities == pytest.approx(before[1], abs=1e-5)
    accelerations = np.array([arm.reference(taken + time).accelerations for time in np.arange(0.0, 2.0 * LEAD, 1e-3)])
    assert np.all(np.abs(accelerations) <= robot.acceleration_limits)
