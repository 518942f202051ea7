"""Asking the simulated world, where there is one, to have on its table what a sentence needs."""

from __future__ import annotations

from mini_diffuser_msgs.srv import ResetWorld
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node

from mini_diffuser_ros.nodes.ros.action_goal import poll
from mini_diffuser_ros.nodes.ros.process import NodeError
from mini_diffuser_ros.support.cancellation import CancellationToken

SERVICE = "sim/reset"
KEEP = -1  # no seed: the table stays where it has what the sentence needs
ANSWER_TIMEOUT = 30.0  # seconds; a busy machine takes its time to build a world


class TableClient:
    """A client of ``sim/reset``.

    Args:
        node: that calls, with an executor that has a thread to spare.
    """

    def __init__(self, node: Node) -> None:
        self._client = node.create_client(ResetWorld, SERVICE, callback_group=ReentrantCallbackGroup())

    def prepare(self, sentence: str, token: CancellationToken, patience: float) -> str | None:
        """Have the table laid for a sentence that is about to be sent, and success judged by it.

        Args:
            sentence: what the table is for.
            token: what may interrupt.
            patience: seconds to look for a simulated world.

        Returns:
            What the world says, None where there is none.

        Raises:
            NodeError: if the world does not answer.
            InterruptionError: the token was interrupted.
        """
        if not poll(self._client.service_is_ready, token, patience):
            return None
        answer = self._client.call_async(ResetWorld.Request(instruction=sentence, seed=KEEP))
        try:
            return str(token.result_of(answer, ANSWER_TIMEOUT).message)
        except TimeoutError:
            raise NodeError(f"{SERVICE} did not answer within {ANSWER_TIMEOUT:.0f} s") from None
