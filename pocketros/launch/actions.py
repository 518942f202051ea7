"""Actions: what a launch description does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pocketros.errors import left_out

from launch import events
from launch.core import (
    Action,
    EventHandler,
    LaunchContext,
    LaunchDescriptionEntity,
    LaunchError,
    perform_bool,
    perform_float,
)
from launch.core import SomeSubstitutionsType as Text
from launch.core import perform_substitutions as perform
from launch.execute_process import ExecuteProcess as ExecuteProcess
from launch.launch_description_sources import LaunchDescriptionSource, PythonLaunchDescriptionSource
from launch.logging import logger


@dataclass(eq=False)
class OpaqueFunction(Action):
    """A Python function of the context, which may return further entities."""

    function: Callable[..., Any] = field(kw_only=True)
    args: Iterable[Any] = field(default=(), kw_only=True)
    kwargs: dict[str, Any] | None = field(default=None, kw_only=True)

    def execute(self, context: LaunchContext) -> Any:
        return self.function(context, *(self.args or ()), **(self.kwargs or {}))


@dataclass(eq=False)
class DeclareLaunchArgument(Action):
    """Declares an argument `name:=value`.

    Args:
        default_value: None for an argument that must be given.
        description: shown by --show-args.
        choices: the only values allowed.
    """

    name: str
    default_value: Text | None = field(default=None, kw_only=True)
    description: str = field(default="no description given", kw_only=True)
    choices: list[str] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        default = self.default_value
        if self.choices is not None and isinstance(default, str) and default not in self.choices:
            raise ValueError(f"argument '{self.name}': the default '{default}' is not among {self.choices}")

    def execute(self, context: LaunchContext) -> None:
        if self.name not in context.launch_configurations:
            if self.default_value is None:
                raise LaunchError(
                    f"Required launch argument '{self.name}' (description: '{self.description}') was not provided"
                )
            context.launch_configurations[self.name] = perform(context, self.default_value)
        value = context.launch_configurations[self.name]
        if self.choices is not None and value not in self.choices:
            raise LaunchError(
                f"Argument '{self.name}' provided value '{value}' is not valid. Valid options are: {self.choices}"
            )


@dataclass(eq=False)
class SetLaunchConfiguration(Action):
    """Sets a launch configuration."""

    name: Text
    value: Text

    def execute(self, context: LaunchContext) -> None:
        context.launch_configurations[perform(context, self.name)] = perform(context, self.value)


@dataclass(eq=False)
class UnsetLaunchConfiguration(Action):
    """Removes a launch configuration."""

    name: Text

    def execute(self, context: LaunchContext) -> None:
        context.launch_configurations.pop(perform(context, self.name), None)


@dataclass(eq=False)
class SetEnvironmentVariable(Action):
    """Sets an environment variable of the processes to come."""

    name: Text
    value: Text

    def execute(self, context: LaunchContext) -> None:
        context.environment[perform(context, self.name)] = perform(context, self.value)


@dataclass(eq=False)
class AppendEnvironmentVariable(Action):
    """Appends to an environment variable, or puts in front of it, with a separator between."""

    name: Text
    value: Text
    prepend: bool | Text = False
    separator: Text = ":"

    def execute(self, context: LaunchContext) -> None:
        name, value, separator = (perform(context, one) for one in (self.name, self.value, self.separator))
        parts = [context.environment[name], value] if name in context.environment else [value]
        parts = parts[::-1] if perform_bool(context, self.prepend) else parts
        context.environment[name] = separator.join(parts)


@dataclass(eq=False)
class UnsetEnvironmentVariable(Action):
    """Removes an environment variable of the processes to come."""

    name: Text

    def execute(self, context: LaunchContext) -> None:
        context.environment.pop(perform(context, self.name), None)


@dataclass(eq=False)
class LogInfo(Action):
    """Logs a message."""

    msg: Text = field(kw_only=True)

    def execute(self, context: LaunchContext) -> None:
        logger.getChild("user").info(perform(context, self.msg))


@dataclass(eq=False)
class GroupAction(Action):
    """Several actions under one condition.

    Args:
        scoped: whether settings made inside end with the group.
        launch_configurations: settings for the group.
    """

    actions: Sequence[LaunchDescriptionEntity]
    scoped: bool = field(default=True, kw_only=True)
    launch_configurations: dict[Any, Any] | None = field(default=None, kw_only=True)

    def describe_sub_entities(self) -> Sequence[LaunchDescriptionEntity]:
        return self.actions

    def execute(self, context: LaunchContext) -> list[LaunchDescriptionEntity]:
        settings = [SetLaunchConfiguration(*pair) for pair in (self.launch_configurations or {}).items()]
        if not self.scoped:
            return [*settings, *self.actions]
        context.push_scope()
        return [*settings, *self.actions, OpaqueFunction(function=LaunchContext.pop_scope)]


@dataclass(eq=False)
class IncludeLaunchDescription(Action):
    """Another launch file, with `launch_arguments` as pairs of name and value."""

    launch_description_source: LaunchDescriptionSource | Text
    launch_arguments: Iterable[tuple[Text, Text]] = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        given = self.launch_description_source
        self.source = given if isinstance(given, LaunchDescriptionSource) else PythonLaunchDescriptionSource(given)

    def describe_sub_entities(self) -> Sequence[LaunchDescriptionEntity]:
        description = self.source.try_get_launch_description_without_context()
        return [description] if description is not None else []

    def execute(self, context: LaunchContext) -> list[LaunchDescriptionEntity]:
        def now_in(path: str | None) -> OpaqueFunction:
            return OpaqueFunction(function=lambda inner: setattr(inner.locals, "current_launch_file_path", path))

        description, before = self.source.get_launch_description(context), context.locals.current_launch_file_path
        settings = [SetLaunchConfiguration(*pair) for pair in self.launch_arguments or ()]
        return [*settings, now_in(perform(context, self.source.location)), description, now_in(before)]


@dataclass(eq=False)
class RegisterEventHandler(Action):
    """Registers an event handler."""

    event_handler: EventHandler

    def describe_sub_entities(self) -> Sequence[LaunchDescriptionEntity]:
        return self.event_handler.describe_sub_entities()

    def execute(self, context: LaunchContext) -> None:
        context.register_event_handler(self.event_handler)


@dataclass(eq=False)
class UnregisterEventHandler(Action):
    """Removes an event handler."""

    event_handler: EventHandler

    def execute(self, context: LaunchContext) -> None:
        context.unregister_event_handler(self.event_handler)


@dataclass(eq=False)
class EmitEvent(Action):
    """Emits an event."""

    event: events.Event = field(kw_only=True)

    def execute(self, context: LaunchContext) -> None:
        context.emit_event_sync(self.event)


class Shutdown(EmitEvent):
    """Ends the launch."""

    def __init__(self, *, reason: str = "reason not given", **kwargs: Any) -> None:
        super().__init__(event=events.Shutdown(reason=reason), **kwargs)


@dataclass(eq=False)
class TimerAction(Action):
    """Actions to do after `period` seconds, unless the launch ends before."""

    period: float | Text = field(kw_only=True)
    actions: Sequence[LaunchDescriptionEntity] = field(kw_only=True)

    def describe_sub_entities(self) -> Sequence[LaunchDescriptionEntity]:
        return self.actions

    def cancel(self) -> None:
        """Do nothing when the time comes."""
        if self.task is not None:
            self.task.cancel()

    def execute(self, context: LaunchContext) -> None:
        seconds = perform_float(context, self.period)

        async def wait() -> None:
            await asyncio.sleep(seconds)
            if not context.is_shutdown:
                context.service.visit_soon(self.actions)

        self.task = context.service.start(wait())


__getattr__ = left_out(__name__)
