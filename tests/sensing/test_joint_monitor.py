"""Rest and the state of the gripper, from joint states."""

from __future__ import annotations

import time

import numpy as np
import pytest

from mini_diffuser_ros.robots import load_robot
from mini_diffuser_ros.sensing import joint_monitor
from mini_diffuser_ros.sensing.errors import ArmMovesError, StaleJointsError
from mini_diffuser_ros.sensing.joint_monitor import JointStateMonitor
from mini_diffuser_ros.sensing.rest import RestConfig
from mini_diffuser_ros.support.cancellation import CancellationToken

ROBOT = load_robot("panda")
NAMES = [*ROBOT.arm_joint_names, *ROBOT.finger_joint_names]


def take(arm: JointStateMonitor, speed: float | None = 0.0, finger: float = 0.04) -> None:
    """All joints at zero, the first one moving by its velocity; None: no velocities at all."""
    now = time.monotonic()
    velocities = [] if speed is None else [speed] + [0.0] * (len(NAMES) - 1)
    arm.take(NAMES, [0.0] * 7 + [finger] * 2, velocities, now, now)


@pytest.fixture
def arm() -> JointStateMonitor:
    return JointStateMonitor(ROBOT, 60.0, RestConfig(speed=0.03), open_fraction=0.9)


def feed_until_rest(arm: JointStateMonitor, speed: float | None) -> None:
    """Send the same joint state until it counts as rest."""

    def rests() -> bool:
        take(arm, speed)
        return arm.rests()

    token = CancellationToken()
    for _ in range(1000):
        try:
            arm.wait_for(token, rests, 0.02)
        except TimeoutError:
            continue
        return
    pytest.fail("never at rest")


def test_without_joint_states_nothing_is_known(arm: JointStateMonitor) -> None:
    assert not arm.rests()
    assert arm.age() is None
    assert arm.gripper_is_open() is None
    with pytest.raises(StaleJointsError, match="panda_joint1"):
        arm.positions()


def test_an_arm_rests_when_it_has_been_slow_for_a_while(arm: JointStateMonitor) -> None:
    take(arm, speed=0.0)
    assert not arm.rests()
    assert "not known to rest: joint states have not come without a gap" in arm.describe_unrest()
    feed_until_rest(arm, 0.01)
    take(arm, speed=-0.5)
    assert not arm.rests()
    assert arm.describe_unrest() == "the arm moves at 0.50 rad/s, at rest are 0.03 rad/s"


def test_velocities_that_are_left_out_are_taken_from_the_positions(arm: JointStateMonitor) -> None:
    feed_until_rest(arm, None)
    assert arm.speed() == 0.0


def test_the_gripper_is_open_when_its_fingers_are_apart(arm: JointStateMonitor) -> None:
    take(arm, finger=0.04)
    assert arm.gripper_is_open() is True
    take(arm, finger=0.02)
    assert arm.gripper_is_open() is False
    assert arm.finger_width() == pytest.approx(0.04)


@pytest.mark.parametrize("finger", [40.0, 4.0, -0.5], ids=["millimetres", "centimetres", "negative"])
def test_fingers_that_cannot_be_so_far_apart_are_not_measured(arm: JointStateMonitor, finger: float) -> None:
    take(arm, finger=0.041)
    assert (arm.finger_width(), arm.finger_fault()) == (pytest.approx(0.082), "")
    take(arm, finger=finger)
    assert arm.finger_width() is None
    assert arm.gripper_is_open() is None
    assert f"are {2 * finger:g} m together, expected are 0 to 0.08: metres?" in arm.finger_fault()


