"""How near people are, by the words of a sensor that may be wrong, silent, or two of them."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from mini_diffuser_ros.motion.separation import SeparationConfig
from mini_diffuser_ros.support.errors import UserError

RECOVERY = 0.5
"""Seconds for which the smallest distance counts: the arm slows down at once, and goes on when it stays away."""


class DistanceError(UserError, ValueError):
    """A distance that nothing can have measured."""


@dataclass(frozen=True)
class Nearness:
    """How near people have to be taken to be.

    Attributes:
        distance: metres; 0 where it is not known.
        reason: what was heard, in a line.
        is_known: whether it was measured.
    """

    distance: float
    reason: str
    is_known: bool = True


class NearestPerson:
    """What was said last of the distance of people, as far as it can be believed. Not thread-safe.

    Words follow REP 117: infinite is nobody within the sensor's range, and is believed that far and no farther; minus
    infinite is somebody too near to be measured. Somebody who is suddenly nearer is believed at once. Somebody who is
    suddenly farther is not: two sensors, or one that loses who it follows, say so; nobody walks faster than
    ``human_speed``. What is said again and again, bit for bit, is not measured any more. After a word that no distance
    can be, the sensor has to make sense for a while.

    Args:
        config: what can be believed.
        now: the steady clock, seconds.
    """

    def __init__(self, config: SeparationConfig, now: Callable[[], float] = time.monotonic) -> None:
        self._config, self._now = config, now
        self._believed: deque[tuple[float, float]] = deque()  # when, and metres
        self._doubt, self._doubted = "", -math.inf
        self._said, self._said_since = math.inf, 0.0  # the last word, and since when it is the same

    def hear(self, distance: float) -> None:
        """Metres to the nearest person, by REP 117.

        Raises:
            DistanceError: if nothing can have measured it.
        """
        config, now = self._config, self._now()
        if distance != self._said:
            self._said, self._said_since = distance, now
        metres = {math.inf: config.max_range, -math.inf: 0.0}.get(distance, distance)
        if not 0.0 <= metres <= config.max_range:
            self.doubt(
                f"{config.topic} says {distance:g} m, expected are 0 to {config.max_range:g} (separation.max_range), "
                "inf for nobody within them: look at the sensor, and at its unit"
            )
            raise DistanceError(self._doubt)
        if self._believed:
            then, last = self._believed[-1]
            metres = min(metres, last + config.human_speed * (now - then))
        self._believed.append((now, metres))
        while len(self._believed) > 1 and now - self._believed[0][0] > RECOVERY:
            self._believed.popleft()

    def doubt(self, reason: str) -> None:
        """Whatever is heard makes no sense now; the line says why, and what to do."""
        self._doubt, self._doubted = reason, self._now()

    def nearness(self) -> Nearness:
        """How near people have to be taken to be now."""
        config, now = self._config, self._now()
        if now - self._doubted <= config.trust_after:
            return Nearness(0.0, self._doubt, is_known=False)
        if not self._believed:
            return Nearness(0.0, f"no distance to people on {config.topic} yet", is_known=False)
        if now - self._believed[-1][0] > config.max_age:
            silence = f"no distance to people on {config.topic} for more than {config.max_age:g} s"
            return Nearness(0.0, f"{silence} (separation.max_age)", is_known=False)
        if self._said != math.inf and now - self._said_since > config.max_same:
            same = f"{config.topic} has said {self._said:g} m, bit for bit, for more than {config.max_same:g} s"
            return Nearness(0.0, f"{same} (separation.max_same): is it measured?", is_known=False)
        nearest = min(distance for _, distance in self._believed)
        return Nearness(nearest, f"somebody was {nearest:.2f} m away")
