"""Limits of an arm that are more than constants: velocity that depends on position, and speed of the tool."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mini_diffuser_ros.support.settings import SettingsError

Array = NDArray[np.float64]

FASTEST = 15.0
"""Rad/s; no joint of an arm is as fast, while the slowest one's limit in degrees a second is more."""
FARTHEST = 4.0 * np.pi
"""Radians; no joint of an arm has its ends so far from zero."""


def refuse_degrees(positions: ArrayLike, velocities: ArrayLike, source: str = "") -> None:
    """Refuse limits of joints that can only be in degrees.

    Args:
        positions: (J, 2) radians.
        velocities: (J,) rad/s.
        source: file or topic, for messages.

    Raises:
        SettingsError: naming the largest.
    """
    for name, values, unit, most in (
        ("position", positions, "radians", FARTHEST),
        ("velocity", velocities, "rad/s", FASTEST),
    ):
        found = np.abs(np.asarray(values, dtype=np.float64)).max(initial=0.0)
        if not found <= most:
            problem = f"is up to {found:g}, expected {unit} of at most {most:.4g}: are these degrees?"
            raise SettingsError(name, f"{problem} Then write {np.radians(found):.4g}", source)


@dataclass(frozen=True, eq=False)
class VelocityCurve:
    """How fast joints may approach the ends of their ranges, in the form that Franka publishes.

    At position q the largest velocity upwards is ``-offset + sqrt(2 deceleration (upper - q))``, never below zero, and
    that downwards its mirror image at ``lower``. All fields are (J,), NaN-free.

    Attributes:
        offset: rad/s.
        deceleration: rad/s^2.
        lower, upper: radians, the ends of the ranges that the curve belongs to.
    """

    offset: Array
    deceleration: Array
    lower: Array
    upper: Array

    def towards_ends(self, positions: Array) -> tuple[Array, Array]:
        """Largest speeds downwards and upwards (..., J), rad/s, at positions (..., J) radians."""
        below = np.sqrt(np.maximum(2.0 * self.deceleration * (positions - self.lower), 0.0)) - self.offset
        above = np.sqrt(np.maximum(2.0 * self.deceleration * (self.upper - positions), 0.0)) - self.offset
        return np.maximum(below, 0.0), np.maximum(above, 0.0)

    def usable(self, least_speed: float) -> Array:
        """(J, 2) radians between which the curve allows ``least_speed`` rad/s in both directions."""
        distance = (self.offset + least_speed) ** 2 / (2.0 * self.deceleration)
        return np.stack([self.lower + distance, self.upper - distance], axis=1)


@dataclass(frozen=True)
class CartesianLimits:
    """What the maker allows the tool: m/s, m/s^2, m/s^3 along, and rad/s, rad/s^2, rad/s^3 of turning."""

    velocity: float
    acceleration: float
    jerk: float
    turning_velocity: float
    turning_acceleration: float
    turning_jerk: float


def velocity_range(limits: ArrayLike, curves: tuple[VelocityCurve, ...], positions: ArrayLike) -> tuple[Array, Array]:
    """Lowest and highest velocities (..., J), rad/s, at positions (..., J) radians: the strictest of all curves.

    Args:
        limits: (J,) rad/s that hold everywhere.
        curves: of the joints, none for an arm with constant limits.
        positions: radians.
    """
    places = np.asarray(positions, dtype=np.float64)
    highest = np.broadcast_to(np.asarray(limits, dtype=np.float64), places.shape)
    lowest = -highest
    for curve in curves:
        below, above = curve.towards_ends(places)
        lowest, highest = np.maximum(lowest, -below), np.minimum(highest, above)
    return lowest, highest
