"""What a task is: a goal in words, a layout of the table, a test of success and a scripted expert."""

from __future__ import annotations

import hashlib
import itertools
import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar, NamedTuple, Protocol
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.simulation.errors import SimulationError
from mini_diffuser_ros.simulation.templates import Templates, fill, normalise, pattern, read_own_templates

Array = NDArray[np.float64]
Slots = Mapping[str, str]


@dataclass(frozen=True)
class Goal:
    """What has to be done.

    Attributes:
        task: name of the task.
        slots: what the sentence names: ``color``; ``top`` and ``bottom``; ``item``.
        sentences: the instruction in words, several times.
        variation: number of this combination of slots within the task.
    """

    task: str
    slots: Slots
    sentences: tuple[str, ...]
    variation: int


@dataclass(frozen=True, eq=False)
class Waypoint:
    """Where the expert brings the tool centre point, (7,) xyz + xyzw, and how the gripper stands afterwards."""

    pose: Array
    gripper_open: bool


class Scene(Protocol):
    """The state of the table that tasks may look at."""

    def free_bodies(self) -> tuple[str, ...]:
        """Names of the objects that can be moved."""
        ...

    def body_pose(self, name: str) -> Array:
        """(4, 4) ``base_from_body``."""
        ...

    def body_speed(self, name: str) -> float:
        """Speed of a free body's centre, m/s."""
        ...

    def object_joints(self) -> tuple[str, ...]:
        """Names of the joints with which objects are fixed to the table: of caps, doors, drawers."""
        ...

    def joint_range(self, name: str) -> tuple[float, float]:
        """Lowest and highest position of an object's joint since the goal was set, metres or radians."""
        ...

    def gripper_width(self) -> float:
        """Metres between the finger pads."""
        ...

    def tcp_pose(self) -> Array:
        """(7,) pose of the tool centre point."""
        ...


class Match(NamedTuple):
    """How a task reads a sentence; of two readings the larger is the better one.

    Attributes:
        known: whether it is one of the task's own sentences.
        words: how many words of the sentence mean something to the task.
        slots: what it names.
    """

    known: bool
    words: int
    slots: Slots


class Task(ABC):
    """One kind of thing to do on the table.

    A task is one file in ``simulation/tasks`` with a class derived from this one; its sentences lie beside it in
    ``<name>.yaml``, which has the fields of :class:`Templates`.

    Attributes:
        name: on command lines, in records and reports.
        slots: what may stand in each slot of its sentences; two slots of a sentence never hold the same.
        cues: regular expression of the words that speak of this task, for sentences that are none of its own.
    """

    name: ClassVar[str]
    slots: ClassVar[Mapping[str, tuple[str, ...]]]
    cues: ClassVar[str]

    # Words

    @cached_property
    def templates(self) -> Templates:
        """Its sentences.

        Raises:
            SettingsError: naming the file and the field that is missing or wrong.
        """
        return read_own_templates(self._file().with_name(f"{self.name}.yaml"), tuple(self.slots))

    @cached_property
    def variations(self) -> tuple[Slots, ...]:
        """Every combination of slots, in a fixed order."""
        combinations = itertools.product(*self.slots.values())
        return tuple(dict(zip(self.slots, values, strict=True)) for values in combinations if _distinct(values))

    def goal(self, slots: Slots) -> Goal:
        """The goal of a combination of slots, with all its training sentences.

        Raises:
            SimulationError: if the slots are not one of the variations.
        """
        if dict(slots) not in self.variations:
            raise SimulationError(f"task '{self.name}' has no variation {dict(slots)}; e.g. {self.variations[0]}")
        sentences = tuple(fill(template, slots) for template in self.templates.training)
        return Goal(self.name, dict(slots), sentences, self.variations.index(dict(slots)))

    def match(self, sentence: str) -> Match | None:
        """How the task reads a sentence, None if it asks for nothing of this kind.

        Its own sentences are recognised whatever their case, spacing and punctuation; others by what they name.
        """
        words = normalise(sentence)
        for own in self._patterns:
            found = own.fullmatch(words)
            if found and _distinct(found.groups()):
                return Match(True, len(words.split()), found.groupdict())
        slots = self.read(words)
        return None if slots is None else Match(False, self._meaningful_words(words), slots)

    @abstractmethod
    def read(self, words: str) -> Slots | None:
        """What a sentence in words of the speaker's own asks for, None if it is nothing of this kind.

        Args:
            words: lower case, single spaces, no punctuation.
        """

    # The table

    def generator(self, seed: int, purpose: str) -> np.random.Generator:
        """The source of randomness for one purpose, e.g. ``layout``. Which other tasks there are has no influence."""
        digest = hashlib.sha256(f"{self.name}/{purpose}".encode()).digest()
        return np.random.default_rng([seed, *np.frombuffer(digest, "<u4").tolist()])

    def draw_slots(self, rng: np.random.Generator) -> Slots:
        """A random goal."""
        return self.variations[rng.integers(len(self.variations))]

    @abstractmethod
    def layout(self, rng: np.random.Generator, slots: Slots) -> list[ElementTree.Element]:
        """Bodies on the table: what the goal names and distractors."""

    @abstractmethod
    def required_bodies(self, slots: Slots) -> tuple[str, ...]:
        """Bodies without which the goal makes no sense."""

    @abstractmethod
    def succeeded(self, scene: Scene, slots: Slots) -> bool:
        """Whether the goal is reached."""

    @abstractmethod
    def expert(self, scene: Scene, slots: Slots) -> list[Waypoint]:
        """Waypoints that reach the goal from anywhere above the table; the last one ends the task."""

    @abstractmethod
    def mishap(self, scene: Scene, slots: Slots, rng: np.random.Generator) -> list[Waypoint]:
        """Waypoints of an attempt that fails and leaves the objects where they are."""

    @cached_property
    def _patterns(self) -> tuple[re.Pattern[str], ...]:
        """Of every template, the wordiest first so that a bare "{color}" swallows nothing."""
        templates = sorted((*self.templates.training, *self.templates.held_out), key=len, reverse=True)
        return tuple(pattern(template, self.slots) for template in templates)

    def _meaningful_words(self, words: str) -> int:
        values = "|".join(value for values in self.slots.values() for value in values)
        return sum(len(match.group().split()) for match in re.finditer(rf"\b(?:{values}|{self.cues})\b", words))

    @classmethod
    def _file(cls) -> Path:
        # Of the class that gives the name: one derived from it, with other things on the table, has its sentences.
        named = next(one for one in cls.__mro__ if "name" in vars(one))
        return Path(str(sys.modules[named.__module__].__file__))


def _distinct(values: tuple[str, ...]) -> bool:
    return len(set(values)) == len(values)
