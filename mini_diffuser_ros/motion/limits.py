"""What trajectories are timed by: limits of the joints, which may depend on position, and of the tool."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.motion.chain import ArmChain
from mini_diffuser_ros.motion.config import MotionConfig
from mini_diffuser_ros.robots import CartesianLimits, RobotDescription

Array = NDArray[np.float64]

_CURVE_DISTANCE = 2e-3
"""Rad/s that planned velocities stay below a limit that depends on position; drivers clamp 1e-3 before it."""

_BRAKING_SHARE = 0.8
"""Of the deceleration of a stop that counts on the way to the end of a range: the rest is for jerk and delays."""

_OWN_VELOCITY, _OWN_ACCELERATION, _OWN_JERK = 0.999, 0.99, 0.8
"""Of the robot's own limits that is planned with at most: between samples motions are a little rougher."""

_TOOL_SPEED, _TOOL_FORCE = 0.995, 0.97
"""Of the tool's limits that is planned with: of its velocities, and of accelerations and jerks, which are rougher."""


@dataclass(frozen=True, eq=False)
class DynamicLimits:
    """Joint limits that trajectories keep, and where they are given those of the tool.

    Attributes:
        velocity, acceleration, jerk: (J,) rad/s, rad/s^2 and rad/s^3, symmetric.
        robot: with its velocity curves and kinematics; None for constant limits alone.
        velocity_scaling: fraction of the robot's velocity curves.
        stop_acceleration: (J,) rad/s^2 of a stop.
        tool: limits of the tool centre point; None for none.
        chain: kinematics of the robot.
    """

    velocity: Array
    acceleration: Array
    jerk: Array
    robot: RobotDescription | None = None
    velocity_scaling: float = 1.0
    stop_acceleration: Array | None = None
    tool: CartesianLimits | None = None
    chain: ArmChain | None = None

    @classmethod
    def of(cls, robot: RobotDescription, config: MotionConfig) -> DynamicLimits:
        """The robot's limits, scaled."""
        return cls(
            robot.velocity_limits * min(config.velocity_scaling, _OWN_VELOCITY),
            robot.acceleration_limits * min(config.acceleration_scaling, _OWN_ACCELERATION),
            robot.jerk_limits * min(config.jerk_scaling, _OWN_JERK),
            robot,
            config.velocity_scaling,
            robot.acceleration_limits * config.stop_scaling * _BRAKING_SHARE,
            tool_limits(robot, config),
            ArmChain(robot),
        )

    def velocity_range(self, positions: Array) -> tuple[Array, Array]:
        """Lowest and highest velocities (N, J) to plan with at positions (N, J): scaled, and such that a stop keeps
        the robot's own limits."""
        highest = np.broadcast_to(self.velocity, positions.shape)
        lowest = -highest
        if self.robot is None or not self.robot.velocity_curves:
            return lowest, highest
        below, above = self._brakable(positions)
        return np.maximum(lowest, -below), np.minimum(highest, above)

    def _brakable(self, positions: Array) -> tuple[Array, Array]:
        """Speeds (N, J) downwards and upwards from which the stop's deceleration stays below every velocity curve.

        A curve asks for the deceleration ``d v / (v + offset)`` of whoever follows it. Where that is more than a stop
        has, from the velocity ``a offset / (d - a)`` on, a parabola of the stop's deceleration ``a`` takes over.
        """
        assert self.robot is not None
        assert self.stop_acceleration is not None
        a = self.stop_acceleration
        below = above = np.full(positions.shape, np.inf)
        for curve in self.robot.velocity_curves:
            d, offset = curve.deceleration, curve.offset
            down, up = curve.towards_ends(positions)
            steep = d > a
            tangent = np.where(steep, a * offset / np.where(steep, d - a, 1.0), np.inf)
            reach = (tangent + offset) ** 2 / (2.0 * d)  # from the end of the range to where the parabola begins
            ends = (positions - curve.lower, curve.upper - positions)
            down, up = (
                np.where(speed > tangent, _parabola(tangent, a, end - reach), speed)
                for speed, end in zip((down, up), ends, strict=True)
            )
            below, above = np.minimum(below, down), np.minimum(above, up)
        return tuple(  # type: ignore[return-value]
            np.maximum(self.velocity_scaling * speed - _CURVE_DISTANCE, 0.0) for speed in (below, above)
        )


def tool_limits(robot: RobotDescription, config: MotionConfig) -> CartesianLimits:
    """The stricter of the maker's limits of the tool and ``max_tool_speed``, with some headroom."""
    speed = config.max_tool_speed
    maker = robot.cartesian_limits or CartesianLimits(speed, *[np.inf] * 5)
    least = replace(maker, velocity=min(speed, maker.velocity))
    shares = {name: _TOOL_SPEED if "velocity" in name else _TOOL_FORCE for name in vars(least)}
    return CartesianLimits(**{name: share * getattr(least, name) for name, share in shares.items()})


def _parabola(speed: Array, deceleration: Array, distance: Array) -> Array:
    with np.errstate(invalid="ignore"):  # where there is no tangent
        return np.sqrt(speed**2 + 2.0 * deceleration * np.maximum(distance, 0.0))
