"""Where a thing is to go, and which colour is meant, where no taught sentence says that.

To a sentence encoder a basket is nearly a bowl, and brown is nearly any colour.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from mini_diffuser_ros.policy.denials import any_of, longest_first, plain_letters, words_in

_COLOURS: Final = words_in(
    "black white red green blue yellow orange purple pink cyan brown grey gray gold golden silver beige violet "
    "turquoise teal magenta maroon navy indigo lilac lavender bronze copper khaki tan cream ivory olive amber rainbow "
    "transparent"
)
_WORD: Final = re.compile(r"\w+")
_PLACE: Final = re.compile(r"\b(?:in|into|inside) (?:the|a|an|my|your|our|this|that) (\w+)")


class UntaughtWords:
    """Finds places and colours that no taught sentence has, where every taught sentence of what is named has one.

    Args:
        sentences: that were taught.
        names: of things, of which a sentence says which it means, in lower case.
    """

    def __init__(self, sentences: Iterable[str], names: Iterable[str] = ()) -> None:
        taught = [plain_letters(sentence).lower() for sentence in sentences]
        known = longest_first(names)
        self._names = any_of(known)
        self._places = _places_of(taught, self._names)
        text = "\n".join(taught)
        said = set(_WORD.findall(text))
        others = sorted(_COLOURS - said) if _COLOURS & set(known) else []
        things = sorted(set(re.findall(rf"\b(?:{'|'.join(sorted(_COLOURS & said)) or '(?!)'}) (\w+)", text)))
        self._colour = re.compile(rf"({any_of(others).pattern}(?:[- ]?colou?red)?) {any_of(things).pattern}")

    def read(self, sentence: str) -> str:
        """What a sentence says that was never taught, in words; empty if nothing was found."""
        plain = plain_letters(sentence).lower()
        if colour := self._colour.search(plain):
            return f"'{colour[1]}' is no colour that was taught"
        named = set(self._names.findall(plain))
        words = set(_WORD.findall(plain))
        is_said = any(self._places.get(name, words) & words for name in named)
        other = _PLACE.search(plain)
        return f"'{other[0]}' is no place where it was taught to go" if named and other and not is_said else ""


def _places_of(taught: Sequence[str], names: re.Pattern[str]) -> dict[str, frozenset[str]]:
    """Names of things that every taught sentence puts somewhere, each with the words for where."""
    said: dict[str, set[str]] = {}
    for sentence in taught:
        for name in names.findall(sentence):
            said.setdefault(name, set()).add(sentence)
    places = {}
    for name, sentences in said.items():
        where = frozenset(_PLACE.findall("\n".join(sentences))) - said.keys()
        if where and all(where.intersection(_WORD.findall(sentence)) for sentence in sentences):
            places[name] = where
    return places
