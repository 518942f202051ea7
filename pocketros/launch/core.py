"""What all parts of launch are made of: substitutions, conditions, actions, descriptions, events, the context."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

    from launch.service import LaunchService


class LaunchError(RuntimeError):
    """A launch description that cannot be carried out."""


class SubstitutionFailure(LaunchError):  # noqa: N818 - launch's name
    """A substitution has no value."""


class InvalidConditionExpressionError(LaunchError):
    """A text that should be a truth value is none."""


class Substitution:
    """A text that becomes known while launching."""

    def perform(self, context: LaunchContext) -> str:
        raise NotImplementedError  # pragma: no cover - launch's abstract method

    def describe(self) -> str:
        return repr(self)


SomeSubstitutionsType = str | Substitution | Iterable[str | Substitution]


def perform_substitutions(context: LaunchContext, subs: SomeSubstitutionsType | os.PathLike[str]) -> str:
    """The text of a string, a path, a substitution or a sequence of them.

    Raises:
        TypeError: it is something else.
    """
    if isinstance(subs, Substitution):
        return subs.perform(context)
    if isinstance(subs, str | os.PathLike):
        return os.fspath(subs)
    if isinstance(subs, Iterable):
        return "".join(perform_substitutions(context, one) for one in subs)
    raise TypeError(f"expected a string, a substitution or a list of them, not {subs!r}")


def perform_bool(context: LaunchContext, value: bool | SomeSubstitutionsType) -> bool:
    """The truth of a bool, or of the text `true`, `false`, `1` or `0` in any case.

    Raises:
        InvalidConditionExpressionError: another text.
    """
    text = str(value) if isinstance(value, bool) else perform_substitutions(context, value)
    if (clean := text.strip().lower()) not in ("true", "1", "false", "0"):
        raise InvalidConditionExpressionError(f"expected one of (true, 1) or (false, 0), got '{text}'")
    return clean in ("true", "1")


def perform_float(context: LaunchContext, value: float | SomeSubstitutionsType) -> float:
    """A number that is given as such or as a text."""
    return float(value if isinstance(value, int | float) else perform_substitutions(context, value))


def is_substitution(value: Any) -> bool:
    """Whether a value is a substitution, or a sequence with one."""
    return any(isinstance(one, Substitution) for one in (value if isinstance(value, list | tuple) else [value]))


class Condition:
    """Decides whether an action is carried out."""

    def __init__(self, *, predicate: Callable[[LaunchContext], bool]) -> None:
        self.evaluate = predicate


class LaunchDescriptionEntity:
    """Something that a launch description holds."""

    def visit(self, context: LaunchContext) -> Any:
        """Carry it out; returns further entities to visit."""
        raise NotImplementedError  # pragma: no cover - launch's abstract method

    def describe_sub_entities(self) -> Sequence[LaunchDescriptionEntity]:
        """The entities inside, as far as they are known before launching."""
        return []


@dataclass(eq=False, kw_only=True)
class Action(LaunchDescriptionEntity):
    """Something to do, under a condition.

    Attributes:
        task: what goes on after `execute`, None for nothing.
    """

    condition: Condition | None = None
    task: asyncio.Task[Any] | None = field(default=None, init=False, repr=False)

    def visit(self, context: LaunchContext) -> Any:
        if self.condition is not None and not self.condition.evaluate(context):
            return None
        entities = self.execute(context)
        if context.would_handle_event(done := ExecutionComplete(action=self)):
            if self.task is None:
                context.emit_event_sync(done)
            else:
                self.task.add_done_callback(lambda _: context.emit_event_sync(done))
        return entities

    def execute(self, context: LaunchContext) -> Any:
        """Do it; returns further entities to visit."""
        raise NotImplementedError  # pragma: no cover - launch's abstract method


class LaunchDescription(LaunchDescriptionEntity):
    """A list of entities, visited in their order."""

    def __init__(self, initial_entities: Iterable[LaunchDescriptionEntity] = ()) -> None:
        self.entities = list(initial_entities or ())

    def add_entity(self, entity: LaunchDescriptionEntity) -> None:
        self.entities.append(entity)

    add_action = add_entity

    def visit(self, context: LaunchContext) -> Any:
        return self.entities

    def describe_sub_entities(self) -> Sequence[LaunchDescriptionEntity]:
        return self.entities


def descendants(entity: LaunchDescriptionEntity) -> Iterator[LaunchDescriptionEntity]:
    """An entity and all those below it, as far as they are known before launching."""
    yield entity
    for one in entity.describe_sub_entities():
        yield from descendants(one)


def as_entities(value: Any) -> list[LaunchDescriptionEntity]:
    """A list of entities from one, several or none.

    Raises:
        TypeError: something else is among them.
    """
    entities = [value] if isinstance(value, LaunchDescriptionEntity) else list(value or [])
    for entity in entities:
        if not isinstance(entity, LaunchDescriptionEntity):
            raise TypeError(f"expected launch actions, got {type(entity).__name__}: {entity!r}")
    return entities


class Event:
    """Something that happened."""


@dataclass(kw_only=True, eq=False)
class Shutdown(Event):
    """The launch is to end."""

    reason: str = "reason not given"
    due_to_sigint: bool = False


@dataclass(kw_only=True, eq=False)
class ExecutionComplete(Event):
    """An action is done."""

    action: Action


class EventHandler:
    """Entities to visit when an event matches: entities, or a function (event, context) that returns them."""

    def __init__(self, *, matcher: Callable[[Any], bool], entities: Any = None, handle_once: bool = False) -> None:
        self.matches, self.entities, self.handle_once = matcher, entities, handle_once

    def handle(self, event: Event, context: LaunchContext) -> Any:
        """Entities to visit because of an event."""
        context.locals.event = event
        if self.handle_once:
            context.unregister_event_handler(self)
        return self.entities(event, context) if callable(self.entities) else self.entities

    def describe_sub_entities(self) -> Sequence[LaunchDescriptionEntity]:
        return [] if callable(self.entities) else as_entities(self.entities)


class LaunchContext:
    """What actions and substitutions know and change.

    Attributes:
        launch_configurations: values of arguments by name.
        environment: that of this process, which the processes to come inherit.
        locals: what holds while something is visited, such as `event` or `current_launch_file_path`.
    """

    def __init__(self, *, argv: Iterable[str] = (), noninteractive: bool = False) -> None:
        self.argv, self.noninteractive = list(argv or ()), noninteractive
        self.launch_configurations: dict[str, str] = {}
        self.environment = os.environ
        self.locals = SimpleNamespace(current_launch_file_path=None)
        self.is_shutdown = False
        self._scopes: list[tuple[dict[str, str], dict[str, str]]] = []
        self._handlers: list[EventHandler] = []
        self._service: LaunchService | None = None

    @property
    def service(self) -> LaunchService:
        """The service that runs the launch (private to pocketros)."""
        if self._service is None:
            raise LaunchError("this needs a running LaunchService")
        return self._service

    def perform_substitution(self, sub: Substitution) -> str:
        return sub.perform(self)

    def emit_event_sync(self, event: Event) -> None:
        """Queue an event."""
        self.service.emit_event(event)

    def would_handle_event(self, event: Event) -> bool:
        return any(handler.matches(event) for handler in self._handlers)

    def register_event_handler(self, event_handler: EventHandler, append: bool = False) -> None:
        """Handle events; handlers registered last come first."""
        self._handlers.insert(len(self._handlers) if append else 0, event_handler)

    def unregister_event_handler(self, event_handler: EventHandler) -> None:
        self._handlers = [one for one in self._handlers if one is not event_handler]

    def push_scope(self) -> None:
        """Keep configurations and environment for `pop_scope`."""
        self._scopes.append((dict(self.launch_configurations), dict(self.environment)))

    def pop_scope(self) -> None:
        self.launch_configurations, environment = self._scopes.pop()
        self.environment.clear()
        self.environment.update(environment)
