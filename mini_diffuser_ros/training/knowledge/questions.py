"""Questions whether what a sentence names is in a scene, with answers that nobody has to give.

Scenes without it are made of demonstrations: what one acts on is cut out of its cloud, or its scene is asked with the
sentence of another one that acts on something that looks like nothing here. So that a gap in a scene tells nothing,
other things are cut out as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.policy.knowledge.presence import ROLES
from mini_diffuser_ros.records import Cloud
from mini_diffuser_ros.training.demonstrations import Demonstration
from mini_diffuser_ros.training.knowledge.things import Places, Thing, likeness, places_of, thing_at, things_of

T = TypeVar("T")

KINDS = ("own", "other cut", "named cut", "sentence", "foreign sentence")
"""How a question is made; the last two of a sentence of the same task and of another one."""

TURNS = ("own", "sentence", "other cut", "named cut", "own", "sentence", "named cut", "foreign sentence")
"""How questions are made, in turn: other sentences of the same task are the hardest."""

UNSURE = -1
"""For what looks like what is named, and may be it."""

DROPOUT, GAIN = 0.15, 0.1  # of points and of colours, at most
_CUT = 0.6  # how likely each of two named things is cut out
_TRIES = 10

Pair = tuple[Thing, Thing]


@dataclass(frozen=True, eq=False)
class Question:
    """A scene with a sentence.

    Attributes:
        kind: how it was made.
        cloud: of the scene.
        sentence: that is asked.
        paraphrases: of it, itself among them.
        named: (N, ROLES) int8, which points of the cloud belong to what the sentence names: 1, 0 or UNSURE.
        present: (ROLES,) int8, whether that is there at all.
    """

    kind: str
    cloud: Cloud
    sentence: str
    paraphrases: tuple[str, ...]
    named: NDArray[np.int8]
    present: NDArray[np.int8]


class Questions:
    """Makes questions of demonstrations.

    Args:
        demonstrations: those that act on nothing that their clouds show are left out.
    """

    def __init__(self, demonstrations: Sequence[Demonstration]) -> None:
        self._demonstrations: list[tuple[Demonstration, Places]] = []
        self._acted_on: list[Pair] = []
        self._seen: dict[tuple[int, int], tuple[list[Thing], Pair | None]] = {}
        for demonstration in demonstrations:
            places = places_of(demonstration)
            if acted_on := _at(demonstration.clouds[0], things_of(demonstration.clouds[0]), places):
                self._demonstrations.append((demonstration, places))
                self._acted_on.append(acted_on)

    def __len__(self) -> int:
        """Demonstrations that are left."""
        return len(self._acted_on)

    def ask(self, number: int, kind: str, random: np.random.Generator) -> Question | None:
        """A question on the scene of a demonstration; None where none of this kind can be made of it."""
        demonstration, places = self._demonstrations[number]
        frame = int(random.integers(places.untouched))
        cloud, (things, named) = demonstration.clouds[frame], self._look(number, frame)
        if kind in ("sentence", "foreign sentence"):
            lender = self._lender(number, kind, random)
            if lender is None:
                return None
            sentences = self._demonstrations[lender][0].sentences
            return _question(kind, cloud, things, sentences, self._acted_on[lender], (False, False), None, random)
        if named is None:
            return None
        there, gone = (True, True), None
        if kind == "other cut":
            taken = named[0].members | named[1].members
            others = [thing for thing in things if not (thing.members & taken).any()]
            if not others:
                return None
            gone = _one_of(others, random).members
        elif kind == "named cut":
            there = _left(named, random)
            gone = np.any([thing.members for thing, left in zip(named, there, strict=True) if not left], axis=0)
        return _question(kind, cloud, things, demonstration.sentences, named, there, gone, random)

    def _look(self, number: int, frame: int) -> tuple[list[Thing], Pair | None]:
        """The things that a frame shows, and those of them that the demonstration acts on."""
        if (number, frame) not in self._seen:
            demonstration, places = self._demonstrations[number]
            cloud = demonstration.clouds[frame]
            things = things_of(cloud)
            self._seen[number, frame] = things, _at(cloud, things, places)
        return self._seen[number, frame]

    def _lender(self, number: int, kind: str, random: np.random.Generator) -> int | None:
        """Another demonstration, of the same task or of another one; None if there is hardly any."""
        task = self._demonstrations[number][0].task
        for _ in range(_TRIES):
            other = int(random.integers(len(self)))
            same_task = self._demonstrations[other][0].task == task
            if other != number and same_task == (kind == "sentence"):
                return other
        return None


def _at(cloud: Cloud, things: Sequence[Thing], places: Places) -> Pair | None:
    """What lies where a demonstration acts first and last, a free place not counting; None where nothing does."""
    first, last = (thing_at(cloud, things, place) for place in (places.first, places.last))
    return None if first is None else (first, first if last is None else last)


def _left(named: Pair, random: np.random.Generator) -> tuple[bool, bool]:
    """Which of two things are left, at most one of them; neither where they are one."""
    first, last = (bool(random.random() >= _CUT) for _ in named)
    if first == last or (named[0].members & named[1].members).any():
        return False, False
    return first, last


def _question(
    kind: str,
    cloud: Cloud,
    things: Sequence[Thing],
    sentences: tuple[str, ...],
    looks: Pair,
    there: tuple[bool, bool],
    gone: NDArray[np.bool_] | None,
    random: np.random.Generator,
) -> Question:
    """Whether what looks so is there.

    Args:
        kind: of the question.
        cloud: of the scene.
        things: in it.
        sentences: that name it; one is asked.
        looks: of what it names.
        there: which of them are those things themselves, and stay.
        gone: (N,) points that are cut out.
        random: chooses the sentence, drops points and changes colours a little.
    """
    kept = np.ones(len(cloud), bool) if gone is None else ~gone
    named, present = np.zeros((len(cloud), ROLES), np.int8), np.zeros(ROLES, np.int8)
    left = [thing for thing in things if kept[thing.members].any()]
    for role, (look, stays) in enumerate(zip(looks, there, strict=True)):
        for thing in left:
            if likeness(look, thing) != "different":
                named[thing.members, role] = present[role] = UNSURE
        if stays:
            named[look.members, role] = present[role] = 1
    kept &= random.random(len(cloud)) > random.uniform(0.0, DROPOUT)
    gains = 1.0 + random.uniform(-GAIN, GAIN, 3)
    colors = np.clip(cloud.colors[kept] * gains, 0, 255).astype(np.uint8)
    seen = replace(cloud, points=cloud.points[kept], colors=colors)
    return Question(kind, seen, _one_of(sentences, random), sentences, named[kept], present)


def _one_of(several: Sequence[T], random: np.random.Generator) -> T:
    return several[int(random.integers(len(several)))]
