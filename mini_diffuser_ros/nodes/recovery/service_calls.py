"""Calling services and actions of drivers, whose packages need not be installed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from rclpy.action import ActionClient
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node

from mini_diffuser_ros.nodes.ros.action_goal import carry_out, poll
from mini_diffuser_ros.nodes.ros.process import NodeError
from mini_diffuser_ros.nodes.ros.service_call import call_service
from mini_diffuser_ros.running.recovery import RecoveryError
from mini_diffuser_ros.support.cancellation import CancellationToken

PATIENCE = 3.0  # seconds to look for a service or an action
ANSWER_TIMEOUT = 15.0  # seconds; activating hardware takes some


class ServiceCalls:
    """Services and actions by name.

    Args:
        node: that calls; somebody else has to spin it.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._group = ReentrantCallbackGroup()
        self._clients: dict[str, Any] = {}
        self._token = CancellationToken()

    def call(self, kind: Any, name: str, request: Any = None) -> Any:
        """Response of a service.

        Raises:
            RecoveryError: if nobody serves it, or does not answer.
        """
        try:
            return call_service(
                self._client(kind, name),
                request or kind.Request(),
                self._token,
                name=name,
                patience=PATIENCE,
                timeout=ANSWER_TIMEOUT,
                missing=f"nobody serves {self._node.resolve_service_name(name)}",
            )
        except NodeError as error:
            raise RecoveryError(str(error)) from None

    def is_there(self, kind: Any, name: str) -> bool:
        """Whether somebody serves a service."""
        return poll(self._client(kind, name).service_is_ready, self._token, PATIENCE)

    def execute(self, kind: Any, name: str, timeout: float) -> Any:
        """Wrapped result of an action's goal that says nothing; errors as of ``carry_out``."""
        client = ActionClient(self._node, kind, name, callback_group=self._group)
        return carry_out(client, kind.Goal(), self._token, name=name, timeout=timeout)

    def _client(self, kind: Any, name: str) -> Any:
        if name not in self._clients:
            self._clients[name] = self._node.create_client(kind, name, callback_group=self._group)
        return self._clients[name]


def interface(package: str, kind: str, name: str) -> Any:
    """A service or action type of a package that a robot's drivers bring.

    Args:
        package: e.g. ``controller_manager_msgs``.
        kind: srv or action.
        name: of the type.

    Raises:
        RecoveryError: if the package is not installed.
    """
    try:
        return getattr(import_module(f"{package}.{kind}"), name)
    except (ImportError, AttributeError):
        raise RecoveryError(
            f"{package}/{kind}/{name} is not installed here: source the workspace of the robot's drivers first"
        ) from None
