"""Rest and the state of the gripper, from joint states."""

from __future__ import annotations

import pytest
from sensor_msgs.msg import JointState

from mini_diffuser_ros.nodes.motion.measured_arm import MeasuredArm
from mini_diffuser_ros.nodes.ros.process import NodeError
from mini_diffuser_ros.robots import load_robot
from mini_diffuser_ros.sensing.errors import StaleJointsError
from mini_diffuser_ros.support.cancellation import CancellationToken

ROBOT = load_robot("panda")
NAMES = [*ROBOT.arm_joint_names, *ROBOT.finger_joint_names]


def state(speed: float = 0.0, finger: float = 0.04) -> JointState:
    """All joints at zero, the first one moving."""
    return JointState(name=NAMES, position=[0.0] * 7 + [finger] * 2, velocity=[speed] + [0.0] * (len(NAMES) - 1))


@pytest.fixture
def arm() -> MeasuredArm:
    return MeasuredArm(ROBOT, max_age=60.0, rest_speed=0.03, open_fraction=0.9)


def feed_until_rest(arm: MeasuredArm, message: JointState) -> None:
    """Send the same joint state until it counts as rest."""

    def rests() -> bool:
        arm.take(message)
        return arm.rests()

    token = CancellationToken()
    for _ in range(1000):
        try:
            arm.wait_for(token, rests, 0.02)
        except TimeoutError:
            continue
        return
    pytest.fail("never at rest")


def test_without_joint_states_nothing_is_known(arm: MeasuredArm) -> None:
    assert not arm.rests()
    assert arm.age() is None
    assert arm.gripper_is_open() is None
    with pytest.raises(StaleJointsError, match="panda_joint1"):
        arm.positions()


def test_an_arm_rests_when_it_has_been_slow_for_a_while(arm: MeasuredArm) -> None:
    arm.take(state(speed=0.0))
    assert not arm.rests()
    feed_until_rest(arm, state(speed=0.01))
    arm.take(state(speed=-0.5))
    assert not arm.rests()
    assert arm.describe_unrest() == "the arm moves at 0.50 rad/s, at rest are 0.03 rad/s"


def test_velocities_that_are_left_out_are_taken_from_the_positions(arm: MeasuredArm) -> None:
    message = JointState(name=NAMES, position=[0.0] * len(NAMES))
    feed_until_rest(arm, message)
    assert arm.speed() == 0.0


def test_the_gripper_is_open_when_its_fingers_are_apart(arm: MeasuredArm) -> None:
    arm.take(state(finger=0.04))
    assert arm.gripper_is_open() is True
    arm.take(state(finger=0.02))
    assert arm.gripper_is_open() is False
    assert arm.finger_width() == pytest.approx(0.04)


def test_a_motion_does_not_begin_on_a_moving_arm(arm: MeasuredArm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mini_diffuser_ros.nodes.motion.measured_arm.REST_TIMEOUT", 0.01)
    arm.take(state(speed=0.5))
    with pytest.raises(NodeError, match=r"the arm moves at 0\.50 rad/s"):
        arm.await_rest(CancellationToken())
