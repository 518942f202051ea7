"""Words that are misspelt, read as the taught words that they are nearest to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mini_diffuser_ros.sentences import tokenizer

_SHORTEST = 4  # letters of a word that may be a misspelt one; most of three are other words
_LONG = 8  # letters from which on a word may have two slips
_WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True)
class Reading:
    """A sentence as it is read.

    Attributes:
        sentence: with the words that were meant.
        changed: each word that was read as another, and that one.
    """

    sentence: str
    changed: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        """What was read as what; empty if nothing was."""
        return ", ".join(f"'{said}' read as '{meant}'" for said, meant in self.changed)


class Spelling:
    """Reads words that are no words of English as the taught ones that they are one slip away from.

    A slip is a letter too many, one too few, another one, or two that changed places; a word of eight letters and
    more may have two. A word that the sentence encoder has a token for is never changed.

    Args:
        sentences: that were taught.
    """

    def __init__(self, sentences: Iterable[str]) -> None:
        words = {word for sentence in sentences for word in _WORD.findall(sentence.lower())}
        self._taught = frozenset(word for word in words if len(word) >= _SHORTEST - 1)

    def read(self, sentence: str) -> Reading:
        """A sentence as it was meant; as it is where no word of it is misspelt, or the encoder is not installed."""
        changed: dict[str, str] = {}

        def meant(match: re.Match[str]) -> str:
            said = match.group()
            word = self._meant(said.lower())
            if word is None:
                return said
            changed[said] = word
            return word

        read = _WORD.sub(meant, sentence)
        return Reading(read, tuple(changed.items()))

    def _meant(self, word: str) -> str | None:
        """The one taught word that a word is a slip of; None if there is no such one, or the word needs none."""
        if len(word) < _SHORTEST or word in self._taught or not _is_in_pieces(word):
            return None
        most = 2 if len(word) >= _LONG else 1
        slips = {taught: slips_between(word, taught, most) for taught in self._taught}
        for allowed in range(1, most + 1):
            near = [taught for taught, count in slips.items() if count <= allowed]
            if near:
                return near[0] if len(near) == 1 else None
        return None


def slips_between(one: Sequence[str], other: Sequence[str], most: int) -> int:
    """How many slips lead from one word to another, no letter slipped twice; more than ``most`` is ``most + 1``.

    The restricted distance of Damerau and Levenshtein.
    """
    if abs(len(one) - len(other)) > most:
        return most + 1
    before: list[int] = []
    last = list(range(len(other) + 1))
    for row, letter in enumerate(one, 1):
        own = [row]
        for column, wanted in enumerate(other, 1):
            least = min(last[column] + 1, own[-1] + 1, last[column - 1] + (letter != wanted))
            if row > 1 and column > 1 and letter == other[column - 2] and one[row - 2] == wanted:
                least = min(least, before[column - 2] + 1)
            own.append(least)
        if min(own) > most:
            return most + 1
        before, last = last, own
    return min(last[-1], most + 1)


def _is_in_pieces(word: str) -> bool:
    """Whether the sentence encoder has no token for a word, so that it hardly is one of English."""
    known = tokenizer()
    return known is not None and len(known.encode(word, add_special_tokens=False).ids) > 1
