"""What these tests stand on: rclpy, launch and the ros2 command, of rosless or of a genuine ROS 2."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import rclpy
from rclpy.context import Context
from rclpy.executors import MultiThreadedExecutor, SingleThreadedExecutor
from rclpy.node import Node

PATIENCE = 60.0  # seconds; a busy machine takes its time


class Ros:
    """Contexts, nodes and an executor for one test, on a domain of its own."""

    def __init__(self, domain_id: int, threads: int = 1) -> None:
        self.domain_id = domain_id
        self.contexts: list[Context] = []
        self.nodes: list[Node] = []
        self.context = self.join()
        make = SingleThreadedExecutor if threads == 1 else lambda **kw: MultiThreadedExecutor(threads, **kw)
        self.executor = make(context=self.context)

    def join(self) -> Context:
        """Another participant of the domain."""
        context = Context()
        rclpy.init(args=[], context=context, domain_id=self.domain_id)
        self.contexts.append(context)
        return context

    def node(self, name: str, **options: Any) -> Node:
        """A node that the executor serves."""
        node = Node(name, context=self.context, **options)
        self.nodes.append(node)
        self.executor.add_node(node)
        return node

    def spin_until(self, condition: Callable[[], Any], patience: float = PATIENCE) -> Any:
        """The first truthy value of a condition while callbacks run."""
        deadline = time.monotonic() + patience
        while not (value := condition()):
            assert time.monotonic() < deadline, f"not within {patience} s"
            self.executor.spin_once(timeout_sec=0.05)
        return value

    def result_of(self, future: Any) -> Any:
        """The result of a future."""
        self.executor.spin_until_future_complete(future, PATIENCE)
        assert future.done(), f"not within {PATIENCE} s"
        return future.result()

    def close(self) -> None:
        self.executor.shutdown(timeout_sec=5.0)
        for node in self.nodes:
            node.destroy_node()
        for context in self.contexts:
            context.try_shutdown()


@pytest.fixture
def domain_id() -> int:
    return random.SystemRandom().randrange(1, 59)


@pytest.fixture
def ros(domain_id: int) -> Iterator[Ros]:
    made = Ros(domain_id)
    yield made
    made.close()


@pytest.fixture
def threaded_ros(domain_id: int) -> Iterator[Ros]:
    made = Ros(domain_id, threads=3)
    yield made
    made.close()


@pytest.fixture
def ros2(domain_id: int) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the ros2 command in the domain of the test."""
    program = shutil.which("ros2") or str(Path(sys.executable).with_name("ros2"))

    def run(*words: str, timeout: float = PATIENCE) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "ROS_DOMAIN_ID": str(domain_id)}
        return subprocess.run([program, *words], capture_output=True, text=True, timeout=timeout, env=environment)

    return run
