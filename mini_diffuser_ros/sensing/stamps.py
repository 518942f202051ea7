"""Whether the stamps of a stream of messages can be believed."""

from __future__ import annotations

SET_BACK_AFTER = 3  # messages in a row that are older than the newest: no network reorders so many


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


class ClockWatch:
    """Tells when a clock that stamps are compared with was set back: a bag that begins again, a corrected system clock.

    Args:
        tolerance: seconds that it may run back, as clocks that are slewed and threads that race do.
    """

    def __init__(self, tolerance: float = 0.1) -> None:
        self._tolerance = tolerance
        self._newest = float("-inf")

    def was_set_back(self, clock: float) -> bool:
        """Whether it was, since the last call that said so; ``clock`` in seconds."""
        if clock < self._newest - self._tolerance:
            self._newest = clock
            return True
        self._newest = max(self._newest, clock)
        return False
