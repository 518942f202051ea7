"""What the joint states say about one robot: where arm and fingers are, and whether the arm rests."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import JointState

from mini_diffuser_ros.nodes.ros.process import NodeError
from mini_diffuser_ros.robots import RobotDescription
from mini_diffuser_ros.sensing.errors import StaleJointsError
from mini_diffuser_ros.sensing.joint_tracker import JointTracker
from mini_diffuser_ros.support.cancellation import CancellationToken

Array = NDArray[np.float64]
T = TypeVar("T")

RESTING_FOR = 0.1  # seconds below the rest speed: a joint that turns round is slow for an instant, too
REST_TIMEOUT = 2.0  # seconds that a new motion waits for fresh joint states and for the arm to be at rest


class MeasuredArm:
    """Joint states of one robot, for whoever has to look at them or to wait for something in them. Thread-safe.

    Args:
        robot: the arm.
        max_age: seconds after which a joint state is too old to be used.
        rest_speed: rad/s below which a joint counts as at rest.
        open_fraction: of the largest width, from which the gripper counts as open.
    """

    def __init__(self, robot: RobotDescription, max_age: float, rest_speed: float, open_fraction: float) -> None:
        self.robot = robot
        self._max_age = max_age
        self._rest_speed = rest_speed
        self._open_width = open_fraction * robot.max_gripper_width
        self._joints = JointTracker()
        self._resting_since: float | None = None
        self._lock = threading.Lock()
        self._waiting: list[CancellationToken] = []

    def take(self, message: JointState) -> None:
        """A new joint state.

        Raises:
            ValueError: if it contradicts itself or is not finite.
        """
        now = time.monotonic()
        self._joints.update(message.name, message.position, message.velocity, now)
        try:
            slow = self.speed() <= self._rest_speed
        except StaleJointsError:
            slow = False
        if not slow:
            self._resting_since = None
        elif self._resting_since is None:
            self._resting_since = now
        with self._lock:
            waiting = list(self._waiting)
        for token in waiting:
            token.notify()

    def positions(self) -> Array:
        """(7,) radians.

        Raises:
            StaleJointsError: if a joint is missing or too old.
        """
        return self._joints.positions(self.robot.arm_joint_names, time.monotonic(), self._max_age)

    def speed(self) -> float:
        """Of the arm's fastest joint, rad/s.

        Raises:
            StaleJointsError: as :meth:`positions`.
        """
        velocities = self._joints.velocities(self.robot.arm_joint_names, time.monotonic(), self._max_age)
        return float(np.abs(velocities).max())

    def age(self) -> float | None:
        """Seconds since the arm's oldest joint was heard of, None if one never was."""
        return self._joints.age(self.robot.arm_joint_names, time.monotonic())

    def rests(self) -> bool:
        """Whether the arm is known to be at rest."""
        since = self._resting_since
        try:
            return self.speed() <= self._rest_speed and since is not None and time.monotonic() - since >= RESTING_FOR
        except StaleJointsError:
            return False

    def finger_width(self) -> float | None:
        """Metres between the fingers, None if their joints are not published."""
        try:
            names = self.robot.finger_joint_names
            return float(self._joints.positions(names, time.monotonic(), self._max_age).sum())
        except StaleJointsError:
            return None

    def gripper_is_open(self) -> bool | None:
        """Whether the fingers are as good as fully apart, None if their joints are not published."""
        width = self.finger_width()
        return None if width is None else width >= self._open_width

    def wait_for(self, token: CancellationToken, look: Callable[[], T | None], timeout: float) -> T:
        """As :meth:`CancellationToken.wait_for`; ``look`` is called on each joint state."""
        with self._lock:
            self._waiting.append(token)
        try:
            return token.wait_for(look, timeout)
        finally:
            with self._lock:
                self._waiting.remove(token)

    def await_rest(self, token: CancellationToken) -> Array:
        """(7,) positions of the arm, once it is known to be at rest.

        Raises:
            StaleJointsError: if there are no fresh joint states.
            NodeError: if it keeps moving.
            InterruptionError: when the token is interrupted.
        """
        try:
            self.wait_for(token, self.rests, REST_TIMEOUT)
        except TimeoutError:
            raise NodeError(self.describe_unrest()) from None
        return self.positions()

    def describe_unrest(self) -> str:
        """Why the arm does not count as at rest.

        Raises:
            StaleJointsError: if there are no fresh joint states.
        """
        return f"the arm moves at {self.speed():.2f} rad/s, at rest are {self._rest_speed:.2f} rad/s"
