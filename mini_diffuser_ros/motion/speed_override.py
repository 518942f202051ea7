"""The speed that holds now, as a fraction of the planned one: what people want, bounded by separation."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from mini_diffuser_ros.motion.separation import SeparationConfig, fraction_at
from mini_diffuser_ros.support.errors import UserError

RECOVERY = 0.5
"""Seconds for which the smallest distance counts: the arm slows down at once, and goes on when it stays away."""


class SpeedError(UserError, ValueError):
    """A speed or a distance that cannot be."""


@dataclass(frozen=True)
class SpeedState:
    """The speed that holds, and why.

    Attributes:
        speed: fraction of the planned speed, in [0, 1]; 0 holds.
        wanted: what people want.
        allowed: what separation leaves.
        reason: why it is not 1, in a line; empty if it is.
    """

    speed: float
    wanted: float
    allowed: float
    reason: str


class SpeedOverride:
    """What was wanted last, and what was measured last. Thread-safe. A new one stands at full speed.

    Args:
        separation: how speed follows distance; without a topic it does not.
        full_speed: m/s of the tool at the fraction 1.
        now: the steady clock, seconds.
    """

    def __init__(
        self, separation: SeparationConfig, full_speed: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._separation, self._full_speed, self._now = separation, full_speed, now
        self._wanted = 1.0
        self._distances: deque[tuple[float, float]] = deque()  # when, and metres
        self._lock = threading.Lock()

    def want(self, fraction: float) -> None:
        """People want this fraction of the planned speed; the last word holds.

        Raises:
            SpeedError: if it is not in [0, 1].
        """
        if not 0.0 <= fraction <= 1.0:
            raise SpeedError(f"the speed is {100.0 * fraction:g} %, expected are 0 (hold) to 100 (as planned)")
        with self._lock:
            self._wanted = fraction

    def hear_distance(self, distance: float) -> None:
        """Metres to the nearest person, infinite if nobody is in sight.

        Raises:
            SpeedError: if it is negative or no number; it counts as not heard.
        """
        if not distance >= 0.0:
            raise SpeedError(f"the distance to people is {distance:g} m, expected are metres of 0 or more")
        with self._lock:
            self._distances.append((self._now(), distance))
            self._forget()

    def speed(self) -> float:
        """The fraction that holds now."""
        return self.state().speed

    def state(self) -> SpeedState:
        """What holds now."""
        with self._lock:
            wanted = self._wanted
            allowed, reason = self._allowed()
        if wanted <= allowed:
            people = "" if wanted == 1.0 else f"{100.0 * wanted:g} % are wanted"
            return SpeedState(wanted, wanted, allowed, people)
        return SpeedState(allowed, wanted, allowed, reason)

    def _allowed(self) -> tuple[float, str]:
        topic = self._separation.topic
        if not topic:
            return 1.0, ""
        if not self._distances:
            return 0.0, f"no distance to people on {topic} yet"
        age = self._now() - self._distances[-1][0]
        if age > self._separation.max_age:
            return 0.0, f"no distance to people on {topic} for more than {self._separation.max_age:g} s"
        nearest = min(distance for _, distance in self._distances)
        return fraction_at(nearest, self._separation, self._full_speed), f"somebody was {nearest:.2f} m away"

    def _forget(self) -> None:
        """All that is older than the recovery, but the newest."""
        while len(self._distances) > 1 and self._now() - self._distances[0][0] > RECOVERY:
            self._distances.popleft()
