"""Events."""

from __future__ import annotations

from rosless.errors import left_out

from launch.core import Event


class Shutdown(Event):
    """The launch is to end."""

    def __init__(self, *, reason: str = "reason not given", due_to_sigint: bool = False) -> None:
        self.reason, self.due_to_sigint = reason, due_to_sigint


class TimerEvent(Event):
    """The time of a TimerAction has come."""

    def __init__(self, *, timer_action: object) -> None:
        self.timer_action = timer_action


__all__ = ["Event", "Shutdown", "TimerEvent"]
__getattr__ = left_out(__name__)
