"""Whoever calls gets an answer, however many call at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import rclpy
from control_msgs.action import GripperCommand
from rclpy.action import ActionClient, ActionServer
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from std_srvs.srv import SetBool

PATIENCE = 60.0  # seconds, on a machine that does other things


class Apart:
    """Nodes of one participant, served by a thread of their own."""

    def __init__(self, domain_id: int) -> None:
        self.context = Context()
        rclpy.init(args=[], context=self.context, domain_id=domain_id)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.nodes: list[Node] = []
        self._thread = threading.Thread(target=self._spin)

    def node(self, name: str) -> Node:
        self.nodes.append(Node(name, context=self.context))
        self.executor.add_node(self.nodes[-1])
        return self.nodes[-1]

    def spin(self) -> None:
        self._thread.start()

    def _spin(self) -> None:
        with suppress(ExternalShutdownException):
            self.executor.spin()

    def close(self) -> None:
        if self._thread.is_alive():
            self.context.try_shutdown()
            self._thread.join(PATIENCE)
        self.executor.shutdown()
        for node in self.nodes:
            node.destroy_node()
        self.context.try_shutdown()


@pytest.fixture
def sides(domain_id: int) -> Iterator[tuple[Apart, Apart]]:
    """A serving and a calling participant."""
    made = Apart(domain_id), Apart(domain_id)
    yield made
    for one in made:
        one.close()


def wait_until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def test_a_burst_of_goals_is_answered_to_the_last(sides: tuple[Apart, Apart]) -> None:
    serving, calling = sides

    def execute(handle: Any) -> GripperCommand.Result:
        handle.succeed()
        return GripperCommand.Result(position=handle.request.command.position)

    ActionServer(serving.node("server"), GripperCommand, "grip", execute, result_timeout=900)
    client = ActionClient(calling.node("client"), GripperCommand, "grip")
    assert wait_until(client.server_is_ready)
    goals = [GripperCommand.Goal() for _ in range(300)]
    for index, goal in enumerate(goals):
        goal.command.position = float(index)
    # Nobody serves yet: all of them wait, as while a callback of the server takes long
    answers = [client.send_goal_async(goal) for goal in goals]
    serving.spin()
    calling.spin()
    assert wait_until(lambda: all(answer.done() for answer in answers))
    results = [answer.result().get_result_async() for answer in answers]
    assert wait_until(lambda: all(result.done() for result in results))
    assert [result.result().result.position for result in results] == [float(index) for index in range(300)]


def test_calls_of_many_clients_at_once_are_answered(sides: tuple[Apart, Apart]) -> None:
    serving, calling = sides

    def echo(request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        response.success = request.data
        return response

    serving.node("server").create_service(SetBool, "echo", echo)
    caller = calling.node("caller")
    clients = [caller.create_client(SetBool, "echo") for _ in range(40)]
    assert wait_until(lambda: all(client.service_is_ready() for client in clients))
    asked = [index % 3 == 0 for index in range(200)]
    answers = [clients[index % 40].call_async(SetBool.Request(data=data)) for index, data in enumerate(asked)]
    serving.spin()
    calling.spin()
    assert wait_until(lambda: all(answer.done() for answer in answers))
    assert [answer.result().success for answer in answers] == asked


def test_many_nodes_come_and_go_and_twins_keep_their_own(sides: tuple[Apart, Apart]) -> None:
    here, there = sides
    watcher = there.node("watcher")
    nodes = [here.node(f"node_{index}") for index in range(20)]
    twins = [here.node("twin"), here.node("twin")]
    for index, twin in enumerate(twins):
        twin.create_service(SetBool, f"serve_{index}", lambda request, response: response)
    names = {node.get_name() for node in nodes}
    assert wait_until(lambda: names <= set(watcher.get_node_names()))

    def served() -> set[str]:
        if "twin" not in watcher.get_node_names():
            return set()
        return {name for name, _ in watcher.get_service_names_and_types_by_node("twin", "/")} & {"/serve_0", "/serve_1"}

    assert wait_until(lambda: served() == {"/serve_0", "/serve_1"})
    for node in (*nodes, twins[0]):
        node.destroy_node()
    assert wait_until(lambda: not names & set(watcher.get_node_names()))
    assert wait_until(lambda: served() == {"/serve_1"})
