"""Goals of an action server: one token for each, from its acceptance to its end, and bringing it there."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from action_msgs.msg import GoalStatus
from rclpy.action import CancelResponse

from mini_diffuser_ros.support.cancellation import CancellationToken

CANCELING_TIMEOUT = 1.0  # seconds


class GoalTokens:
    """Lets cancel requests, stops and newer goals reach the thread that carries a goal out, however early they come.

    A goal whose ``handle_accepted_callback`` calls :meth:`begin` can be interrupted before its execution has begun, and
    canceled even before that callback: its client hears of the acceptance first.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ended = threading.Condition(self._lock)
        self._tokens: dict[bytes, CancellationToken] = {}

    def begin(self, goal: Any) -> CancellationToken:
        """The token of a goal that was accepted just now."""
        with self._lock:
            return self._tokens.setdefault(_key(goal), CancellationToken())

    @contextmanager
    def of(self, goal: Any) -> Iterator[CancellationToken]:
        """The token of a goal that is carried out; afterwards nothing can interrupt it any more."""
        try:
            yield self._tokens[_key(goal)]
        finally:
            with self._lock:
                del self._tokens[_key(goal)]
                self._ended.notify_all()

    def holds(self, token: CancellationToken) -> bool:
        """Whether the goal of a token has neither ended nor been interrupted."""
        return not token.is_interrupted() and token in self._snapshot()

    def await_none(self, timeout: float) -> bool:
        """Wait until every goal has ended; whether it came to that in time."""
        with self._ended:
            return self._ended.wait_for(lambda: not self._tokens, timeout)

    def cancel(self, goal: Any, outcome: int) -> CancelResponse:
        """Answer to a cancel request: the goal is interrupted with this outcome, unless it has ended."""
        with self._lock:
            if goal.status == GoalStatus.STATUS_ACCEPTED:
                self._tokens.setdefault(_key(goal), CancellationToken())
            token = self._tokens.get(_key(goal))
        if token is None:
            return CancelResponse.REJECT
        token.interrupt(outcome, "canceled by its client")
        return CancelResponse.ACCEPT

    def interrupt_all(self, outcome: int, message: str) -> None:
        """Interrupt every goal that has not ended."""
        for token in self._snapshot():
            token.interrupt(outcome, message)

    def notify_all(self) -> None:
        """Let every goal look again at what it waits for."""
        for token in self._snapshot():
            token.notify()

    def _snapshot(self) -> list[CancellationToken]:
        # Tokens are called without the lock: what they wait for may need it.
        with self._lock:
            return list(self._tokens.values())


def _key(goal: Any) -> bytes:
    return bytes(goal.goal_id.uuid)


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
