"""What a node says about its parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node

from mini_diffuser_ros.nodes.ros.diagnostics import Diagnostics
from mini_diffuser_ros.support.health import Health, HealthLevel


@contextmanager
def node_of(domain: int, namespace: str = "") -> Iterator[Node]:
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain)
    node = rclpy.create_node("node", namespace=namespace, context=context)
    yield node
    node.destroy_node()
    context.try_shutdown()


@contextmanager
def heard_by(node: Node) -> Iterator[Callable[[], DiagnosticArray]]:
    """What waits for the first message on /diagnostics."""
    executor = rclpy.executors.SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    received: list[DiagnosticArray] = []
    node.create_subscription(DiagnosticArray, "/diagnostics", received.append, 10)

    def first() -> DiagnosticArray:
        while not received:
            executor.spin_once(timeout_sec=1.0)
        return received[0]

    yield first
    executor.shutdown()


def test_every_part_is_published_with_its_level_and_figures(domain_id: int) -> None:
    with node_of(domain_id, "left_arm") as node, heard_by(node) as first:
        diagnostics = Diagnostics(node, "panda")
        values = {"age (s)": 1.23456, "frame": "base"}
        diagnostics.add("arm", lambda: Health(HealthLevel.ERROR, "no joint states", values))
        diagnostics.add("gripper", lambda: Health(HealthLevel.OK, "fine"))
        arm, gripper = first().status
        assert (arm.name, arm.level, arm.message) == ("left_arm/node: arm", DiagnosticStatus.ERROR, "no joint states")
        assert {value.key: value.value for value in arm.values} == {"age (s)": "1.235", "frame": "base"}
        assert (gripper.level, gripper.hardware_id) == (DiagnosticStatus.OK, "panda")


def test_what_is_missing_at_the_start_is_not_logged_and_what_is_missing_later_is(
    capfd: pytest.CaptureFixture[str], domain_id: int
) -> None:
    with node_of(domain_id) as node:
        diagnostics = Diagnostics(node, "panda")
        level = HealthLevel.ERROR
        diagnostics.add("arm", lambda: Health(level, "no joint states"))

        def logs() -> bool:
            diagnostics.publish()
            out, err = capfd.readouterr()
            return "no joint states" in out + err

        assert not logs()
        level = HealthLevel.OK
        assert not logs()
        level = HealthLevel.ERROR
        assert logs()


def test_what_is_said_of_a_part_is_one_line_in_the_log_and_in_the_status(
    capfd: pytest.CaptureFixture[str], domain_id: int
) -> None:
    with node_of(domain_id) as node, heard_by(node) as first:
        diagnostics = Diagnostics(node, "panda")
        forged = "stopped\n[INFO] [1.0] [guard_node]: resumed\x1b[2J"
        level = HealthLevel.OK
        diagnostics.add("arm", lambda: Health(level, forged, {"sentence": forged}))
        diagnostics.publish()
        level = HealthLevel.ERROR
        diagnostics.publish()
        status = first().status[0]
        expected = r"stopped\n[INFO] [1.0] [guard_node]: resumed\x1b[2J"
        assert (status.message, status.values[0].value) == (expected, expected)
        out, err = capfd.readouterr()
        assert expected in out + err
