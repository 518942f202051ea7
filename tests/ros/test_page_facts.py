"""What page_node asks of motion_node holds for the one that runs now, not for one before it."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import rclpy
from rclpy.executors import MultiThreadedExecutor

from mini_diffuser_ros.bench.open_pages import open_pages

from .conftest import Peer, Process
from .live_page import shown

SPACE = "/facts"


@contextmanager
def motion_node(upper: list[float]) -> Iterator[None]:
    """A motion_node by its parameters alone."""
    node = rclpy.create_node("motion_node", namespace=SPACE)
    node.declare_parameter("robot", "panda")
    node.declare_parameter("cell", "")
    node.declare_parameter("planner.workspace.lower", [0.2, -0.4, 0.0])
    node.declare_parameter("planner.workspace.upper", upper)
    node.declare_parameter("planner.boxes", [0.5, 0.0, 0.1, 0.1, 0.1, 0.2, 0.0])
    executor = MultiThreadedExecutor(num_threads=2)
    executor.add_node(node)
    spinner = threading.Thread(target=executor.spin, daemon=True)
    spinner.start()
    try:
        yield
    finally:
        executor.shutdown(timeout_sec=1.0)
        spinner.join(timeout=1.0)
        node.destroy_node()


def test_a_motion_node_that_was_started_again_is_asked_again(start: Callable[..., Process], peer: Peer) -> None:
    page = start("page_node", namespace=SPACE, port=0)
    address = peer.await_that(lambda: re.search(r"the page: (\S+)", page.said()))[1]

    def high() -> Any:
        return shown(address)[1].get("lines", {}).get("high")

    with open_pages(address, 1):
        for upper in ([0.8, 0.4, 0.6], [0.7, 0.3, 0.5]):
            with motion_node(upper):
                peer.await_that(lambda upper=upper: high() == upper)
