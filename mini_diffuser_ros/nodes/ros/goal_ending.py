"""Bringing a goal of an action server into its final state."""

from __future__ import annotations

import time
from typing import Any

CANCELING_TIMEOUT = 1.0  # seconds


def end_goal(goal: Any, *, succeeded: bool, canceled: bool) -> None:
    """Succeed, cancel or abort a goal.

    Args:
        goal: handle of the server's side.
        succeeded: the goal was reached.
        canceled: it ended because its client canceled it.
    """
    if succeeded:
        goal.succeed()
    elif canceled and _is_canceling(goal):
        goal.canceled()
    else:
        goal.abort()


def _is_canceling(goal: Any) -> bool:
    """Whether the goal has entered its canceling state.

    rclpy changes the state only after the cancel callback, which ended the work, has returned.
    """
    deadline = time.monotonic() + CANCELING_TIMEOUT
    while not goal.is_cancel_requested and time.monotonic() < deadline:
        time.sleep(0.005)
    return bool(goal.is_cancel_requested)
