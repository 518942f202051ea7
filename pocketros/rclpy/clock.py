"""Clocks, among them the one that follows /clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from rclpy.clock_type import ClockType
from rclpy.context import enlist, get_default_context
from rclpy.duration import Duration
from rclpy.exceptions import NotInitializedException
from rclpy.time import Time


class Clock:
    """Reads a time of its type; one of type ROS_TIME may be set by /clock."""

    def __init__(self, *, clock_type: ClockType = ClockType.SYSTEM_TIME) -> None:
        if not isinstance(clock_type, ClockType):
            raise TypeError("Clock type must be a ClockType enum")
        self.clock_type = clock_type
        self._simulated: int | None = None
        self._listeners: list[Callable[[], Any]] = []

    def __repr__(self) -> str:
        return f"Clock(clock_type={self.clock_type.name})"

    @property
    def ros_time_is_active(self) -> bool:
        """Whether the clock follows /clock."""
        return self._simulated is not None

    def _now(self) -> int:
        if self._simulated is not None:
            return self._simulated
        return time.monotonic_ns() if self.clock_type is ClockType.STEADY_TIME else time.time_ns()

    def now(self) -> Time:
        """The present time."""
        return Time(nanoseconds=self._now(), clock_type=self.clock_type)

    def _simulate(self, nanoseconds: int | None) -> None:
        """Set the simulated time; None to follow the system again."""
        self._simulated = nanoseconds
        for listener in list(self._listeners):
            listener()

    def _on_jump(self, callback: Callable[[], Any]) -> Callable[[], None]:
        """Call a function whenever the simulated time changes; returns one that forgets it."""
        return enlist(self._listeners, callback)

    def sleep_until(self, until: Time, context: Any = None) -> bool:
        """Sleep until a time of this clock; False when the context is shut down earlier.

        Raises:
            ValueError: the time is of another clock type.
            NotInitializedException: the context is not initialized.
        """
        context = context or get_default_context()
        if not context.ok():
            raise NotInitializedException()
        if until.clock_type != self.clock_type:
            raise ValueError("until's clock type does not match this clock's type")
        changed: SimpleQueue[None] = SimpleQueue()
        forget = [source(lambda: changed.put(None)) for source in (context._on_wake, self._on_jump)]
        try:
            while context.ok() and (remaining := until.nanoseconds - self._now()) > 0:
                with suppress(Empty):
                    changed.get(timeout=None if self.ros_time_is_active else remaining / 1e9)
            return bool(context.ok())
        finally:
            for one in forget:
                one()

    def sleep_for(self, rel_time: Duration, context: Any = None) -> bool:
        """Sleep for a span of this clock; False when the context is shut down earlier."""
        return self.sleep_until(self.now() + rel_time, context)


class ROSClock(Clock):
    """The clock of nodes: the system's, or the one on /clock."""

    def __init__(self) -> None:
        super().__init__(clock_type=ClockType.ROS_TIME)

    def set_ros_time_override(self, value: Time) -> None:
        """Set the simulated time."""
        self._simulate(value.nanoseconds)
