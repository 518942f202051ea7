"""How fast joints were, against what the maker of the arm allows where they were."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.robots import RobotDescription

Array = NDArray[np.float64]

PERIOD = 0.05  # seconds of a bin: of what is faster the fastest is kept
_LEAST_STEP = 0.005  # seconds between positions that a velocity is made of
_LEAST_LIMIT = 0.05  # rad/s; at the end of a range, where nothing is allowed, a share would say nothing


@dataclass(frozen=True)
class JointPeak:
    """The fastest that a joint was.

    Attributes:
        joint: its name.
        speed: rad/s.
        share: of the limit that held where it was, the largest; 1 is the limit.
    """

    joint: str
    speed: float
    share: float


class JointSpeeds:
    """Collects joint states of a run, the fastest of each twentieth of a second. Any thread may add and ask.

    Args:
        robot: whose joints these are.
    """

    def __init__(self, robot: RobotDescription) -> None:
        self._robot = robot
        self._names = robot.arm_joint_names
        self._speeds: dict[int, Array] = {}
        self._shares: dict[int, Array] = {}
        self._before: tuple[float, Array] | None = None
        self._lock = threading.Lock()

    def add(self, seconds: float, stamp: float, positions: Array, velocities: Array) -> None:
        """One joint state.

        Args:
            seconds: since the sentence.
            stamp: seconds, of the message.
            positions: (J,) radians in the order of the robot's joints, NaN for one that is not among them.
            velocities: (J,) rad/s, likewise; where none is known it is made of the positions.
        """
        if not np.isfinite(positions).all():
            return
        if not np.isfinite(velocities).all():
            found = self._difference(stamp, positions)
            if found is None:
                return
            velocities = found
        low, high = self._robot.velocity_range(positions)
        limits = np.maximum(np.where(velocities > 0.0, high, -low), _LEAST_LIMIT)
        bin_of = int(seconds / PERIOD)
        with self._lock:
            for kept, values in ((self._speeds, np.abs(velocities)), (self._shares, np.abs(velocities) / limits)):
                kept[bin_of] = np.maximum(kept[bin_of], values) if bin_of in kept else values

    def peaks(self) -> list[JointPeak]:
        """Of every joint; empty if no joint state came."""
        with self._lock:
            if not self._speeds:
                return []
            speeds, shares = (np.max(list(kept.values()), axis=0) for kept in (self._speeds, self._shares))
        return [
            JointPeak(name, round(float(speed), 4), round(float(share), 4))
            for name, speed, share in zip(self._names, speeds, shares, strict=True)
        ]

    def shares(self, most: int) -> tuple[list[float], dict[str, list[float]]]:
        """Curves of at most ``most`` points: seconds, and for each joint the largest share of its limit."""
        with self._lock:
            shares = sorted(self._shares.items())
        if not shares:
            return [], {}
        groups = np.array_split(np.arange(len(shares)), min(len(shares), most))
        times = [round(shares[group[0]][0] * PERIOD, 3) for group in groups]
        largest = np.array([np.max([shares[each][1] for each in group], axis=0) for group in groups])
        return times, {name: largest[:, joint].round(4).tolist() for joint, name in enumerate(self._names)}

    def _difference(self, stamp: float, positions: Array) -> Array | None:
        before, step = self._before, 0.0
        if before is not None:
            step = stamp - before[0]
            if 0.0 <= step < _LEAST_STEP:
                return None
        self._before = (stamp, positions)
        return (positions - before[1]) / step if before is not None and step >= _LEAST_STEP else None


def limit_reached(peaks: Sequence[JointPeak]) -> JointPeak | None:
    """The joint that came nearest to its limit, None where none is known."""
    return max(peaks, key=lambda peak: peak.share, default=None)
