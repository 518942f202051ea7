"""Handlers of events.  What they do is entities to visit, or a function (event, context) that returns them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pocketros.errors import left_out

from launch.core import Action, Event, EventHandler, ExecutionComplete, LaunchContext, Shutdown
from launch.events.process import ProcessExited, ProcessIO, ProcessStarted


class _OfAction(EventHandler):
    """Handles events of one action, of those for which a function is true, or of any (None)."""

    def __init__(self, kind: type[Event], target: Any, entities: Any, **options: Any) -> None:
        def matches(event: Any) -> bool:
            if not isinstance(event, kind) or target is None:
                return isinstance(event, kind)
            return event.action is target if isinstance(target, Action) else bool(target(event.action))  # type: ignore[attr-defined]

        super().__init__(matcher=matches, entities=entities, **options)


class OnProcessStart(_OfAction):
    """`on_start` when a process runs."""

    def __init__(self, *, target_action: Any = None, on_start: Any, **options: Any) -> None:
        super().__init__(ProcessStarted, target_action, on_start, **options)


class OnProcessExit(_OfAction):
    """`on_exit` when a process ended."""

    def __init__(self, *, target_action: Any = None, on_exit: Any, **options: Any) -> None:
        super().__init__(ProcessExited, target_action, on_exit, **options)


class OnProcessIO(_OfAction):
    """`on_stdout` and `on_stderr`, functions of the event, when a process wrote."""

    def __init__(
        self,
        *,
        target_action: Any = None,
        on_stdout: Callable[[Any], Any] = lambda event: None,
        on_stderr: Callable[[Any], Any] = lambda event: None,
        **options: Any,
    ) -> None:
        def heard(event: Any, context: LaunchContext) -> Any:
            return (on_stdout if event.from_stdout else on_stderr)(event)

        super().__init__(ProcessIO, target_action, heard, **options)


class OnExecutionComplete(_OfAction):
    """`on_completion` when an action is done."""

    def __init__(self, *, target_action: Any = None, on_completion: Any, **options: Any) -> None:
        super().__init__(ExecutionComplete, target_action, on_completion, **options)


class OnShutdown(EventHandler):
    """`on_shutdown` when the launch ends."""

    def __init__(self, *, on_shutdown: Any, **options: Any) -> None:
        super().__init__(matcher=lambda event: isinstance(event, Shutdown), entities=on_shutdown, **options)


__getattr__ = left_out(__name__)
