"""Words that deny: with one of them a request is not to be done, or something else is.

To a sentence encoder "do not press the red button" is nearly "press the red button". So these words are looked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_DENYING = re.compile(
    r"\b(?:\w+n't|not|never|cannot|nor|neither|nobody|without|instead|unless|forget|"
    r"(?:avoid|refrain|cancel|quit|stop)\w*)\b"
)
_POLITE = re.compile(
    r"\bwhy (?:don't|not)\b|\bdo(?:n't| not) (?:forget|mind)\b|"
    r"\b(?:wo|ca|could|would)n't you\b|\b(?:will|can|could|would) not you\b|\band stop\W*$"
)
"""Ways to ask for something that deny nothing."""


class Denials:
    """Finds what denies in a sentence; words with which something was taught are none.

    Args:
        sentences: that were taught.
    """

    def __init__(self, sentences: Iterable[str]) -> None:
        self._taught = frozenset(word for sentence in sentences for word in _denying(sentence))

    def first(self, sentence: str) -> str:
        """The first word that denies, in lower case; empty if there is none."""
        return next((word for word in _denying(sentence) if word not in self._taught), "")


def _denying(sentence: str) -> list[str]:
    plain = sentence.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    return _DENYING.findall(_POLITE.sub(" ", plain))
