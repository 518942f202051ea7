"""How Ctrl-C ends commands that go on."""

from __future__ import annotations

import signal
from collections.abc import Callable

from .conftest import Program, Ros2

TALKER = """
import rclpy
from rclpy.executors import ExternalShutdownException
from std_msgs.msg import String

rclpy.init()
node = rclpy.create_node("talker")
node.declare_parameter("pace.walk", 1.5)
out = node.create_publisher(String, "out", 10)
node.create_timer(0.1, lambda: out.publish(String(data="tick")))
node.create_subscription(String, "in", lambda message: None, 10)
try:
    print("ready")
    rclpy.spin(node)
except (KeyboardInterrupt, ExternalShutdownException):
    pass
"""


def test_ctrl_c_ends_commands_quietly(script: Callable[..., Program], ros2: Ros2) -> None:
    assert script(TALKER).await_line("ready")
    ros2.until("  pace.walk\n", "param", "list", "/talker")
    for words, sign in (
        (("topic", "echo", "/out", "std_msgs/msg/String"), "tick"),
        (("topic", "pub", "-r", "10", "/in", "std_msgs/msg/String", "data: x"), "publishing"),
    ):
        program = ros2.begin(*words)
        assert program.await_line(sign), program.said
        assert program.end(signal.SIGINT) == 2, program.said
        assert "Traceback" not in program.said
