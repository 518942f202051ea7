"""What a node says about itself on /diagnostics: rates, latencies, staleness, problems."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node

from mini_diffuser_ros.nodes.ros.clock_watch import ClockWatch
from mini_diffuser_ros.nodes.ros.timers import steady_timer
from mini_diffuser_ros.support.health import Health, HealthLevel
from mini_diffuser_ros.support.printable import printable

PERIOD = 1.0  # seconds, the rate that diagnostic aggregators expect
STARTING = 10.0  # seconds in which the nodes of a stack may miss one another without a line in the log


def own_part(name: str, namespace: str) -> str | None:
    """``node: part`` of the name of a status, without its namespace; None if it is not of a node of just this one.

    Args:
        name: as :class:`Diagnostics` makes it, and others may make anything.
        namespace: ``/left``, ``left``, or ``/`` of nodes that have none.
    """
    node, _, part = name.partition(": ")
    space, _, own = node.strip("/").rpartition("/")
    return f"{own}: {part}" if own and part and space == namespace.strip("/") else None


def level_of(status: DiagnosticStatus) -> int:
    """The level of a status; that of an error where it says none."""
    if isinstance(status.level, bytes):
        return status.level[0] if status.level else int(HealthLevel.ERROR)
    return int(status.level)


class Diagnostics:
    """Asks the parts of a node how they are, once a second, publishes the answers and logs what is not well.

    What is not well from the start on is logged after STARTING seconds.

    Args:
        node: in whose name.
        hardware_id: what the parts run on, e.g. the robot's name.
        clock: of the node; one of its own where there is none yet.
    """

    def __init__(self, node: Node, hardware_id: str, clock: ClockWatch | None = None) -> None:
        self._node, self._hardware_id = node, hardware_id
        self._parts: dict[str, Callable[[], Health]] = {}
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._clock = clock or ClockWatch(node)
        self._logs_from = time.monotonic() + STARTING
        self._timer = steady_timer(node, PERIOD, self.publish)

    def add(self, name: str, check: Callable[[], Health]) -> None:
        """A part of the node; ``check`` is called once a second, in a thread of the executor."""
        self._parts[name] = check

    def publish(self) -> None:
        """Ask every part now."""
        array = DiagnosticArray()
        array.header.stamp = self._node.get_clock().now().to_msg()
        problems = []
        parts = dict(self._parts)
        if problem := self._clock.problem():  # of which much else follows
            parts = {"clock": lambda: Health(HealthLevel.ERROR, problem), **parts}
        for name, check in parts.items():
            health = check()
            if health.level != HealthLevel.OK:
                problems.append(printable(health.message))
            array.status.append(self._status(name, health))
        self._publisher.publish(array)
        if not problems:
            self._logs_from = -math.inf  # all have found one another
        elif time.monotonic() >= self._logs_from:
            self._node.get_logger().warning("; ".join(problems), throttle_duration_sec=10.0)

    def _status(self, name: str, health: Health) -> DiagnosticStatus:
        values = [KeyValue(key=key, value=_shown(value)) for key, value in health.values.items()]
        return DiagnosticStatus(
            level=bytes([health.level]),
            name=f"{self._node.get_fully_qualified_name().lstrip('/')}: {name}",
            message=printable(health.message),
            hardware_id=self._hardware_id,
            values=values,
        )


def _shown(value: float | str) -> str:
    return printable(value) if isinstance(value, str) else f"{value:.4g}"
