"""What a run spent its time with: looking, deciding, planning, moving, gripping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mini_diffuser_ros.viewing.run_report import Event

MOVED = "moved"
"""Phase that only says that a motion has ended; what follows is no part of it."""

KINDS = {
    "waiting": "wait",
    "looking": "look",
    "deciding": "decide",
    "planning": "plan",
    "confirming": "ask",
    "moving": "move",
    "held": "hold",
    "gripper": "grip",
    MOVED: "rest",
}
"""Phases of the feedback, each with the name of its lane, in the order of the lanes."""


@dataclass(frozen=True)
class Span:
    """A time of one kind.

    Attributes:
        kind: one of the values of :data:`KINDS`, or a phase that is not among them.
        keyframe: number, 1 for the first.
        start, end: seconds since the sentence.
    """

    kind: str
    keyframe: int
    start: float
    end: float


def spans_of(events: Sequence[Event], end: float) -> list[Span]:
    """The times between events, each of the kind that begins it; the last one reaches to ``end``, seconds."""
    if not events:
        return []
    ends = [*(event.seconds for event in events[1:]), end]
    return [
        Span(KINDS.get(event.phase, event.phase), event.keyframe, event.seconds, max(event.seconds, until))
        for event, until in zip(events, ends, strict=True)
    ]


def seconds_by_kind(spans: Sequence[Span]) -> dict[str, float]:
    """Seconds of each kind that there is, in the order of the lanes."""
    kinds = dict.fromkeys([*KINDS.values(), *(span.kind for span in spans)])
    sums = {kind: sum(span.end - span.start for span in spans if span.kind == kind) for kind in kinds}
    return {kind: seconds for kind, seconds in sums.items() if seconds > 0.0}
