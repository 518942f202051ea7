"""Events."""

from __future__ import annotations

from dataclasses import dataclass

from rosless.errors import left_out

from launch.core import Action
from launch.core import Event as Event
from launch.core import ExecutionComplete as ExecutionComplete
from launch.core import Shutdown as Shutdown


@dataclass(kw_only=True, eq=False)
class TimerEvent(Event):
    """The time of a TimerAction has come."""

    timer_action: Action


__getattr__ = left_out(__name__)
