"""An event that a signal handler may set while the same thread waits for it."""

from __future__ import annotations

import threading


class Wakeup:
    """Like threading.Event, on a re-entrant lock."""

    def __init__(self) -> None:
        self._condition = threading.Condition(threading.RLock())
        self._set = False

    def set(self, *_: object) -> None:
        with self._condition:
            self._set = True
            self._condition.notify_all()

    def clear(self) -> None:
        self._set = False

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set or the time is over; whether it is set."""
        with self._condition:
            return self._condition.wait_for(lambda: self._set, timeout)
