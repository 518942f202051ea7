"""Words that are misspelt, read as the taught words that they are nearest to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mini_diffuser_ros.sentences import tokenizer

_SHORTEST = 4  # letters of a word that may be a misspelt one; most of three are other words
_LONG = 8  # letters from which on a word may have two slips
_WORD = re.compile(r"[^\W\d_]+")
_JOINED = re.compile(r"\b[^\W\d_]+(?:_[^\W\d_]+)+\b")

_TURNING = (
    "avoid",
    "cannot",
    "except",
    "instead",
    "neither",
    "never",
    "nobody",
    "nothing",
    "refrain",
    "unless",
    "without",
)
_DENIED = "ai are ca could did do does had has have is might must need ought sha should was were wo would"
_WHOLE = {"ai": "is", "ca": "can", "sha": "shall", "wo": "will"}
_SHORTENED = {f"{verb}nt": f"{_WHOLE.get(verb, verb)} not" for verb in _DENIED.split()} | {"donot": "do not"}
_NOT = "not"
_REVERSING = ("un", "de", "dis", "mis", "non")


@dataclass(frozen=True)
class SpelledSentence:
    """A sentence as it is read.

    Attributes:
        sentence: with the words that were meant.
        changed: each word that was read as another, and that one.
        left_out: clauses that were not read, as they deny something else than what is asked for.
    """

    sentence: str
    changed: tuple[tuple[str, str], ...] = ()
    left_out: tuple[str, ...] = ()

    def __str__(self) -> str:
        """What was read as what, and what was not; empty if all was read as it is."""
        changed = [f"'{said}' read as '{meant}'" for said, meant in self.changed]
        return ", ".join([*changed, *(f"without '{clause}'" for clause in self.left_out)])


class Spelling:
    """Reads words that are no words of English as the taught ones that they are one slip away from.

    A slip is a letter too many, one too few, another one, or two that changed places; a word of eight letters and
    more may have two; of one of three letters, two may have changed places. A word that the sentence encoder has a
    token for is never changed. Words that a low line joins, as in the name of a task, are read one by one.

    A slip may not turn a sentence round. Words that deny ("never", "dont") are known whatever was taught, a word that
    is as near to one of them as to a taught one is read as denying, and what begins like the reverse of a taught word
    ("unpress") stays as it is.

    Args:
        sentences: that were taught.
    """

    def __init__(self, sentences: Iterable[str]) -> None:
        words = {word for sentence in sentences for word in _WORD.findall(sentence.lower())}
        self._taught = frozenset(word for word in words if len(word) >= _SHORTEST - 1)

    def read(self, sentence: str) -> SpelledSentence:
        """A sentence as it was meant; as it is where no word of it is misspelt, or the encoder is not installed."""
        changed: dict[str, str] = {}

        def meant(match: re.Match[str]) -> str:
            said = match.group()
            word = self._meant(said.lower())
            if word is None:
                return said
            changed[said] = word
            return word

        def apart(match: re.Match[str]) -> str:
            changed[match.group()] = match.group().replace("_", " ")
            return changed[match.group()]

        read = _WORD.sub(meant, _JOINED.sub(apart, sentence))
        return SpelledSentence(read, tuple(changed.items()))

    def _meant(self, word: str) -> str | None:
        """The one taught word that a word is a slip of; None if there is no such one, or the word needs none."""
        if len(word) < _SHORTEST - 1 or word in self._taught or word in _TURNING:
            return None
        if len(word) < _SHORTEST:
            return self._swapped(word)
        if word in _SHORTENED:
            return _SHORTENED[word]
        if not _is_in_pieces(word):
            return None
        near = self._near(word)
        if denying := next((each for each in (*_TURNING, *_SHORTENED) if each in near), None):
            return _SHORTENED.get(denying, denying)
        near = [known for known in near if known[0] == word[0]] or near  # few slips are in the first letter
        return near[0] if len(near) == 1 and not self._is_reverse(word) else None

    def _swapped(self, word: str) -> str | None:
        """The one word of as many letters of which two neighbours changed places; "not" before all others."""
        found = [f"{word[:n]}{word[n + 1]}{word[n]}{word[n + 2 :]}" for n in range(len(word) - 1)]
        known = [other for other in found if other in self._taught or other == _NOT]
        if not known or not _is_in_pieces(word):
            return None
        return _NOT if _NOT in known else known[0] if len(set(known)) == 1 else None

    def _near(self, word: str) -> list[str]:
        """The known words that a word is the fewest slips from, of as many as it may have."""
        most = 2 if len(word) >= _LONG else 1
        slips = {known: slips_between(word, known, most) for known in (*self._taught, *_TURNING, *_SHORTENED)}
        fewest = min(slips.values())
        return [known for known, count in slips.items() if count == fewest] if fewest <= most else []

    def _is_reverse(self, word: str) -> bool:
        rests = [word[len(prefix) :] for prefix in _REVERSING if word.startswith(prefix)]
        return any(self._near(rest) for rest in rests if len(rest) >= _SHORTEST)


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
