"""ROS time that stands still is named, by the steady clock."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock

from mini_diffuser_ros.nodes.ros import clock_watch
from mini_diffuser_ros.nodes.ros.clock_watch import ClockWatch


@pytest.fixture
def node(request: pytest.FixtureRequest, domain_id: int) -> Iterator[Node]:
    """A node with or without simulated time."""
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain_id)
    simulated = [Parameter("use_sim_time", value=request.param)]
    node = rclpy.create_node("watched", context=context, parameter_overrides=simulated)
    yield node
    node.destroy_node()
    context.try_shutdown()


@pytest.mark.parametrize("node", [False], indirect=True)
def test_the_systems_time_is_no_problem(node: Node) -> None:
    assert ClockWatch(node).problem() == ""


@pytest.mark.parametrize("node", [True], indirect=True)
def test_simulated_time_has_to_come_and_to_go_on(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = ClockWatch(node)
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    assert "use_sim_time is true and nobody publishes /clock" in watch.problem()
    publisher = node.create_publisher(Clock, "/clock", 1)
    second = 0

    def goes_on() -> bool:
        nonlocal second
        second += 1
        message = Clock()
        message.clock.sec = second
        publisher.publish(message)
        executor.spin_once(timeout_sec=0.2)
        return watch.problem() == ""

    assert any(goes_on() for _ in range(200))
    monkeypatch.setattr(clock_watch, "STILL", 0.1)
    for _ in range(200):
        executor.spin_once(timeout_sec=0.05)
        if watch.problem():
            break
    assert f"/clock has stood still at {second:.3f} s for" in watch.problem()
    executor.shutdown()
