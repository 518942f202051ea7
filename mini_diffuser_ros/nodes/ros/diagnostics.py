"""What a node says about itself on /diagnostics: rates, latencies, staleness, problems."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node

PERIOD = 1.0  # seconds, the rate that diagnostic aggregators expect
WINDOW = 5.0  # seconds that rates and latencies look back


class Level(IntEnum):
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

    level: Level
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


class Diagnostics:
    """Asks the parts of a node how they are, once a second, publishes the answers and logs what is not well.

    Args:
        node: in whose name.
        hardware_id: what the parts run on, e.g. the robot's name.
    """

    def __init__(self, node: Node, hardware_id: str) -> None:
        self._node, self._hardware_id = node, hardware_id
        self._parts: dict[str, Callable[[], Health]] = {}
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._timer = node.create_timer(PERIOD, self.publish, callback_group=MutuallyExclusiveCallbackGroup())

    def add(self, name: str, check: Callable[[], Health]) -> None:
        """A part of the node; ``check`` is called once a second, in a thread of the executor."""
        self._parts[name] = check

    def publish(self) -> None:
        """Ask every part now."""
        array = DiagnosticArray()
        array.header.stamp = self._node.get_clock().now().to_msg()
        problems = []
        for name, check in self._parts.items():
            health = check()
            if health.level != Level.OK:
                problems.append(health.message)
            array.status.append(self._status(name, health))
        self._publisher.publish(array)
        if problems:
            self._node.get_logger().warning("; ".join(problems), throttle_duration_sec=10.0)

    def _status(self, name: str, health: Health) -> DiagnosticStatus:
        values = [KeyValue(key=key, value=_shown(value)) for key, value in health.values.items()]
        return DiagnosticStatus(
            level=bytes([health.level]),
            name=f"{self._node.get_fully_qualified_name().lstrip('/')}: {name}",
            message=health.message,
            hardware_id=self._hardware_id,
            values=values,
        )


def _shown(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.4g}"