@pytest.mark.parametrize(("one", "other"), [(0.04, 0.0), (0.02, 0.0), (0.021, 0.035)])
@pytest.mark.parametrize(("period", "later"), [(0.02, 0.006), (0.02, 0.01), (0.1, 0.05), (0.1, 0.02), (0.15, 0.05)])
def test_two_who_publish_the_fingers_are_named_and_neither_is_believed(
    one: float, other: float, period: float, later: float
) -> None:
    """A gripper's driver, and a joint_state_publisher with places of its own."""
    shown = [0.0]
    arm = JointStateMonitor(ROBOT, 0.25, RestConfig(), 0.9, now=lambda: shown[0])
    for number in range(100):
        shown[0] = 5.0 + period * number
        for late, finger in ((0.0, one), (later, other)):
            arm.take(ROBOT.finger_joint_names, [finger] * 2, [], 50.0 + shown[0] + late, shown[0] + late)
    assert arm.finger_width() is None
    assert arm.gripper_is_open() is None
    assert "panda_finger_joint1 is said to be at" in arm.finger_fault()
    assert "m at once: are there two publishers of joint_states?" in arm.finger_fault()
    assert arm.contradiction() == ""  # of the arm
    for _ in range(250):  # one of them has ended
        shown[0] += 0.02
        arm.take(ROBOT.finger_joint_names, [one] * 2, [], 50.0 + shown[0], shown[0])
    assert (arm.finger_width(), arm.finger_fault()) == (pytest.approx(2.0 * one), "")


@pytest.mark.parametrize("period", [0.001, 0.01, 0.03, 0.1])
def test_fingers_that_open_and_close_as_fast_as_they_can_contradict_nobody(period: float) -> None:
    shown = [0.0]
    arm = JointStateMonitor(ROBOT, 0.4, RestConfig(), 0.9, now=lambda: shown[0])
    for moment in np.arange(0.0, 6.0, period):
        shown[0] = 5.0 + moment
        finger = 0.02 - 0.02 * np.cos(np.pi * moment / 0.3) + 1e-5 * np.sin(700.0 * moment)
        arm.take(ROBOT.finger_joint_names, [finger] * 2, [], 50.0 + moment, shown[0])
        assert arm.finger_fault() == ""


def test_a_motion_does_not_begin_on_a_moving_arm(arm: JointStateMonitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joint_monitor, "REST_TIMEOUT", 0.01)
    take(arm, speed=0.5)
    with pytest.raises(ArmMovesError, match=r"the arm moves at 0\.50 rad/s"):
        arm.await_rest(CancellationToken())


def test_states_of_another_robot_are_told(arm: JointStateMonitor) -> None:
    now = time.monotonic()
    arm.take(["fr3_joint1"], [0.0], [], now, now)
    problem = arm.problem()
    assert "no joint state of panda_joint1" in problem
    assert "published are fr3_joint1: is robot:=panda right?" in problem
    take(arm)
    assert arm.problem() == ""


def test_the_gripper_at_the_time_of_an_image(arm: JointStateMonitor) -> None:
    for stamp, finger in ((100.0, 0.04), (100.2, 0.0)):
        arm.take(NAMES, [0.0] * 7 + [finger] * 2, [], stamp, time.monotonic())
    assert arm.gripper_was_open(arm.positions_at(100.01))
    assert not arm.gripper_was_open(arm.positions_at(100.1))
    with pytest.raises(StaleJointsError, match=r"panda_finger_joint1.*not known whether the gripper is open"):
        arm.gripper_was_open({"panda_joint1": 0.0})


def test_a_stopped_publisher_is_noticed_whatever_its_stamps_say() -> None:
    arm = JointStateMonitor(ROBOT, 0.25, RestConfig(speed=0.03), open_fraction=0.9)
    heard = time.monotonic() - 1.0
    for number in range(20):
        arm.take(NAMES, [0.0] * len(NAMES), [], 1000.0 + 0.02 * number, heard)
    assert arm.rest.present() is not None
    assert not arm.rests()
    with pytest.raises(StaleJointsError, match=r"old, allowed are 0\.25 s"):
        arm.positions()


def test_joints_that_fell_silent_are_told_with_the_seconds_since() -> None:
    now = 10.0
    arm = JointStateMonitor(ROBOT, 0.5, RestConfig(), open_fraction=0.9, now=lambda: now)
    assert arm.silent() == {}  # of what was never heard is said elsewhere
    for name in NAMES[:2]:
        arm.take([name], [0.0], [], now, now)
    now = 12.0
    arm.take(NAMES[:1], [0.0], [], now, now)
    assert arm.silent() == {NAMES[1]: 2.0}
    now = 12.4
    assert arm.silent() == {NAMES[1]: pytest.approx(2.4)}
