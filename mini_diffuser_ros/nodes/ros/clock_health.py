"""Whether the clock of a node runs: with use_sim_time it is somebody else's."""

from __future__ import annotations

import time

from rclpy.node import Node

from mini_diffuser_ros.support.health import Health, HealthLevel

STANDS_AFTER = 2.0  # seconds of the steady clock


class ClockHealth:
    """Watches the clock of a node; :meth:`health` has to be called about once a second.

    Args:
        node: whose clock.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._clock, self._changed = -1, time.monotonic()

    def health(self) -> Health:
        """What is to be said on /diagnostics."""
        now, steady = self._node.get_clock().now().nanoseconds, time.monotonic()
        if now != self._clock:
            self._clock, self._changed = now, steady
        if now == 0 or steady - self._changed > STANDS_AFTER:
            what = "nobody publishes /clock" if now == 0 else f"/clock stands still at {now / 1e9:.3f} s"
            remedy = "start what publishes it, or this node with use_sim_time:=false"
            return Health(HealthLevel.ERROR, f"use_sim_time is set, but {what}: {remedy}")
        return Health(HealthLevel.OK, "runs", {"seconds": now / 1e9})
