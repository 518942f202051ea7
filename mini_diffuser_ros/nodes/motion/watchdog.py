"""The watchdog of the motion under way: the arm, its controller, the guard, the clock, the client that asked for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from mini_diffuser_msgs.msg import Heartbeat

from mini_diffuser_ros.nodes.motion.arm_client import ArmClient
from mini_diffuser_ros.nodes.motion.motion_goal import GoalProgress, Result, outcome_of
from mini_diffuser_ros.nodes.ros.heartbeat import Listener, key_of
from mini_diffuser_ros.nodes.ros.process import ManagedNode
from mini_diffuser_ros.nodes.ros.timers import steady_timer
from mini_diffuser_ros.support.awake import LONG
from mini_diffuser_ros.support.cancellation import CancellationToken
from mini_diffuser_ros.support.errors import UserError

PERIOD = 0.02  # seconds between two looks
REPEAT_EVERY = 25  # looks between two signs of life for the client

Hindrance = Callable[[], "tuple[int, str] | None"]
"""Outcome and reason of what speaks against any motion now; None if nothing does."""


@dataclass(eq=False)
class _Watched:
    """A goal that is looked after."""

    token: CancellationToken
    progress: GoalProgress
    client: bytes | None  # id of the goal for which its client beats; None for a client that does not
    heard: float  # when it last did


class MotionWatchdog:
    """Interrupts a motion as soon as something is not as it has to be.

    Args:
        node: that listens.
        arm: moves.
        hindrance: what else speaks against a motion.
        client_timeout: seconds without a heartbeat of the client that asked for the motion.
        feedback_timeout: seconds without a word of the arm's controller.
        longest_standstill: seconds for which the watchdog itself may not have looked.
    """

    def __init__(
        self,
        node: ManagedNode,
        arm: ArmClient,
        hindrance: Hindrance,
        client_timeout: float,
        feedback_timeout: float,
        longest_standstill: float,
    ) -> None:
        self._arm = arm
        self._hindrance = hindrance
        self._client_timeout = client_timeout
        self._feedback_timeout = feedback_timeout
        self._longest_standstill = longest_standstill
        self._awake = node.awake
        self._watched: _Watched | None = None
        self._looks, self._looked = 0, time.monotonic()
        self._client = Listener(node, "policy", self._on_beat)
        self._timer = steady_timer(node, PERIOD, self._look)

    @contextmanager
    def watching(self, token: CancellationToken, progress: GoalProgress, client: bytes | None) -> Iterator[None]:
        """Around a motion.

        Args:
            token: of the motion.
            progress: to repeat.
            client: id of the goal for which its client beats; None if it does not, as those on a command line.
        """
        self._watched = _Watched(token, progress, client, time.monotonic())
        try:
            yield
        finally:
            self._watched = None

    def goal(self) -> bytes | None:
        """Id of the goal under way, as far as its client beats for it."""
        watched = self._watched
        return None if watched is None else watched.client

    def _on_beat(self, message: Heartbeat) -> None:
        watched = self._watched
        if watched is not None and key_of(message.goal_id) == watched.client:
            watched.heard = time.monotonic()

    def _look(self) -> None:
        watched = self._watched
        stood, self._looked = time.monotonic() - self._looked, time.monotonic()
        if watched is None:
            return
        # Others are not blamed for it, but the arm has moved with nobody here to see it, and maybe nobody at all.
        # Before a motion the client may be gone meanwhile.
        if stood > (self._longest_standstill if self._arm.is_busy() else max(LONG, self._longest_standstill)):
            reason = f"motion_node itself stood still for {stood:.1f} s: nothing moves without it"
            watched.token.interrupt(Result.UNGUARDED, reason)
        self._looks += 1
        if self._looks % REPEAT_EVERY == 0:
            watched.progress.repeat()
        # What is measured comes first: the guard sees the same faults, and knows less about them.
        try:
            if self._arm.is_busy():
                self._arm.check()
        except UserError as error:
            self._arm.disbelieve(error)
            watched.token.interrupt(outcome_of(error), str(error))
        if hindrance := self._hindrance():
            watched.token.interrupt(*hindrance)
        if (silence := self._arm.silence()) > self._feedback_timeout:
            watched.token.interrupt(Result.OVERDUE, f"{self._arm.name} has said nothing for {silence:.1f} s")
        if watched.client is not None and (silence := self._awake.since(watched.heard)) > self._client_timeout:
            reason = f"no heartbeat of the policy for its motion for {silence:.1f} s"
            watched.token.interrupt(Result.CLIENT_LOST, reason)
