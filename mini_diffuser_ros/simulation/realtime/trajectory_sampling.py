"""A trajectory between its samples, as ros2_control's joint_trajectory_controller interpolates it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.motion import interpolate
from mini_diffuser_ros.records import JointTrajectory

Array = NDArray[np.float64]

LINEAR, CUBIC, QUINTIC = 1, 3, 5


class JointReference(NamedTuple):
    """Where joints are meant to be at one time: (J,) radians, rad/s, rad/s^2."""

    positions: Array
    velocities: Array
    accelerations: Array


def sample(trajectory: JointTrajectory, time: float, degree: int) -> JointReference:
    """The trajectory at a time, seconds; before its first point the first, after the last the last."""
    if len(trajectory.times) == 1:
        return JointReference(trajectory.positions[0], trajectory.velocities[0], trajectory.accelerations[0])
    if degree == QUINTIC:
        return JointReference(*interpolate(trajectory, time))
    return _cubic(trajectory, time) if degree == CUBIC else _linear(trajectory, time)


def preceded(trajectory: JointTrajectory, start: JointReference) -> JointTrajectory:
    """A trajectory whose first point lies ahead, begun with the present state: so a new motion takes over smoothly."""
    if trajectory.times[0] <= 0.0:
        return trajectory
    return JointTrajectory(
        trajectory.joint_names,
        np.concatenate([[0.0], trajectory.times]),
        np.vstack([start.positions, trajectory.positions]),
        np.vstack([start.velocities, trajectory.velocities]),
        np.vstack([start.accelerations, trajectory.accelerations]),
    )


def _segment(trajectory: JointTrajectory, time: float) -> tuple[int, float, float]:
    """Index of the point after a time, seconds between it and the one before, and the part of that, 0 to 1."""
    times = trajectory.times
    after = int(np.clip(np.searchsorted(times, time, side="right"), 1, len(times) - 1))
    span = float(times[after] - times[after - 1])
    return after, span, float(np.clip((time - times[after - 1]) / span, 0.0, 1.0))


def _linear(trajectory: JointTrajectory, time: float) -> JointReference:
    after, span, part = _segment(trajectory, time)
    step = trajectory.positions[after] - trajectory.positions[after - 1]
    return JointReference(trajectory.positions[after - 1] + part * step, step / span, np.zeros_like(step))


def _cubic(trajectory: JointTrajectory, time: float) -> JointReference:
    after, span, part = _segment(trajectory, time)
    start, end = trajectory.positions[after - 1], trajectory.positions[after]
    leaving, arriving = trajectory.velocities[after - 1] * span, trajectory.velocities[after] * span
    second = 3.0 * (end - start) - 2.0 * leaving - arriving
    third = 2.0 * (start - end) + leaving + arriving
    return JointReference(
        start + part * (leaving + part * (second + part * third)),
        (leaving + part * (2.0 * second + part * 3.0 * third)) / span,
        (2.0 * second + part * 6.0 * third) / span**2,
    )
