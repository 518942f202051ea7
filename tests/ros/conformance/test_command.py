"""The ros2 command, and nodes as processes that it talks to."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import INTERRUPTS, PATIENCE, Program, Ros2

ROBOT = """
import sys
import threading
import time

import rclpy
from control_msgs.action import GripperCommand
from rcl_interfaces.msg import FloatingPointRange, ParameterDescriptor
from rclpy.action import ActionServer
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.parameter import Parameter
from std_msgs.msg import String
from std_srvs.srv import Trigger


class Robot(Node):
    def __init__(self):
        super().__init__("robot")
        bounds = [FloatingPointRange(from_value=0.0, to_value=2.0)]
        self.declare_parameter("gain", 1.0, ParameterDescriptor(description="the gain", floating_point_range=bounds))
        self.declare_parameter("boxes", Parameter.Type.STRING_ARRAY)
        for name, kind in (("names", Parameter.Type.STRING_ARRAY), ("joints", Parameter.Type.DOUBLE_ARRAY)):
            self.declare_parameter(name, kind)
            self.set_parameters([Parameter(name, kind, [])])
        self.out = self.create_publisher(String, "out", 10)
        self.create_subscription(String, "in", lambda message: self.get_logger().info("heard " + message.data), 10)
        self.create_timer(0.1, lambda: self.out.publish(String(data="tick")))
        self.create_service(Trigger, "~/check", self.check)
        self.action = ActionServer(self, GripperCommand, "grip", self.grip, result_timeout=900)

    def check(self, request, response):
        response.success, response.message = True, "fine"
        return response

    def grip(self, handle):
        # Until the test has read it: feedback is lost while the client has not discovered where it comes from.
        told = threading.Thread(target=sys.stdin.readline, daemon=True)
        told.start()
        while told.is_alive():
            handle.publish_feedback(GripperCommand.Feedback(position=0.5))
            time.sleep(0.05)
        handle.succeed()
        return GripperCommand.Result(reached_goal=True)


rclpy.init()
node = Robot()
ready = node.create_timer(0.0, lambda: print("ready") or ready.cancel())
try:
    try:
        rclpy.spin(node)
    except RuntimeError:
        # A signal between two waits lets rclpy's next one fail.
        if rclpy.ok():
            raise
except (KeyboardInterrupt, ExternalShutdownException):
    pass
finally:
    node.destroy_node()
    rclpy.try_shutdown()
