"""ROS time as seconds."""

from __future__ import annotations

from rclpy.time import Time

from mini_diffuser_ros.nodes.ros.messages import NANOSECONDS
from mini_diffuser_ros.nodes.ros.sources import MessageSource


def ros_seconds(source: MessageSource) -> float:
    """Seconds of the clock of a node, or of a bag, now, by which stamps are read; nothing is supervised by it."""
    now: Time = source.get_clock().now()
    return float(now.nanoseconds) / NANOSECONDS
