"""Brings an arm to rest that goes on although nobody wants it to: a goal to come to rest replaces what it follows.

A cancel ends goals. A controller that has none, since it said that the motion was over, or that does not obey, goes on;
a new goal replaces whatever it plays.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Any

import numpy as np
from control_msgs.action import FollowJointTrajectory
from numpy.typing import NDArray

from mini_diffuser_ros.nodes.ros.messages import trajectory_to_message
from mini_diffuser_ros.records import JointTrajectory
from mini_diffuser_ros.sensing.errors import StaleJointsError
from mini_diffuser_ros.sensing.joint_monitor import JointStateMonitor
from mini_diffuser_ros.support.awake import AwakeClock

Array = NDArray[np.float64]

LOOKING = 0.02  # seconds between two looks
OBEYS = 0.3  # seconds within which an arm that brakes, brakes visibly
BRAKING = 0.6  # of its speed, that it has left by then at most
MEASURED = 0.1  # seconds over which its velocity is measured
FRESH = 0.1  # seconds, age of what is acted on
DELAY = 0.03  # seconds from a measurement until the controller has the goal
SHARE = 0.4  # of the limits of acceleration that the goal uses
SHORTEST, LONGEST = 0.15, 1.5  # seconds that it takes
COMPLAINT = 5.0  # seconds between two lines
ODD = 0.2  # rad/s by which positions and published velocities may differ where a goal is made of them


class ArmBrake:
    """Sends a goal to come to rest when an arm is measured to go on. Thread-safe.

    Joint states that are not believed, or contradict themselves, make no goal: the arm would jump to where it is not.

    Args:
        client: of the controller's action.
        joints: where the arm is.
        logger: is told of each goal.

    Attributes:
        sent: goals so far.
    """

    def __init__(self, client: Any, joints: JointStateMonitor, logger: Any) -> None:
        self._client, self._joints, self._logger = client, joints, logger
        self._places: deque[tuple[float, Array]] = deque()
        self._judged: tuple[float, float] | None = None  # when the speed was last compared, and what it was
        self.sent = 0
        self._lock = threading.Lock()

    def look(self, obeys: float = OBEYS) -> None:
        """To be called again and again while the arm is to come to rest.

        Args:
            obeys: seconds within which it has to be seen to brake.
        """
        with self._lock:
            try:
                self._judge(obeys)
            except StaleJointsError:
                self._judged = None
                self._places.clear()

    def bring_to_rest(self, timeout: float, obeys: float = OBEYS) -> bool:
        """Wait until the arm rests, and see to it that it does; whether it came to that within ``timeout`` seconds."""
        awake = AwakeClock()
        deadline = awake.now() + timeout
        while not self._joints.is_known_to_rest():
            if awake.now() > deadline:
                return False
            self.look(obeys)
            time.sleep(LOOKING)
        return True

    def _judge(self, obeys: float) -> None:
        velocities = self._velocities()
        if velocities is None or self._joints.rests():
            self._judged = None
            return
        now, speed = time.monotonic(), float(np.abs(velocities).max())
        if self._judged is None or now - self._judged[0] > obeys + FRESH:  # nobody has looked meanwhile
            self._judged = now, speed
        elif now - self._judged[0] >= obeys:
            # A goal needs its time before the next one may be due.
            wait = self._send(velocities) if speed > BRAKING * self._judged[1] else 0.0
            self._judged = now + wait, speed

    def _velocities(self) -> Array | None:
        """(J,) rad/s by positions; None while they are not known yet.

        Raises:
            StaleJointsError: joint states are not believed, or not fresh.
        """
        now, age = time.monotonic(), self._joints.age()
        if self._joints.doubted() or age is None or age > FRESH:
            raise StaleJointsError
        if self._places and now - self._places[-1][0] > FRESH:
            self._places.clear()
        self._places.append((now, self._joints.positions()))
        while len(self._places) > 2 and now - self._places[1][0] >= MEASURED:
            self._places.popleft()
        first, last = self._places[0], self._places[-1]
        if last[0] - first[0] < 0.5 * MEASURED:
            return None
        return (last[1] - first[1]) / (last[0] - first[0])

    def _send(self, velocities: Array) -> float:
        """Have the controller come to rest from there, along the way that the arm is on; seconds that it takes."""
        robot, speed = self._joints.robot, float(np.abs(velocities).max())
        if abs(self._joints.speed() - speed) > ODD + 0.5 * speed:
            return 0.0
        seconds = float(np.clip(np.max(np.abs(velocities) / (SHARE * robot.acceleration_limits)), SHORTEST, LONGEST))
        now, (lower, upper) = self._joints.positions(), robot.position_limits.T
        end = np.clip(now + velocities * (DELAY + 0.5 * seconds), np.minimum(lower, now), np.maximum(upper, now))
        still = np.zeros((1, len(end)))
        stop = JointTrajectory(robot.arm_joint_names, np.array([seconds]), end[None], still, still)
        message = f"the arm goes on at {speed:.2f} rad/s: a goal to come to rest replaces what leads it"
        self._logger.warning(message, throttle_duration_sec=COMPLAINT)
        self._client.send_goal_async(FollowJointTrajectory.Goal(trajectory=trajectory_to_message(stop)))
        self.sent += 1
        return seconds + DELAY
