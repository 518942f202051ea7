"""Supervision does not depend on anybody's clock."""

from __future__ import annotations

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter

from mini_diffuser_ros.nodes.ros.timers import steady_timer


def test_a_steady_timer_fires_while_ros_time_stands_still(domain_id: int) -> None:
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain_id)
    simulated = [Parameter("use_sim_time", value=True)]
    node = rclpy.create_node("node", context=context, parameter_overrides=simulated)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    fired: list[str] = []
    node.create_timer(0.001, lambda: fired.append("ros"))
    steady_timer(node, 0.01, lambda: fired.append("steady"))
    for _ in range(200):
        executor.spin_once(timeout_sec=1.0)
        if len(fired) == 3:
            break
    assert fired == ["steady"] * 3
    executor.shutdown()
    node.destroy_node()
    context.try_shutdown()
