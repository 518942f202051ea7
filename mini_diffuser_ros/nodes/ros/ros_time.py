"""ROS time as seconds."""

from __future__ import annotations

from rclpy.node import Node

from mini_diffuser_ros.nodes.ros.messages import NANOSECONDS


def ros_seconds(node: Node) -> float:
    """Seconds of the node's clock now, by which stamps are read; nothing is supervised by it."""
    return float(node.get_clock().now().nanoseconds) / NANOSECONDS
