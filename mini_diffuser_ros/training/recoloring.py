"""Demonstrations with their colours exchanged: what is red is seen blue and called blue, and the other way round.

A policy knows of a colour's name only what demonstrations show of it, and ten of them show few. But red and blue things
are handled alike: with two colours exchanged in every cloud and in every sentence, a demonstration is as good as it
was, and another one. Colours that none has are exchanged for those that it has, so that their names are learned as
well. What is grey, brown or beige stays: tables, and what nobody calls by a colour. Black stays: fingers are black.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import ceil
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.records import Cloud
from mini_diffuser_ros.training.demonstrations import Demonstration

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
    }
)
"""What people call by a name, RGB: the medians of the XKCD colour survey (2010)."""

_SATURATED: Final = 0.35
"""Saturation from which a point has a hue: table, robot and clay have less."""

_DARK: Final = 0.16
"""Value (of hue, saturation, value) under which a point is black, whatever its hue."""

_BROWN: Final = 0.42
"""Value under which what has the hue of orange is brown."""

_WHITE: Final = (0.15, 0.65)
"""Saturation up to which and value from which a point is white."""

_SHADES: Final = (0.45, 1.1)
"""Lightness of an exchanged point against its new colour's, at least and at most."""

_WORDS: Final = re.compile(rf"\b({'|'.join(NAMED)})\b", re.IGNORECASE)


_PARAPHRASES: Final = 16
"""Sentences that a version keeps, at most: each has to be encoded."""


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
    return {
        demonstration.source: recolored(
            demonstration, max(0, ceil(wanted / there[demonstration.task]) - 1), np.random.default_rng([seed, number])
        )
        for number, demonstration in enumerate(demonstrations)
    }


def recolored(demonstration: Demonstration, count: int, random: np.random.Generator) -> list[Demonstration]:
    """``count`` versions with other colours.

    What names none is repeated as it is: all demonstrations stay as many.

    Args:
        demonstration: any.
        count: of versions.
        random: source of all draws.
    """
    named = sorted({word.lower() for sentence in demonstration.sentences for word in _WORDS.findall(sentence)})
    if not named:
        return [demonstration] * count
    classes = [_classes(cloud.colors) for cloud in demonstration.clouds]
    versions = []
    for number in range(count):
        exchange = _exchange(named, random)
        kept = random.permutation(len(demonstration.sentences))[:_PARAPHRASES]
        sentences = [demonstration.sentences[index] for index in sorted(kept)]
        versions.append(
            replace(
                demonstration,
                sentences=tuple(_renamed(sentence, exchange) for sentence in sentences),
                source=f"{demonstration.source}, recoloured {number + 1}",
                clouds=tuple(
                    _repainted(cloud, of_point, exchange)
                    for cloud, of_point in zip(demonstration.clouds, classes, strict=True)
                ),
            )
        )
    return versions


def _exchange(named: Sequence[str], random: np.random.Generator) -> Mapping[str, str]:
    """Each named colour with another one, which takes its place; colours not named may take part."""
    names = list(NAMED)
    shuffled = [names[index] for index in random.permutation(len(names))]
    taken: dict[str, str] = {}
    for name in named:
        if name in taken:
            continue
        other = next(each for each in shuffled if each != name and each not in taken)
        taken |= {name: other, other: name}
    return taken


def _renamed(sentence: str, exchange: Mapping[str, str]) -> str:
    def other(match: re.Match[str]) -> str:
        word = match[0]
        name = exchange.get(word.lower(), word)
        return name.capitalize() if word[0].isupper() else name

    return _WORDS.sub(other, sentence)


def _classes(colors: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Index into ``NAMED`` of each point (N,): the colour of the nearest hue, white, or -1 for what stays."""
    names = list(NAMED)
    hue, saturation, value = _hsv(colors).T
    centres = _hsv(np.array([NAMED[name] for name in names]))
    apart = np.abs((hue[:, None] - centres[None, :, 0] + 0.5) % 1.0 - 0.5)
    apart[:, names.index("white")] = np.inf  # which has no hue
    nearest: NDArray[np.intp] = apart.argmin(axis=1)
    nearest[saturation < _SATURATED] = -1
    nearest[(nearest == names.index("orange")) & (value < _BROWN)] = -1
    nearest[value < _DARK] = -1
    nearest[(saturation < _WHITE[0]) & (value > _WHITE[1])] = names.index("white")
    return nearest


def _hsv(colors: NDArray[np.generic]) -> NDArray[np.float64]:
    """Hue, saturation and value (N, 3) in [0, 1] of colours in [0, 255]."""
    shares = np.asarray(colors, float) / 255.0
    value, range_ = shares.max(axis=1), np.ptp(shares, axis=1)
    red, green, blue = shares.T
    brightest = shares.argmax(axis=1)
    sixths = np.choose(brightest, (green - blue, blue - red, red - green)) / np.maximum(range_, 1e-9) + 2.0 * brightest
    return np.stack([sixths / 6.0 % 1.0, range_ / np.maximum(value, 1e-9), value], axis=1)


def _repainted(cloud: Cloud, classes: NDArray[np.intp], exchange: Mapping[str, str]) -> Cloud:
    colors = cloud.colors.copy()
    order = list(NAMED)
    for name, other in exchange.items():
        mine = classes == order.index(name)
        if not mine.any():
            continue
        lightness = cloud.colors[mine].astype(float).mean(axis=1)
        # Relative to the brightest that is seen of it: names and cameras do not agree on how bright a colour is.
        shade = np.clip(lightness / max(float(np.percentile(lightness, 90)), 1.0), *_SHADES)
        colors[mine] = np.clip(np.array(NAMED[other]) * shade[:, None], 0.0, 255.0).round().astype(np.uint8)
    return replace(cloud, colors=colors)
