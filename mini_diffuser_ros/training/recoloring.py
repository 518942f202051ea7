"""Demonstrations with their colours exchanged: what is red is seen blue and called blue, and the other way round.

A policy knows of a colour's name only what demonstrations show of it, and ten of them show few. But red and blue things
are handled alike: with colours exchanged in every cloud and in every sentence, a demonstration is as good as it was,
and another one. Colours that none has are exchanged for those that it has, so that their names are learned as well.
What is grey, brown or beige stays, and what nobody calls by a colour; so do a black or white hand and what it holds up
behind its fingers, a colour that much of the table has, and one that is said but not seen.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice, permutations
from math import ceil
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.records import Cloud
from mini_diffuser_ros.training.demonstrations import Demonstration
from mini_diffuser_ros.training.hand import is_hand

log = logging.getLogger(__name__)

VERSION: Final = 2
"""Of how versions are made: a training does not go on with others than it began with."""

Exchange = Mapping[str, str]
"""Names of colours, each with the one that takes its place."""

NAMED: Final = MappingProxyType(
    {
        "red": (229, 0, 0),
        "orange": (249, 115, 6),
        "yellow": (255, 255, 20),
        "green": (21, 176, 26),
        "cyan": (0, 255, 255),
        "blue": (3, 67, 223),
        "purple": (126, 30, 156),
        "pink": (255, 129, 192),
        "white": (255, 255, 255),
        "black": (25, 25, 25),
    }
)
"""What people call by a name, RGB: the medians of the XKCD colour survey (2010), and black as cameras see it."""

_SATURATED: Final = 0.35
"""Saturation from which a point has a hue: table, robot and clay have less."""

_DARK: Final = 0.16
"""Value (of hue, saturation, value) under which a point is black, or the shaded side of a thing of any colour."""

_COLOURLESS: Final = 0.06
"""Difference of the brightest and the darkest channel, of 1, up to which a dark point is black."""

_BROWN: Final = 0.42
"""Value under which what has the hue of orange is brown."""

_WHITE: Final = (0.15, 0.65)
"""Saturation up to which and value from which a point is white."""

_SHADES: Final = (0.45, 1.1)
"""Lightness of an exchanged point against its new colour's, at least and at most."""

_SEEN: Final = 20
"""Points of a cloud from which on a colour is seen there."""

_CELL: Final = 0.02
"""Metres, edge of the cells in which it is counted, from above, how far a colour reaches."""

_REACH: Final = 0.1
"""Square metres from which on a colour is that of what things stand on, and stays."""

_WORDS: Final = re.compile(rf"\b({'|'.join(NAMED)})\b", re.IGNORECASE)


_PARAPHRASES: Final = 64
"""Sentences that a version keeps, at most, as each has to be encoded; of 16 it is learned by heart what they mean."""

_MANY: Final = 1000
"""Ways to exchange the named colours that are compared, at most: three colours have 720."""


def recolored_versions(
    demonstrations: Sequence[Demonstration], wanted: int, seed: int
) -> dict[str, list[Demonstration]]:
    """Versions of the demonstrations by their sources, with which each task comes to at least ``wanted``.

    Args:
        demonstrations: any.
        wanted: of each task; of one that has as many there are no versions.
        seed: of the draws, which differ from one demonstration to the next.
    """
    there = Counter(demonstration.task for demonstration in demonstrations)
    few = [each for each in demonstrations if there[each.task] < wanted]
    colours = {each.source: _Colours.of(each) for each in few}
    said: dict[str, Counter[tuple[str, ...]]] = {each.task: Counter() for each in few}
    for each in few:
        said[each.task][colours[each.source].mentioned] += 1
    versions: dict[str, list[Demonstration]] = {each.source: [] for each in demonstrations}
    for number, each in enumerate(demonstrations):
        if each.source in colours:
            count, random = ceil(wanted / there[each.task]) - 1, np.random.default_rng([seed, number])
            versions[each.source] = _versions(each, colours[each.source], count, said[each.task], random)
    unseen = Counter((each.task, name) for each in few for name in colours[each.source].left_alone)
    for (task, name), count in sorted(unseen.items()):
        log.info("%s: %d demonstrations say %r, which is not seen in them or is too large; it stays", task, count, name)
    return versions


