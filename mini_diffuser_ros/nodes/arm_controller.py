"""The simulated arm's joint trajectory controller: a reference for each instant of time, without ROS or physics."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.records import JointTrajectory

Array = NDArray[np.float64]


class ArmController:
    """Follows one trajectory, brakes when it is taken away, and holds the last position otherwise.

    Args:
        positions: (J,) radians, held at first.
        braking: (J,) rad/s^2, deceleration used by :meth:`brake`.
    """

    def __init__(self, positions: Array, braking: Array) -> None:
        self._braking = braking
        self.hold(positions)

    def hold(self, positions: Array) -> None:
        """Hold these positions (J,) from now on, without a transition."""
        self._trajectory: JointTrajectory | None = None
        self._brake_seconds = 0.0
        self._started = 0.0
        self._positions = np.array(positions, dtype=np.float64)
        self._velocities = np.zeros_like(self._positions)

    def follow(self, trajectory: JointTrajectory, now: float) -> None:
        """Follow a trajectory that starts at ``now``, seconds."""
        self.hold(trajectory.positions[-1])
        self._trajectory = trajectory
        self._started = now

    def brake(self, now: float) -> None:
        """Come to rest along the present direction, all joints at the same time."""
        positions, velocities = self.reference(now)
        self.hold(positions)
        self._velocities = velocities
        self._brake_seconds = float(np.max(np.abs(velocities) / self._braking))
        self._started = now

    def elapsed(self, now: float) -> float:
        """Seconds since the present motion began."""
        return now - self._started

    def is_resting(self, now: float) -> bool:
        """Whether the reference has stopped moving."""
        duration = self._brake_seconds if self._trajectory is None else float(self._trajectory.times[-1])
        return self.elapsed(now) >= duration

    def reference(self, now: float) -> tuple[Array, Array]:
        """Positions (J,) and velocities (J,) wanted at ``now``."""
        elapsed = self.elapsed(now)
        if self.is_resting(now):
            stopped = self._positions + 0.5 * self._velocities * self._brake_seconds
            return stopped, np.zeros_like(stopped)
        if self._trajectory is not None:
            return _sample(self._trajectory, elapsed)
        left = 1.0 - elapsed / self._brake_seconds
        travelled = self._velocities * elapsed * (1.0 + left) / 2.0
        return self._positions + travelled, self._velocities * left


def _sample(trajectory: JointTrajectory, time: float) -> tuple[Array, Array]:
    """Linear interpolation between two samples; before the first one, the first."""
    times = trajectory.times
    after = int(np.clip(np.searchsorted(times, time), 1, len(times) - 1)) if len(times) > 1 else 0
    before = max(after - 1, 0)
    span = float(times[after] - times[before]) or 1.0
    part = float(np.clip((time - times[before]) / span, 0.0, 1.0))
    positions = (1.0 - part) * trajectory.positions[before] + part * trajectory.positions[after]
    velocities = (1.0 - part) * trajectory.velocities[before] + part * trajectory.velocities[after]
    return positions, velocities
