"""Wordings that are nobody's task: asides, politeness, and sentences that mean something else. Read from text files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

_FOLDER = Path(__file__).parent / "wordings"

_PAST = {"put": "put", "set": "set", "hit": "hit", "take": "taken", "get": "got", "lay": "laid", "bring": "brought"}
_PAST |= {"stick": "stuck", "throw": "thrown", "let": "let", "find": "found", "give": "given", "make": "made"}
_PAST |= {"go": "gone", "build": "built", "hold": "held", "have": "had", "do": "done", "keep": "kept", "see": "seen"}
_VOWELS = "aeiou"
_FLAT = {"position", "open", "gather", "lower", "cover", "deliver", "deposit", "transfer", "trigger", "hover"}


@dataclass(frozen=True)
class Wordings:
    """Lists of wordings; the file of each has its name.

    In braces: ``command`` something that was taught, ``doing`` and ``did`` forms of it, ``verb``, ``thing`` and
    ``place`` parts of it.

    Attributes:
        frames: around a command, which stays one.
        asides_before: of a command, which stays one.
        asides_after: of a command, likewise.
        general: sentences that ask for nothing.
        commands: that ask for something else.
        foreign: in other languages.
        objects: names of things.
        kinds: adjectives of things.
        verbs: imperatives, that take an object.
        relations: of things to one another, that no task means with words for being in or on something.
        other_acts: with things that were taught.
        negations: of commands.
        questions: about commands.
        statements: about commands.
    """

    frames: tuple[str, ...]
    asides_before: tuple[str, ...]
    asides_after: tuple[str, ...]
    general: tuple[str, ...]
    commands: tuple[str, ...]
    foreign: tuple[str, ...]
    objects: tuple[str, ...]
    kinds: tuple[str, ...]
    verbs: tuple[str, ...]
    relations: tuple[str, ...]
    other_acts: tuple[str, ...]
    negations: tuple[str, ...]
    questions: tuple[str, ...]
    statements: tuple[str, ...]


def read_wordings() -> Wordings:
    """Those that are shipped."""
    return Wordings(**{entry.name: _lines(entry.name) for entry in fields(Wordings)})


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
