"""The default context and small questions about it, under their documented names."""

from __future__ import annotations

from collections.abc import Sequence

from pocketros.arguments import parse_ros_arguments
from pocketros.errors import left_out

from rclpy import ok, shutdown, try_shutdown
from rclpy.context import get_default_context


def remove_ros_args(args: Sequence[str] | None = None) -> list[str]:
    """The arguments that are not for ROS."""
    return parse_ros_arguments(args).rest


def get_rmw_implementation_identifier() -> str:
    return "rmw_cyclonedds_cpp"


__all__ = ["get_default_context", "ok", "remove_ros_args", "shutdown", "try_shutdown"]
__getattr__ = left_out(__name__)
