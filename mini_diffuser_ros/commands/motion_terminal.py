"""What verbs that move the arm themselves share: consent in the same terminal, and Ctrl-C that brings it to rest."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from mini_diffuser_msgs.action import MoveToKeyframe
from rclpy.node import Node

from mini_diffuser_ros.commands.arguments import LONGEST_WAIT, namespace, number_between
from mini_diffuser_ros.commands.consent import ConsentTerminal, write
from mini_diffuser_ros.commands.interruptible import interruptible
from mini_diffuser_ros.nodes.motion.motion_requests import MotionRequests
from mini_diffuser_ros.nodes.ros.client_node import client_node
from mini_diffuser_ros.support.cancellation import CancellationToken, InterruptionError


def add_motion_arguments(parser: argparse.ArgumentParser) -> None:
    """``--wait`` and ``--namespace``."""
    parser.add_argument(
        "--wait", type=number_between(0.0, LONGEST_WAIT), default=10.0, help="seconds to wait for motion_node"
    )
    parser.add_argument("--namespace", type=namespace, default="", help="namespace of the stack")


class MotionTerminal:
    """Sends goals to motion_node and asks whoever sits here where it wants consent.

    Attributes:
        node: that sends.
    """

    def __init__(self, node: Node, wait: float) -> None:
        self.node = node
        self._token = CancellationToken()
        self._consent = ConsentTerminal(node, sys.stdin)
        self._requests = MotionRequests(node, wait, self._token, write)

    def carry_out(self, goal: MoveToKeyframe.Goal) -> MoveToKeyframe.Result:
        """As MotionRequests.carry_out; Ctrl-C cancels the goal and waits until the arm rests."""
        stopped = KeyboardInterrupt("the motion was canceled")
        try:
            result = interruptible(lambda: self._requests.carry_out(goal), self._token, MoveToKeyframe.Result.CANCELED)
        except InterruptionError:
            raise stopped from None
        if self._token.is_interrupted():  # too late for this goal, but no other is to follow
            raise stopped
        return result


@contextmanager
def motion_terminal(verb: str, values: argparse.Namespace) -> Iterator[MotionTerminal]:
    """While entered, goals can be sent.

    Raises:
        NodeError: if there is no motion_node.
    """
    with client_node(verb, values.namespace, threads=3) as node:
        yield MotionTerminal(node, values.wait)
