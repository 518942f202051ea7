"""The topic of the joint states, for every node that looks at them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import JointState

from mini_diffuser_ros.nodes.ros.messages import seconds
from mini_diffuser_ros.nodes.ros.ros_time import ros_seconds
from mini_diffuser_ros.nodes.ros.sources import MessageSource

TakeJoints = Callable[[Sequence[str], Sequence[float], Sequence[float], float, float], None]
"""Takes names, positions, velocities, stamp and the steady clock's time, as ``JointHistory.add`` does."""


def subscribe_joint_states(node: MessageSource, take: TakeJoints, now: Callable[[], float] = time.monotonic) -> None:
    """Hand every message on ``joint_states`` to ``take``, in a callback group of its own.

    A message that ``take`` refuses with a ValueError is named in the log and has no consequence. ``now`` gives seconds
    of the steady clock.
    """

    def on_joints(message: JointState) -> None:
        try:
            take_joint_state(node, message, take, now())
        except ValueError as error:
            node.get_logger().warning(f"joint_states: {error}", throttle_duration_sec=5.0)

    group = MutuallyExclusiveCallbackGroup()
    node.create_subscription(JointState, "joint_states", on_joints, qos_profile_sensor_data, callback_group=group)


def take_joint_state(node: MessageSource, message: JointState, take: TakeJoints, received: float) -> None:
    """Hand a message to ``take`` that was received at a time of the steady clock; errors are those of ``take``."""
    # Some drivers leave the stamp 0.
    stamp = seconds(message.header.stamp) or ros_seconds(node)
    take(message.name, message.position, message.velocity, stamp, received)
