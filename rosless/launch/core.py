"""The parts all others are made of: context, substitutions, conditions, actions, events, descriptions."""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from launch.service import LaunchService

logger = logging.getLogger("launch")


class LaunchError(RuntimeError):
    """A launch description that cannot be carried out."""


class SubstitutionFailure(LaunchError):  # noqa: N818 - launch's name
    """A substitution has no value."""


class InvalidConditionExpressionError(LaunchError):
    """A condition is neither true nor false."""


class Substitution:
    """A text that becomes known while launching."""

    def perform(self, context: LaunchContext) -> str:
        """The text."""
        raise NotImplementedError  # pragma: no cover - launch's abstract method

    def describe(self) -> str:
        """The substitution as a reader sees it."""
        return f"{type(self).__name__}()"


SomeSubstitutionsType = str | Substitution | Iterable[str | Substitution]


def perform_substitutions(context: LaunchContext, subs: SomeSubstitutionsType) -> str:
    """The text of a string, a substitution or a sequence of them.

    Raises:
        TypeError: neither.
    """
    if isinstance(subs, Substitution):
        return subs.perform(context)
    if isinstance(subs, str):
        return subs
    if isinstance(subs, os.PathLike):
        return os.fspath(subs)
    if isinstance(subs, Iterable):
        return "".join(perform_substitutions(context, one) for one in subs)
    raise TypeError(f"expected a string, a substitution or a list of them, not {subs!r}")


def is_substitution(value: Any) -> bool:
    """Whether a value is a substitution, or a sequence with one."""
    return isinstance(value, Substitution) or (
        isinstance(value, list | tuple) and any(isinstance(one, Substitution) for one in value)
    )


def describe_substitutions(subs: Any) -> str:
    """Text or substitutions as a reader sees them."""
    if isinstance(subs, Substitution):
        return subs.describe()
    if isinstance(subs, str):
        return f"'{subs}'"
    return " + ".join(describe_substitutions(one) for one in subs)


class Condition:
    """Decides whether an action is carried out."""

    def __init__(self, *, predicate: Callable[[LaunchContext], bool] | None = None) -> None:
        self._predicate = predicate

    def evaluate(self, context: LaunchContext) -> bool:
        return self._predicate(context) if self._predicate is not None else True


class LaunchDescriptionEntity:
    """Something that a launch description holds."""

    def visit(self, context: LaunchContext) -> Sequence[LaunchDescriptionEntity] | None:
        """Carry it out; returns further entities to visit."""
        raise NotImplementedError  # pragma: no cover

    def describe_sub_entities(self) -> Sequence[LaunchDescriptionEntity]:
        """The entities inside, as far as they are known before launching."""
        return []


class Action(LaunchDescriptionEntity):
    """Something to do, under a condition."""

    def __init__(self, *, condition: Condition | None = None) -> None:
        self._condition = condition

    @property
    def condition(self) -> Condition | None:
        return self._condition

    def visit(self, context: LaunchContext) -> Sequence[LaunchDescriptionEntity] | None:
        if self._condition is None or self._condition.evaluate(context):
            return self.execute(context)
        return None

    def execute(self, context: LaunchContext) -> Sequence[LaunchDescriptionEntity] | None:
        """Do it; returns further entities to visit."""
        raise NotImplementedError  # pragma: no cover


class LaunchDescription(LaunchDescriptionEntity):
    """A list of entities, visited in their order."""

    def __init__(self, initial_entities: Iterable[LaunchDescriptionEntity] | None = None) -> None:
        self._entities: list[LaunchDescriptionEntity] = list(initial_entities or [])

    @property
    def entities(self) -> list[LaunchDescriptionEntity]:
        return self._entities

    def add_entity(self, entity: LaunchDescriptionEntity) -> None:
        self._entities.append(entity)

    def add_action(self, action: Action) -> None:
        self._entities.append(action)

    def visit(self, context: LaunchContext) -> Sequence[LaunchDescriptionEntity] | None:
        return self._entities

    def describe_sub_entities(self) -> Sequence[LaunchDescriptionEntity]:
        return self._entities

    def get_launch_arguments(self) -> list[Any]:
        """The declared arguments, in their order, those of included files too."""
        from launch.actions import DeclareLaunchArgument

        found: dict[str, Any] = {}

        def search(entities: Iterable[LaunchDescriptionEntity]) -> None:
            for entity in entities:
                if isinstance(entity, DeclareLaunchArgument):
                    found.setdefault(entity.name, entity)
                search(entity.describe_sub_entities())

        search(self._entities)
        return list(found.values())


