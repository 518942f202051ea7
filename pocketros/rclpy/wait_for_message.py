"""Waiting for one message."""

from __future__ import annotations

from typing import Any

from pocketros.interfaces.codec import decode

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.entities import wait_until
from rclpy.node import Node
from rclpy.qos import QoSProfile


def wait_for_message(
    msg_type: Any, node: Node, topic: str, *, qos_profile: QoSProfile | int = 1, time_to_wait: float = -1
) -> tuple[bool, Any]:
    """Wait for a message on a topic, with or without an executor that spins the node.

    Args:
        time_to_wait: seconds; negative: for ever.

    Returns:
        (True, the message), or (False, None) when the time is over or the context is shut down.
    """
    group = MutuallyExclusiveCallbackGroup()
    group.beginning_execution(None)  # for good: no executor takes the message
    with node.create_subscription(msg_type, topic, lambda _: None, qos_profile, callback_group=group) as subscription:
        if wait_until(lambda: bool(subscription._inbox), node.context, time_to_wait):
            return True, decode(msg_type, subscription._inbox[0].data)
    return False, None
