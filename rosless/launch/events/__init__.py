"""Events."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rosless.errors import left_out

from launch.core import Action, Event, ExecutionComplete, Shutdown


@dataclass(kw_only=True, eq=False)
class TimerEvent(Event):
    """The time of a TimerAction has come."""

    timer_action: Action


def matches_action(target_action: Action) -> Callable[[Action], bool]:
    """A matcher of the events that are meant for one action."""
    return lambda action: action is target_action


__all__ = ["Event", "ExecutionComplete", "Shutdown", "TimerEvent", "matches_action"]
__getattr__ = left_out(__name__)
