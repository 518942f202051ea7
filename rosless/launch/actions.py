"""Actions: what a launch description does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rosless.errors import left_out

from launch import core, events
from launch.core import (
    Action,
    EventHandler,
    LaunchContext,
    LaunchDescriptionEntity,
    LaunchError,
    SomeSubstitutionsType,
    perform_substitutions,
)
from launch.event_handlers import OnShutdown
from launch.execute_process import ExecuteProcess as ExecuteProcess
from launch.launch_description_sources import AnyLaunchDescriptionSource, LaunchDescriptionSource
from launch.logging import get_logger


class OpaqueFunction(Action):
    """A Python function of the context, which may return further entities."""

    def __init__(
        self, *, function: Callable[..., Any], args: Iterable[Any] = (), kwargs: Any = None, **others: Any
    ) -> None:
        super().__init__(**others)
        self._function, self._args, self._kwargs = function, list(args or ()), dict(kwargs or {})

    def execute(self, context: LaunchContext) -> Any:
        return self._function(context, *self._args, **self._kwargs)


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
        description: str = "no description given",
        choices: Iterable[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.name, self.default_value, self.description = name, default_value, description
        self.choices = None if choices is None else list(choices)
        if self.choices is not None and isinstance(default_value, str) and default_value not in self.choices:
            raise ValueError(f"argument '{name}': the default '{default_value}' is not among {self.choices}")

    def execute(self, context: LaunchContext) -> None:
        if self.name not in context.launch_configurations:
            if self.default_value is None:
                raise LaunchError(
                    f"Required launch argument '{self.name}' (description: '{self.description}') was not provided"
                )
            context.launch_configurations[self.name] = perform_substitutions(context, self.default_value)
        value = context.launch_configurations[self.name]
        if self.choices is not None and value not in self.choices:
            raise LaunchError(
                f"Argument '{self.name}' provided value '{value}' is not valid. Valid options are: {self.choices}"
            )


class _Setting(Action):
    """Changes launch configurations or the environment by substitutions."""

    def __init__(self, *values: SomeSubstitutionsType, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._values = values

    def execute(self, context: LaunchContext) -> None:
        self.change(context, *(perform_substitutions(context, one) for one in self._values))

    def change(self, context: LaunchContext, *texts: str) -> None:
        raise NotImplementedError  # pragma: no cover - abstract


class SetLaunchConfiguration(_Setting):
    """Sets a launch configuration."""

    def __init__(self, name: SomeSubstitutionsType, value: SomeSubstitutionsType, **kwargs: Any) -> None:
        super().__init__(name, value, **kwargs)

    def change(self, context: LaunchContext, *texts: str) -> None:
        name, value = texts
        context.launch_configurations[name] = value


class UnsetLaunchConfiguration(_Setting):
    """Removes a launch configuration."""

    def __init__(self, name: SomeSubstitutionsType, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)

    def change(self, context: LaunchContext, *texts: str) -> None:
        context.launch_configurations.pop(texts[0], None)


class SetEnvironmentVariable(_Setting):
    """Sets an environment variable of the processes to come."""

    def __init__(self, name: SomeSubstitutionsType, value: SomeSubstitutionsType, **kwargs: Any) -> None:
        super().__init__(name, value, **kwargs)

    def change(self, context: LaunchContext, *texts: str) -> None:
        name, value = texts
        context.environment[name] = value


class AppendEnvironmentVariable(SetEnvironmentVariable):
    """Appends to an environment variable, or puts in front of it, with a separator between."""

    def __init__(
        self,
        name: SomeSubstitutionsType,
        value: SomeSubstitutionsType,
        prepend: bool | SomeSubstitutionsType = False,
        separator: SomeSubstitutionsType = ":",
        **kwargs: Any,
    ) -> None:
        super().__init__(name, value, **kwargs)
        self._prepend, self._separator = prepend, separator

    def change(self, context: LaunchContext, *texts: str) -> None:
        name, value = texts
        parts = [context.environment[name], value] if name in context.environment else [value]
        parts = parts[::-1] if core.perform_bool(context, self._prepend) else parts
        super().change(context, name, perform_substitutions(context, self._separator).join(parts))


class UnsetEnvironmentVariable(_Setting):
    """Removes an environment variable of the processes to come."""

    def __init__(self, name: SomeSubstitutionsType, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)

    def change(self, context: LaunchContext, *texts: str) -> None:
        context.environment.pop(texts[0], None)


class LogInfo(Action):
    """Logs a message."""

    def __init__(self, *, msg: SomeSubstitutionsType, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.msg = msg

    def execute(self, context: LaunchContext) -> None:
        get_logger("user").info(perform_substitutions(context, self.msg))


class GroupAction(Action):
    """Several actions under one condition, whose settings hold for them only.

    Args:
        scoped: whether settings made inside end with the group.
        forwarding: whether the settings made before hold in a scoped group.
        launch_configurations: settings for the group.
    """

    def __init__(
        self,
        actions: Iterable[LaunchDescriptionEntity],
        *,
        scoped: bool = True,
        forwarding: bool = True,
        launch_configurations: dict[Any, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._actions, self._settings = list(actions), dict(launch_configurations or {})
        self._scoped, self._forwarding = scoped, forwarding

    def describe_sub_entities(self) -> Sequence[LaunchDescriptionEntity]:
        return self._actions

    def execute(self, context: LaunchContext) -> list[LaunchDescriptionEntity]:
        own = {
            perform_substitutions(context, name): perform_substitutions(context, value)
            for name, value in self._settings.items()
        }
        if self._scoped:
            context.push_scope()
            if not self._forwarding:
                context.launch_configurations.clear()
        context.launch_configurations.update(own)
        return [*self._actions, OpaqueFunction(function=LaunchContext.pop_scope)] if self._scoped else self._actions


class IncludeLaunchDescription(Action):
    """Another launch file, with `launch_arguments` as pairs of name and value."""

    def __init__(
        self,
        launch_description_source: LaunchDescriptionSource | SomeSubstitutionsType,
        *,
        launch_arguments: Iterable[tuple[SomeSubstitutionsType, SomeSubstitutionsType]] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        source = launch_description_source
        is_source = isinstance(source, LaunchDescriptionSource)
        self.launch_description_source: Any = source if is_source else AnyLaunchDescriptionSource(source)  # type: ignore[arg-type]
        self.launch_arguments = list(launch_arguments or ())

    def describe_sub_entities(self) -> Sequence[LaunchDescriptionEntity]:
        description = self.launch_description_source.try_get_launch_description_without_context()
        return [description] if description is not None else []

    def execute(self, context: LaunchContext) -> list[LaunchDescriptionEntity]:
        description = self.launch_description_source.get_launch_description(context)
        before = vars(context.locals).get("current_launch_file_path")

        def now_in(path: str | None) -> OpaqueFunction:
            return OpaqueFunction(function=lambda inner: setattr(inner.locals, "current_launch_file_path", path))

        settings = [SetLaunchConfiguration(*pair) for pair in self.launch_arguments]
        return [*settings, now_in(self.launch_description_source.location), description, now_in(before)]


class RegisterEventHandler(Action):
    """Registers an event handler."""

    def __init__(self, event_handler: EventHandler, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.event_handler = event_handler

    def describe_sub_entities(self) -> Sequence[LaunchDescriptionEntity]:
        return self.event_handler.describe_sub_entities()

    def execute(self, context: LaunchContext) -> None:
        context.register_event_handler(self.event_handler)


class UnregisterEventHandler(Action):
    """Removes an event handler."""

    def __init__(self, event_handler: EventHandler, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.event_handler = event_handler

    def execute(self, context: LaunchContext) -> None:
        context.unregister_event_handler(self.event_handler)


class EmitEvent(Action):
    """Emits an event."""

    def __init__(self, *, event: events.Event, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.event = event

    def execute(self, context: LaunchContext) -> None:
        context.emit_event_sync(self.event)


class Shutdown(EmitEvent):
    """Ends the launch."""

    def __init__(self, *, reason: str = "reason not given", **kwargs: Any) -> None:
        super().__init__(event=events.Shutdown(reason=reason), **kwargs)


class TimerAction(Action):
    """Actions to do after `period` seconds, unless the launch ends before (`cancel_on_shutdown`)."""

    def __init__(
        self,
        *,
        period: float | SomeSubstitutionsType,
        actions: Iterable[LaunchDescriptionEntity],
        cancel_on_shutdown: bool | SomeSubstitutionsType = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._period, self.actions, self._cancel_on_shutdown = period, list(actions), cancel_on_shutdown

    def describe_sub_entities(self) -> Sequence[LaunchDescriptionEntity]:
        return self.actions

    def cancel(self) -> None:
        """Do nothing when the time comes."""
        if self.task is not None:
            self.task.cancel()

    def execute(self, context: LaunchContext) -> None:
        seconds = core.perform_float(context, self._period)
        transient = core.perform_bool(context, self._cancel_on_shutdown)

        async def wait() -> None:
            await asyncio.sleep(seconds)
            context.emit_event_sync(events.TimerEvent(timer_action=self))

        def has_come(event: events.Event) -> bool:
            return isinstance(event, events.TimerEvent) and event.timer_action is self

        context.register_event_handler(EventHandler(matcher=has_come, entities=self.actions, handle_once=True))
        if transient:
            context.register_event_handler(OnShutdown(on_shutdown=lambda event, inner: self.cancel()))
        self.task = context.service.start(wait(), lasting=not transient)


__getattr__ = left_out(__name__)
