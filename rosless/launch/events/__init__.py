"""Events."""

from __future__ import annotations

from launch.core import Event


class Shutdown(Event):
    """The launch is to end."""

    name = "launch.events.Shutdown"

    def __init__(self, *, reason: str = "reason not given", due_to_sigint: bool = False) -> None:
        self.reason, self.due_to_sigint = reason, due_to_sigint


class TimerEvent(Event):
    """The time of a TimerAction has come."""

    name = "launch.events.TimerEvent"

    def __init__(self, *, timer_action: object) -> None:
        self.timer_action = timer_action


from launch.events import process  # noqa: E402 - it needs this module

__all__ = ["Event", "Shutdown", "TimerEvent", "process"]


def __getattr__(name: str) -> object:
    from rosless.errors import refuse_attribute

    refuse_attribute("launch.events", name)
