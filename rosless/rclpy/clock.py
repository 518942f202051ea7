"""Clocks, among them the one that follows /clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from rosless.wakeup import Wakeup

from rclpy.clock_type import ClockType
from rclpy.duration import Duration
from rclpy.exceptions import NotInitializedException
from rclpy.time import Time


class Clock:
    """Reads a time of its type."""

    def __init__(self, *, clock_type: ClockType = ClockType.SYSTEM_TIME) -> None:
        if not isinstance(clock_type, ClockType):
            raise TypeError("Clock type must be a ClockType enum")
        self._clock_type = clock_type

    def __new__(cls, *, clock_type: ClockType = ClockType.SYSTEM_TIME) -> Clock:
        return super().__new__(ROSClock if clock_type is ClockType.ROS_TIME else cls)

    @property
    def clock_type(self) -> ClockType:
        return self._clock_type

    def __repr__(self) -> str:
        return f"Clock(clock_type={self._clock_type.name})"

    def _now(self) -> int:
        return time.monotonic_ns() if self._clock_type is ClockType.STEADY_TIME else time.time_ns()

    def now(self) -> Time:
        """The present time."""
        return Time(nanoseconds=self._now(), clock_type=self._clock_type)

    def sleep_until(self, until: Time, context: Any = None) -> bool:
        """Sleep until a time of this clock; False when the context is shut down earlier.

        Raises:
            ValueError: the time is of another clock type.
            NotInitializedException: the context is not initialized.
        """
        from rclpy.utilities import get_default_context

        context = context or get_default_context()
        if not context.ok():
            raise NotInitializedException()
        if until.clock_type != self._clock_type:
            raise ValueError("until's clock type does not match this clock's type")
        changed = Wakeup()
        forget = [context._on_wake(changed.set), self._on_jump(changed.set)]
        try:
            while context.ok():
                changed.clear()
                remaining = until.nanoseconds - self._now()
                if remaining <= 0:
                    return True
                changed.wait(None if self._simulated else remaining / 1e9)
            return False
        finally:
            for one in forget:
                one()

    def sleep_for(self, rel_time: Duration, context: Any = None) -> bool:
        """Sleep for a span of this clock; False when the context is shut down earlier."""
        return self.sleep_until(self.now() + rel_time, context)

    @property
    def _simulated(self) -> bool:
        return False

    def _on_jump(self, callback: Callable[[], Any]) -> Callable[[], None]:
        return lambda: None


class ROSClock(Clock):
    """The clock of nodes: the system's, or the one on /clock."""

    def __init__(self, *, clock_type: ClockType = ClockType.ROS_TIME) -> None:
        super().__init__(clock_type=ClockType.ROS_TIME)
        self._override: int | None = None
        self._active = False
        self._lock = threading.Lock()
        self._listeners: list[Callable[[], Any]] = []

    def __new__(cls, *, clock_type: ClockType = ClockType.ROS_TIME) -> ROSClock:
        return object.__new__(cls)

    @property
    def ros_time_is_active(self) -> bool:
        """Whether the clock follows /clock."""
        return self._active

    @property
    def _simulated(self) -> bool:
        return self._active

    def _now(self) -> int:
        if self._active:
            return self._override or 0
        return time.time_ns()

    def set_ros_time_override(self, value: Time) -> None:
        """Set the simulated time.

        Raises:
            TypeError: no Time.
        """
        if not isinstance(value, Time):
            raise TypeError("Time must be specified as rclpy.time.Time.")
        self._override = value.nanoseconds
        self._notify()

    def _set_ros_time_is_active(self, active: bool) -> None:
        self._active = active
        self._notify()

    def _notify(self) -> None:
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            listener()

    def _on_jump(self, callback: Callable[[], Any]) -> Callable[[], None]:
        with self._lock:
            self._listeners.append(callback)

        def forget() -> None:
            with self._lock:
                if callback in self._listeners:
                    self._listeners.remove(callback)

        return forget
