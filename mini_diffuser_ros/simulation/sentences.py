"""Sentences across the tasks: which task a sentence asks for, and templates of other people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import yaml

from mini_diffuser_ros.simulation.errors import SimulationError
from mini_diffuser_ros.simulation.task import Goal, Slots, Task
from mini_diffuser_ros.simulation.tasks import TASKS, task_named
from mini_diffuser_ros.simulation.templates import Templates, fill, slot_problem
from mini_diffuser_ros.support.errors import one_line

__all__ = ["Instruction", "fill", "load_templates", "make_goal", "match_sentence", "read_templates"]


class Instruction(NamedTuple):
    """What a sentence asks for: a task and what fills its slots."""

    task: str
    slots: Slots


def load_templates() -> Mapping[str, Templates]:
    """The shipped templates by task."""
    return {name: task.templates for name, task in TASKS.items()}


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
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that is none
        raise SimulationError(f"{source}: not YAML: {one_line(error)}") from error
    if not isinstance(document, dict) or not document:
        raise SimulationError(f"{source}: expected a mapping of tasks ({', '.join(TASKS)}) to lists of sentences")
    for task, sentences in document.items():
        if task not in TASKS:
            raise SimulationError(f"{source}: unknown task '{task}'; tasks: {', '.join(TASKS)}")
        if not isinstance(sentences, list) or not sentences:
            raise SimulationError(f"{source}: '{task}' is not a list of sentences")
        for sentence in sentences:
            if problem := slot_problem(sentence, tuple(TASKS[task].slots)):
                raise SimulationError(f"{source}: '{task}': {problem}")
    return {task: tuple(sentences) for task, sentences in document.items()}


def make_goal(task: str, slots: Slots) -> Goal:
    """A goal with all its training sentences.

    Raises:
        SimulationError: if the task is unknown or the slots are not one of its variations.
    """
    return task_named(task).goal(slots)


def match_sentence(text: str, tasks: Mapping[str, Task] = TASKS) -> Instruction | None:
    """What a sentence asks for, or None if it asks for nothing that the table-top offers.

    Every task reads the sentence; the one to which most of its words mean something has it, and a task's own
    sentences come before all others.

    Raises:
        SimulationError: if two tasks read it equally well, naming both.
    """
    readings = [(match, name) for name, task in tasks.items() if (match := task.match(text)) is not None]
    if not readings:
        return None
    (best, task) = max(readings, key=lambda reading: reading[0][:2])
    rivals = [name for match, name in readings if match[:2] == best[:2]]
    if len(rivals) > 1:
        raise SimulationError(f"'{text}' may ask for {' or '.join(rivals)}; say it in other words")
    return Instruction(task, best.slots)
