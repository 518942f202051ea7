"""Many nodes of one process begun and ended: how long it takes, and whether they leave anything behind.

Joins the domain with a context of its own, makes the nodes one after another, and destroys them in the same order. Exit
code 1 if that took more than 25 ms of CPU a node, begun and ended, or if a thread, file or socket is left. Time by the
clock stands beside, with the load: on a machine that does something else meanwhile it says little. Linux only; of ROS
it uses nothing but rclpy.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import rclpy
from rclpy.context import Context
from rclpy.node import Node

from mini_diffuser_ros.bench.benchmark import Benchmark, at_least
from mini_diffuser_ros.bench.ros_cycles import settled

ALLOWED = 0.025  # seconds of CPU a node: 5 s for two hundred


@dataclass(frozen=True, kw_only=True)
class NodesSetting:
    """How many.

    Attributes:
        count: nodes.
        domain: ROS domain; that of ROS_DOMAIN_ID if left out.
    """

    count: int = at_least(1, 200)
    domain: int | None = None


def measure_nodes(settings: Sequence[NodesSetting]) -> Iterator[dict[str, Any]]:
    """A row for each number of nodes."""
    for setting in settings:
        domain = int(os.environ.get("ROS_DOMAIN_ID", "0")) if setting.domain is None else setting.domain
        _live(domain, 1)  # what the first node of a process loads is not what is measured
        before = settled()
        began, cpu = time.monotonic(), time.process_time()
        begin = _live(domain, setting.count)
        wall, cpu = time.monotonic() - began, time.process_time() - cpu
        after = settled()
        clean = (after.threads, after.files, after.sockets) == (before.threads, before.files, before.sockets)
        yield {
            "nodes": setting.count,
            "passed": clean and cpu <= ALLOWED * setting.count,
            "begin_s": round(begin, 2),
            "end_s": round(wall - begin, 2),
            "wall_s": round(wall, 2),
            "cpu_s": round(cpu, 2),
            "load": round(os.getloadavg()[0], 1),
            "before": asdict(before),
            "after": asdict(after),
        }


def _live(domain: int, count: int) -> float:
    """Begin and end nodes; seconds until all had begun."""
    context = Context()
    rclpy.init(args=[], context=context, domain_id=domain)
    began = time.monotonic()
    nodes = [Node(f"node_{number}", context=context) for number in range(count)]
    begun = time.monotonic() - began
    for node in nodes:
        node.destroy_node()
    context.try_shutdown()
    return begun


BENCHMARK = Benchmark(NodesSetting, measure_nodes, __doc__)
