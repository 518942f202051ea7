"""Which sentence is obeyed: the newest, as soon as the one before it has brought the arm to rest."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mini_diffuser_msgs.action import ExecuteInstruction

from mini_diffuser_ros.nodes.ros.goal_tokens import GoalTokens
from mini_diffuser_ros.nodes.ros.process import NodeError
from mini_diffuser_ros.running.instruction_run import refusal_of
from mini_diffuser_ros.support.awake import AwakeClock
from mini_diffuser_ros.support.cancellation import CancellationToken

Result = ExecuteInstruction.Result
TURN_TIMEOUT = 60.0  # seconds; a preempted sentence gives its turn back as soon as motion has ended


class Sentences(GoalTokens):
    """Tokens of the sentences that have not ended.

    Args:
        max_length: characters of a sentence.
        awake: of the node that obeys; None for a clock of its own.
    """

    def __init__(self, max_length: int, awake: AwakeClock | None = None) -> None:
        super().__init__()
        self._awake = awake or AwakeClock()
        self._max_length = max_length
        self._obeyed: CancellationToken | None = None  # whose turn it is
        self._newest: tuple[str, CancellationToken] | None = None  # the sentence that preempts all others
        self._turn_lock = threading.Lock()

    def begin(self, goal: Any) -> CancellationToken:
        """The token of a goal: one that is refused, is obeyed already, or has waited for a node that stood still, is
        interrupted at once.

        Any other preempts all before it.
        """
        sentence = goal.request.instruction.strip()
        if (refusal := refusal_of(sentence, self._max_length)) is not None:
            token = super().begin(goal)
            token.interrupt(Result.REFUSED, refusal)
        elif self.is_obeyed(sentence):
            token = super().begin(goal)
            token.interrupt(Result.ALREADY, "the same sentence is being obeyed, and goes on")
        elif waited := self._awake.waited():
            token = super().begin(goal)
            token.interrupt(
                Result.REFUSED, f"this sentence waited while policy_node stood still for {waited:.0f} s: say it again"
            )
        else:
            self.interrupt_all(Result.PREEMPTED, f"preempted by '{sentence}'")
            token = super().begin(goal)
            self._newest = sentence, token
        return token

    def is_obeyed(self, sentence: str) -> bool:
        """Whether this sentence is being obeyed, or about to be, and nothing has interrupted it."""
        newest = self._newest
        return newest is not None and newest[0] == sentence.strip() and self.holds(newest[1])

    @contextmanager
    def turn(self, token: CancellationToken) -> Iterator[None]:
        """Around obeying: only one sentence at a time may move the arm.

        Raises:
            InterruptionError: when the token is interrupted before its turn has come.
            NodeError: if the sentence before it does not end.
        """
        try:
            # An interruption may come just after the turn was taken.
            self._await_turn(token)
            yield
        finally:
            self._give_back(token)

    def _await_turn(self, token: CancellationToken) -> None:
        try:
            token.wait_for(lambda: self._take_turn(token), TURN_TIMEOUT)
        except TimeoutError:
            raise NodeError(f"the sentence before it did not end within {TURN_TIMEOUT:.0f} s") from None

    def _give_back(self, token: CancellationToken) -> None:
        with self._turn_lock:
            if self._obeyed is not token:
                return
            self._obeyed = None
        self.notify_all()

    def _take_turn(self, token: CancellationToken) -> bool:
        with self._turn_lock:
            if self._obeyed is None:
                self._obeyed = token
            return self._obeyed is token
