"""The simulated arm's joint trajectory controller: a reference for each instant of time, without ROS or physics."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.records import JointTrajectory
from mini_diffuser_ros.simulation.realtime.trajectory_sampling import QUINTIC, JointReference, preceded, sample

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

    def follow(self, trajectory: JointTrajectory, now: float, degree: int = QUINTIC) -> None:
        """Follow a trajectory that starts at ``now``, seconds.

        Args:
            trajectory: if its first point lies ahead, the way there begins with the present reference.
            now: seconds.
            degree: of the polynomials between the points: LINEAR, CUBIC or QUINTIC.
        """
        whole = preceded(trajectory, self.reference(now))
        self.hold(whole.positions[-1])
        self._trajectory, self._degree = whole, degree
        self._started = now

    def brake(self, now: float) -> None:
        """Come to rest along the present direction, all joints at the same time."""
        present = self.reference(now)
        self.hold(present.positions)
        self._velocities = present.velocities
        self._brake_seconds = float(np.max(np.abs(present.velocities) / self._braking))
        self._started = now

    def elapsed(self, now: float) -> float:
        """Seconds since the present motion began."""
        return now - self._started

    def is_resting(self, now: float) -> bool:
        """Whether the reference has stopped moving."""
        duration = self._brake_seconds if self._trajectory is None else float(self._trajectory.times[-1])
        return self.elapsed(now) >= duration

    def reference(self, now: float) -> JointReference:
        """What is wanted at ``now``, seconds."""
        elapsed = self.elapsed(now)
        zeros = np.zeros_like(self._positions)
        if self.is_resting(now):
            return JointReference(self._positions + 0.5 * self._velocities * self._brake_seconds, zeros, zeros)
        if self._trajectory is not None:
            return sample(self._trajectory, elapsed, self._degree)
        left = 1.0 - elapsed / self._brake_seconds
        travelled = self._velocities * elapsed * (1.0 + left) / 2.0
        return JointReference(
            self._positions + travelled, self._velocities * left, -self._velocities / self._brake_seconds
        )