class Event:
    """Something that happened."""

    name = "launch.Event"


class EventHandler:
    """Entities to visit when an event matches."""

    def __init__(self, *, matcher: Callable[[Event], bool], entities: Any = None, handle_once: bool = False) -> None:
        self._matcher, self._entities, self._handle_once = matcher, entities, handle_once

    @property
    def handle_once(self) -> bool:
        return self._handle_once

    @property
    def entities(self) -> Any:
        return self._entities

    def matches(self, event: Event) -> bool:
        return self._matcher(event)

    def handle(self, event: Event, context: LaunchContext) -> Any:
        """Entities to visit because of an event."""
        context.locals.event = event
        if self._handle_once:
            context.unregister_event_handler(self)
        entities = self._entities
        if callable(entities) and not isinstance(entities, LaunchDescriptionEntity):
            entities = entities(event, context)
        return entities

    def describe_sub_entities(self) -> Sequence[LaunchDescriptionEntity]:
        """The entities inside, as far as they are known before launching."""
        return [] if self._entities is None or callable(self._entities) else as_entities(self._entities)


def as_entities(value: Any) -> list[LaunchDescriptionEntity]:
    """A list of entities from one, several or none.

    Raises:
        TypeError: something else is among them.
    """
    if value is None:
        return []
    entities = [value] if isinstance(value, LaunchDescriptionEntity) else list(value)
    for entity in entities:
        if not isinstance(entity, LaunchDescriptionEntity):
            raise TypeError(f"expected launch actions, got {type(entity).__name__}: {entity!r}")
    return entities


class Locals:
    """Values that hold while something is visited, such as `event` or `current_launch_file_path`."""

    event: Event

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"context.locals has no '{name}' here")


class LaunchContext:
    """What actions and substitutions know and change."""

    def __init__(self, *, argv: Iterable[str] | None = None, noninteractive: bool = False) -> None:
        self.argv = list(argv or [])
        self.noninteractive = noninteractive
        self.launch_configurations: dict[str, str] = {}
        self.environment: dict[str, str] = dict(os.environ)
        self.locals = Locals()
        self.ros: dict[str, Any] = {"namespace": "", "parameters": [], "remaps": []}
        self._saved_configurations: list[dict[str, str]] = []
        self._saved_environments: list[dict[str, str]] = []
        self._saved_ros: list[dict[str, Any]] = []
        self._handlers: deque[EventHandler] = deque()
        self._service: LaunchService | None = None
        self.is_shutdown = False

    @property
    def asyncio_loop(self) -> asyncio.AbstractEventLoop | None:
        return self._service.loop if self._service else None

    def perform_substitution(self, sub: Substitution) -> str:
        return sub.perform(self)

    def emit_event_sync(self, event: Event) -> None:
        """Queue an event."""
        if self._service is not None:
            self._service.emit_event(event)

    async def emit_event(self, event: Event) -> None:
        self.emit_event_sync(event)

    def register_event_handler(self, event_handler: EventHandler, append: bool = False) -> None:
        """Handle events; handlers registered last come first."""
        (self._handlers.append if append else self._handlers.appendleft)(event_handler)

    def unregister_event_handler(self, event_handler: EventHandler) -> None:
        if event_handler in self._handlers:
            self._handlers.remove(event_handler)

    def push_scope(self) -> None:
        """Keep configurations, environment and ROS defaults for `pop_scope`."""
        self._saved_configurations.append(dict(self.launch_configurations))
        self._saved_environments.append(dict(self.environment))
        self._saved_ros.append(
            {
                "namespace": self.ros["namespace"],
                "parameters": list(self.ros["parameters"]),
                "remaps": list(self.ros["remaps"]),
            }
        )

    def pop_scope(self, forwarded: dict[str, str] | None = None) -> None:
        """Restore what `push_scope` kept."""
        self.launch_configurations = self._saved_configurations.pop()
        self.environment = self._saved_environments.pop()
        self.ros = self._saved_ros.pop()
        self.launch_configurations.update(forwarded or {})
