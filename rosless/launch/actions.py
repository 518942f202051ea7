"""Actions: what a launch description does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rosless.errors import left_out

from launch import events
from launch.core import (
    Action,
    Call,
    EventHandler,
    LaunchContext,
    LaunchDescriptionEntity,
    LaunchError,
    SomeSubstitutionsType,
    logger,
    perform_substitutions,
)
from launch.event_handlers import OnShutdown
from launch.execute_process import ExecuteProcess as ExecuteProcess
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


class SetLaunchConfiguration(Action):
    """Sets a launch configuration."""

    def __init__(self, name: SomeSubstitutionsType, value: SomeSubstitutionsType, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._pair = (name, value)

    def execute(self, context: LaunchContext) -> None:
        name, value = (perform_substitutions(context, one) for one in self._pair)
        self._target(context)[name] = value

    def _target(self, context: LaunchContext) -> dict[str, str]:
        return context.launch_configurations


class SetEnvironmentVariable(SetLaunchConfiguration):
    """Sets an environment variable of the processes to come."""

    def _target(self, context: LaunchContext) -> dict[str, str]:
        return context.environment


class LogInfo(Action):
    """Logs a message."""

    def __init__(self, *, msg: SomeSubstitutionsType, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.msg = msg

    def execute(self, context: LaunchContext) -> None:
        logger.getChild("user").info(perform_substitutions(context, self.msg))


class GroupAction(Action):
    """Several actions under one condition, whose settings hold for them only.

    Args:
        scoped: whether settings made inside end with the group.
        launch_configurations: settings for the group.
    """

    def __init__(
        self,
        actions: Iterable[LaunchDescriptionEntity],
        *,
        scoped: bool = True,
        launch_configurations: dict[Any, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        settings = [SetLaunchConfiguration(*pair) for pair in (launch_configurations or {}).items()]
        self._actions, self._scoped = [*settings, *actions], scoped

    def describe_sub_entities(self) -> Sequence[LaunchDescriptionEntity]:
        return self._actions

    def execute(self, context: LaunchContext) -> list[LaunchDescriptionEntity]:
        scope = (Call(LaunchContext.push_scope), Call(LaunchContext.pop_scope))
        return [scope[0], *self._actions, scope[1]] if self._scoped else self._actions


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
        before = vars(context.locals).get("current_launch_file_path", "")

        def now_in(path: str) -> Call:
            return Call(lambda inner: setattr(inner.locals, "current_launch_file_path", path))

        settings = [SetLaunchConfiguration(*pair) for pair in self.launch_arguments]
        return [*settings, now_in(self.launch_description_source.location), description, now_in(before)]


class OpaqueFunction(Action):
    """A Python function of the context, which may return further entities."""

    def __init__(
        self, *, function: Callable[..., Any], args: Iterable[Any] = (), kwargs: Any = None, **others: Any
    ) -> None:
        super().__init__(**others)
        self._function, self._args, self._kwargs = function, list(args or ()), dict(kwargs or {})

    def execute(self, context: LaunchContext) -> Any:
        return self._function(context, *self._args, **self._kwargs)


class RegisterEventHandler(Action):
    """Registers an event handler."""

    def __init__(self, event_handler: EventHandler, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.event_handler = event_handler

    def describe_sub_entities(self) -> Sequence[LaunchDescriptionEntity]:
        return self.event_handler.describe_sub_entities()

    def execute(self, context: LaunchContext) -> None:
        context.register_event_handler(self.event_handler)


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
    """Actions to do after `period` seconds, unless the launch ends before."""

    def __init__(
        self, *, period: float | SomeSubstitutionsType, actions: Iterable[LaunchDescriptionEntity], **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self._period, self.actions = period, list(actions)
        self._task: asyncio.Task[None] | None = None

    def describe_sub_entities(self) -> Sequence[LaunchDescriptionEntity]:
        return self.actions

    def cancel(self) -> None:
        """Do nothing when the time comes."""
        if self._task is not None:
            self._task.cancel()

    def execute(self, context: LaunchContext) -> None:
        period = self._period
        seconds = float(period if isinstance(period, int | float) else perform_substitutions(context, period))

        async def wait() -> None:
            await asyncio.sleep(seconds)
            context.emit_event_sync(events.TimerEvent(timer_action=self))

        def has_come(event: events.Event) -> bool:
            return isinstance(event, events.TimerEvent) and event.timer_action is self

        context.register_event_handler(EventHandler(matcher=has_come, entities=self.actions, handle_once=True))
        context.register_event_handler(OnShutdown(on_shutdown=lambda event, inner: self.cancel()))
        self._task = context.service.start(wait())


__getattr__ = left_out(__name__)
