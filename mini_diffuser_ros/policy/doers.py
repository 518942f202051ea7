"""Who does what a sentence speaks of, where that is somebody else than who is asked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from typing import Final

from mini_diffuser_ros.policy.denials import is_form_of, words_in, words_of

_PEOPLE: Final = (
    "robots?|arm|hand|gripper|machine|boys?|girls?|man|men|woman|women|child|children|kids?|teacher|students?|guys?|"
    "person|people|dog|cat|friends?|colleagues?|boss|doctor|sister|brother|wife|husband|son|daughter|mother|father|"
    "neighbou?rs?"
)
_SOMEBODY: Final = re.compile(
    r"^\W*(?:(?:and|but|so|because|well|oh|now|then|first|today|yesterday|(?:this|last|every) \w+) )*"
    rf"((?:i|we|he|she|they|(?:the|a|an|another|some|my|our|his|her|their)(?: \w+)? (?:{_PEOPLE})|"
    r"one(?= (?:can|could|may|might|must|should|will|would)\b))(?:'\w+)?)(?= )"
)
_ASKED_FOR: Final = words_in(
    "you your please if that want wants wanted need needs like love wanna prefer rather choose pick say says guess "
    "suppose think know hope wish ask asks wonder wondering turn"
)
"""Said of what is done, it is asked for all the same: "I want to press red"."""

_TOGETHER: Final = frozenset({"should", "could", "can", "must", "need", "have", "might", "may"})
"""Said after "we", who is asked may be among them."""

_FURTHEST: Final = 6  # words from somebody to what they do
_TO_OTHERS: Final = re.compile(
    r"\b(leave\b.*\bto (?:me|us|him|her|them))\b|\b(it(?:'s| is) (?:my|our|his|her|their) (?:turn|job))\b"
)
_OPENS: Final = '"\N{LEFT DOUBLE QUOTATION MARK}\N{LEFT-POINTING DOUBLE ANGLE QUOTATION MARK}'
_SHUTS: Final = '"\N{RIGHT DOUBLE QUOTATION MARK}\N{RIGHT-POINTING DOUBLE ANGLE QUOTATION MARK}'
_QUOTATION: Final = re.compile(f"[{_OPENS}]([^{_OPENS}{_SHUTS}]+)[{_SHUTS}]")
_SAYS: Final = "says|said|reads|wrote|writes|shouted|shouts|yelled|whispered|claims|claimed"
_REPORTED: Final = re.compile(rf"(?<!\bi )\b((?:{_SAYS}|read)(?: to \w+)?):")
_QUOTED: Final = re.compile(rf"\b({_SAYS})(?: that)?[:,]? ?[{_OPENS}]")


def others_do(clause: str, acts: Set[str], names: re.Pattern[str]) -> str:
    """What somebody else than who is asked does, did or will do.

    Args:
        clause: in plain lower-case letters.
        acts: taught verbs.
        names: finds the name of a thing.

    Returns:
        The words up to the verb; empty where nobody else does any of it.
    """
    if left := _TO_OTHERS.search(clause):
        return left[1] or left[2]
    if not (somebody := _SOMEBODY.match(clause)):
        return ""
    words = words_of(clause[somebody.end() :])[:_FURTHEST]
    if somebody[1] == "we" and set(words[:1]) & _TOGETHER:
        return ""
    for number, word in enumerate(words, 1):
        if word in _ASKED_FOR or names.fullmatch(word):
            return ""
        if is_form_of(word, acts):
            return f"{somebody[1]} {' '.join(words[:number])}"
    return ""


def reported(sentence: str) -> Iterator[str]:
    """What tells in a sentence, in plain lower-case letters, that somebody else asked for what follows."""
    return (match[1] for pattern in (_QUOTED, _REPORTED) for match in pattern.finditer(sentence))


def quotations(sentence: str) -> Iterator[str]:
    """What stands within quotation marks, beside words that do not."""
    for match in _QUOTATION.finditer(sentence):
        if words_of(sentence[: match.start()]) or words_of(sentence[match.end() :]):
            yield match[1].strip()
