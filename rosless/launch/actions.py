"""Actions: what a launch description does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from launch.core import (
    Action,
    EventHandler,
    LaunchContext,
    LaunchDescription,
    LaunchDescriptionEntity,
    LaunchError,
    SomeSubstitutionsType,
    as_entities,
    logger,
    perform_substitutions,
)
from launch.event_handlers import OnShutdown
from launch.events import Event, TimerEvent
from launch.events import Shutdown as ShutdownEvent
from launch.execute_process import ExecuteLocal, ExecuteProcess
from launch.launch_description_sources import AnyLaunchDescriptionSource, LaunchDescriptionSource


class DeclareLaunchArgument(Action):
    """Declares an argument `name:=value`.

    Args:
        default_value: None for an argument that must be given.
        description: shown by --show-args.
        choices: the only values allowed.
    """

    def __init__(
        self,
        name: str,
        *,
        default_value: SomeSubstitutionsType | None = None,
        description: str | None = None,
        choices: Iterable[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.name, self.default_value = name, default_value
        self.choices = list(choices) if choices is not None else None
        self.description = description or "no description given"
        if self.choices == []:
            raise ValueError("if provided, choices must not be empty")
        if self.choices and isinstance(default_value, str) and default_value not in self.choices:
            raise ValueError(
                f"Argument '{name}': the default value '{default_value}' is not among the choices {self.choices}"
            )

    def execute(self, context: LaunchContext) -> None:
        if self.name not in context.launch_configurations:
            if self.default_value is None:
                raise LaunchError(
                    f"Required launch argument '{self.name}' (description: '{self.description}') was not provided"
                )
            context.launch_configurations[self.name] = perform_substitutions(context, self.default_value)
        value = context.launch_configurations[self.name]
        if self.choices and value not in self.choices:
            raise LaunchError(
                f"Argument '{self.name}' provided value '{value}' is not valid. Valid options are: {self.choices}"
            )


class SetLaunchConfiguration(Action):
    """Sets a launch configuration."""

    def __init__(self, name: SomeSubstitutionsType, value: SomeSubstitutionsType, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._name, self._value = name, value

    def execute(self, context: LaunchContext) -> None:
        name = perform_substitutions(context, self._name)
        context.launch_configurations[name] = perform_substitutions(context, self._value)


class SetEnvironmentVariable(Action):
    """Sets an environment variable of the processes to come."""

    def __init__(self, name: SomeSubstitutionsType, value: SomeSubstitutionsType, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._name, self._value = name, value

    def execute(self, context: LaunchContext) -> None:
        context.environment[perform_substitutions(context, self._name)] = perform_substitutions(context, self._value)


class LogInfo(Action):
    """Logs a message."""

    def __init__(self, *, msg: SomeSubstitutionsType, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.msg = msg

    def execute(self, context: LaunchContext) -> None:
        logger.getChild("user").info(perform_substitutions(context, self.msg))


class _Call(Action):
    """A function as an action, for what other actions need between their entities."""

    def __init__(self, function: Callable[[LaunchContext], Any]) -> None:
        super().__init__()
        self._function = function

    def execute(self, context: LaunchContext) -> None:
        self._function(context)


class GroupAction(Action):
    """Several actions under one condition, whose settings hold for them only.

    Args:
        scoped: whether settings made inside end with the group.
        forwarding: whether settings made outside hold inside.
        launch_configurations: settings for the group.
    """

    def __init__(
        self,
        actions: Iterable[Action],
        *,
        scoped: bool = True,
        forwarding: bool = True,
        launch_configurations: dict[Any, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._actions, self._scoped, self._forwarding = list(actions), scoped, forwarding
        self._configurations = launch_configurations or {}

    def get_sub_entities(self) -> list[LaunchDescriptionEntity]:
        return list(self._actions)

    def describe_sub_entities(self) -> Sequence[LaunchDescriptionEntity]:
        return self._actions

    def execute(self, context: LaunchContext) -> list[LaunchDescriptionEntity]:
        settings = [SetLaunchConfiguration(name, value) for name, value in self._configurations.items()]
        inside: list[LaunchDescriptionEntity] = [*settings, *self._actions]
        if not self._scoped:
            return inside
        if not self._forwarding:
            inside.insert(0, _Call(lambda inner: inner.launch_configurations.clear()))
        return [_Call(LaunchContext.push_scope), *inside, _Call(LaunchContext.pop_scope)]


class IncludeLaunchDescription(Action):
    """Another launch file, with `launch_arguments` as pairs of name and value."""

    def __init__(
        self,
        launch_description_source: LaunchDescriptionSource | SomeSubstitutionsType,
        *,
        launch_arguments: Iterable[tuple[SomeSubstitutionsType, SomeSubstitutionsType]] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(launch_description_source, LaunchDescriptionSource):
            launch_description_source = AnyLaunchDescriptionSource(launch_description_source)
        self._source = launch_description_source
        self._arguments = list(launch_arguments or [])

    @property
    def launch_description_source(self) -> LaunchDescriptionSource:
        return self._source

    @property
    def launch_arguments(self) -> list[Any]:
        return self._arguments

    def describe_sub_entities(self) -> Sequence[LaunchDescriptionEntity]:
        description = self._source.try_get_launch_description_without_context()
        return [description] if description is not None else []

    def execute(self, context: LaunchContext) -> list[LaunchDescriptionEntity]:
        description = self._source.get_launch_description(context)
        for name, value in self._arguments:
            key = perform_substitutions(context, name)
            context.launch_configurations[key] = perform_substitutions(context, value)
        before = vars(context.locals).get("current_launch_file_path", "")
        return [
            _Call(lambda inner: setattr(inner.locals, "current_launch_file_path", self._source.location)),
            description,
            _Call(lambda inner: setattr(inner.locals, "current_launch_file_path", before)),
        ]


class OpaqueFunction(Action):
    """A Python function of the context, which may return further entities."""

    def __init__(
        self,
        *,
        function: Callable[..., Any],
        args: Iterable[Any] | None = None,
        kwargs: dict[str, Any] | None = None,
        **others: Any,
    ) -> None:
        super().__init__(**others)
        if not callable(function):
            raise TypeError(f"OpaqueFunction expected a callable for 'function', got '{type(function)}'")
        self._function, self._args, self._kwargs = function, list(args or []), dict(kwargs or {})

    def execute(self, context: LaunchContext) -> list[LaunchDescriptionEntity]:
        return as_entities(self._function(context, *self._args, **self._kwargs))


class RegisterEventHandler(Action):
    """Registers an event handler."""

    def __init__(self, event_handler: EventHandler, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._handler = event_handler

    @property
    def event_handler(self) -> EventHandler:
        return self._handler

    def describe_sub_entities(self) -> Sequence[LaunchDescriptionEntity]:
        return self._handler.describe_sub_entities()

    def execute(self, context: LaunchContext) -> None:
        context.register_event_handler(self._handler)


class EmitEvent(Action):
    """Emits an event."""

    def __init__(self, *, event: Event, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._event = event

    @property
    def event(self) -> Event:
        return self._event

    def execute(self, context: LaunchContext) -> None:
        context.emit_event_sync(self._event)


class Shutdown(EmitEvent):
    """Ends the launch."""

    def __init__(self, *, reason: str = "reason not given", **kwargs: Any) -> None:
        super().__init__(event=ShutdownEvent(reason=reason), **kwargs)

    def execute(self, context: LaunchContext) -> None:
        event = vars(context.locals).get("event")
        if getattr(event, "process_name", None) and self._event.reason == "reason not given":  # type: ignore[attr-defined]
            self._event.reason = f"process[{event.process_name}] was required"  # type: ignore[attr-defined, union-attr]
        super().execute(context)


class TimerAction(Action):
    """Actions to do after `period` seconds."""

    def __init__(
        self,
        *,
        period: float | SomeSubstitutionsType,
        actions: Iterable[LaunchDescriptionEntity],
        cancel_on_shutdown: Any = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._period, self._actions, self._cancel = period, list(actions), cancel_on_shutdown
        self._task: asyncio.Task[None] | None = None

    @property
    def actions(self) -> list[LaunchDescriptionEntity]:
        return self._actions

    def describe_sub_entities(self) -> Sequence[LaunchDescriptionEntity]:
        return self._actions

    def cancel(self) -> None:
        """Do nothing when the time comes."""
        if self._task is not None:
            self._task.cancel()

    def execute(self, context: LaunchContext) -> None:
        period = self._period
        seconds = float(period) if isinstance(period, int | float) else float(perform_substitutions(context, period))

        async def wait() -> None:
            await asyncio.sleep(seconds)
            context.emit_event_sync(TimerEvent(timer_action=self))

        context.register_event_handler(
            EventHandler(
                matcher=lambda event: isinstance(event, TimerEvent) and event.timer_action is self,
                entities=self._actions,
                handle_once=True,
            )
        )
        assert context._service is not None
        self._task = context._service.start_task(wait())
        if self._cancel:
            context.register_event_handler(OnShutdown(on_shutdown=lambda event, inner: self.cancel()))


__all__ = [
    "DeclareLaunchArgument",
    "EmitEvent",
    "ExecuteLocal",
    "ExecuteProcess",
    "GroupAction",
    "IncludeLaunchDescription",
    "LaunchDescription",
    "LogInfo",
    "OpaqueFunction",
    "RegisterEventHandler",
    "SetEnvironmentVariable",
    "SetLaunchConfiguration",
    "Shutdown",
    "TimerAction",
]


def __getattr__(name: str) -> object:
    from rosless.errors import refuse_attribute

    refuse_attribute("launch.actions", name)
