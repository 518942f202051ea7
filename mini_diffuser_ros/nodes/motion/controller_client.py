"""The client's side of one controller of the robot: goals, and the end of all goals."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rclpy.action import ActionClient
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node

from mini_diffuser_ros.nodes.motion.controller_state import ControllerState
from mini_diffuser_ros.nodes.ros.action_goal import ACCEPT_TIMEOUT, ActionUnavailableError, poll, wait_for_server
from mini_diffuser_ros.support.cancellation import CancellationToken


class ControllerClient:
    """An action of a controller.

    Args:
        node: that sends the goals.
        kind: action type.
        name: of the action.
        group: of all callbacks.
    """

    def __init__(self, node: Node, kind: Any, name: str, group: CallbackGroup) -> None:
        self.name = name
        self._logger = node.get_logger()
        self.client = ActionClient(node, kind, name, callback_group=group)
        self.state = ControllerState(node, name, group)
        self._quiet = threading.Event()
        self._quiet.set()
        self._takeover: Any = None  # future of the answer
        self._takeover_lock = threading.Lock()

    def is_there(self) -> bool:
        """Whether a server of the action is known."""
        return self.client.server_is_ready()

    def await_server(self, token: CancellationToken) -> None:
        """Wait a while for a server of the action, and until it follows nobody else's goals.

        Raises:
            ActionUnavailableError: if none comes.
            InterruptionError: when the token is interrupted.
        """
        wait_for_server(self.client, self.name, token, ACCEPT_TIMEOUT)
        if not poll(self.take_over, token, ACCEPT_TIMEOUT):
            raise ActionUnavailableError(f"{self.name} did not answer to a cancel request within {ACCEPT_TIMEOUT} s")

    def take_over(self) -> bool:
        """End, once, what an earlier process may have left under way; whether that is done."""
        with self._takeover_lock:
            if self._takeover is None:
                self._takeover = self.cancel_all()
                if self._takeover is not None:
                    self._takeover.add_done_callback(self._report_takeover)
            return self._takeover is not None and bool(self._takeover.done())

    def _report_takeover(self, answered: Any) -> None:
        response = answered.result()
        if response is not None and len(response.goals_canceling):
            self._logger.warning(f"{self.name} was following a goal at start; it is canceled")

    def cancel_all(self) -> Any:
        """Future of the answer to a request that ends the goals of every client; None if nobody takes requests."""
        return self.state.cancel_all()

    def is_busy(self) -> bool:
        """Whether a goal of ours is under way."""
        return not self._quiet.is_set()

    def await_quiet(self, timeout: float) -> bool:
        """Wait until no goal of ours is under way; whether it came to that in time."""
        return self._quiet.wait(timeout)

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Around a goal of ours; one that gets no answer is canceled, as it may be followed all the same."""
        self._quiet.clear()
        try:
            yield
        except ActionUnavailableError:
            self.cancel_all()
            raise
        finally:
            self._quiet.set()
