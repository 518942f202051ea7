"""Loggers, their levels and filters."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import rclpy
from rcl_interfaces.msg import Log
from rclpy.logging import LoggingSeverity, get_logger

from .conftest import Program, Ros

CHATTY = """
import sys
import rclpy
from rclpy.node import Node

rclpy.init()
node = Node("chatty")
logger = node.get_logger()
logger.debug("said")
logger.info("said")
logger.warning("said")
logger.error("said")
logger.fatal("said")
logger.get_child("inner").debug("by a child")
node.destroy_node()
rclpy.shutdown()
print("rest:", rclpy.utilities.remove_ros_args(sys.argv)[1:])
"""


def test_levels_are_inherited_and_set() -> None:
    parent = get_logger("parent")
    child = parent.get_child("child")
    assert child.name == "parent.child"
    parent.set_level(LoggingSeverity.ERROR)
    assert parent.get_effective_level() == LoggingSeverity.ERROR
    assert not parent.is_enabled_for(LoggingSeverity.WARN)
    assert not child.is_enabled_for(LoggingSeverity.WARN)
    child.set_level(LoggingSeverity.DEBUG)
    assert child.is_enabled_for(LoggingSeverity.DEBUG)
    rclpy.logging.set_logger_level("parent", LoggingSeverity.WARN)
    assert parent.is_enabled_for(LoggingSeverity.WARN)


def test_filters_hold_messages_back(capfd: pytest.CaptureFixture[str]) -> None:
    logger = get_logger("filtered")
    said = [logger.info("once", once=True) for _ in range(3)]
    skipped = [logger.info("later", skip_first=True) for _ in range(3)]
    throttled = [logger.info("seldom", throttle_duration_sec=1000.0) for _ in range(3)]
    assert said == [True, False, False]
    assert skipped == [False, True, True]
    assert throttled == [True, False, False]
    text = "".join(capfd.readouterr())
    assert [text.count(word) for word in ("once", "later", "seldom")] == [1, 2, 1]


def test_a_line_of_code_keeps_its_severity() -> None:
    def say(log: Callable[[str], bool]) -> bool:
        return log("said")

    logger = get_logger("constant")
    assert say(logger.info)
    with pytest.raises(ValueError, match="severity cannot be changed"):
        say(logger.error)


def test_messages_reach_rosout(ros: Ros) -> None:
    heard: list[Log] = []
    ros.far_node("listener").create_subscription(Log, "/rosout", heard.append, 10)
    node = ros.node("talker")

    def said() -> list[Log]:
        node.get_logger().warning("low battery")
        return [log for log in heard if log.name == "talker"]

    log = ros.spin_until(said)[0]
    assert log.msg == "low battery"
    assert log.level == LoggingSeverity.WARN.value


@pytest.mark.parametrize(
    ("words", "shown", "hidden"),
    [
        ([], ["[INFO]", "[WARN]", "[ERROR]", "[FATAL]", "[chatty]: said"], ["[DEBUG]"]),
        (["--ros-args", "--log-level", "error"], ["[ERROR]", "[FATAL]"], ["[INFO]", "[WARN]"]),
        (["--ros-args", "--log-level", "chatty:=debug"], ["[DEBUG]", "[chatty.inner]: by a child"], []),
        (["mine", "--ros-args", "-p", "a:=1", "--", "yours"], ["rest: ['mine', 'yours']"], []),
        (["--ros-args", "-r", "__node:=renamed"], ["[renamed]: said"], ["[chatty]"]),
    ],
)
def test_levels_and_names_come_from_the_command_line(
    script: Callable[..., Program], words: list[str], shown: list[str], hidden: list[str]
) -> None:
    begun = script(CHATTY, *words)
    assert begun.await_line("rest:"), begun.said
    assert all(text in begun.said for text in shown), begun.said
    # ROS may have something of its own to say, such as which variables are deprecated.
    by_chatty = "\n".join(line for line in begun.said.splitlines() if line.endswith(": said"))
    assert not any(text in by_chatty for text in hidden), begun.said
