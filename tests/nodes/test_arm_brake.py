"""An arm that goes on is given a goal to come to rest; one that brakes, or of which nothing true is known, is not."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rclpy.logging import get_logger

from mini_diffuser_ros.nodes.motion.arm_brake import ArmBrake
from mini_diffuser_ros.nodes.ros.messages import trajectory_from_message
from mini_diffuser_ros.records import JointTrajectory
from mini_diffuser_ros.robots import load_robot
from mini_diffuser_ros.sensing.joint_monitor import JointStateMonitor
from mini_diffuser_ros.sensing.rest import RestConfig
from mini_diffuser_ros.simulation.realtime.arm_controller import ArmController

Array = NDArray[np.float64]
ROBOT = load_robot("fr3")
NAMES = list(ROBOT.arm_joint_names)
STEP = 0.005
ROUND = np.array([0.5, -0.2, 0.3, 0.1, -0.4, 0.2, 0.8])  # rad/s


class Driver:
    """A controller that follows whatever it is given, without delay, and its joint states.

    Args:
        velocities: (J,) rad/s at which it goes on.
        start: (J,) radians.
        heeds: whether it takes goals.
    """

    def __init__(self, velocities: Array, start: Array = ROBOT.home, heeds: bool = True) -> None:
        self.now, self._heeds = 1000.0, heeds
        self.controller = ArmController(start, ROBOT.acceleration_limits)
        times = np.array([0.0, 10.0])
        places = start + times[:, None] * velocities
        on = JointTrajectory(tuple(NAMES), times, places, np.tile(velocities, (2, 1)), np.zeros((2, 7)))
        self.controller.follow(on, self.now)
        self.goals: list[JointTrajectory] = []
        self.joints = JointStateMonitor(
            ROBOT, 0.25, RestConfig(), 0.9, with_fingers=False, now=lambda: time.monotonic()
        )

    def send_goal_async(self, goal: Any) -> None:
        """As of an ActionClient."""
        self.goals.append(trajectory_from_message(goal.trajectory, NAMES))
        if self._heeds:
            self.controller.follow(self.goals[-1], self.now)

    def run(self, seconds: float, tell: Callable[[Array, Array], tuple[Array, Array]] = lambda p, v: (p, v)) -> Array:
        """(N, J) velocities while somebody wants the arm to rest; ``tell`` makes joint states of the truth."""
        brake, velocities = ArmBrake(self, self.joints, get_logger("brake")), []
        for number in range(round(seconds / STEP)):
            self.now += STEP
            reference = self.controller.reference(self.now)
            velocities.append(reference.velocities)
            told = tell(reference.positions, reference.velocities)
            if number % 2 == 0 and np.isfinite(told[0]).all():
                self.joints.take(NAMES, *told, self.now, self.now)
            if number % 4 == 0:
                brake.look()
        return np.array(velocities)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[Driver], Driver]:
    """Has a driver tell the time."""

    def of(driver: Driver) -> Driver:
        monkeypatch.setattr(time, "monotonic", lambda: driver.now)
        return driver

    return of


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.floats(-1.0, 1.0), min_size=7, max_size=7).filter(lambda one: max(map(abs, one)) > 0.1))
def test_an_arm_that_goes_on_comes_to_rest_within_its_limits(
    clock: Callable[[Driver], Driver], velocities: list[float]
) -> None:
    driver = clock(Driver(np.array(velocities)))
    seen = driver.run(1.5)
    assert len(driver.goals) == 1
    assert np.abs(seen[-1]).max() < 1e-3
    assert np.all(np.abs(np.diff(seen, axis=0)) <= ROBOT.acceleration_limits * STEP * 1.01)
    assert np.all(seen * np.sign(velocities) > -0.2)  # on the way that it is on


def test_one_that_takes_no_goal_is_given_it_again_and_again_but_not_without_end(
    clock: Callable[[Driver], Driver],
) -> None:
    driver = clock(Driver(ROUND, heeds=False))
    driver.run(3.0)
    assert 3 <= len(driver.goals) <= 8


def test_an_arm_that_brakes_by_itself_is_left_to_it(clock: Callable[[Driver], Driver]) -> None:
    driver = clock(Driver(ROUND))
    driver.controller.brake(driver.now)
    driver.run(1.0)
    assert driver.goals == []


@pytest.mark.parametrize("lie", ["disbelieved", "stale", "velocities", "degrees"])
def test_what_is_not_known_to_be_true_makes_no_goal(clock: Callable[[Driver], Driver], lie: str) -> None:
    driver = clock(Driver(ROUND))
    if lie == "disbelieved":
        driver.joints.doubt("they contradict the controller")
    if lie == "stale":
        first = driver.now
        driver.run(1.0, lambda p, v: (p, v) if driver.now < first + 0.02 else (np.full(7, np.nan), v))
    else:
        driver.run(1.0, lambda p, v: (p, 57.3 * v) if lie == "degrees" else (p, v + 3.0 * (lie == "velocities")))
    assert driver.goals == []


def test_an_arm_outside_its_range_is_not_pulled_in_by_a_stop(clock: Callable[[Driver], Driver]) -> None:
    start = ROBOT.home.copy()
    start[1] = ROBOT.position_limits[1, 1] + 0.15
    driver = clock(Driver(-0.2 * np.eye(7)[0], start))
    driver.run(1.0)
    (goal,) = driver.goals
    assert goal.positions[-1][1] == pytest.approx(start[1], abs=1e-6)
