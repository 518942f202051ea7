"""Whether ROS time runs: with use_sim_time and without /clock it stands still, and everything that waits for it."""

from __future__ import annotations

import time

from rclpy.node import Node

from mini_diffuser_ros.nodes.ros.timers import steady_timer
from mini_diffuser_ros.support.awake import AwakeClock

PERIOD = 0.1  # seconds between two looks
STILL = 1.0  # seconds of the steady clock in which ROS time has to go on
REMEDY = "start or resume what publishes it, or this node with use_sim_time:=false"


class ClockWatch:
    """Looks at a node's clock by the steady one.

    Args:
        node: whose clock it is.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._shown, self._changed = -1, time.monotonic()
        self._awake = AwakeClock(3.0 * PERIOD)
        self._timer = steady_timer(node, PERIOD, self._look)

    def problem(self) -> str:
        """What is wrong with ROS time, in one line; empty if it runs."""
        if not self._is_simulated():
            return ""
        if self._node.get_clock().now().nanoseconds == 0:
            return f"use_sim_time is true and nobody publishes /clock: {REMEDY}"
        still = self._awake.since(self._changed)
        if still <= STILL:
            return ""
        shown = self._shown / 1e9
        return f"use_sim_time is true and /clock has stood still at {shown:.3f} s for {still:.1f} s: {REMEDY}"

    def _is_simulated(self) -> bool:
        return bool(self._node.get_parameter("use_sim_time").value)

    def _look(self) -> None:
        self._awake.look()
        shown = self._node.get_clock().now().nanoseconds
        if shown != self._shown:
            self._shown, self._changed = shown, time.monotonic()
