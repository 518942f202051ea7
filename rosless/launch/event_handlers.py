"""Handlers of events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from launch.core import Action, Event, EventHandler, LaunchContext, LaunchDescriptionEntity
from launch.events import Shutdown
from launch.events.process import ProcessExited, ProcessIO, ProcessStarted


class _OnProcess(EventHandler):
    """Entities to visit when an event of a process, or of any process, happens."""

    event_type: type[Event] = Event

    def __init__(
        self,
        *,
        target_action: Action | Callable[[Action], bool] | None = None,
        entities: Any = None,
        handle_once: bool = False,
    ) -> None:
        def matches(event: Event) -> bool:
            if not isinstance(event, self.event_type):
                return False
            if target_action is None:
                return True
            action = event.action  # type: ignore[attr-defined]
            if callable(target_action) and not isinstance(target_action, LaunchDescriptionEntity):
                return bool(target_action(action))
            return bool(action is target_action)

        super().__init__(matcher=matches, entities=entities, handle_once=handle_once)


class OnProcessExit(_OnProcess):
    """`on_exit`: entities, or a function (event, context) that returns them, for when a process ended."""

    event_type = ProcessExited

    def __init__(self, *, target_action: Any = None, on_exit: Any, handle_once: bool = False) -> None:
        super().__init__(target_action=target_action, entities=on_exit, handle_once=handle_once)


class OnProcessStart(_OnProcess):
    """`on_start`: entities, or a function (event, context) that returns them, for when a process runs."""

    event_type = ProcessStarted

    def __init__(self, *, target_action: Any = None, on_start: Any, handle_once: bool = False) -> None:
        super().__init__(target_action=target_action, entities=on_start, handle_once=handle_once)


class OnProcessIO(_OnProcess):
    """Functions of the event for what a process writes."""

    event_type = ProcessIO

    def __init__(
        self, *, target_action: Any = None, on_stdin: Any = None, on_stdout: Any = None, on_stderr: Any = None
    ) -> None:
        def handle(event: Any, context: LaunchContext) -> Any:
            chosen = on_stdout if event.from_stdout else on_stderr
            return chosen(event) if chosen is not None else None

        super().__init__(target_action=target_action, entities=handle)


class OnShutdown(EventHandler):
    """`on_shutdown`: entities, or a function (event, context) that returns them, for when the launch ends."""

    def __init__(self, *, on_shutdown: Any) -> None:
        super().__init__(matcher=lambda event: isinstance(event, Shutdown), entities=on_shutdown)


def __getattr__(name: str) -> object:
    from rosless.errors import refuse_attribute

    refuse_attribute("launch.event_handlers", name)
