"""One thing that is wrong."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """Something that is wrong with demonstrations.

    Attributes:
        kind: the same for the same fault in other places, a few words.
        problem: one line: the thing, its value and what was expected.
        is_error: False for a warning: it can be trained on, but somebody should look at it.
        episodes: names of the episodes that it is in, the one to look at first.
        task: that it is of, where it is of a task rather than of these episodes.
    """

    kind: str
    problem: str
    is_error: bool = True
    episodes: tuple[str, ...] = ()
    task: str = ""
