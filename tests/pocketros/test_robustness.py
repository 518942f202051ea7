"""Nodes that start and stop, die, rejoin, and hear nonsense."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import rclpy
from control_msgs.action import GripperCommand
from rclpy.action import ActionClient
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.context import Context
from rclpy.executors import MultiThreadedExecutor, SingleThreadedExecutor
from rclpy.node import Node
from std_msgs.msg import String
from std_srvs.srv import Trigger

PATIENCE = 60.0
TARGET = """
import rclpy
from control_msgs.action import GripperCommand
from rclpy.action import ActionServer
from rclpy.node import Node
from std_msgs.msg import String
from std_srvs.srv import Trigger

rclpy.init()
node = Node("mortal")
echo = node.create_publisher(String, "echo", 10)
node.create_subscription(String, "call", lambda message: echo.publish(message), 10)
node.create_service(Trigger, "check", lambda request, response: response)

def execute(goal):
    goal.succeed()
    return GripperCommand.Result(reached_goal=True)

ActionServer(node, GripperCommand, "grip", execute)
rclpy.spin(node)
"""


class Survivor:
    """A node with a publisher, a client and an action client, and the process of the node that serves them."""

    def __init__(self, domain_id: int) -> None:
        self.domain_id, self.context = domain_id, Context()
        rclpy.init(args=[], context=self.context, domain_id=domain_id)
        self.node = Node("survivor", context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.heard: list[str] = []
        self.publisher = self.node.create_publisher(String, "call", 10)
        self.node.create_subscription(String, "echo", lambda message: self.heard.append(message.data), 10)
        self.client = self.node.create_client(Trigger, "check")
        self.action = ActionClient(self.node, GripperCommand, "grip")
        self.process: subprocess.Popen[bytes] | None = None

    def start_mortal(self) -> None:
        environment = {**os.environ, "ROS_DOMAIN_ID": str(self.domain_id)}
        self.process = subprocess.Popen([sys.executable, "-c", TARGET], env=environment)

    def kill_mortal(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(PATIENCE)

    def until(self, condition: Callable[[], Any]) -> None:
        """Spins until something is true."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline
            self.executor.spin_once(timeout_sec=0.05)

    def answered(self, ask: Callable[[], Any]) -> Any:
        """The answer to a question that is asked again as long as it is lost, as one to a dead node is."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            future = ask()
            self.executor.spin_until_future_complete(future, 1.0)
            if future.done():
                return future.result()
        raise AssertionError("no answer")

    def use_mortal(self, text: str) -> None:
        def heard() -> bool:
            self.publisher.publish(String(data=text))
            return text in self.heard

        self.until(heard)
        assert self.answered(lambda: self.client.call_async(Trigger.Request())) is not None
        goal = self.answered(lambda: self.action.send_goal_async(GripperCommand.Goal()))
        assert self.answered(goal.get_result_async).result.reached_goal

    def sees_mortal(self) -> bool:
        return "mortal" in self.node.get_node_names()


@pytest.fixture
def survivor(domain_id: int) -> Iterator[Survivor]:
    made = Survivor(domain_id)
    yield made
    made.kill_mortal()
    made.executor.shutdown()
    made.node.destroy_node()
    made.context.try_shutdown()


@pytest.mark.process
def test_a_killed_node_is_forgotten_and_rejoins(survivor: Survivor) -> None:
    survivor.start_mortal()
    survivor.use_mortal("first life")
    survivor.until(survivor.sees_mortal)
    survivor.kill_mortal()

    call = survivor.client.call_async(Trigger.Request())
    ticks: list[int] = []
    survivor.node.create_timer(0.01, lambda: ticks.append(1))
    survivor.until(lambda: len(ticks) >= 10)  # the executor goes on
    assert not call.done()
    survivor.client.remove_pending_request(call)

    survivor.until(lambda: not survivor.sees_mortal())
    survivor.until(lambda: survivor.node.count_subscribers("call") == 0)
    survivor.until(lambda: not survivor.client.service_is_ready())

    survivor.start_mortal()
    survivor.use_mortal("second life")
    survivor.until(survivor.sees_mortal)


@pytest.mark.parametrize("threads", [1, 3])
def test_the_callbacks_of_a_busy_group_take_turns(domain_id: int, threads: int) -> None:
    context = Context()
    rclpy.init(args=[], context=context, domain_id=domain_id)
    node, executor = Node("busy", context=context), MultiThreadedExecutor(threads, context=context)
    executor.add_node(node)
    served = [0, 0, 0]

    def serve(index: int) -> None:
        served[index] += 1

    for index in range(3):
        node.create_timer(1e-9, partial(serve, index))
    deadline = time.monotonic() + PATIENCE
    while sum(served) < 300 and time.monotonic() < deadline:
        executor.spin_once(timeout_sec=1.0)
    executor.shutdown()
    node.destroy_node()
    context.try_shutdown()
    assert sum(served) >= 300
    assert max(served) - min(served) <= 2


@pytest.mark.process
@pytest.mark.parametrize(("benchmark", "count"), [("ros-cycles", 40), ("ros-nodes", 40), ("ros-malformed", 500)])
def test_the_small_version_of_a_benchmark_passes(domain_id: int, benchmark: str, count: int) -> None:
    words = [sys.executable, "-m", "mini_diffuser_ros", "bench", benchmark, "--count", str(count)]
    environment = {**os.environ, "ROS_DOMAIN_ID": str(domain_id)}
    done = subprocess.run(words, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-3000:]}"


def test_nodes_may_be_destroyed_while_another_thread_spins(domain_id: int) -> None:
    context = Context()
    context.init([], domain_id=domain_id)
    executor, ended = SingleThreadedExecutor(context=context), threading.Event()

    def come_and_go() -> None:
        for _ in range(100):
            node = Node("guest", context=context, start_parameter_services=False, enable_rosout=False)
            for _ in range(20):
                node.create_timer(0.0, lambda: None)
            executor.add_node(node)
            node.destroy_node()
        ended.set()

    guests = threading.Thread(target=come_and_go)
    guests.start()
    while not ended.is_set():
        executor.spin_once(timeout_sec=0.01)
    guests.join()
    assert executor.get_nodes() == []
    context.try_shutdown()


def test_an_executor_whose_threads_are_busy_waits(domain_id: int) -> None:
    context = Context()
    context.init([], domain_id=domain_id)
    executor, free, looks = MultiThreadedExecutor(1, context=context), threading.Event(), 0

    class Group(ReentrantCallbackGroup):
        def can_execute(self, entity: Any) -> bool:
            nonlocal looks
            looks += 1
            return True

    node = Node("busy", context=context)
    for work in (partial(free.wait, PATIENCE), time.monotonic):
        node.create_timer(0.0, work, callback_group=Group())
    executor.add_node(node)
    executor.spin_once(timeout_sec=PATIENCE)
    looks = 0
    executor.spin_once(timeout_sec=0.5)
    free.set()
    assert looks < 10
    executor.shutdown()
    node.destroy_node()
    context.try_shutdown()
