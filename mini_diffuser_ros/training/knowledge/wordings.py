"""Wordings that are nobody's task: asides, politeness, and sentences that mean something else. Read from text files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from random import Random

_FOLDER = Path(__file__).parent / "wordings"

_PAST = {"put": "put", "set": "set", "hit": "hit", "take": "taken", "get": "got", "lay": "laid", "bring": "brought"}
_PAST |= {"stick": "stuck", "throw": "thrown", "let": "let", "find": "found", "give": "given", "make": "made"}
_PAST |= {"go": "gone", "build": "built", "hold": "held", "have": "had", "do": "done", "keep": "kept", "see": "seen"}
_CHOICE = re.compile(r"\(([^()|]*(?:\|[^()|]*)+)\)")
_VOWELS = "aeiou"
_FLAT = {"position", "open", "gather", "lower", "cover", "deliver", "deposit", "transfer", "trigger", "hover"}


@dataclass(frozen=True)
class Wordings:
    """Lists of wordings; the file of each has its name.

    In braces: ``command`` something that was taught, ``doing`` and ``did`` forms of it, ``verb``, ``thing`` and
    ``place`` parts of it, ``name`` what fills one of its slots; ``object``, ``kind`` and ``act`` a line of ``near`` or
    ``objects``, of ``kinds`` and of ``verbs``. Of words in parentheses, with bars between them, one is said.

    Attributes:
        frames: around a command, which stays one.
        asides_before: of a command, which stays one.
        asides_after: of a command, likewise.
        general: sentences that ask for nothing.
        commands: that ask for something else.
        foreign: in other languages.
        objects: names of things.
        near: names of things that are much like what robots are taught to press, to stack and to fill.
        kinds: adjectives of things.
        verbs: imperatives, that take an object.
        relations: of things to one another, that no task means with words for being in or on something.
        other_acts: with things that were taught.
        negations: of commands.
        questions: about commands.
        statements: about commands.
        everyday: what has nothing to do with a robot, with names that were taught.
        listed: names without a word on what to do with them.
    """

    frames: tuple[str, ...]
    asides_before: tuple[str, ...]
    asides_after: tuple[str, ...]
    general: tuple[str, ...]
    commands: tuple[str, ...]
    foreign: tuple[str, ...]
    objects: tuple[str, ...]
    near: tuple[str, ...]
    kinds: tuple[str, ...]
    verbs: tuple[str, ...]
    relations: tuple[str, ...]
    other_acts: tuple[str, ...]
    negations: tuple[str, ...]
    questions: tuple[str, ...]
    statements: tuple[str, ...]
    everyday: tuple[str, ...]
    listed: tuple[str, ...]


def read_wordings() -> Wordings:
    """Those that are shipped."""
    return Wordings(**{entry.name: _lines(entry.name) for entry in fields(Wordings)})


def one_of(line: str, random: Random) -> str:
    """A line with one of the words in each of its parentheses, single-spaced."""
    return _spaced(_CHOICE.sub(lambda match: random.choice(match.group(1).split("|")), line))


def all_of(line: str, random: Random) -> tuple[str, ...]:
    """As many sentences of a line as its longest parentheses hold words, so that each of its words is said."""
    pieces = _CHOICE.split(line)  # every other one is between parentheses
    choices = [piece.split("|") for piece in pieces[1::2]]
    count = max(map(len, choices), default=1)
    orders = [(random.sample(words, len(words)) * count)[:count] for words in choices]
    found = []
    for number in range(count):
        pieces[1::2] = [order[number] for order in orders]
        found.append(_spaced("".join(pieces)))
    return tuple(dict.fromkeys(found))


def choices_in(line: str) -> int:
    """How many words the longest parentheses of a line hold; 1 where it has none."""
    return max((match.group(1).count("|") + 1 for match in _CHOICE.finditer(line)), default=1)


def _spaced(line: str) -> str:
    return re.sub(r" +([,.?!])", r"\1", " ".join(line.split()))


def worded(wording: str, values: Mapping[str, str]) -> str | None:
    """A wording with its braces filled in; None if one of them is not among the values."""
    wanted = re.findall(r"\{(\w+)\}", wording)
    if any(name not in values for name in wanted):
        return None
    return re.sub(r"\{(\w+)\}", lambda match: values[match.group(1)], wording)


def doing(command: str) -> str:
    """``putting it down`` for ``put it down``."""
    verb, space, rest = command.partition(" ")
    if verb.endswith("e") and not verb.endswith("ee"):
        return f"{verb[:-1]}ing{space}{rest}"
    return f"{verb + verb[-1] if _doubles(verb) else verb}ing{space}{rest}"


def did(command: str) -> str:
    """``pressed it`` for ``press it``: what it is after ``have``."""
    verb, space, rest = command.partition(" ")
    if verb in _PAST:
        return f"{_PAST[verb]}{space}{rest}"
    if verb.endswith("e"):
        return f"{verb}d{space}{rest}"
    if verb.endswith("y") and verb[-2:-1] not in _VOWELS:
        return f"{verb[:-1]}ied{space}{rest}"
    return f"{verb + verb[-1] if _doubles(verb) else verb}ed{space}{rest}"


def _doubles(verb: str) -> bool:
    """Whether its last letter is doubled: one vowel before one consonant at the end."""
    if len(verb) < 3 or verb in _FLAT:
        return False
    return verb[-1] not in f"{_VOWELS}wxy" and verb[-2] in _VOWELS and verb[-3] not in _VOWELS


def _lines(name: str) -> tuple[str, ...]:
    lines = (_FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return tuple(line for line in lines if line and not line.startswith("#"))


FUNCTION_WORDS = frozenset(_lines("function_words"))
"""Words that name neither a thing nor what is done with it."""
