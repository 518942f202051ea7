"""What nodes and the controller_manager say when they are asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rcl_interfaces.srv import GetParameters
from rclpy.node import Node

from mini_diffuser_ros.nodes.recovery.controller_manager import ControllerManager
from mini_diffuser_ros.nodes.recovery.service_calls import ServiceCalls
from mini_diffuser_ros.running.recovery import RecoveryError
from mini_diffuser_ros.support.errors import one_line


def sim_time_of(node: Node, others: Iterable[str]) -> dict[str, bool]:
    """Whether each of some nodes, by fully qualified names, follows /clock; those that do not answer are left out."""
    calls, request, found = ServiceCalls(node), GetParameters.Request(names=["use_sim_time"]), {}
    for other in others:
        try:
            found[other] = bool(calls.call(GetParameters, f"{other}/get_parameters", request).values[0].bool_value)
        except (RecoveryError, IndexError):
            continue
    return found


def controllers_of(node: Node, manager: str) -> tuple[Mapping[str, str] | None, str]:
    """Name and state of each controller, or None and why they are not known.

    Args:
        node: that asks.
        manager: name of the controller_manager.
    """
    try:
        return {one.name: one.state for one in ControllerManager(ServiceCalls(node), manager).controllers()}, ""
    except RecoveryError as error:
        return None, one_line(error)
