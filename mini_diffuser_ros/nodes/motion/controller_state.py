"""What a controller says of the goals that it has, whoever sent them, and the end of all of them."""

from __future__ import annotations

from typing import Any

from action_msgs.msg import GoalStatus, GoalStatusArray
from action_msgs.srv import CancelGoal
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import qos_profile_action_status_default

from mini_diffuser_ros.nodes.ros.graph import publishers_of

UNDER_WAY = (GoalStatus.STATUS_ACCEPTED, GoalStatus.STATUS_EXECUTING, GoalStatus.STATUS_CANCELING)


FRANKA_GRIPPER = ("grasp", "move")
"""Last parts of the names of the actions of franka_msgs that lie beside a gripper's GripperCommand action."""


def beside(action: str, name: str) -> str:
    """The name of an action of the same driver as another one's."""
    return f"{action.rpartition('/')[0]}/{name}"


class ControllerState:
    """Listens to one action of a controller.

    Args:
        node: that listens.
        name: of the action.
        group: of all callbacks.
    """

    def __init__(self, node: Node, name: str, group: CallbackGroup) -> None:
        self.name = name
        self._node = node
        self._active: frozenset[bytes] = frozenset()
        self._cancel = node.create_client(CancelGoal, f"{name}/_action/cancel_goal", callback_group=group)
        status, qos = f"{name}/_action/status", qos_profile_action_status_default
        node.create_subscription(GoalStatusArray, status, self._on_status, qos, callback_group=group)

    def active(self) -> frozenset[bytes]:
        """Ids of the goals under way, by the controller's last word."""
        return self._active

    def servers(self) -> list[str]:
        """Full names of the nodes that serve the action; more than one would move the same arm."""
        return publishers_of(self._node, f"{self.name}/_action/status")

    def cancel_all(self) -> Any:
        """Future of the answer to a request that ends the goals of every client; None if nobody takes requests."""
        # A goal id of zeros with a stamp of zero stands for all goals.
        return self._cancel.call_async(CancelGoal.Request()) if self._cancel.service_is_ready() else None

    def _on_status(self, message: GoalStatusArray) -> None:
        self._active = frozenset(
            bytes(status.goal_info.goal_id.uuid) for status in message.status_list if status.status in UNDER_WAY
        )
