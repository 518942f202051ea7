"""How the tool moves where joints move: at an instant, and bounds between instants."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.motion.chain import ArmChain

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ToolMotion:
    """Derivatives of the tool centre point's place and of the tool's rotation, (3, N) in the base frame each."""

    velocity: Array
    acceleration: Array
    turning_velocity: Array
    turning_acceleration: Array


def tool_motion(chain: ArmChain, positions: Array, velocities: Array, accelerations: Array) -> ToolMotion:
    """Motion of the tool at states (N, J) of the joints, rad, rad/s and rad/s^2."""
    axes, places = chain.axes(positions)
    links = np.diff(places, axis=0)  # each turns with the joints up to its own
    turns = axes * velocities.T[:, None]
    turning = np.cumsum(turns, axis=0)
    change = np.cumsum(axes * accelerations.T[:, None] + _cross(turning - turns, turns), axis=0)
    speeds = _cross(turning, links)
    forces = _cross(change, links) + _cross(turning, speeds)
    return ToolMotion(speeds.sum(axis=0), forces.sum(axis=0), turning[-1], change[-1])


@dataclass(frozen=True, eq=False)
class ToolBounds:
    """What the norms of third and fourth derivatives, in (S,) stretches of time, are at most.

    Attributes:
        third, fourth: of the tool centre point's place, m/s^3 and m/s^4.
        turning_third, turning_fourth: second and third derivatives of the tool's angular velocity, rad/s^3 and rad/s^4.
    """

    third: Array
    fourth: Array
    turning_third: Array
    turning_fourth: Array


def tool_bounds(chain: ArmChain, velocity: Array, acceleration: Array, jerk: Array, snap: Array) -> ToolBounds:
    """Bounds for joints whose derivatives are at most these (J, S) in magnitude.

    The place of the tool is a sum of links, each turned by the joints before it. A product of turns about fixed axes
    has no larger derivatives than the exponential of the sum of the angles has where all derivatives of them are as
    large as they may be, and those are the sum's complete Bell polynomials.
    """
    first, second, third, fourth = (np.cumsum(most, axis=0) for most in (velocity, acceleration, jerk, snap))
    bell_2 = second + first**2
    bell_3 = third + first * (3.0 * second + first**2)
    bell_4 = fourth + 4.0 * first * third + 3.0 * second**2 + first**2 * (6.0 * second + first**2)
    # The axis of a joint is turned by those before it, and carries its own velocity.
    before = [np.concatenate([np.zeros_like(sums[:1]), sums[:-1]]) for sums in (first, bell_2, bell_3)]
    turning_third = jerk + 2.0 * before[0] * acceleration + before[1] * velocity
    turning_fourth = snap + 3.0 * before[0] * jerk + 3.0 * before[1] * acceleration + before[2] * velocity
    lengths = chain.link_lengths
    return ToolBounds(lengths @ bell_3, lengths @ bell_4, turning_third.sum(axis=0), turning_fourth.sum(axis=0))


def _cross(first: Array, second: Array) -> Array:
    """(J, 3, N) cross products."""
    out = np.empty_like(first)
    for row, (one, other) in enumerate(((1, 2), (2, 0), (0, 1))):
        np.subtract(first[:, one] * second[:, other], first[:, other] * second[:, one], out=out[:, row])
    return out
