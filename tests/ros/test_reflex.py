"""``mini-diffuser recover`` on the drivers of a Franka: after a reflex, with either way of its releases, and homing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from mini_diffuser_msgs.action import MoveToKeyframe
from mini_diffuser_msgs.msg import KeyframeMode
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64
from std_srvs.srv import Trigger

from .arm import GUARD_PATIENCE, LEFT, MOVE, PATIENCE, RIGHT, is_moving, keyframe, stays_at_rest
from .conftest import FRANKA_INTERFACES, Peer, Process

Result = MoveToKeyframe.Result


def recover(*options: str) -> subprocess.CompletedProcess[str]:
    """The command, ended."""
    words = [sys.executable, "-m", "mini_diffuser_ros", "recover", *options]
    environment = {**os.environ, **FRANKA_INTERFACES}
    return subprocess.run(words, capture_output=True, text=True, timeout=120, env=environment)


class Robot:
    """Drivers and a motion_node that goes on whatever happens to them."""

    def __init__(self, peer: Peer, start: Callable[..., Process], *options: str) -> None:
        self._peer = peer
        self.humble = "--humble" in options
        self.states = peer.collect(JointState, "/joint_states", qos_profile_sensor_data)
        self._drivers = start("franka", *options)
        names = {
            "robot": "fr3",
            "arm_action": "fr3_arm_controller/follow_joint_trajectory",
            "gripper_action": "franka_gripper/gripper_action",
        }
        self._guard = start("guard_node", **names, **GUARD_PATIENCE)
        self._motion = start("motion_node", **names, **PATIENCE)
        unready = (Result.STALE, Result.UNGUARDED, Result.DUPLICATE, Result.NO_CONTROLLER)
        peer.await_that(lambda: self.move(keyframe(0.45, 0.1, 0.4)).outcome not in unready)

    def move(self, target: KeyframeMode) -> Any:
        """Result of a keyframe."""
        return self._peer.execute(MoveToKeyframe, MOVE, candidates=[target])

    def reflex(self) -> Any:
        """Result of a motion that a reflex ends."""
        known = len(self.states)
        handle = self._peer.send(MoveToKeyframe, MOVE, candidates=[RIGHT])
        self._peer.await_that(lambda: any(is_moving([state]) for state in self.states[known:]))
        self._peer.call(Trigger, "/controller_manager/reflex")
        return self._peer.result_of(handle.get_result_async()).result

    def end(self) -> None:
        """End the processes."""
        for process in (self._motion, self._guard, self._drivers):
            process.end()


@pytest.fixture
def begin(peer: Peer, start: Callable[..., Process]) -> Iterator[Callable[..., Robot]]:
    """Makes robots, which end with the test however it ends."""
    made: list[Robot] = []

    def make(*options: str) -> Robot:
        made.append(Robot(peer, start, *options))
        return made[-1]

    yield make
    for robot in made:
        robot.end()


@pytest.fixture(params=["jazzy", "humble"])
def robot(begin: Callable[..., Robot], request: pytest.FixtureRequest) -> Robot:
    return begin(*(["--humble"] if request.param == "humble" else []))


def test_a_robot_in_a_reflex_comes_back_and_the_stack_goes_on_when_asked(peer: Peer, robot: Robot) -> None:
    assert robot.move(LEFT).success
    assert not robot.reflex().success
    shown = recover("--dry-run")
    assert shown.returncode == 0, shown.stderr
    assert ("deactivate the controller fr3_arm_controller" in shown.stdout) is robot.humble
    assert "clear the robot's error by action_server/error_recovery" in shown.stdout
    recovered = recover()
    assert recovered.returncode == 0, recovered.stderr
    lines = recovered.stdout.splitlines()
    assert lines[0].startswith("stop the stack: stopped")
    assert "set the hardware component FrankaHardwareInterface active: active" in lines
    assert "activate the controller fr3_arm_controller: active" in lines
    assert any(line.startswith("look at the joint states: ") and "the arm rests" in line for line in lines)
    assert "the stack stays stopped until it is asked" in lines[-1]
    assert robot.move(LEFT).outcome == Result.STOPPED
    peer.resume()
    assert robot.move(LEFT).success
    peer.await_that(lambda: stays_at_rest(robot.states, 15))
    again = recover("--resume")
    assert (again.returncode, "nothing to recover" in again.stdout) == (0, True)
    assert robot.move(RIGHT).success


def test_a_step_that_fails_is_named_and_the_arm_stays_stopped(begin: Callable[..., Robot]) -> None:
    robot = begin("--refuses", "recovery")
    assert not robot.reflex().success
    failed = recover("--resume")
    assert failed.returncode == 1
    assert "action_server/error_recovery did not clear the error" in failed.stderr
    assert "let the stack go on" not in failed.stdout
    assert robot.move(LEFT).outcome == Result.STOPPED


def test_a_hand_is_homed_when_asked_by_name_and_then_an_aborted_grasp_holds(
    peer: Peer, begin: Callable[..., Robot]
) -> None:
    robot = begin("--not-homed")
    unmoved = robot.move(LEFT)
    assert unmoved.outcome == Result.GRIPPER_UNMOVED
    assert "20.0 mm apart" in unmoved.message
    assert "mini-diffuser recover --home-gripper" in unmoved.message
    homed = recover("--home-gripper", "--resume")
    assert homed.returncode == 0, homed.stderr
    # A busy machine may lose the joint state of the moment at which they touch.
    travel = re.search(r"its fingers went from 20\.0 mm through (\d+\.\d) mm to 80\.0 mm apart", homed.stdout)
    assert travel is not None, homed.stdout
    assert float(travel[1]) < 5.0
    assert robot.move(LEFT).success
    something = peer.node.create_publisher(Float64, "/franka_gripper/object", 1)
    peer.await_that(something.get_subscription_count)
    something.publish(Float64(data=0.04))
    # motion_node has no franka_msgs here, and gripper_action aborts what is wider than its epsilon.
    closed = robot.move(keyframe(0.45, 0.25, 0.3, gripper_open=False))
    assert (closed.outcome, closed.held) == (Result.REACHED, pytest.approx(0.04, abs=1e-3))


def test_without_drivers_it_is_said_who_is_missing() -> None:
    nobody = recover()
    assert nobody.returncode == 1
    assert "nobody serves /controller_manager/list_controllers" in nobody.stderr
