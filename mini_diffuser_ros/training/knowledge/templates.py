"""Templates behind sentences: which words stand for each other, and what is left when they are taken out."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from random import Random

from mini_diffuser_ros.training.knowledge.wordings import FUNCTION_WORDS

_GAP = "_"
_TOKEN = re.compile(r"\{\d+\}|\w+(?:'\w+)?|[^\w\s]")
_SAME = 0.5  # share of a word's sentences that there are with another word in its place, where both fill a slot
_LEAST = 2  # sentences of a word that fills a slot
_SPAN = 3  # words of a filler at most
_LARGEST_GAP = 60  # different words in one place; more are no slot


@dataclass(frozen=True)
class Slots:
    """Words that stand for each other.

    Attributes:
        classes: of fillers, each of one or a few words in lower case.
    """

    classes: tuple[tuple[str, ...], ...]

    def template(self, sentence: str) -> str:
        """The sentence in lower case, each filler replaced by ``{k}`` of its class k; single-spaced."""
        number_of = self._class_of
        return self._pattern.sub(lambda match: f"{{{number_of[match.group()]}}}", " ".join(sentence.lower().split()))

    def filled(self, template: str, random: Random) -> str:
        """A sentence of a template; two fillers of one class differ, where it has as many."""
        chosen = {number: iter(random.sample(fillers, len(fillers)) * 4) for number, fillers in enumerate(self.classes)}
        return re.sub(r"\{(\d+)\}", lambda match: next(chosen[int(match.group(1))], ""), template)

    @cached_property
    def _class_of(self) -> Mapping[str, int]:
        return {filler: number for number, fillers in enumerate(self.classes) for filler in fillers}

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        fillers = sorted(self._class_of, key=len, reverse=True)
        return re.compile(rf"\b(?:{'|'.join(map(re.escape, fillers))})\b" if fillers else r"(?!)")


def find_slots(sentences: Sequence[str]) -> Slots:
    """The slots of a task: words of which most sentences are there with each of the others in their place, too.

    The class that explains most sentences is taken out first, and what is left is looked at again: verbs that are
    there with every colour are no slot once the colours are one. Of two that explain as much, it is the larger one.

    Args:
        sentences: of one task.
    """
    slots = Slots(())
    while True:
        places: dict[str, set[str]] = defaultdict(set)
        uses: Counter[str] = Counter()
        for words in {tuple(_TOKEN.findall(slots.template(sentence))) for sentence in sentences}:
            for gap, span in _gaps(words):
                uses[span] += span not in places[gap]
                places[gap].add(span)
        shared: Counter[tuple[str, str]] = Counter()
        for fillers in places.values():
            if 1 < len(fillers) <= _LARGEST_GAP:
                shared.update(combinations(sorted(fillers), 2))
        classes = _classes(shared, uses)
        if not classes:
            return slots
        slots = Slots(
            (*slots.classes, max(classes, key=lambda fillers: (sum(uses[filler] for filler in fillers), len(fillers))))
        )


def _gaps(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each span of a few words, and the sentence with a gap in its place."""
    for length in range(1, _SPAN + 1):
        for start in range(len(words) - length + 1):
            span = words[start : start + length]
            if all(word[0].isalnum() for word in span):
                yield " ".join((*words[:start], _GAP, *words[start + length :])), " ".join(span)


def _classes(shared: Mapping[tuple[str, str], int], uses: Mapping[str, int]) -> tuple[tuple[str, ...], ...]:
    """Connected words, the shorter ones first; a longer filler that holds one that is found already is none."""
    root: dict[str, str] = {}

    def find(word: str) -> str:
        while root.setdefault(word, word) != word:
            word = root[word]
        return word

    single = {word for pair in shared for word in pair if " " not in word}
    joined: set[str] = set()
    for longest in (1, _SPAN):
        for (one, other), count in sorted(shared.items()):
            spans = (one, other)
            if max(len(span.split()) for span in spans) > longest or any(_is_function(span) for span in spans):
                continue
            if longest > 1 and (
                not any(span in joined for span in spans) or any(_holds(span, joined) for span in spans)
            ):
                continue
            if count >= _LEAST and count >= _SAME * max(uses[one], uses[other]):
                root[find(one)] = find(other)
                joined.update(span for span in spans if longest == 1 or span in single or " " in span)
    groups: dict[str, list[str]] = defaultdict(list)
    for word in sorted(joined):
        groups[find(word)].append(word)
    return tuple(sorted(tuple(group) for group in groups.values()))


def _is_function(span: str) -> bool:
    return any(word in FUNCTION_WORDS for word in span.split())


def _holds(span: str, joined: set[str]) -> bool:
    words = span.split()
    return len(words) > 1 and any(word in joined for word in words)
