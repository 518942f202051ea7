"""A goal for motion_node from a command, seen through to its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mini_diffuser_msgs.action import MoveToKeyframe
from rclpy.action import ActionClient
from rclpy.node import Node

from mini_diffuser_ros.nodes.policy.motion_client import NAME, TIMEOUT
from mini_diffuser_ros.nodes.ros.action_goal import carry_out, wait_for_server
from mini_diffuser_ros.support.cancellation import CancellationToken
from mini_diffuser_ros.support.errors import UserError

Result = MoveToKeyframe.Result
MAX_SILENCE = 5.0  # seconds without a sign of life of motion_node after which it is given up


class NotReachedError(UserError, RuntimeError):
    """motion_node did not do what it was asked to; the text begins with its result code."""

    exit_code = 1


class MotionRequests:
    """Sends one goal after another.

    Args:
        node: that sends; somebody else has to spin it.
        wait: seconds to wait for motion_node.
        token: what may interrupt; the arm rests then.
        tell: takes each new phase.
    """

    def __init__(self, node: Node, wait: float, token: CancellationToken, tell: Callable[[str], None]) -> None:
        self._client = ActionClient(node, MoveToKeyframe, NAME)
        self._token, self._tell, self._phase = token, tell, ""
        wait_for_server(self._client, NAME, token, wait)

    def carry_out(self, goal: MoveToKeyframe.Goal) -> MoveToKeyframe.Result:
        """The result of a goal that was reached, or of a dry run.

        Raises:
            NotReachedError: if it was neither.
            NodeError: motion_node is absent or fell silent.
            InterruptionError: the token was interrupted.
        """
        self._phase = ""
        wrapped = carry_out(
            self._client,
            goal,
            self._token,
            name=NAME,
            timeout=TIMEOUT,
            on_feedback=self._on_feedback,
            max_silence=MAX_SILENCE,
        )
        result = wrapped.result
        if result.outcome not in (Result.REACHED, Result.PLANNED):
            raise NotReachedError(f"{motion_outcome_name(result.outcome)}: {result.message}")
        return result

    def _on_feedback(self, feedback: Any) -> None:
        if feedback.phase != self._phase:
            self._phase = feedback.phase
            self._tell(feedback.phase)


def motion_outcome_name(outcome: int) -> str:
    """Name of a result's outcome constant, e.g. ``REACHED``."""
    names = (name for name in dir(Result) if name.isupper() and getattr(Result, name) == outcome)
    return next(names, f"unknown outcome {outcome}")
