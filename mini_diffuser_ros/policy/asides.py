"""What a sentence tells beside what it asks for.

"I spilled some coffee, so please get the sponge into the bowl" is mostly about coffee to whoever judges what it means.
A clause that only states something and names nothing that a policy can act on may be left out; conditions, denials and
reports are looked for in the whole sentence.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mini_diffuser_ros.policy.unasked import UnaskedWords, clauses_of

_STATEMENT: Final = re.compile(
    r"^\W*(?:(?:and|but|so|because|since|as|well|oh)\b\W*)*(?:i|we|he|she|they|it|that|this|these|those|there|the|a|an|my|"
    r"our|your|his|her|their|you|mum|mom|dad|someone|somebody|everyone|everybody|people|sorry|thanks|thank you|great|"
    r"nice|good|perfect|brilliant|ok|okay|gently|quickly|carefully|hurry|come on)\b"
)
_AFTERWARDS: Final = re.compile(r"^\W*(?:and |but |only |just )*then\b")
"""What is asked for after something: "I'll whistle, then press red" is no aside and an order."""

_POINTING: Final = re.compile(r"\b(?:it|its|them|they|this|that|these|those|ones?)\b")


@dataclass(frozen=True)
class WithoutAsides:
    """A sentence without what it tells beside what it asks for.

    Attributes:
        rest: the clauses that name something or ask for it, in lower case; the sentence as it is where nothing is left
            out.
        left_out: the other clauses.
    """

    rest: str
    left_out: tuple[str, ...] = ()


class Asides:
    """Finds clauses that state something beside what is asked for.

    Args:
        unasked: tells which clauses ask for something, and what is named.
    """

    def __init__(self, unasked: UnaskedWords) -> None:
        self._unasked = unasked

    def read(self, sentence: str) -> WithoutAsides:
        """A sentence without its asides."""
        clauses = clauses_of(sentence)
        aside = [self._is_aside(text, end) for text, end in clauses]
        kept = [text for (text, _), left in zip(clauses, aside, strict=True) if not left]
        if all(aside) or not any(aside) or any(map(_AFTERWARDS.match, kept)) or self._points_back(kept):
            return WithoutAsides(sentence)
        question = "?" if sentence.rstrip().endswith("?") else ""
        left_out = tuple(text.strip() for (text, _), left in zip(clauses, aside, strict=True) if left)
        return WithoutAsides(", ".join(text.strip() for text in kept) + question, left_out)

    def _points_back(self, kept: Sequence[str]) -> bool:
        """Whether what is asked for may be of something in an aside: "the knife, stack it on the red block"."""
        asked = ", ".join(kept)
        pointing = _POINTING.search(asked)
        return pointing is not None and not self._unasked.names_one(asked[: pointing.start()])

    def _is_aside(self, clause: str, end: str) -> bool:
        says_what = end.strip().startswith(":")  # "the sign reads: press red"
        known = self._unasked.names_one(clause) or self._unasked.asks(clause)
        return not says_what and not known and bool(_STATEMENT.match(clause))
