"""Points in time of a clock."""

from __future__ import annotations

from typing import Any

from builtin_interfaces.msg import Time as TimeMessage

from rclpy.clock_type import ClockType
from rclpy.duration import S_TO_NS, Duration


class Time:
    """A point in time; comparison and subtraction need two times of the same clock type."""

    def __init__(
        self, *, seconds: float = 0, nanoseconds: float = 0, clock_type: ClockType = ClockType.SYSTEM_TIME
    ) -> None:
        if seconds < 0:
            raise ValueError("Seconds value must not be negative")
        if nanoseconds < 0:
            raise ValueError("Nanoseconds value must not be negative")
        total = int(seconds * S_TO_NS) + int(nanoseconds)
        if total >= 2**63:
            raise OverflowError("Total nanoseconds value is too large to store in C time point.")
        self._nanoseconds, self._clock_type = total, ClockType(clock_type)

    @property
    def nanoseconds(self) -> int:
        return self._nanoseconds

    def seconds_nanoseconds(self) -> tuple[int, int]:
        """Whole seconds and the rest."""
        return divmod(self._nanoseconds, S_TO_NS)

    @property
    def clock_type(self) -> ClockType:
        return self._clock_type

    def __repr__(self) -> str:
        return f"Time(nanoseconds={self._nanoseconds}, clock_type={self._clock_type.name})"

    def __hash__(self) -> int:
        return hash((self._nanoseconds, self._clock_type))

    def __add__(self, other: Any) -> Time:
        if not isinstance(other, Duration):
            return NotImplemented
        return Time(nanoseconds=self._nanoseconds + other.nanoseconds, clock_type=self._clock_type)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        if isinstance(other, Time):
            return Duration(nanoseconds=self._nanoseconds - self._same_clock(other, "subtract"))
        if isinstance(other, Duration):
            return Time(nanoseconds=self._nanoseconds - other.nanoseconds, clock_type=self._clock_type)
        return NotImplemented

    def _same_clock(self, other: Time, verb: str = "compare") -> int:
        if self._clock_type != other._clock_type:
            raise TypeError(f"Can't {verb} times with different clock types")
        return other._nanoseconds

    def __eq__(self, other: object) -> bool:
        return self._nanoseconds == self._same_clock(other) if isinstance(other, Time) else NotImplemented

    def __lt__(self, other: Any) -> bool:
        return self._nanoseconds < self._same_clock(other) if isinstance(other, Time) else NotImplemented

    def __le__(self, other: Any) -> bool:
        return self._nanoseconds <= self._same_clock(other) if isinstance(other, Time) else NotImplemented

    def __gt__(self, other: Any) -> bool:
        return self._nanoseconds > self._same_clock(other) if isinstance(other, Time) else NotImplemented

    def __ge__(self, other: Any) -> bool:
        return self._nanoseconds >= self._same_clock(other) if isinstance(other, Time) else NotImplemented

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
