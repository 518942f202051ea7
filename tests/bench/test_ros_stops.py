"""Stops of motions: one that was over before it was stopped is made again, and counts for none."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from mini_diffuser_msgs.action import MoveToKeyframe
from rclpy.action import ActionServer
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from mini_diffuser_ros.bench.ros_stops import StoppedArm, stops_report
from mini_diffuser_ros.nodes.ros.client_node import client_node

PERIOD = 0.005  # seconds
LASTING = 60.0  # seconds; longer than any wait for a stop


class ToyArm:
    """Takes keyframes, and moves for as long as it is told, the next motions one after another."""

    def __init__(self, node: Node, seconds: list[float], obeys: bool = True) -> None:
        self._seconds, self._stop, self._obeys = seconds, threading.Event(), obeys
        self.went: list[float] = []
        group = ReentrantCallbackGroup()
        self._joints = node.create_publisher(JointState, "joint_states", qos_profile_sensor_data)
        ActionServer(node, MoveToKeyframe, "mini_diffuser/move_to_keyframe", self._move, callback_group=group)
        node.create_service(Trigger, "mini_diffuser/stop", self._on_stop, callback_group=group)
        node.create_service(Trigger, "mini_diffuser/resume", self._on_resume, callback_group=group)

    def _move(self, goal: Any) -> Any:
        self.went.append(goal.request.candidates[0].pose.position.y)
        end = time.monotonic() + self._seconds.pop(0)
        while time.monotonic() < end and not self._stop.wait(PERIOD):
            self._joints.publish(JointState(name=["panda_joint1"], position=[0.0], velocity=[0.5]))
        self._joints.publish(JointState(name=["panda_joint1"], position=[0.0], velocity=[0.0]))
        goal.succeed()
        outcome = MoveToKeyframe.Result.STOPPED if self._stop.is_set() else MoveToKeyframe.Result.REACHED
        return MoveToKeyframe.Result(outcome=outcome)

    def _on_stop(self, _: Any, response: Any) -> Any:
        if self._obeys:
            self._stop.set()
        response.success = True
        return response

    def _on_resume(self, _: Any, response: Any) -> Any:
        self._stop.clear()
        response.success = True
        return response


def test_a_motion_that_ends_by_itself_is_made_again(domain_id: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", str(domain_id))
    with client_node("stops", threads=8) as node:
        # To the other side, a motion that is short, and once more: one that lasts.
        toy = ToyArm(node, [0.05, 0.5, 0.05, LASTING])
        run = StoppedArm(node).once(0.25, after=0.6)
    assert toy.went == [-0.25, 0.25, -0.25, 0.25]
    assert (run["stopped"], run["again"]) == (1.0, 1.0)
    report = stops_report([run])
    assert (report["stops"], report["stopped"], report["again"]) == (1, 1, 1)


def test_a_stop_that_is_answered_and_not_obeyed_is_not_made_again(
    domain_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", str(domain_id))
    with client_node("stops", threads=8) as node:
        toy = ToyArm(node, [0.05, 2.0], obeys=False)
        run = StoppedArm(node).once(0.25, after=0.1)
    assert toy.went == [-0.25, 0.25]
    assert (run["stopped"], run["moved_after_answer"], run["again"]) == (0.0, 1.0, 0.0)