def recolored(demonstration: Demonstration, count: int, random: np.random.Generator) -> list[Demonstration]:
    """At least ``count`` versions with other colours, which say what has been said least, and that the other way round.

    Drawn blindly, two colours come in one order alone often enough for it to be learned by heart: that of red and blue
    it is red that is lifted, whatever is said. What names no colour is repeated as it is: all stay as many.

    Args:
        demonstration: any.
        count: of versions; one or two more where the colours named have not all had each other's places.
        random: source of all draws.
    """
    colours = _Colours.of(demonstration)
    return _versions(demonstration, colours, count, Counter([colours.mentioned]), random)


@dataclass(frozen=True, eq=False)
class _Colours:
    """What is said and seen of colours in a demonstration.

    Attributes:
        mentioned: see :func:`mentioned`.
        classes: of the points of each cloud, see :func:`_classes`.
        names: of those that may be exchanged.
    """

    mentioned: tuple[str, ...]
    classes: tuple[NDArray[np.intp], ...]
    names: tuple[str, ...]

    @classmethod
    def of(cls, demonstration: Demonstration) -> _Colours:
        """Those of a demonstration."""
        seen = zip(demonstration.clouds, demonstration.poses, demonstration.gripper_open, strict=True)
        classes = tuple(_classes(*each) for each in seen)
        return cls(mentioned(demonstration), classes, tuple(_exchangeable(demonstration, classes)))

    @property
    def left_alone(self) -> list[str]:
        """The colours that are mentioned and may not be exchanged."""
        return [name for name in self.mentioned if name not in self.names]


def _versions(
    demonstration: Demonstration,
    colours: _Colours,
    count: int,
    said: Counter[tuple[str, ...]],
    random: np.random.Generator,
) -> list[Demonstration]:
    """See :func:`recolored`; ``said`` tells how often colours were mentioned before, and counts the versions."""
    named = [word for word in colours.mentioned if word in colours.names]
    if not named or not count:
        return [demonstration] * count
    turns = _turns({name: name for name in named}, named)[1:]
    exchanges = _exchanges(colours.mentioned, named, colours.names, said, random)
    sets = ceil((count - len(turns)) / len(named))
    return [
        _version(demonstration, colours.classes, exchange, number, random)
        for number, exchange in enumerate([*turns, *islice(exchanges, sets * len(named))], 1)
    ]


def mentioned(demonstration: Demonstration) -> tuple[str, ...]:
    """The colours that a demonstration's sentences name, as that one mentions them which names most."""

    def by_most(sentence: str) -> tuple[int, str]:
        return -len(_named(sentence)), _WORDS.sub("", sentence).lower()

    return _named(min(demonstration.sentences, key=by_most))


def _named(sentence: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word.lower() for word in _WORDS.findall(sentence)))


def _exchangeable(demonstration: Demonstration, classes: Sequence[NDArray[np.intp]]) -> list[str]:
    """The colours that may be exchanged: none that much of the table has, and none that is said and not seen."""
    words = {word for sentence in demonstration.sentences for word in _named(sentence)}
    clouds = [cloud.points for cloud in demonstration.clouds]
    found = []
    for index, name in enumerate(NAMED):
        mine = [points[of_point == index] for points, of_point in zip(clouds, classes, strict=True)]
        is_seen = max(map(len, mine)) >= _SEEN
        if (is_seen or name not in words) and max(map(_reach, mine)) < _REACH:
            found.append(name)
    return found


def _reach(points: NDArray[np.floating]) -> float:
    """Square metres that points (N, 3) cover, seen from above."""
    return len(np.unique(np.floor(points[:, :2] / _CELL), axis=0)) * _CELL**2


def _exchanges(
    words: Sequence[str],
    named: Sequence[str],
    names: Sequence[str],
    said: Counter[tuple[str, ...]],
    random: np.random.Generator,
) -> Iterator[Exchange]:
    """Exchanges without end, those of the same colours after one another; what has been said least comes next."""
    ways = list(islice(permutations(names, len(named)), _MANY)) if len(named) <= 3 else []
    while True:
        drawn = ways or [tuple(random.permutation(list(names))[: len(named)].tolist()) for _ in range(_MANY)]
        found = [_turns(_exchange(named, drawn[index]), named) for index in random.permutation(len(drawn))]
        said_by = [[tuple(each.get(word, word) for word in words) for each in turns] for turns in found]
        least = min(range(len(found)), key=lambda index: sum(said[goal] for goal in said_by[index]))
        said.update(said_by[least])
        yield from found[least]


