"""How fast joints were, against what the maker of the arm allows where they were."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.robots import RobotDescription
from mini_diffuser_ros.sensing.joint_travel import KEPT, JointTravel

Array = NDArray[np.float64]

PERIOD = 0.05  # seconds of a bin: of what is faster the fastest is kept
EVALUATED = 0.01  # seconds of the steady clock between two evaluations; every state is taken
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

    Of each joint the faster counts of what is published and what its positions say over the steady clock: some drivers
    publish no velocities, or zeros.

    Args:
        robot: whose joints these are.
    """

    def __init__(self, robot: RobotDescription) -> None:
        self._robot = robot
        self._names = robot.arm_joint_names
        self._travel = JointTravel(self._names)
        self._speeds: dict[int, Array] = {}
        self._shares: dict[int, Array] = {}
        self._lock = threading.Lock()
        self._evaluated = -float("inf")
        unknown = np.full(len(self._names), np.nan)
        self._most, self._least = unknown, unknown  # velocities that were published since then

    def add(self, seconds: float, stamp: float, positions: Array, velocities: Array) -> Array | None:
        """One joint state.

        Args:
            seconds: since the sentence, by the steady clock.
            stamp: seconds, of the message.
            positions: (J,) radians in the order of the robot's joints, NaN for one that is not among them.
            velocities: (J,) rad/s, likewise.

        Returns:
            (J,) rad/s, how fast each joint was, not less than 0; None where that is not known, or was told just before.
        """
        told = np.flatnonzero(np.isfinite(positions))
        names = [self._names[joint] for joint in told]
        if not self._travel.take(names, positions[told].tolist(), velocities[told].tolist(), stamp, seconds):
            return None
        published = np.where(np.isfinite(velocities), velocities, np.nan)
        with self._lock:
            self._most, self._least = np.fmax(self._most, published), np.fmin(self._least, published)
            if 0.0 <= seconds - self._evaluated < EVALUATED:
                return None
            self._evaluated, most, least = seconds, self._most, self._least
            self._most = self._least = np.full(len(self._names), np.nan)
        travel = self._travel.newest(longest=KEPT)
        if travel is not None:
            # Of a driver that tells of one part at a time, too.
            positions, published = travel.now, travel.published[-1]
            most, least = np.fmax(most, published), np.fmin(least, published)
        if not np.isfinite(positions).all():
            return None
        ways = [(most, positions[None]), (least, positions[None])]
        if travel is not None:
            ways.append((travel.travelled, np.stack([travel.before, travel.now])))
        speeds = np.fmax.reduce([np.abs(rates) for rates, _ in ways])
        if not np.isfinite(speeds).all():
            return None
        shares = np.fmax.reduce([np.abs(rates) / self._limits(rates, places) for rates, places in ways])
        bin_of = int(seconds / PERIOD)
        with self._lock:
            for kept, values in ((self._speeds, speeds), (self._shares, shares)):
                kept[bin_of] = np.maximum(kept[bin_of], values) if bin_of in kept else values
        found: Array = speeds
        return found

    def _limits(self, velocities: Array, places: Array) -> Array:
        """(J,) what the maker allows in the direction of velocities, the most of some places (N, J)."""
        low, high = self._robot.velocity_range(places)
        return np.maximum(np.where(velocities > 0.0, high.max(axis=0), -low.min(axis=0)), _LEAST_LIMIT)

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


def limit_reached(peaks: Sequence[JointPeak]) -> JointPeak | None:
    """The joint that came nearest to its limit, None where none is known."""
    return max(peaks, key=lambda peak: peak.share, default=None)
