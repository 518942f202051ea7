"""Whether the stamps of a stream of messages can be believed, and whether it is one stream."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from itertools import pairwise

SET_BACK_AFTER = 3  # messages in a row that are older than the newest: no network reorders so many
LOOKED_AT = 20  # newest messages of a stream
TO_AND_FRO = 3  # changes among them


class StampWatch:
    """Looks at the stamps of one stream, in the order in which its messages arrive."""

    def __init__(self) -> None:
        self._newest = float("-inf")
        self._behind = 0

    def fault(self, stamp: float) -> str | None:
        """What is wrong with a stamp, seconds, in words that follow "images are".

        None if nothing is; empty if the message was only overtaken by a newer one, which happens.
        """
        if stamp <= 0.0:
            return f"stamped {stamp:g}: their driver gives no time, so that nobody knows what the arm did meanwhile"
        if stamp == self._newest:
            return f"stamped {stamp:.3f} again: the clock of their driver stands still"
        if stamp > self._newest:
            self._newest, self._behind = stamp, 0
            return None
        self._behind += 1
        return ""

    def was_set_back(self) -> bool:
        """Whether the clock of the stream ran back; the next message begins anew then."""
        if self._behind < SET_BACK_AFTER:
            return False
        self._newest, self._behind = float("-inf"), 0
        return True


class SenderWatch:
    """Tells whether a stream has several senders, by something that each of them always says alike.

    By what is said, not by names in a graph, where who was killed stands for a while.
    """

    def __init__(self) -> None:
        self._said: deque[object] = deque(maxlen=LOOKED_AT)

    def take(self, said: object) -> None:
        """What the next message says."""
        self._said.append(said)

    def are_several(self) -> bool:
        """Whether what the newest messages say goes to and fro; one who was replaced by another changes it once."""
        return sum(one != next_one for one, next_one in pairwise(self._said)) >= TO_AND_FRO


class SetBackClock:
    """Reads a clock, and tells when it was set back: a bag that begins again, a corrected system clock. Thread-safe.

    Args:
        read: gives the clock's seconds.
        tolerance: seconds that it may run back, as clocks that are slewed do.
    """

    def __init__(self, read: Callable[[], float], tolerance: float = 0.1) -> None:
        self._read, self._tolerance = read, tolerance
        self._newest = float("-inf")
        self._lock = threading.Lock()

    def read(self) -> tuple[float, bool]:
        """Seconds, and whether the clock was set back since the last reading."""
        # Read under the lock: a thread that was held up after reading would look like a clock that was set back.
        with self._lock:
            clock = self._read()
            was_set_back = clock < self._newest - self._tolerance
            self._newest = clock if was_set_back else max(self._newest, clock)
            return clock, was_set_back
