"""Sentence templates from a YAML file: task -> list of templates with the task's slots in braces."""

from __future__ import annotations

import string
from collections.abc import Mapping
from pathlib import Path

import yaml

from mini_diffuser_ros.evaluation.protocol import EvaluationError


def read_sentences(path: Path, slots: Mapping[str, frozenset[str]]) -> dict[str, tuple[str, ...]]:
    """Templates by task.

    Args:
        path: YAML file, e.g. ``push_buttons: ["hit the {color} one", ...]``.
        slots: for each task that will be evaluated, the slots that each of its templates must have.

    Raises:
        EvaluationError: naming the file, the task and the template.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise EvaluationError(f"{path}: cannot be read as YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise EvaluationError(f"{path}: expected a mapping from task to templates, found {type(content).__name__}")
    templates = {}
    for task, expected in slots.items():
        listed = content.get(task)
        if not isinstance(listed, list) or not listed:
            raise EvaluationError(f"{path}: {task}: expected a list of templates, found {listed!r}")
        for template in listed:
            if not isinstance(template, str) or _slots_of(template) != expected:
                wanted = ", ".join(f"{{{name}}}" for name in sorted(expected))
                raise EvaluationError(f"{path}: {task}: {template!r} must be a text with exactly the slots {wanted}")
        templates[task] = tuple(listed)
    return templates


def _slots_of(template: str) -> frozenset[str] | None:
    try:
        return frozenset(name for _, name, _, _ in string.Formatter().parse(template) if name is not None)
    except ValueError:
        return None
