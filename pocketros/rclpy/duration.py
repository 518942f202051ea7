"""Durations in nanoseconds."""

from __future__ import annotations

from functools import total_ordering
from typing import Any

from builtin_interfaces.msg import Duration as DurationMessage

S_TO_NS = 1_000_000_000


@total_ordering
class Duration:
    """A signed span of time."""

    def __init__(self, *, seconds: float = 0, nanoseconds: float = 0) -> None:
        self.nanoseconds = int(seconds * S_TO_NS) + int(nanoseconds)
        if not -(2**63) <= self.nanoseconds < 2**63:
            raise OverflowError("Total nanoseconds value is too large to store in C duration.")

    def __repr__(self) -> str:
        return f"Duration(nanoseconds={self.nanoseconds})"

    def __str__(self) -> str:
        return "Infinite" if self == Infinite else f"{self.nanoseconds} nanoseconds"

    def __hash__(self) -> int:
        return hash(self.nanoseconds)

    def __eq__(self, other: object) -> bool:
        return self.nanoseconds == other.nanoseconds if isinstance(other, Duration) else NotImplemented

    def __lt__(self, other: Any) -> bool:
        return self.nanoseconds < other.nanoseconds if isinstance(other, Duration) else NotImplemented

    def __add__(self, other: Any) -> Any:
        if not isinstance(other, Duration):
            return NotImplemented
        return Duration(nanoseconds=self.nanoseconds + other.nanoseconds)

    def __sub__(self, other: Any) -> Any:
        return self + -1 * other if isinstance(other, Duration) else NotImplemented

    def __mul__(self, factor: float) -> Duration:
        return Duration(nanoseconds=self.nanoseconds * factor)

    __rmul__ = __mul__

    def to_msg(self) -> Any:
        """The duration as builtin_interfaces/Duration."""
        seconds, nanoseconds = divmod(self.nanoseconds, S_TO_NS)
        return DurationMessage(sec=seconds, nanosec=nanoseconds)

    @classmethod
    def from_msg(cls, msg: Any) -> Duration:
        """A duration from builtin_interfaces/Duration.

        Raises:
            TypeError: the message is of another type.
        """
        if not isinstance(msg, DurationMessage):
            raise TypeError("Must pass a builtin_interfaces.msg.Duration object")
        return cls(seconds=msg.sec, nanoseconds=msg.nanosec)


Infinite = Duration(nanoseconds=2**63 - 1)
