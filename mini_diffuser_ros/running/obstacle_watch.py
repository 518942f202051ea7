"""What the cameras see, for the motion that is planned and for the one that is under way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.motion import MotionPlanner, interpolate
from mini_diffuser_ros.motion.surroundings import HeldObject, Surroundings
from mini_diffuser_ros.records import Cloud, JointTrajectory
from mini_diffuser_ros.sensing.errors import StaleJointsError
from mini_diffuser_ros.support.cancellation import CancellationToken
from mini_diffuser_ros.support.errors import UserError

Array = NDArray[np.float64]

LOOK_PERIOD = 0.08  # seconds between looks ahead of a motion
HORIZON = 1.5  # seconds ahead of a motion that are looked at
PROGRESS_PERIOD = 0.02  # seconds between the places of a trajectory where the arm is looked for


class StaleCloudError(UserError, RuntimeError):
    """The newest cloud is missing or too old to move by."""


class MeasuredJoints(Protocol):
    """Where the joints are and were."""

    def positions(self) -> Array:
        """(J,) radians, now."""
        ...

    def positions_at(self, stamp: float) -> Mapping[str, float]:
        """Position of every joint at a stamp, seconds."""
        ...


@dataclass(eq=False)
class _UnderWay:
    """A motion that is looked ahead of."""

    trajectory: JointTrajectory
    token: CancellationToken
    times: Array
    places: Array
    elapsed: float = 0.0


class ObstacleWatch:
    """Keeps the newest cloud; gives it to planning, and brakes a motion that something has come into the way of.

    Args:
        planner: of its own: it looks ahead in the thread in which clouds arrive.
        joints: where the arm is and was.
        max_age: seconds without a cloud after which nothing moves.
        blocked: constant of the action's result for a motion with something in its way.
        stale: constant of the action's result for a motion without clouds.
        now: the steady clock, seconds.
        since: seconds for which a cloud could have been heard since a time of that clock, as AwakeClock tells; all of
            them if left out.

    Attributes:
        max_age: seconds without a cloud after which nothing moves.
    """

    def __init__(
        self,
        planner: MotionPlanner,
        joints: MeasuredJoints,
        max_age: float,
        blocked: int,
        stale: int,
        now: Callable[[], float] = time.monotonic,
        since: Callable[[float], float] | None = None,
    ) -> None:
        self._planner = planner
        self._joints = joints
        self.max_age = max_age
        self._blocked, self._stale = blocked, stale
        self._now, self._since = now, since or self._age
        self._lock = threading.Lock()  # of the planner and of what follows
        self._cloud: Cloud | None = None
        self._arrived = -np.inf
        self._looked = -np.inf
        self._held: HeldObject | None = None
        self._under_way: _UnderWay | None = None

    def take(self, cloud: Cloud) -> None:
        """A new cloud, in the robot's base frame. Looks ahead of the motion under way."""
        with self._lock:
            now = self._now()
            if self._under_way is not None and now - self._looked >= LOOK_PERIOD:
                self._looked = now
                if not self._look_ahead(self._under_way, cloud):
                    return  # as if it had not come
            self._cloud, self._arrived = cloud, now

    def check_age(self) -> None:
        """Brakes the motion under way if clouds no longer come; to be called several times a second."""
        with self._lock:
            if self._under_way is not None and (problem := self._problem(self._since(self._arrived))):
                self._under_way.token.interrupt(self._stale, problem)

    def surroundings(self) -> Surroundings:
        """What the newest cloud shows besides robot, table and what is held.

        Raises:
            StaleCloudError: there is no cloud, or it is too old.
            StaleJointsError: where the arm was at its stamp is not known.
        """
        with self._lock:
            if problem := self._problem(self._age(self._arrived)):
                raise StaleCloudError(problem)
            assert self._cloud is not None
            return self._seen(self._cloud)

    def grasped(self, seen: Surroundings, positions: Array) -> None:
        """The fingers have closed at joint positions (J,) on what was seen there before the arm came."""
        with self._lock:
            self._held = self._planner.grasped(seen, positions)

    def released(self) -> None:
        """The hand is empty."""
        with self._lock:
            self._held = None

    @contextmanager
    def ahead_of(self, trajectory: JointTrajectory, token: CancellationToken) -> Iterator[None]:
        """Around a motion: interrupt it where something comes into its way, or clouds cease."""
        times = np.arange(0.0, trajectory.duration + PROGRESS_PERIOD, PROGRESS_PERIOD)
        under_way = _UnderWay(trajectory, token, times, interpolate(trajectory, times)[0])
        with self._lock:
            self._under_way = under_way
        try:
            yield
        finally:
            with self._lock:
                self._under_way = None

    def _look_ahead(self, motion: _UnderWay, cloud: Cloud) -> bool:
        """Whether the cloud is of use: where the arm was at its stamp is known."""
        try:
            seen, now = self._seen(cloud), self._joints.positions()
        except StaleJointsError:
            return False
        # By measurement, not by the clock: the motion may have been slowed down.
        rest = motion.times >= motion.elapsed
        nearest = int(np.abs(motion.places[rest] - now).max(axis=1).argmin())
        motion.elapsed = float(motion.times[rest][nearest])
        contact = self._planner.contact_ahead(motion.trajectory, motion.elapsed, HORIZON, seen)
        if contact is not None:
            reason = f"{contact.first} would come within {1e3 * contact.distance:.0f} mm of {contact.second}"
            motion.token.interrupt(self._blocked, f"something is in the way: {reason}")
        return True

    def _seen(self, cloud: Cloud) -> Surroundings:
        at_stamp = self._joints.positions_at(cloud.stamp)
        positions = np.array([at_stamp[name] for name in self._planner.robot.arm_joint_names])
        return self._planner.surroundings(cloud.points, positions, self._held)

    def _age(self, arrived: float) -> float:
        return self._now() - arrived

    def _problem(self, age: float) -> str:
        if self._cloud is None:
            return "no cloud yet: motion keeps away from what the cameras see, see /diagnostics for perception"
        if age > self.max_age:
            return f"the newest cloud of use came {age:.1f} s ago, allowed are {self.max_age:.1f} s: see /diagnostics"
        return ""
