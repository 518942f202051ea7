"""The ros2 command, and nodes as processes that it talks to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from .conftest import PATIENCE

NODE = """
import time

import rclpy
from control_msgs.action import GripperCommand
from rcl_interfaces.msg import FloatingPointRange, ParameterDescriptor
from rclpy.action import ActionServer
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from std_msgs.msg import String
from std_srvs.srv import Trigger


class Robot(Node):
    def __init__(self):
        super().__init__("robot")
        bounds = [FloatingPointRange(from_value=0.0, to_value=2.0)]
        self.declare_parameter("gain", 1.0, ParameterDescriptor(description="the gain", floating_point_range=bounds))
        self.out = self.create_publisher(String, "out", 10)
        self.create_subscription(String, "in", lambda message: self.get_logger().info("heard " + message.data), 10)
        self.create_timer(0.1, lambda: self.out.publish(String(data="tick")))
        self.create_service(Trigger, "~/check", self.check)
        self.action = ActionServer(self, GripperCommand, "grip", self.grip)

    def check(self, request, response):
        response.success, response.message = True, "fine"
        return response

    def grip(self, handle):
        # The client's goal may arrive before its subscription to the feedback is known here.
        while not self.count_subscribers("/lab/grip/_action/feedback"):
            time.sleep(0.01)
        for _ in range(5):
            handle.publish_feedback(GripperCommand.Feedback(position=0.5))
            time.sleep(0.02)
        handle.succeed()
        return GripperCommand.Result(reached_goal=True)


rclpy.init()
node = Robot()
try:
    print("ready", flush=True)
    rclpy.spin(node)
except (KeyboardInterrupt, ExternalShutdownException):
    pass
finally:
    node.destroy_node()
    rclpy.try_shutdown()
print("ended", flush=True)
"""


def begin(domain_id: int) -> subprocess.Popen[str]:
    """A robot node that is ready."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(NODE), "--ros-args", "-r", "__ns:=/lab", "-p", "gain:=1.5"],
        env={**os.environ, "ROS_DOMAIN_ID": str(domain_id)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.fixture
def robot(domain_id: int) -> Iterator[subprocess.Popen[str]]:
    process = begin(domain_id)
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_a_node_orderly(robot: subprocess.Popen[str], number: int) -> None:
    robot.send_signal(number)
    out, _ = robot.communicate(timeout=PATIENCE)
    assert robot.returncode == 0, out
    assert out.endswith("ended\n")


def test_topics_and_nodes_from_the_command_line(robot: subprocess.Popen[str], ros2: Callable[..., Any]) -> None:
    assert "/lab/out [std_msgs/msg/String]" in ros2("topic", "list", "-t").stdout
    assert "/lab/robot" in ros2("node", "list").stdout
    assert ros2("topic", "echo", "--once", "/lab/out").stdout == "data: tick\n---\n"
    published = ros2("topic", "pub", "--once", "/lab/in", "std_msgs/msg/String", "{data: 'press the button'}")
    assert published.returncode == 0, published.stderr
    assert robot.stdout is not None
    assert "heard press the button" in robot.stdout.readline()


def test_services_actions_and_parameters_from_the_command_line(
    robot: subprocess.Popen[str], ros2: Callable[..., Any]
) -> None:
    assert "fine" in ros2("service", "call", "/lab/robot/check", "std_srvs/srv/Trigger").stdout
    sent = ros2("action", "send_goal", "-f", "/lab/grip", "control_msgs/action/GripperCommand", "{}")
    assert "Goal finished with status: SUCCEEDED" in sent.stdout
    assert "position: 0.5" in sent.stdout
    assert "1.5" in ros2("param", "get", "/lab/robot", "gain").stdout
    assert "successful" in ros2("param", "set", "/lab/robot", "gain", "0.5").stdout
    assert "the gain" in ros2("param", "describe", "/lab/robot", "gain").stdout


def test_what_the_command_line_gets_wrong_is_named(ros2: Callable[..., Any]) -> None:
    unknown = ros2("topic", "pub", "--once", "/in", "std_msgs/msg/String", "{text: hello}")
    assert unknown.returncode != 0
    assert "text" in unknown.stdout + unknown.stderr
    missing = ros2("launch", "no_such_package", "x.launch.py")
    assert missing.returncode != 0
    assert "no_such_package" in missing.stdout + missing.stderr
