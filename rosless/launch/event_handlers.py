"""Handlers of events.  What they do is entities to visit, or a function (event, context) that returns them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rosless.errors import left_out

from launch.core import Event, EventHandler, LaunchDescriptionEntity
from launch.events import Shutdown
from launch.events.process import ProcessExited, ProcessStarted


def _of_process(kind: type[Event], target: Any) -> Callable[[Event], bool]:
    """Matches events of one process (an action), of those for which a function is true, or of any (None)."""

    def matches(event: Any) -> bool:
        if not isinstance(event, kind) or target is None:
            return isinstance(event, kind)
        is_function = callable(target) and not isinstance(target, LaunchDescriptionEntity)
        return bool(target(event.action)) if is_function else event.action is target  # type: ignore[attr-defined]

    return matches


class OnProcessExit(EventHandler):
    """`on_exit` when a process ended."""

    def __init__(self, *, target_action: Any = None, on_exit: Any, handle_once: bool = False) -> None:
        matcher = _of_process(ProcessExited, target_action)
        super().__init__(matcher=matcher, entities=on_exit, handle_once=handle_once)


class OnProcessStart(EventHandler):
    """`on_start` when a process runs."""

    def __init__(self, *, target_action: Any = None, on_start: Any, handle_once: bool = False) -> None:
        matcher = _of_process(ProcessStarted, target_action)
        super().__init__(matcher=matcher, entities=on_start, handle_once=handle_once)


class OnShutdown(EventHandler):
    """`on_shutdown` when the launch ends."""

    def __init__(self, *, on_shutdown: Any) -> None:
        super().__init__(matcher=lambda event: isinstance(event, Shutdown), entities=on_shutdown)


__getattr__ = left_out(__name__)
