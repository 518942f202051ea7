"""What the page says of the arm: it rests where that is measured, now, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.robots import load_robot
from mini_diffuser_ros.viewing.live.measured_arm import MAX_AGE, MOST_JOINTS, MeasuredArm

PANDA, FR3 = load_robot("panda"), load_robot("fr3")
ARM, FINGERS = PANDA.arm_joint_names, PANDA.finger_joint_names
STEP = 0.02  # seconds between two states


class Drivers:
    """Joint states as they come, and the steady clock by which they do."""

    def __init__(self, knows: bool = True) -> None:
        self.now = 50.0
        self.arm = MeasuredArm(lambda: self.now)
        if knows:
            self.arm.know(PANDA)

    def publish(
        self,
        names: tuple[str, ...] = ARM,
        speed: float = 0.0,
        count: int = 20,
        said: float | None = 0.0,
        stamp: float | None = None,
    ) -> None:
        """States one after another of joints that turn at a speed, rad/s, and say another one, or none."""
        for _ in range(count):
            self.now += STEP
            positions = [speed * self.now] * len(names)
            velocities = [] if said is None else [said] * len(names)
            self.arm.take(names, positions, velocities, self.now if stamp is None else stamp, self.now)

    def says(self) -> str:
        return self.arm.motion().words

    def rests(self) -> bool:
        return self.arm.motion().rests


def test_an_arm_rests_when_its_joints_are_measured_to() -> None:
    drivers = Drivers()
    assert (drivers.says(), drivers.rests()) == ("no joint states", False)
    drivers.publish(count=2)
    assert "not known to rest" in drivers.says()
    drivers.publish()
    assert (drivers.says(), drivers.rests()) == ("at rest", True)
    drivers.publish(said=None)
    assert drivers.rests()
    drivers.publish(speed=0.8, said=0.8)
    assert (drivers.says().partition(",")[0], drivers.rests()) == ("the arm moves at 0.80 rad/s", False)


@given(st.floats(0.1, 4.0), st.sampled_from([0.0, None, float("nan")]))
def test_positions_that_run_are_a_motion_whatever_speed_is_said(speed: float, said: float | None) -> None:
    drivers = Drivers()
    drivers.publish(speed=speed, said=said)
    assert f"moves at {speed:.2f} rad/s" in drivers.says()
    assert not drivers.rests()


def test_a_message_that_comes_again_and_again_is_no_measurement() -> None:
    drivers = Drivers()
    drivers.publish()
    drivers.publish(stamp=drivers.now, count=round((MAX_AGE + 1.0) / STEP))
    assert not drivers.rests()
    assert "come again with a stamp that stands still" in drivers.says()


def test_joints_that_fell_silent_are_named_though_others_go_on() -> None:
    drivers = Drivers()
    drivers.publish()
    drivers.publish(FINGERS)
    drivers.publish(FINGERS, count=round(3.0 / STEP))
    assert not drivers.rests()
    assert "joint states are 3.40 s old" in drivers.says()
    assert f"nothing for 3 s of {', '.join(ARM[:3])} and 4 more" in drivers.says()


def test_one_joint_that_fell_silent_keeps_the_arm_from_resting() -> None:
    drivers = Drivers()
    drivers.publish(ARM[:-1], count=1)
    drivers.publish(ARM[-1:], count=1)
    drivers.publish(ARM[:-1], count=round(2.0 / STEP))
    assert not drivers.rests()
    assert f"nothing for 2 s of {ARM[-1]}" in drivers.says()


def test_fingers_that_fell_silent_are_named_beside_an_arm_that_rests() -> None:
    drivers = Drivers()
    drivers.publish(FINGERS)
    drivers.publish(count=round(2.0 / STEP))
    assert drivers.rests()
    assert drivers.says() == f"at rest; nothing for 2 s of {', '.join(FINGERS)}"


def test_joints_of_another_robot_are_not_the_arm() -> None:
    drivers = Drivers()
    drivers.publish(FR3.arm_joint_names)
    assert not drivers.rests()
    assert f"no joint state of {', '.join(ARM)}" in drivers.says()
    drivers.arm.know(FR3)
    drivers.publish(FR3.arm_joint_names)
    assert drivers.rests()


def test_before_it_is_known_which_robot_it_is_joints_move_but_no_arm_rests() -> None:
    drivers = Drivers(knows=False)
    drivers.publish()
    assert (drivers.says().partition(":")[0], drivers.rests()) == ("whether the arm rests is not known", False)
    drivers.publish(speed=0.5)
    assert drivers.says().startswith("joints move at 0.50 rad/s")
    drivers.now += 5.0
    assert drivers.says().startswith("no joint states for more than 1 s")
    drivers.publish()
    drivers.arm.know(PANDA)
    assert not drivers.rests()  # of what is heard from now on alone
    drivers.publish()
    assert drivers.rests()


def test_what_was_forgotten_is_heard_anew() -> None:
    drivers = Drivers()
    drivers.publish()
    drivers.arm.forget()
    assert (drivers.says(), drivers.arm.positions(), drivers.arm.age()) == ("no joint states", {}, None)
    drivers.publish()
    assert drivers.rests()
    assert drivers.arm.age() == pytest.approx(0.0, abs=STEP)


@pytest.mark.parametrize("knows", [True, False])
def test_names_without_end_are_not_kept_without_end(knows: bool) -> None:
    drivers = Drivers(knows)
    with pytest.raises(ValueError, match="at most"):
        drivers.publish(tuple(f"joint {k}" for k in range(MOST_JOINTS + 1)))
    for number in range(2000):
        drivers.publish((f"joint {number}", *ARM), count=1)
    assert len(drivers.arm.positions()) < 1000
    assert np.isfinite(list(drivers.arm.positions().values())).all()
    assert drivers.rests() == knows  # whoever else's joints come with its own
