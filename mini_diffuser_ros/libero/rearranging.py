"""Other arrangements of a task's things, in which its sentence is as true as it was."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mini_diffuser_ros.libero.errors import PlacementError

Predicate = tuple[str, ...]
"""What a BDDL file says of the world: a relation and the things between which it holds, e.g. ``on, plate_1, table``."""

AS_NAMED = ("libero_spatial", "libero_object")
"""Suites in whose sentences no place is said but that of the thing that is meant; others speak of left and right."""

_DRAWS = 200
_SPACING = 0.10
"""Metres between the middles of regions that things stand in; a bowl is 11 cm wide."""
_CLEARER = 0.04
"""Metres by which another thing of the same kind is farther from what the sentence names than the one that is meant."""
_OWN_PLACES = 0.5
"""Share of arrangements in which things take one another's places alone, and no region that was empty."""
_FIXTURES_MOVE = 0.3


@dataclass(frozen=True, kw_only=True)
class Arrangement:
    """Where the things of a task are put.

    Attributes:
        initial: facts of the start.
        goal: facts that are to hold at the end.
        movable: names of things.
        fixtures: names of what is placed as they are, but does not move: cabinets, stoves.
        owners: each region to what it belongs to: a table, or one of the things or fixtures.
        middles: (x, y) metres of those regions that belong to a table.
    """

    initial: tuple[Predicate, ...]
    goal: tuple[Predicate, ...]
    movable: tuple[str, ...]
    fixtures: tuple[str, ...]
    owners: Mapping[str, str]
    middles: Mapping[str, tuple[float, float]]


def rearranged(task: Arrangement, random: np.random.Generator) -> tuple[Predicate, ...]:
    """Facts of a start in which what the sentence does not speak of is elsewhere.

    What the goal moves stays where it was, and so does what that place is named after: a bowl on the ramekin with the
    ramekin, a bowl in ``next_to_box_region`` with what stands in ``box_region``. The rest takes one another's places,
    or regions of the table that nothing was in; a fixture may change places with a thing. No other thing of
    the same kind comes to be on the same thing as that which is meant, or as near to what its place is named after.

    Args:
        task: as its file has it.
        random: source of all draws.

    Raises:
        PlacementError: if none was found.
    """
    meant = {fact[1] for fact in task.goal if len(fact) > 2 and fact[1] in task.movable}
    places = _places(task.initial)
    anchors = {thing: _anchors(thing, task) for thing in meant}
    bound = meant.union(*anchors.values())
    loose = [thing for thing in task.movable if thing not in bound and places.get(thing, ("", ""))[0] == "on"]
    fixtures = [name for name in task.fixtures if name not in bound and name in places]
    for _ in range(_DRAWS):
        drawn = _drawn(task, places, loose, fixtures, random)
        if _fits(task, drawn) and all(_singled_out(thing, anchors[thing], task, places, drawn) for thing in meant):
            return tuple(
                (fact[0], fact[1], drawn[fact[1]][1]) if len(fact) > 2 and fact[1] in drawn else fact
                for fact in task.initial
            )
    names = ", ".join(sorted(meant))
    raise PlacementError(f"{_DRAWS} arrangements drawn, and in none is it clear which {names} is meant")


_Places = Mapping[str, tuple[str, str]]
"""Of each thing the relation and the place that its fact says."""


def _places(facts: Sequence[Predicate]) -> dict[str, tuple[str, str]]:
    return {fact[1]: (fact[0], fact[2]) for fact in facts if len(fact) == 3}


def _drawn(
    task: Arrangement, places: _Places, loose: list[str], fixtures: list[str], random: np.random.Generator
) -> dict[str, tuple[str, str]]:
    drawn = dict(places)
    spots = [places[thing][1] for thing in loose]
    if random.random() >= _OWN_PLACES:
        spots += [region for region in task.middles if region not in {place for _, place in places.values()}]
    for thing, spot in zip(loose, random.permutation(spots)[: len(loose)], strict=True):
        drawn[thing] = ("on", str(spot))
    if fixtures and random.random() < _FIXTURES_MOVE:
        fixture = fixtures[random.integers(len(fixtures))]
        others = [thing for thing in loose if drawn[thing][1] in task.middles]
        if others:
            other = others[random.integers(len(others))]
            drawn[fixture], drawn[other] = drawn[other], drawn[fixture]
    return drawn


def _fits(task: Arrangement, places: _Places) -> bool:
    """Whether nothing stands on itself, and things on the table have room beside one another."""
    if any(task.owners.get(place, place) == thing for thing, (_, place) in places.items()):
        return False
    taken = [place for thing, (_, place) in places.items() if thing in task.movable and place in task.middles]
    middles = [task.middles[place] for place in taken]
    return all(math.dist(one, other) >= _SPACING for i, one in enumerate(middles) for other in middles[:i])


def _singled_out(thing: str, anchors: Sequence[str], task: Arrangement, before: _Places, now: _Places) -> bool:
    """Whether the sentence is true of this thing more than of others of its kind."""
    place = now[thing][1]
    owner = task.owners.get(place, place)
    for other in task.movable:
        if other == thing or _kind(other) != _kind(thing) or now[other] == before[other]:
            continue
        if place in task.middles:
            mine, theirs = (_far(one, anchors, task, now) for one in (thing, other))
            if anchors and theirs < mine + _CLEARER:
                return False
        elif task.owners.get(now[other][1], now[other][1]) == owner:
            return False
    return True


def _anchors(thing: str, task: Arrangement) -> tuple[str, ...]:
    """What the place of a thing is named after: what it is on, or what stands in the regions that its own one names."""
    places = _places(task.initial)
    place = places[thing][1]
    if place not in task.middles:
        return (task.owners.get(place, place),)
    words = _stem(place, task).split("_")
    return tuple(
        other
        for other, (_, region) in places.items()
        if other != thing and region in task.middles and _stem(region, task) in words
    )


def _stem(region: str, task: Arrangement) -> str:
    return region.removeprefix(f"{task.owners[region]}_").removesuffix("_region")


def _far(thing: str, anchors: Sequence[str], task: Arrangement, places: _Places) -> float:
    """Metres from a thing to all that it is named after, together."""
    here = _middle(thing, task, places)
    return sum(math.dist(here, _middle(anchor, task, places)) for anchor in anchors)


def _middle(thing: str, task: Arrangement, places: _Places) -> tuple[float, float]:
    """(x, y) metres of where a thing, or what it stands on, is on the table."""
    place = places[thing][1]
    return task.middles[place] if place in task.middles else _middle(task.owners.get(place, place), task, places)


def _kind(thing: str) -> str:
    return re.sub(r"_\d+$", "", thing)
