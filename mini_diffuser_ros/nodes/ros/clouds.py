"""The topic of perception's clouds, and which of them are not believed by their stamps."""

from __future__ import annotations

from rclpy.node import Node

from mini_diffuser_ros.nodes.ros.messages import MalformedMessageError
from mini_diffuser_ros.nodes.ros.ros_time import ros_seconds
from mini_diffuser_ros.records import Cloud

CLOUD_TOPIC = "mini_diffuser/cloud"
MAX_LEAD = 0.25  # seconds that a cloud may be stamped in the future; by its stamp it is known to be new


def check_lead(cloud: Cloud, node: Node) -> None:
    """Refuse a cloud that is stamped too far in the future of a node's clock.

    Raises:
        MalformedMessageError: it seems to show what is yet to come.
    """
    lead = cloud.stamp - ros_seconds(node)
    if lead > MAX_LEAD:
        raise MalformedMessageError(
            f"a cloud is stamped {lead:.2f} s in the future, allowed are {MAX_LEAD} s: synchronise the machines' clocks"
        )
