"""How fast the tool moves along joint trajectories and paths."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.robots import RobotDescription

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ToolMotion:
    """Norms (N - 1,), (N - 2,) and (N - 3,) of a moving tool's derivatives, by differences of samples at even steps.

    The unit of a step is that of ``step``: seconds, or of a path's parameter. Fields of turning are in radians.
    """

    velocity: Array
    acceleration: Array
    jerk: Array
    turning_velocity: Array
    turning_acceleration: Array
    turning_jerk: Array


def tool_motion(robot: RobotDescription, positions: Array, step: float) -> ToolMotion:
    """Motion of the tool centre point over joint positions (N, J), at least four, in steps of ``step``."""
    places, rotations = robot.tcp_motion(positions)
    # In the frame of the base: what is left of the second rotation when the first is taken out, small enough to be its
    # own sine.
    change = rotations[1:] @ rotations[:-1].transpose(0, 2, 1)
    vectors = 0.5 * np.stack(
        [change[:, 2, 1] - change[:, 1, 2], change[:, 0, 2] - change[:, 2, 0], change[:, 1, 0] - change[:, 0, 1]],
        axis=1,
    )
    return ToolMotion(*_derivatives(np.diff(places, axis=0) / step, step), *_derivatives(vectors / step, step))


def _derivatives(velocities: Array, step: float) -> tuple[Array, Array, Array]:
    accelerations = np.diff(velocities, axis=0) / step
    jerks = np.diff(accelerations, axis=0) / step
    first, second, third = (np.linalg.norm(values, axis=1) for values in (velocities, accelerations, jerks))
    return first, second, third
