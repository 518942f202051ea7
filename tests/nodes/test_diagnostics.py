"""What a node says about its parts."""

from __future__ import annotations

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from mini_diffuser_ros.nodes.ros.diagnostics import Diagnostics
from mini_diffuser_ros.support.health import Health, HealthLevel


def test_every_part_is_published_with_its_level_and_figures(domain_id: int) -> None:
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain_id)
    node = rclpy.create_node("node", namespace="left_arm", context=context)
    executor = rclpy.executors.SingleThreadedExecutor(context=context)
    executor.add_node(node)
    received: list[DiagnosticArray] = []
    node.create_subscription(DiagnosticArray, "/diagnostics", received.append, 10)
    diagnostics = Diagnostics(node, "panda")
    diagnostics.add("arm", lambda: Health(HealthLevel.ERROR, "no joint states", {"age (s)": 1.23456, "frame": "base"}))
    diagnostics.add("gripper", lambda: Health(HealthLevel.OK, "fine"))
    while not received:
        executor.spin_once(timeout_sec=1.0)
    arm, gripper = received[0].status
    assert (arm.name, arm.level, arm.message) == ("left_arm/node: arm", DiagnosticStatus.ERROR, "no joint states")
    assert {value.key: value.value for value in arm.values} == {"age (s)": "1.235", "frame": "base"}
    assert (gripper.level, gripper.hardware_id) == (DiagnosticStatus.OK, "panda")
    executor.shutdown()
    node.destroy_node()
    context.try_shutdown()


def test_what_is_missing_at_the_start_is_not_logged_and_what_is_missing_later_is(
    capfd: pytest.CaptureFixture[str], domain_id: int
) -> None:
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain_id)
    node = rclpy.create_node("node", context=context)
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
    node.destroy_node()
    context.try_shutdown()


def test_what_is_said_of_a_part_is_one_line_in_the_log_and_in_the_status(
    capfd: pytest.CaptureFixture[str], domain_id: int
) -> None:
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain_id)
    node = rclpy.create_node("node", context=context)
    executor = rclpy.executors.SingleThreadedExecutor(context=context)
    executor.add_node(node)
    received: list[DiagnosticArray] = []
    node.create_subscription(DiagnosticArray, "/diagnostics", received.append, 10)
    diagnostics = Diagnostics(node, "panda")
    forged = "stopped\n[INFO] [1.0] [guard_node]: resumed\x1b[2J"
    level = HealthLevel.OK
    diagnostics.add("arm", lambda: Health(level, forged, {"sentence": forged}))
    diagnostics.publish()
    level = HealthLevel.ERROR
    diagnostics.publish()
    while not received:
        executor.spin_once(timeout_sec=1.0)
    status = received[0].status[0]
    expected = r"stopped\n[INFO] [1.0] [guard_node]: resumed\x1b[2J"
    assert (status.message, status.values[0].value) == (expected, expected)
    out, err = capfd.readouterr()
    assert expected in out + err
    executor.shutdown()
    node.destroy_node()
    context.try_shutdown()
