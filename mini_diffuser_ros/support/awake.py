"""The silence of others, measured by one who may have stood still: a process that was held, a machine that slept."""

from __future__ import annotations

import math
import threading
import time
from collections import deque

LONGEST_LOOK = 0.1  # seconds between two looks, from which on the process counts as having stood still
KEPT = 200  # standstills that are remembered
LONG = 1.0  # seconds of a standstill after which who asked for something may be gone, or want it no more
IN_DOUBT = 1.0  # seconds after a standstill in which what waited for its end is heard, by a busy machine as well


class AwakeClock:
    """The steady clock without the times for which the process stood still. Thread-safe.

    Who wakes finds everybody silent for as long as it slept itself, while what they said meanwhile waits to be read. By
    this clock it has as long to hear them as if it had not slept. Of each standstill the first ``longest_look`` seconds
    count: who is held again and again notices late what is wrong, but does notice.

    It tells for how long somebody has not been heard, never how old a measurement is: who acts by one wants the steady
    clock's word.

    Every reading is a look; there has to be one more often than every ``longest_look`` seconds.

    Args:
        longest_look: seconds between two looks, from which on the process counts as having stood still.
    """

    def __init__(self, longest_look: float = LONGEST_LOOK) -> None:
        self._longest_look = longest_look
        self._standstills: deque[tuple[float, float]] = deque(maxlen=KEPT)  # begin and end, steady seconds
        self._slept = 0.0
        self._looked = time.monotonic()
        self._lock = threading.Lock()

    def restart(self) -> None:
        """Nothing has been waited for yet: what came before is no standstill."""
        with self._lock:
            self._standstills.clear()
            self._slept, self._looked = 0.0, time.monotonic()

    def look(self) -> None:
        """Notice a standstill that has just ended."""
        with self._lock:
            self._look()

    def now(self) -> float:
        """Seconds, which go on only while the process does."""
        with self._lock:
            return self._look() - self._slept

    def since(self, steady: float) -> float:
        """Seconds for which the process has not stood still since a time of the steady clock; infinite since ever."""
        with self._lock:
            now = self._look()
            asleep = sum(max(0.0, end - max(begin, steady)) for begin, end in self._standstills)
            return now - steady - asleep

    def last_standstill(self, least: float) -> tuple[float, float]:
        """Begin and end, steady seconds, of the last standstill of at least so many seconds; infinitely long ago if
        there was none."""
        with self._lock:
            self._look()
            return next(
                (each for each in reversed(self._standstills) if each[1] - each[0] >= least), (-math.inf, -math.inf)
            )

    def waited(self) -> float:
        """Seconds for which a request that is heard now may have waited, in a standstill so long that who made it may
        be gone; 0.0 if there was none of late."""
        began, ended = self.last_standstill(LONG)
        return ended - began if time.monotonic() <= ended + IN_DOUBT else 0.0

    def _look(self) -> float:
        now = time.monotonic()
        awake_until = self._looked + self._longest_look
        if now > awake_until:
            self._standstills.append((awake_until, now))
            self._slept += now - awake_until
        self._looked = now
        return now
