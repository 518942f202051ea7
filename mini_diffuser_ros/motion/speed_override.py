"""The speed that holds now, as a fraction of the planned one: what people want, bounded by separation."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from mini_diffuser_ros.motion.nearest_person import NearestPerson
from mini_diffuser_ros.motion.separation import SeparationConfig, fraction_at
from mini_diffuser_ros.support.errors import UserError

LEAST = 0.01
"""Of the planned speed, the smallest that is no hold. Less is not asked for by anybody who means percent."""


class SpeedError(UserError, ValueError):
    """A speed that cannot be."""


@dataclass(frozen=True)
class SpeedState:
    """The speed that holds, and why.

    Attributes:
        speed: fraction of the planned speed, in [0, 1]; 0 holds.
        wanted: what people want.
        allowed: what separation leaves.
        reason: why it is not 1, in a line; empty if it is.
        is_fault: whether it is because nobody knows how near people are.
        is_recalled: whether people wanted it of a node that ended, and have not said anything since.
    """

    speed: float
    wanted: float
    allowed: float
    reason: str
    is_fault: bool = False
    is_recalled: bool = False

    @property
    def answer(self) -> str:
        """What is said to who has just set the speed: the one that holds, and why where it is another."""
        speed = f"{100.0 * self.speed:g} %"
        if self.speed != self.wanted or self.is_fault:
            return f"{speed}: {self.reason}"
        return speed if self.speed > 0.0 else f"{speed}: the arm holds"


class SpeedOverride:
    """What was wanted last, and what was measured last. Thread-safe. A new one stands at full speed.

    Args:
        separation: how speed follows distance; without a topic it does not.
        tool_speed: m/s of the tool at the fraction 1.
        now: the steady clock, seconds.
    """

    def __init__(
        self, separation: SeparationConfig, tool_speed: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._separation, self._tool_speed = separation, tool_speed
        self._wanted: float | None = None  # until somebody says
        self._recalled = 1.0
        self._people = NearestPerson(separation, now)
        self._lock = threading.Lock()

    def want(self, percent: float) -> None:
        """People want this percentage of the planned speed; the last word holds.

        Raises:
            SpeedError: if it is neither 0 nor in [1, 100].
        """
        if not (percent == 0.0 or 100.0 * LEAST <= percent <= 100.0):
            raise SpeedError(
                f"the speed is {percent:g} %, expected are 0 (hold) or {100.0 * LEAST:g} to 100 (as planned): "
                "percent, not a fraction"
            )
        with self._lock:
            self._wanted = percent / 100.0

    def recall(self, percent: float) -> None:
        """People wanted this percentage of a node that ended, 0 to 100: it holds until they say what they want now."""
        with self._lock:
            self._recalled = min(self._recalled, percent / 100.0)

    def hear_distance(self, distance: float) -> None:
        """Metres to the nearest person, as :meth:`NearestPerson.hear` takes them.

        Raises:
            DistanceError: if nothing can have measured it; the arm holds for a while.
        """
        with self._lock:
            self._people.hear(distance)

    def doubt_distances(self, reason: str) -> None:
        """What is heard of people makes no sense, and why: the arm holds for a while."""
        with self._lock:
            self._people.doubt(reason)

    def speed(self) -> float:
        """The fraction that holds now."""
        return self.state().speed

    def state(self) -> SpeedState:
        """What holds now."""
        with self._lock:
            wanted = self._recalled if self._wanted is None else self._wanted
            recalled = self._wanted is None and wanted < 1.0
            people = self._people.nearness() if self._separation.topic else None
        allowed = 1.0 if people is None else fraction_at(people.distance, self._separation, self._tool_speed)
        fault = people is not None and not people.is_known
        if people is not None and (allowed < wanted or fault):
            return SpeedState(min(wanted, allowed), wanted, allowed, people.reason, fault, recalled)
        since = ", as before motion_node was started again" if recalled else ""
        reason = "" if wanted == 1.0 else f"{100.0 * wanted:g} % are wanted{since}"
        return SpeedState(wanted, wanted, allowed, reason, is_recalled=recalled)
