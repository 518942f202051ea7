"""Instructions in words: templates, filling them in, and telling what a sentence asks for."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final, NamedTuple

import yaml

from mini_diffuser_ros.simulation.errors import SimulationError
from mini_diffuser_ros.simulation.palette import COLORS
from mini_diffuser_ros.simulation.tasks import TASKS, Goal, Slots
from mini_diffuser_ros.simulation.tasks.put_item_in_bowl import ITEMS

SLOT_VALUES: Final[Mapping[str, tuple[str, ...]]] = {
    "color": tuple(COLORS),
    "top": tuple(COLORS),
    "bottom": tuple(COLORS),
    "item": tuple(ITEMS),
}
"""What may stand in each slot."""

_PUSH_CUES: Final = r"\b(?:buttons?|press|push|hit|tap|click|poke|touch|depress|activate|trigger|switch)\b"
_ON: Final = r"(?:on|onto|upon|over|above|atop)"
_UNDER: Final = r"(?:under|underneath|below|beneath)"
_TO_NEXT: Final = r"(?: top)?(?: of)?(?: the| a)?"


@dataclass(frozen=True)
class Templates:
    """Sentences with slots in braces.

    Attributes:
        training: those that demonstrations carry.
        held_out: those that training never sees.
    """

    training: tuple[str, ...]
    held_out: tuple[str, ...]


class Instruction(NamedTuple):
    """What a sentence asks for: a task and what fills its slots."""

    task: str
    slots: Slots


@cache
def load_templates() -> Mapping[str, Templates]:
    """The shipped templates by task."""
    text = resources.files(__package__).joinpath("sentences.yaml").read_text(encoding="utf-8")
    return {
        task: Templates(tuple(entry["training"]), tuple(entry["held_out"]))
        for task, entry in yaml.safe_load(text).items()
    }


def read_templates(text: str, source: str) -> dict[str, tuple[str, ...]]:
    """Templates of somebody else: YAML that maps tasks to lists of sentences with the tasks' slots.

    Args:
        text: the YAML document.
        source: where it came from, for messages.

    Raises:
        SimulationError: naming the source and the entry that is wrong.
    """
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SimulationError(f"{source}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict) or not document:
        raise SimulationError(f"{source}: expected a mapping of tasks ({', '.join(TASKS)}) to lists of sentences")
    for task, sentences in document.items():
        if task not in TASKS:
            raise SimulationError(f"{source}: unknown task '{task}'; tasks: {', '.join(TASKS)}")
        if not isinstance(sentences, list) or not sentences:
            raise SimulationError(f"{source}: '{task}' is not a list of sentences")
        for sentence in sentences:
            _check_template(sentence, task, source)
    return {task: tuple(sentences) for task, sentences in document.items()}


def fill(template: str, slots: Slots) -> str:
    """The sentence of a template for one goal."""
    return template.format_map(slots)


def make_goal(task: str, slots: Slots) -> Goal:
    """A goal with all its training sentences.

    Raises:
        SimulationError: if the task is unknown or the slots are not one of its variations.
    """
    if task not in TASKS:
        raise SimulationError(f"unknown task '{task}'; tasks: {', '.join(TASKS)}")
    variations = list(TASKS[task].variations)
    if dict(slots) not in variations:
        raise SimulationError(f"task '{task}' has no variation {dict(slots)}; e.g. {variations[0]}")
    sentences = tuple(fill(template, slots) for template in load_templates()[task].training)
    return Goal(task, dict(slots), sentences, variations.index(dict(slots)))


def match_sentence(text: str) -> Instruction | None:
    """What a sentence asks for, or None if it asks for nothing that the table-top offers.

    Known templates are recognised whatever their case, spacing and punctuation. Other sentences are read by what
    they name: an item belongs into the bowl, two colours ask for a stack, whose order words such as "on", "under"
    and "cover" tell, and one colour with a word for pressing asks for a button.
    """
    words = _normalise(text)
    for task, pattern in _patterns():
        match = pattern.fullmatch(words)
        if match and len(set(match.groups())) == len(match.groups()):
            return Instruction(task, match.groupdict())
    return _read_names(words)


def _check_template(template: object, task: str, source: str) -> None:
    wanted = set(TASKS[task].variations[0])
    try:
        found = {name for _, name, _, _ in string.Formatter().parse(str(template)) if name is not None}
    except ValueError as error:
        raise SimulationError(f"{source}: '{task}': '{template}': {error}") from error
    if not isinstance(template, str) or found != wanted:
        slots = ", ".join(f"{{{name}}}" for name in sorted(wanted))
        raise SimulationError(f"{source}: '{task}': '{template}' does not have exactly the slots {slots}")


def _normalise(text: str) -> str:
    """Lower-case words, single spaces, no punctuation."""
    return " ".join(re.findall(r"[a-z0-9{}]+", text.lower().replace("'", "").replace("\u2019", "")))


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """(task, pattern) of every template, the wordiest first so that a bare "{color}" swallows nothing."""
    pairs = [
        (task, template)
        for task, templates in load_templates().items()
        for template in (*templates.training, *templates.held_out)
    ]
    pairs.sort(key=lambda pair: -len(pair[1]))
    return tuple((task, _pattern(template)) for task, template in pairs)


def _pattern(template: str) -> re.Pattern[str]:
    pattern = re.escape(_normalise(template)).replace(r"\{", "{").replace(r"\}", "}").replace(r"\ ", " ")
    for slot, values in SLOT_VALUES.items():
        pattern = pattern.replace(f"{{{slot}}}", f"(?P<{slot}>{'|'.join(values)})")
    return re.compile(pattern)


def _read_names(words: str) -> Instruction | None:
    items = list(_named(words, SLOT_VALUES["item"]))
    colors = list(_named(words, SLOT_VALUES["color"]))
    if len(set(items)) == 1:
        return Instruction("put_item_in_bowl", {"item": items[0]})
    if items:
        return None
    distinct = list(dict.fromkeys(colors))
    if len(distinct) == 2:
        first, second = distinct
        if _support_comes_first(words, first, second):
            first, second = second, first
        return Instruction("stack_blocks", {"top": first, "bottom": second})
    if len(distinct) == 1 and re.search(_PUSH_CUES, words):
        return Instruction("push_buttons", {"color": distinct[0]})
    return None


def _named(words: str, names: tuple[str, ...]) -> Iterator[str]:
    """Names in the order in which they occur."""
    for match in re.finditer(rf"\b({'|'.join(names)})\b", words):
        yield match.group(1)


def _support_comes_first(words: str, first: str, second: str) -> bool:
    """Whether of two colours in a sentence the first one named is the block below."""
    before, rest = re.split(rf"\b{first}\b", words, maxsplit=1)
    between, after = re.split(rf"\b{second}\b", rest, maxsplit=1)
    if re.search(rf"\b{_ON}{_TO_NEXT} $", between):
        return False
    if re.search(rf"\b{_UNDER}{_TO_NEXT} $", between):
        return True
    if re.search(rf"\b{_UNDER}{_TO_NEXT} $", before):
        return False
    if re.search(rf"\b{_ON}{_TO_NEXT} $", before):
        return True
    if re.search(r"\b(?:cover|top|cap|crown)\b", before) and re.search(r"\bwith\b", between):
        return True
    if re.search(r"\b(?:(?:covered|topped|capped|crowned) (?:by|with)|where)\b", between):
        return True
    if re.search(r"\b(?:supported|carried|held)\b", between):
        return False
    # "find the red one and put the blue one on it"; but "take the red one to the blue one and put it on top".
    if re.search(rf"\b{_ON}(?: top of)? (?:it|that)\b", after) or (after.endswith(" on top") and " it " not in after):
        return True
    # "the red one is the base", "the red one gets the blue one", "keep the red one and ..."
    return bool(
        re.search(rf"\b(?:base|bottom|foundation|{_UNDER}|gets?|has|have|holds?|carry|carries|supports?)\b", between)
        or re.search(r"\b(?:keep|leave|base|bottom|have)\b", before)
    )
