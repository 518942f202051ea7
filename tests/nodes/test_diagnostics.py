"""Rates, latencies and what is said about them."""

from __future__ import annotations

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from mini_diffuser_ros.nodes.ros.diagnostics import Diagnostics, Health, Level, RecentValues


def test_rates_and_figures_are_those_of_the_window() -> None:
    now = 100.0
    values = RecentValues(window=2.0, clock=lambda: now)
    for value in (5.0, 1.0, 3.0):
        values.add(value)
    now = 101.0
    assert values.rate() == pytest.approx(3.0)
    assert values.summary("age", "s") == {
        "age p50 (s)": 3.0,
        "age p99 (s)": pytest.approx(4.96),
        "age max (s)": 5.0,
    }
    now = 102.5
    assert values.rate() == 0.0
    assert values.summary("age", "s") == {}


def test_every_part_is_published_with_its_level_and_figures() -> None:
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=59)
    node = rclpy.create_node("node", namespace="left_arm", context=context)
    executor = rclpy.executors.SingleThreadedExecutor(context=context)
    executor.add_node(node)
    received: list[DiagnosticArray] = []
    node.create_subscription(DiagnosticArray, "/diagnostics", received.append, 10)
    diagnostics = Diagnostics(node, "panda")
    diagnostics.add("arm", lambda: Health(Level.ERROR, "no joint states", {"age (s)": 1.23456, "frame": "base"}))
    diagnostics.add("gripper", lambda: Health(Level.OK, "fine"))
    while not received:
        executor.spin_once(timeout_sec=1.0)
    arm, gripper = received[0].status
    assert (arm.name, arm.level, arm.message) == ("left_arm/node: arm", DiagnosticStatus.ERROR, "no joint states")
    assert {value.key: value.value for value in arm.values} == {"age (s)": "1.235", "frame": "base"}
    assert (gripper.level, gripper.hardware_id) == (DiagnosticStatus.OK, "panda")
    executor.shutdown()
    node.destroy_node()
    context.try_shutdown()
