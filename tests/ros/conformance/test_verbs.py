"""What the ros2 command tells about the graph, parameters, interfaces and packages, and how Ctrl-C ends it."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from .conftest import PATIENCE, Ros2, Script

CLERK = """
import rclpy
from control_msgs.action import GripperCommand
from rclpy.action import ActionServer
from rclpy.executors import ExternalShutdownException
from std_msgs.msg import String
from std_srvs.srv import Trigger

rclpy.init()
node = rclpy.create_node("clerk", namespace="/desk")
node.declare_parameter("pace.walk", 1.5)
node.declare_parameter("tags", ["a", "b"])
out = node.create_publisher(String, "out", 10)
node.create_timer(0.1, lambda: out.publish(String(data="tick")))
node.create_subscription(String, "in", lambda message: None, 10)
node.create_service(Trigger, "ask", lambda request, response: response)


def work(handle):
    handle.succeed()
    return GripperCommand.Result()


server = ActionServer(node, GripperCommand, "work", work)
try:
    print("ready")
    rclpy.spin(node)
except (KeyboardInterrupt, ExternalShutdownException):
    pass
"""


@pytest.fixture
def clerk(script: Callable[..., Script]) -> Script:
    begun = script(CLERK)
    assert begun.await_line("ready"), begun.said
    return begun


def test_the_graph_is_listed(clerk: Script, ros2: Ros2) -> None:
    about = ros2.until("    /desk/work: control_msgs/action/GripperCommand\n", "node", "info", "/desk/clerk")
    for line in ("    /desk/out: std_msgs/msg/String\n", "    /desk/ask: std_srvs/srv/Trigger\n"):
        assert line in about
    titles = [line for line in about.splitlines() if line.startswith("  ") and line.endswith(":")]
    kinds = ["Subscribers", "Publishers", "Service Servers", "Service Clients", "Action Servers", "Action Clients"]
    assert titles == [f"  {kind}:" for kind in kinds]
    topic = ros2.until("Publisher count: 1\n", "topic", "info", "/desk/out")
    assert "Type: std_msgs/msg/String\n" in topic
    assert "Subscription count: 0\n" in topic
    assert "Node name: clerk\n" in ros2.until("Reliability: RELIABLE\n", "topic", "info", "-v", "/desk/out")
    ros2.until("/desk/ask [std_srvs/srv/Trigger]\n", "service", "list", "-t")
    ros2.until("/desk/work [control_msgs/action/GripperCommand]\n", "action", "list", "-t")
    ros2.until("Action servers: 1\n", "action", "info", "/desk/work")


def test_parameters_are_listed_dumped_and_loaded(clerk: Script, ros2: Ros2, tmp_path: Path) -> None:
    ros2.until("  pace.walk\n", "param", "list", "/desk/clerk")
    ros2.until("String values are: ['a', 'b']\n", "param", "get", "/desk/clerk", "tags")
    dumped = yaml.safe_load(ros2.until("pace:", "param", "dump", "/desk/clerk"))
    assert dumped["/desk/clerk"]["ros__parameters"]["pace"] == {"walk": 1.5}
    dumped["/desk/clerk"]["ros__parameters"] = {"pace": {"walk": 2.5}}
    file = tmp_path / "paces.yaml"
    file.write_text(yaml.safe_dump(dumped))
    ros2.until("Set parameter pace.walk successful", "param", "load", "/desk/clerk", str(file))
    ros2.until("Double value is: 2.5", "param", "get", "/desk/clerk", "pace.walk")


def test_interfaces_and_packages_are_shown(package: Path, ros2: Ros2) -> None:
    shown = [
        line.split("#")[0].strip() for line in ros2("interface", "show", "std_srvs/srv/Trigger").stdout.splitlines()
    ]
    assert [line for line in shown if line] == ["---", "bool success", "string message"]
    nested = ros2("interface", "show", "--no-comments", "geometry_msgs/msg/PointStamped").stdout.splitlines()
    for line in (
        "std_msgs/Header header",
        "\tbuiltin_interfaces/Time stamp",
        "\t\tint32 sec",
        "Point point",
        "\tfloat64 x",
    ):
        assert any(one in (line, line.replace("Point point", "geometry_msgs/Point point")) for one in nested)
    assert "thing" in ros2("pkg", "list").stdout.splitlines()
    assert ros2("pkg", "prefix", "thing").stdout.strip() == str(package)
    assert ros2("pkg", "executables", "thing").stdout == "thing hello\n"


def test_what_is_not_there_is_named(clerk: Script, ros2: Ros2) -> None:
    for words in (
        ("topic", "info", "/no_such_topic"),
        ("node", "info", "/no_such_node"),
        ("param", "get", "/no_such_node", "x"),
        ("interface", "show", "std_msgs/msg/NoSuchType"),
        ("pkg", "prefix", "no_such_package"),
    ):
        ended = ros2(*words)
        assert ended.returncode == 1, words
        assert "Traceback" not in ended.stderr
        assert len(ended.stderr.strip().splitlines()) == 1, ended.stderr


def test_ctrl_c_ends_commands_quietly(clerk: Script, ros2: Ros2) -> None:
    process = ros2.begin("topic", "echo", "/desk/out", "std_msgs/msg/String")
    assert process.stdout is not None
    assert any("tick" in line for line in process.stdout)
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert "Traceback" not in rest
    process = ros2.begin("topic", "pub", "-r", "10", "/desk/in", "std_msgs/msg/String", "data: x")
    assert process.stdout is not None
    assert any("publishing" in line for line in process.stdout)
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert "Traceback" not in rest
