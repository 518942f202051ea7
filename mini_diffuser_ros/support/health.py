"""How a part of a program is doing: its level, a line about it, and figures of the last seconds."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np

WINDOW = 5.0  # seconds that rates and latencies look back


class HealthLevel(IntEnum):
    """Levels of diagnostic_msgs/DiagnosticStatus."""

    OK = 0
    WARN = 1
    ERROR = 2
    STALE = 3


@dataclass(frozen=True)
class Health:
    """What is to be said about one part of a node.

    Attributes:
        level: how bad it is.
        message: one line.
        values: figures by name; numbers are shown with four significant digits.
    """

    level: HealthLevel
    message: str
    values: Mapping[str, float | str] = field(default_factory=dict)


class RecentValues:
    """Figures of the last few seconds, for rates and latencies. Any thread may add and ask.

    Args:
        window: seconds that are looked back.
        clock: monotonic seconds.
    """

    def __init__(self, window: float = WINDOW, clock: Callable[[], float] = time.monotonic) -> None:
        self._window, self._clock = window, clock
        self._began = clock()
        self._entries: deque[tuple[float, float]] = deque()
        self._lock = threading.Lock()

    def add(self, value: float = 0.0) -> None:
        """An event, and a figure that goes with it."""
        with self._lock:
            self._entries.append((self._clock(), value))
            self._forget()

    def rate(self) -> float:
        """Events per second."""
        with self._lock:
            self._forget()
            span = min(self._window, self._clock() - self._began)
            return len(self._entries) / span if span > 0.0 else 0.0

    def summary(self, name: str, unit: str) -> dict[str, float | str]:
        """Median, 99th percentile and largest figure, e.g. ``{"latency p50 (ms)": 12.0, …}``; empty without events."""
        with self._lock:
            self._forget()
            values = [value for _, value in self._entries]
        if not values:
            return {}
        p50, p99 = np.percentile(values, [50.0, 99.0])
        return {f"{name} p50 ({unit})": p50, f"{name} p99 ({unit})": p99, f"{name} max ({unit})": max(values)}

    def _forget(self) -> None:
        oldest = self._clock() - self._window
        while self._entries and self._entries[0][0] < oldest:
            self._entries.popleft()
