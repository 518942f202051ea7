"""Names of the outcomes of ExecuteInstruction."""

from __future__ import annotations

from mini_diffuser_msgs.action import ExecuteInstruction

NAMES = (
    "FAILED",
    "TERMINATED",
    "KEYFRAME_LIMIT",
    "STOPPED",
    "PREEMPTED",
    "REFUSED",
    "CANCELED",
    "MOTION_LOST",
    "ALREADY",
    "PLANNED",
    "NO_PROGRESS",
    "UNFAMILIAR",
    "NOT_FOUND",
    "NOT_CONFIRMED",
)


def outcome_name(outcome: int) -> str:
    """Name of a result's outcome constant, e.g. ``TERMINATED``."""
    for name in NAMES:
        if getattr(ExecuteInstruction.Result, name) == outcome:
            return name
    return f"unknown outcome {outcome}"
