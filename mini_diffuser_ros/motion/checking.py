"""The last look at what leaves the planner: every limit, a thousand times a second, by formulas of its own.

Between its samples a trajectory is what a controller interpolates, quintics, and that is what is looked at. None of it
is shared with what times trajectories.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.motion.config import MotionConfig
from mini_diffuser_ros.motion.refusals import JointLimit, LimitExceeded, NotFinite
from mini_diffuser_ros.motion.timing import interpolate
from mini_diffuser_ros.motion.tool_motion import tool_motion
from mini_diffuser_ros.records import JointTrajectory
from mini_diffuser_ros.robots import RobotDescription

Array = NDArray[np.float64]

PERIOD = 0.001
"""Seconds between two looks: that of the robot's own."""

_SCALED = 1.02
"""What a limit scaled by the configuration may be passed by between samples; the robot's own may not at all."""

_SCALED_JERK = 1.25
"""The same of jerks, which quintics follow only nearly."""

_ROUNDING = 1e-9


def check_trajectory(trajectory: JointTrajectory, robot: RobotDescription, config: MotionConfig, target: str) -> None:
    """Refuse a trajectory that breaks a limit anywhere.

    Args:
        trajectory: whose first state may lie outside the joint ranges, but leads inwards.
        robot: with the maker's limits of joints and tool.
        config: scaling of the limits, ``max_tool_speed``.
        target: what a refusal calls the goal.

    Raises:
        NotFinite, JointLimit, LimitExceeded: naming quantity, joint, value and limit.
    """
    numbers = np.concatenate([trajectory.positions, trajectory.velocities, trajectory.accelerations])
    if not np.all(np.isfinite(numbers)) or not np.all(np.diff(trajectory.times) > 0.0):
        raise NotFinite(target, "the trajectory", "not finite or not in order of time")
    times = np.linspace(trajectory.times[0], trajectory.times[-1], max(5, 1 + int(trajectory.duration / PERIOD)))
    step = float(times[1] - times[0])
    positions, velocities, accelerations = interpolate(trajectory, times)
    _check_positions(positions, robot, target)
    _check_curves(positions, velocities, step, robot, target)
    jerks = np.diff(accelerations, axis=0) / step
    for quantity, values, own, scaled in (
        ("velocity", velocities, robot.velocity_limits, config.velocity_scaling * _SCALED),
        ("acceleration", accelerations, robot.acceleration_limits, config.acceleration_scaling * _SCALED),
        ("jerk", jerks, robot.jerk_limits, config.jerk_scaling * _SCALED_JERK),
    ):
        limits = own * min(1.0, scaled)
        excess = np.abs(values) / limits
        if excess.max() > 1.0 + _ROUNDING:
            row, joint = np.unravel_index(int(excess.argmax()), excess.shape)
            value, name = float(abs(values[row, joint])), robot.arm_joint_names[joint]
            raise LimitExceeded(target, quantity, name, value, float(limits[joint]), row * step)
    _check_tool(positions, step, robot, config, target)


def _check_positions(positions: Array, robot: RobotDescription, target: str) -> None:
    lower = np.minimum(robot.position_limits[:, 0], positions[0])
    upper = np.maximum(robot.position_limits[:, 1], positions[0])
    outside = np.maximum(lower - positions, positions - upper)
    if outside.max() > _ROUNDING:
        row, joint = np.unravel_index(int(outside.argmax()), outside.shape)
        value, limits = float(positions[row, joint]), robot.position_limits[joint]
        raise JointLimit(target, robot.arm_joint_names[joint], value, float(limits[0]), float(limits[1]))


def _check_curves(positions: Array, velocities: Array, step: float, robot: RobotDescription, target: str) -> None:
    """Velocities towards the ends of the ranges: ``(|v| + offset)^2`` may not be above ``2 d`` times the distance."""
    for curve in robot.velocity_curves:
        distance = np.where(velocities > 0.0, curve.upper - positions, positions - curve.lower)
        excess = (np.abs(velocities) + curve.offset) ** 2 - 2.0 * curve.deceleration * distance
        excess[np.abs(velocities) < _ROUNDING] = -1.0
        if excess.max() > _ROUNDING:
            row, joint = np.unravel_index(int(excess.argmax()), excess.shape)
            room = max(2.0 * float(curve.deceleration[joint]) * float(distance[row, joint]), 0.0)
            allowed = max(float(np.sqrt(room)) - float(curve.offset[joint]), 0.0)
            name, place = robot.arm_joint_names[joint], float(positions[row, joint])
            value = abs(float(velocities[row, joint]))
            raise LimitExceeded(target, "velocity", f"{name} at {place:.4f} rad", value, allowed, row * step)


def _check_tool(positions: Array, step: float, robot: RobotDescription, config: MotionConfig, target: str) -> None:
    motion, maker = tool_motion(robot, positions, step), robot.cartesian_limits
    for name, values in vars(motion).items():
        limit = np.inf if maker is None else getattr(maker, name)
        if name == "velocity":
            limit = min(limit, config.max_tool_speed)
        if values.max() > limit * (1.0 + _ROUNDING):
            row = int(values.argmax())
            raise LimitExceeded(target, name.replace("_", " "), "the tool", float(values[row]), limit, row * step)
