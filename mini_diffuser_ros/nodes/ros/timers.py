"""Timers of supervision: they fire whatever ROS time or the system's clock does."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from rclpy.timer import Timer


def steady_timer(node: Node, period: float, callback: Callable[[], None]) -> Timer:
    """Call a function every ``period`` seconds of the steady clock, in a callback group of its own.

    A timer of the node's own clock stands still while nobody publishes /clock, or after the system's was set back.
    """
    group, clock = MutuallyExclusiveCallbackGroup(), Clock(clock_type=ClockType.STEADY_TIME)
    return node.create_timer(period, callback, callback_group=group, clock=clock)
