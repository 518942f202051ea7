"""Points in time of a clock."""

from __future__ import annotations

from functools import total_ordering
from typing import Any

from builtin_interfaces.msg import Time as TimeMessage

from rclpy.clock_type import ClockType
from rclpy.duration import S_TO_NS, Duration


@total_ordering
class Time:
    """A point in time; comparison and subtraction need two times of the same clock type."""

    def __init__(
        self, *, seconds: float = 0, nanoseconds: float = 0, clock_type: ClockType = ClockType.SYSTEM_TIME
    ) -> None:
        if seconds < 0 or nanoseconds < 0:
            raise ValueError(f"{'Seconds' if seconds < 0 else 'Nanoseconds'} value must not be negative")
        self.nanoseconds, self.clock_type = int(seconds * S_TO_NS) + int(nanoseconds), ClockType(clock_type)
        if self.nanoseconds >= 2**63:
            raise OverflowError("Total nanoseconds value is too large to store in C time point.")

    def seconds_nanoseconds(self) -> tuple[int, int]:
        """Whole seconds and the rest."""
        return divmod(self.nanoseconds, S_TO_NS)

    def __repr__(self) -> str:
        return f"Time(nanoseconds={self.nanoseconds}, clock_type={self.clock_type.name})"

    def __hash__(self) -> int:
        return hash((self.nanoseconds, self.clock_type))

    def __add__(self, other: Any) -> Time:
        if not isinstance(other, Duration):
            return NotImplemented
        return Time(nanoseconds=self.nanoseconds + other.nanoseconds, clock_type=self.clock_type)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        if isinstance(other, Duration):
            return self + Duration(nanoseconds=-other.nanoseconds)
        return Duration(nanoseconds=self._since(other, "subtract")) if isinstance(other, Time) else NotImplemented

    def _since(self, other: Time, verb: str = "compare") -> int:
        if self.clock_type != other.clock_type:
            raise TypeError(f"Can't {verb} times with different clock types")
        return self.nanoseconds - other.nanoseconds

    def __eq__(self, other: object) -> bool:
        return self._since(other) == 0 if isinstance(other, Time) else NotImplemented

    def __lt__(self, other: Any) -> bool:
        return self._since(other) < 0 if isinstance(other, Time) else NotImplemented

    def to_msg(self) -> Any:
        """The time as builtin_interfaces/Time."""
        seconds, nanoseconds = self.seconds_nanoseconds()
        return TimeMessage(sec=seconds, nanosec=nanoseconds)

    @classmethod
    def from_msg(cls, msg: Any, clock_type: ClockType = ClockType.ROS_TIME) -> Time:
        """A time from builtin_interfaces/Time.

        Raises:
            TypeError: the message is of another type.
        """
        if not isinstance(msg, TimeMessage):
            raise TypeError("Must pass a builtin_interfaces.msg.Time object")
        return cls(seconds=msg.sec, nanoseconds=msg.nanosec, clock_type=clock_type)
