"""Parameters of other nodes and states of controllers, as far as somebody answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from rcl_interfaces.srv import GetParameters
from rclpy.node import Node

from mini_diffuser_ros.support.cancellation import CancellationToken

PATIENCE = 2.0  # seconds


def parameters_of(node: Node, other: str, names: Sequence[str]) -> Mapping[str, Any]:
    """Values of a node's parameters by their names; empty where it does not answer."""
    response = _ask(node, GetParameters, f"{other}/get_parameters", GetParameters.Request(names=list(names)))
    values = [] if response is None else response.values
    return {name: _value(value) for name, value in zip(names, values, strict=False)}


def controllers_of(node: Node, manager: str) -> tuple[Mapping[str, str] | None, str]:
    """Name and state of each controller, or None and what to do to learn it.

    Args:
        node: that asks.
        manager: fully qualified name of the controller_manager.
    """
    try:
        kind = import_module("controller_manager_msgs.srv").ListControllers
    except (ImportError, AttributeError):
        return None, "install controller_manager_msgs (ros-$ROS_DISTRO-controller-manager-msgs) and source it here"
    response = _ask(node, kind, f"{manager}/list_controllers", kind.Request())
    if response is None:
        return None, f"nobody answers on {manager}/list_controllers; ros2_control runs under another name?"
    return {one.name: one.state for one in response.controller}, ""


def _ask(node: Node, kind: Any, service: str, request: Any) -> Any | None:
    client = node.create_client(kind, service)
    try:
        if not client.wait_for_service(timeout_sec=PATIENCE):
            return None
        return CancellationToken().result_of(client.call_async(request), PATIENCE)
    except TimeoutError:
        return None
    finally:
        node.destroy_client(client)


def _value(value: Any) -> Any:
    """Of a bool or a text, which is all that is asked for."""
    return value.bool_value if value.type == 1 else value.string_value