def _exchange(named: Sequence[str], taken: Sequence[str]) -> Exchange:
    """Each named colour with the one that it takes, and those that give way with what is then free."""
    giving_way = [name for name in taken if name not in named]
    free = [name for name in named if name not in taken]
    return dict(zip([*named, *giving_way], [*taken, *free], strict=True))


def _turns(exchange: Exchange, named: Sequence[str]) -> list[Exchange]:
    """It, and with the same colours where each named one has another's place: red on blue, after blue on red."""
    taken = [exchange[name] for name in named]
    return [{**exchange, **dict(zip(named, [*taken[turn:], *taken[:turn]], strict=True))} for turn in range(len(named))]


def _version(
    demonstration: Demonstration,
    classes: Sequence[NDArray[np.intp]],
    exchange: Exchange,
    number: int,
    random: np.random.Generator,
) -> Demonstration:
    kept = random.permutation(len(demonstration.sentences))[:_PARAPHRASES]
    seen = zip(demonstration.clouds, classes, strict=True)
    return replace(
        demonstration,
        sentences=tuple(_renamed(demonstration.sentences[index], exchange) for index in sorted(kept)),
        source=f"{demonstration.source}, recoloured {number}",
        clouds=tuple(_repainted(cloud, of_point, exchange) for cloud, of_point in seen),
    )


def _renamed(sentence: str, exchange: Exchange) -> str:
    """A sentence with other names of colours, in capitals where they were."""

    def other(match: re.Match[str]) -> str:
        word = match[0]
        name = exchange.get(word.lower(), word)
        return name.upper() if word.isupper() else name.capitalize() if word[0].isupper() else name

    return _WORDS.sub(other, sentence)


def _classes(cloud: Cloud, pose: NDArray[np.float64], is_open: bool) -> NDArray[np.intp]:
    """Index into ``NAMED`` of each point (N,): the colour of the nearest hue, white, black, or -1 for what stays."""
    names = list(NAMED)
    hue, saturation, value = _hsv(cloud.colors).T
    centres = _hsv(np.array([NAMED[name] for name in names]))
    apart = np.abs((hue[:, None] - centres[None, :, 0] + 0.5) % 1.0 - 0.5)
    apart[:, [names.index("white"), names.index("black")]] = np.inf  # which have no hue
    nearest: NDArray[np.intp] = apart.argmin(axis=1)
    nearest[saturation < _SATURATED] = -1
    nearest[(nearest == names.index("orange")) & (value < _BROWN)] = -1
    nearest[value < _DARK] = -1
    thing = ~is_hand(cloud, pose, is_open)
    nearest[thing & (value < _DARK) & (saturation * value <= _COLOURLESS)] = names.index("black")
    nearest[thing & (saturation < _WHITE[0]) & (value > _WHITE[1])] = names.index("white")
    return nearest


def _hsv(colors: NDArray[np.generic]) -> NDArray[np.float64]:
    """Hue, saturation and value (N, 3) in [0, 1] of colours in [0, 255]."""
    shares = np.asarray(colors, float) / 255.0
    value, range_ = shares.max(axis=1), np.ptp(shares, axis=1)
    red, green, blue = shares.T
    brightest = shares.argmax(axis=1)
    sixths = np.choose(brightest, (green - blue, blue - red, red - green)) / np.maximum(range_, 1e-9) + 2.0 * brightest
    return np.stack([sixths / 6.0 % 1.0, range_ / np.maximum(value, 1e-9), value], axis=1)


def _repainted(cloud: Cloud, classes: NDArray[np.intp], exchange: Exchange) -> Cloud:
    """A cloud with the points of each class in the colour that takes its place, as light or dark as they were."""
    colors = cloud.colors.copy()
    order = list(NAMED)
    for name, other in exchange.items():
        mine = classes == order.index(name)
        if name == other or not mine.any():
            continue
        lightness = cloud.colors[mine].astype(float).mean(axis=1)
        # Relative to the brightest that is seen of it: names and cameras do not agree on how bright a colour is.
        shade = np.clip(lightness / max(float(np.percentile(lightness, 90)), 1.0), *_SHADES)
        colors[mine] = np.clip(np.array(NAMED[other]) * shade[:, None], 0.0, 255.0).round().astype(np.uint8)
    return replace(cloud, colors=colors)
