"""Sentences with slots in braces: reading them from files, filling them in, recognising them."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mini_diffuser_ros.support.settings import SettingsError, check_fields, not_expected, read_settings


@dataclass(frozen=True)
class Templates:
    """The sentences of a task.

    Attributes:
        training: those that demonstrations carry.
        held_out: those that training never sees.
    """

    training: tuple[str, ...]
    held_out: tuple[str, ...]

    def __post_init__(self) -> None:
        check_fields(self)
        for field in ("training", "held_out"):
            if not getattr(self, field):
                raise not_expected(field, getattr(self, field), "at least one sentence")


def read_own_templates(file: Path, slots: Sequence[str]) -> Templates:
    """The sentences of a task from the YAML file beside it.

    Raises:
        SettingsError: naming the file and the field.
    """
    templates = read_settings(Templates, file)
    for field in ("training", "held_out"):
        for template in getattr(templates, field):
            if problem := slot_problem(template, slots):
                raise SettingsError(field, problem, str(file))
    return templates


def slot_problem(template: object, slots: Sequence[str]) -> str:
    """What is wrong with a template that should have exactly these slots; empty if nothing is."""
    try:
        found = {name for _, name, _, _ in string.Formatter().parse(str(template)) if name is not None}
    except ValueError as error:
        return f"'{template}': {error}"
    if isinstance(template, str) and found == set(slots):
        return ""
    return f"'{template}' does not have exactly the slots {', '.join(f'{{{slot}}}' for slot in sorted(slots))}"


def fill(template: str, slots: Mapping[str, str]) -> str:
    """The sentence of a template for one goal."""
    return template.format_map(slots)


def normalise(text: str) -> str:
    """Lower-case words, single spaces, no punctuation."""
    return " ".join(re.findall(r"[a-z0-9{}]+", text.lower().replace("'", "").replace("\u2019", "")))


def pattern(template: str, slots: Mapping[str, Sequence[str]]) -> re.Pattern[str]:
    """What the normalised sentences of a template match; the groups are its slots."""
    escaped = re.escape(normalise(template)).replace(r"\{", "{").replace(r"\}", "}").replace(r"\ ", " ")
    for slot, values in slots.items():
        escaped = escaped.replace(f"{{{slot}}}", f"(?P<{slot}>{'|'.join(values)})")
    return re.compile(escaped)


def named(words: str, names: Sequence[str]) -> Iterator[str]:
    """Those of some names that normalised words hold, in the order in which they occur."""
    for match in re.finditer(rf"\b({'|'.join(names)})\b", words):
        yield match.group(1)
