"""What a LIBERO task asks for: its BDDL file, read into facts, and the steps that bring the wanted facts about."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from mini_diffuser_ros.support.errors import UserError

_TOKEN = re.compile(r"[()]|[^\s()]+")
_DEEPEST = 20
Tree = list["Tree | str"]


class GoalError(UserError, ValueError):
    """A BDDL text cannot be read, or asks for what no step brings about."""


@dataclass(frozen=True)
class Fact:
    """Something that holds or shall hold.

    Attributes:
        predicate: in lower case: ``on``, ``in``, ``open``, ``close``, ``turnon``, ``turnoff``, ...
        arguments: names of objects, fixtures and regions, e.g. ``akita_black_bowl_1``, ``basket_1_contain_region``.
    """

    predicate: str
    arguments: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join((self.predicate, *self.arguments))


@dataclass(frozen=True)
class BddlTask:
    """A task as its BDDL file says it.

    Attributes:
        sentence: the instruction.
        objects: name of each movable thing to its category, e.g. ``akita_black_bowl_1`` to ``akita_black_bowl``.
        fixtures: likewise of what stands where it is: tables, cabinets, stoves.
        regions: name of each region, that of its owner in front, to the owner.
        initial: what holds at the start.
        goal: what shall hold at the end, all of it.
    """

    sentence: str
    objects: Mapping[str, str]
    fixtures: Mapping[str, str]
    regions: Mapping[str, str]
    initial: tuple[Fact, ...]
    goal: tuple[Fact, ...]

    def owner(self, name: str) -> str:
        """The object or fixture that a region is of; itself for an object or fixture.

        Raises:
            GoalError: if there is nothing of this name.
        """
        if name in self.objects or name in self.fixtures:
            return name
        if name in self.regions:
            return self.regions[name]
        raise GoalError(f"the task {self.sentence!r} speaks of {name!r}, which is none of its objects or regions")

    def category(self, name: str) -> str:
        """What kind of thing an object, a fixture, or the owner of a region is.

        Raises:
            GoalError: if there is nothing of this name.
        """
        owner = self.owner(name)
        return self.objects[owner] if owner in self.objects else self.fixtures[owner]


class Verb(Enum):
    """Kinds of steps."""

    TURN_ON = "turn on"
    TURN_OFF = "turn off"
    OPEN = "open"
    PUT = "put"
    CLOSE = "close"


@dataclass(frozen=True)
class GoalStep:
    """One thing to do.

    Attributes:
        verb: what.
        thing: the object, or the fixture or region that is opened, closed, or turned on.
        place: where the object goes: an object or a region; empty with other verbs.
        inside: whether it goes into the place rather than onto it.
    """

    verb: Verb
    thing: str
    place: str = ""
    inside: bool = False

    def __str__(self) -> str:
        where = f" {'in' if self.inside else 'on'} {self.place}" if self.place else ""
        return f"{self.verb.value} {self.thing}{where}"

    @property
    def fact(self) -> Fact:
        """What holds once the step is done."""
        if self.verb is Verb.PUT:
            return Fact("in" if self.inside else "on", (self.thing, self.place))
        return Fact(self.verb.value.replace(" ", ""), (self.thing,))


def read_bddl(text: str) -> BddlTask:
    """The task of a BDDL text.

    Raises:
        GoalError: naming what is missing or wrong.
    """
    definition = _tree(text)
    sections: dict[str, Tree] = {}
    for part in definition:
        if isinstance(part, list) and part and isinstance(part[0], str):
            sections[part[0].lower()] = part[1:]
    missing = [name for name in (":language", ":objects", ":init", ":goal") if name not in sections]
    if missing:
        raise GoalError(f"the BDDL text has no ({missing[0]} ...); is it a task of LIBERO?")
    return BddlTask(
        sentence=" ".join(word for word in sections[":language"] if isinstance(word, str)),
        objects=_declared(sections[":objects"]),
        fixtures=_declared(sections.get(":fixtures", [])),
        regions=dict(_regions(sections.get(":regions", []))),
        initial=tuple(_facts(sections[":init"])),
        goal=tuple(_facts(sections[":goal"])),
    )


def steps_of(task: BddlTask, openable: Collection[str] = ()) -> tuple[GoalStep, ...]:
    """What to do, in an order that works: switches, then what has to be open, what is put, and what has to be closed.

    Args:
        task: whose goal is wanted.
        openable: categories of fixtures with an inside that something can be put into only while it is open; what the
            goal puts there without saying so is opened first, unless it is open at the start.

    Raises:
        GoalError: if the goal has a fact that no step brings about.
    """
    steps = [_step(fact) for fact in task.goal]
    for step in tuple(steps):
        if step.inside and task.category(step.place) in openable:
            already = {Fact("open", (name,)) for name in (step.place, task.owner(step.place))}
            opening = GoalStep(Verb.OPEN, step.place)
            if not already & {*task.initial, *task.goal} and opening not in steps:
                steps.append(opening)
    return tuple(sorted(steps, key=lambda step: list(Verb).index(step.verb)))


def _step(fact: Fact) -> GoalStep:
    match fact.predicate, fact.arguments:
        case ("in" | "on", (thing, place)):
            return GoalStep(Verb.PUT, thing, place, fact.predicate == "in")
        case (("open" | "close" | "turnon" | "turnoff") as predicate, (thing,)):
            verb = next(verb for verb in Verb if verb.value.replace(" ", "") == predicate)
            return GoalStep(verb, thing)
    known = "in, on, open, close, turnon, turnoff"
    raise GoalError(f"the goal asks for ({fact}), which no step brings about; known: {known}")


def _tree(text: str) -> Tree:
    """Nested lists of the words of a text in parentheses."""
    lines = (line.partition(";")[0] for line in text.splitlines())
    open_lists: list[Tree] = [[]]
    for token in _TOKEN.findall("\n".join(lines)):
        if token == "(":
            open_lists.append([])
            if len(open_lists) > _DEEPEST:
                raise GoalError(f"the BDDL text is nested deeper than {_DEEPEST} parentheses")
        elif token == ")":
            closed = open_lists.pop()
            if not open_lists:
                raise GoalError("the BDDL text closes a parenthesis that it never opened")
            open_lists[-1].append(closed)
        else:
            open_lists[-1].append(token)
    if len(open_lists) != 1:
        raise GoalError(f"the BDDL text ends with {len(open_lists) - 1} parentheses open")
    definitions = [part for part in open_lists[0] if isinstance(part, list)]
    if len(definitions) != 1 or definitions[0][:1] != ["define"]:
        raise GoalError("the BDDL text is not one (define ...)")
    return definitions[0]


def _declared(section: Tree) -> dict[str, str]:
    """``a b - kind c - other`` as names to kinds."""
    kinds: dict[str, str] = {}
    waiting: list[str] = []
    words = iter([word for word in section if isinstance(word, str)])
    for word in words:
        if word != "-":
            waiting.append(word)
            continue
        kind = next(words, None)
        if kind is None:
            break
        kinds.update(dict.fromkeys(waiting, kind))
        waiting = []
    if waiting:
        raise GoalError(f"the BDDL text declares {waiting[0]!r} without saying what it is")
    return kinds


def _regions(section: Tree) -> Iterator[tuple[str, str]]:
    for region in section:
        match region:
            case [str(name), *parts]:
                targets = [part[1] for part in parts if isinstance(part, list) and part[:1] == [":target"]]
                if len(targets) == 1 and isinstance(targets[0], str):
                    yield f"{targets[0]}_{name}", targets[0]
                    continue
        raise GoalError(f"the BDDL text has a region without a name and one target: {region!r:.60}")


def _facts(section: Tree) -> Iterator[Fact]:
    """The facts of a section, conjunctions taken apart."""
    for part in section:
        match part:
            case [str(word), *parts] if word.lower() == "and":
                yield from _facts(parts)
            case [str(word), *arguments] if all(isinstance(argument, str) for argument in arguments):
                yield Fact(word.lower(), tuple(map(str, arguments)))
            case _:
                raise GoalError(f"the BDDL text has {part!r:.60} where a fact such as (On a b) is expected")