print("ended")
"""


@pytest.fixture
def robot(script: Callable[..., Program]) -> Program:
    begun = script(ROBOT, "--ros-args", "-r", "__ns:=/lab", "-p", "gain:=1.5")
    assert begun.await_line("ready"), begun.said
    return begun


@pytest.mark.parametrize("number", INTERRUPTS)
def test_signals_end_a_node_orderly(robot: Program, number: int) -> None:
    assert robot.end(number) == 0, robot.said
    assert "ended\n" in robot.said


def test_topics_and_nodes_from_the_command_line(robot: Program, ros2: Ros2) -> None:
    ros2.until("/lab/out [std_msgs/msg/String]", "topic", "list", "-t")
    ros2.until("/lab/robot", "node", "list")
    ros2.until("data: tick\n---\n", "topic", "echo", "--once", "/lab/out", "std_msgs/msg/String")
    ros2.until("tick\n---\n", "topic", "echo", "--once", "--field", "data", "/lab/out", "std_msgs/msg/String")
    deadline = time.monotonic() + PATIENCE
    heard = False
    while not heard:
        assert time.monotonic() < deadline, robot.said
        published = ros2("topic", "pub", "--once", "/lab/in", "std_msgs/msg/String", "{data: 'press the button'}")
        assert published.returncode == 0, published.stderr
        heard = robot.await_line("heard press the button", 2.0)


def test_rates_from_the_command_line(robot: Program, ros2: Ros2) -> None:
    program = ros2.begin("topic", "hz", "/lab/out")
    deadline = time.monotonic() + PATIENCE
    rate = 0.0
    # It averages over all it has heard; on a busy machine that begins with a pause, or with several at once.
    while not 5.0 < rate < 20.0:
        assert time.monotonic() < deadline, program.said
        line = program.await_line("average rate:")
        assert line, program.said
        rate = float(line.split()[-1])
    program.end(signal.SIGINT)


def test_a_rate_of_messages_from_the_command_line(robot: Program, ros2: Ros2) -> None:
    program = ros2.begin("topic", "pub", "-r", "20", "/lab/in", "std_msgs/msg/String", "data: again")
    for _ in range(3):
        assert robot.await_line("heard again"), robot.said + program.said
    program.end(signal.SIGINT)


def test_services_and_actions_from_the_command_line(robot: Program, ros2: Ros2) -> None:
    ros2.until("success=True, message='fine'", "service", "call", "/lab/robot/check", "std_srvs/srv/Trigger")
    program = ros2.begin(
        "action", "send_goal", "-f", "/lab/grip", "control_msgs/action/GripperCommand", "{command: {position: 1}}"
    )
    assert program.await_line("position: 0.5"), program.said
    robot.tell("enough")
    program.end()
    assert "Goal accepted" in program.said
    assert "Goal finished with status: SUCCEEDED" in program.said
    assert "reached_goal: true" in program.said


def test_who_is_at_a_topic_from_the_command_line(robot: Program, ros2: Ros2) -> None:
    said = ros2.until("Publisher count: 1", "topic", "info", "/lab/out")
    assert "Type: std_msgs/msg/String\n" in said
    assert "Subscription count: 0\n" in said
    said = ros2.until("Node name: robot\n", "topic", "info", "-v", "/lab/in")
    assert "Node namespace: /lab\nTopic type: std_msgs/msg/String\n" in said
    assert "Endpoint type: SUBSCRIPTION\n" in said
    assert "QoS profile:\n  Reliability: RELIABLE\n" in said
    assert "  Durability: VOLATILE\n  Lifespan: Infinite\n  Deadline: Infinite\n  Liveliness: AUTOMATIC\n" in said
    assert ros2.until("String", "topic", "type", "/lab/out") == "std_msgs/msg/String\n"
    assert "/lab/out\n" in ros2.until("/lab/in\n", "topic", "find", "std_msgs/msg/String")
    ros2.until(" * /lab/out [std_msgs/msg/String] 1 publisher\n", "topic", "list", "-v")
    assert ros2("topic", "info", "/nobody/is/there").returncode != 0


def test_what_a_node_does_from_the_command_line(robot: Program, ros2: Ros2) -> None:
    said = ros2.until("    /lab/grip: control_msgs/action/GripperCommand\n", "node", "info", "/lab/robot")
    assert said.startswith("/lab/robot\n  Subscribers:\n")
    assert "    /lab/in: std_msgs/msg/String\n" in said
    publishers = said.partition("  Publishers:\n")[2].partition("  Service Servers:\n")[0]
    assert "    /lab/out: std_msgs/msg/String\n" in publishers
    assert "    /lab/robot/check: std_srvs/srv/Trigger\n" in said.partition("  Service Servers:\n")[2]
    assert said.endswith("  Action Clients:\n\n")


def test_services_and_actions_are_listed_from_the_command_line(robot: Program, ros2: Ros2) -> None:
    ros2.until("/lab/robot/check [std_srvs/srv/Trigger]\n", "service", "list", "-t")
    assert ros2.until("Trigger", "service", "type", "/lab/robot/check") == "std_srvs/srv/Trigger\n"
    assert ros2.until("check", "service", "find", "std_srvs/srv/Trigger") == "/lab/robot/check\n"
    assert "/lab/grip\n" in ros2.until("/lab/grip", "action", "list")
    ros2.until("/lab/grip [control_msgs/action/GripperCommand]\n", "action", "list", "-t")
    said = ros2.until("Action servers: 1\n", "action", "info", "/lab/grip")
    assert said == "Action: /lab/grip\nAction clients: 0\nAction servers: 1\n    /lab/robot\n"


def test_parameters_are_dumped_and_loaded_from_the_command_line(robot: Program, ros2: Ros2, tmp_path: Path) -> None:
    said = ros2.until("gain: 1.5\n", "param", "dump", "/lab/robot")
    assert said.startswith("/lab/robot:\n  ros__parameters:\n")
    file = tmp_path / "robot.yaml"
    file.write_text("/lab/robot:\n  ros__parameters:\n    gain: 0.25\n")
    ros2.until("Set parameter gain successful", "param", "load", "/lab/robot", str(file))
    ros2.until("Double value is: 0.25", "param", "get", "/lab/robot", "gain")


def test_interfaces_from_the_command_line(ros2: Ros2) -> None:
    listed = ros2("interface", "list").stdout
    assert listed.startswith("Messages:\n")
    assert "Services:\n" in listed
    assert "    std_srvs/srv/Trigger\n" in listed
    assert ros2("interface", "package", "std_srvs").stdout.split() == [
        f"std_srvs/srv/{name}" for name in ("Empty", "SetBool", "Trigger")
    ]
    assert "bool data" in ros2("interface", "show", "std_srvs/srv/SetBool").stdout.split("---")[0]
    shown = ros2("interface", "show", "geometry_msgs/msg/PoseStamped").stdout
    assert "std_msgs/Header header\n\tbuiltin_interfaces/Time stamp\n\t\tint32 sec\n" in shown
    assert ros2("interface", "show", "std_msgs/msg/NoSuchType").returncode != 0


def test_parameters_without_values(robot: Program, ros2: Ros2) -> None:
    assert "Traceback" not in ros2.until("not set", "param", "get", "/lab/robot", "boxes")
    assert "[]" in ros2.until("values are", "param", "get", "/lab/robot", "names")
    assert "values are" in ros2.until("values are", "param", "get", "/lab/robot", "joints")
    assert "Traceback" not in ros2.until("not", "param", "get", "/lab/robot", "nothing")


def test_parameters_from_the_command_line(robot: Program, ros2: Ros2) -> None:
    assert "Double value is: 1.5" in ros2.until("1.5", "param", "get", "/lab/robot", "gain")
    ros2.until("Set parameter successful", "param", "set", "/lab/robot", "gain", "0.5")
    ros2.until("0.5", "param", "get", "/lab/robot", "gain")
    assert "the gain" in ros2.until("gain", "param", "describe", "/lab/robot", "gain")
    ros2.until("ailed", "param", "set", "/lab/robot", "gain", "7.0")
    assert "0.5" in ros2.until("value is", "param", "get", "/lab/robot", "gain")


def test_what_the_command_line_gets_wrong_is_named(ros2: Ros2) -> None:
    def refused(*words: str) -> str:
        ended: subprocess.CompletedProcess[str] = ros2(*words)
        assert ended.returncode != 0
        return ended.stdout + ended.stderr

    assert "text" in refused("topic", "pub", "/in", "std_msgs/msg/String", "{text: hello}")
    refused("topic", "pub", "/in", "std_msgs/msg/NoSuchType", "{}")
    assert "no_such_package" in refused("launch", "no_such_package", "x.launch.py")
    assert "no_such_package" in refused("run", "no_such_package", "x")
