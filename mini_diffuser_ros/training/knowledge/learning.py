"""From a policy and its demonstrations to what it knows about itself."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from mini_diffuser_ros.policy.knowledge.knowledge import Knowledge
from mini_diffuser_ros.policy.knowledge.part import Part
from mini_diffuser_ros.support.errors import one_line
from mini_diffuser_ros.training.errors import DatasetError
from mini_diffuser_ros.training.knowledge.completion import learn_completion
from mini_diffuser_ros.training.knowledge.familiarity import learn_familiarity
from mini_diffuser_ros.training.knowledge.lesson import Lesson
from mini_diffuser_ros.training.knowledge.presence import learn_presence
from mini_diffuser_ros.training.knowledge.sureness import learn_sureness

log = logging.getLogger(__name__)

Learner = Callable[[Lesson], Part]
"""Learns one part, with its thresholds set on what was held out."""

LEARNERS: Mapping[str, Learner] = {
    "familiarity": learn_familiarity,
    "presence": learn_presence,
    "sureness": learn_sureness,
    "completion": learn_completion,
}
"""What learns each part, by its name."""


def learn(lesson: Lesson, names: Sequence[str], known: Knowledge) -> Knowledge:
    """Knowledge with the named parts learned anew; the others stay.

    Args:
        lesson: what to learn from.
        names: of parts, of :data:`LEARNERS`.
        known: until now.

    Raises:
        DatasetError: none of the parts can be learned from this; one line says why. Of others it is logged.
    """
    parts: dict[str, Part] = {}
    refused: list[DatasetError] = []
    for name in names:
        try:
            parts[name] = LEARNERS[name](lesson)
        except ValueError as error:  # a scene in which nothing is left, for one; what was learned before is kept
            log.warning("%s is not learned: %s", name, one_line(error))
            refused.append(error if isinstance(error, DatasetError) else DatasetError(f"{name}: {one_line(error)}"))
            continue
        for what, threshold in parts[name].facts.thresholds.items():
            log.info("%s of %s: %s", name, what, threshold)
    if refused and not parts:
        raise refused[0]
    return replace(known, **parts)  # type: ignore[arg-type]  # each of its own class
