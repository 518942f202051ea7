"""Calling a service and seeing the call through to its answer."""

from __future__ import annotations

from typing import Any

from rclpy.client import Client

from mini_diffuser_ros.nodes.ros.action_goal import poll
from mini_diffuser_ros.nodes.ros.process import NodeError
from mini_diffuser_ros.support.cancellation import CancellationToken


def call_service(
    client: Client, request: Any, token: CancellationToken, *, name: str, patience: float, timeout: float, missing: str
) -> Any:
    """Response of a service.

    Args:
        client: of the service; somebody else spins its node.
        request: of its type.
        token: what may interrupt.
        name: of the service, for messages.
        patience: seconds to look for somebody who serves it.
        timeout: seconds for the answer.
        missing: what to say where nobody serves it.

    Raises:
        NodeError: if nobody serves it, or does not answer.
        InterruptionError: when the token is interrupted.
    """
    if not poll(client.service_is_ready, token, patience):
        raise NodeError(missing)
    try:
        return token.result_of(client.call_async(request), timeout)
    except TimeoutError:
        raise NodeError(f"{name} gave no answer within {timeout:g} s") from None
