"""What the cameras see, for the motion that is planned and for the one that is under way."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.motion import MotionPlanner, interpolate
from mini_diffuser_ros.motion.surroundings import HeldObject, Surroundings, seen_often
from mini_diffuser_ros.records import Cloud, JointTrajectory
from mini_diffuser_ros.sensing.errors import StaleJointsError
from mini_diffuser_ros.support.cancellation import CancellationToken
from mini_diffuser_ros.support.errors import UserError

Array = NDArray[np.float64]
Floats = NDArray[np.float32]

LOOK_PERIOD = 0.08  # seconds between looks ahead of a motion
HORIZON = 1.5  # seconds ahead of a motion that are looked at
REMEMBERED = 0.6  # seconds for which what several clouds have shown stays, though newer ones do not show it
LEAST_REMEMBERED = 3  # clouds that are remembered, however slowly they come
MOST_REMEMBERED = 40  # clouds, however fast they come
SEEN_TWICE = 2  # clouds that have to have shown it; what one alone has shown may be noise
SAME_PLACE = 0.01  # radians by which joints may differ where the hand counts as being in the same place
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


class _Seen(NamedTuple):
    """What one cloud has shown that is neither robot nor table."""

    arrived: float
    points: Floats


class ObstacleWatch:
    """Keeps the newest clouds; gives them to planning, and brakes a motion that something has come into the way of.

    One cloud that does not show a thing does not make it go away: what two of the clouds of the last moment have shown
    is still there for that long, whatever hides it, a camera's dropout or an empty cloud.

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
        self._recent: deque[_Seen] = deque(maxlen=MOST_REMEMBERED)
        self._arrived = -np.inf
        self._looked = -np.inf
        self._held: HeldObject | None = None
        self._under_way: _UnderWay | None = None

    def take(self, cloud: Cloud) -> None:
        """A new cloud, in the robot's base frame. Looks ahead of the motion under way."""
        with self._lock:
            now = self._now()
            try:
                shown = self._planner.surroundings(cloud.points, self._posture(cloud), self._held).points
            except StaleJointsError:
                return  # as if it had not come: nobody can say what in it is the arm
            self._cloud, self._arrived = cloud, now
            self._recent.append(_Seen(now, shown))
            while self._is_past(now - self._recent[0].arrived):
                self._recent.popleft()
            if self._under_way is not None and now - self._looked >= LOOK_PERIOD:
                self._looked = now
                self._look_ahead(self._under_way, cloud)

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
            self._recent.clear()  # what was seen of it lies where it no longer is

    def released(self) -> None:
        """The hand is empty."""
        with self._lock:
            self._held = None
            self._recent.clear()

    def emptied(self) -> None:
        """The hand is measured to be empty, whatever became of what it held."""
        with self._lock:
            self._held = None  # what the last clouds have shown beside it stays

    def holding(self, width: float, positions: Array) -> None:
        """The fingers are measured to hold something so many metres wide at joint positions (J,), whoever saw it.

        What is not known of yet, after a restart or a grasp that no camera saw, is what the newest cloud shows between
        the fingers; where it shows nothing there, a box as wide as they are apart and as large as anything held can be.
        """
        with self._lock:
            if self._held is None:
                self._held = self._planner.presumed_held(width, positions, self._shown_in_hand(positions))
                self._recent.clear()  # what was taken for a thing beside the hand is in it

    def _shown_in_hand(self, positions: Array) -> Floats:
        """Points of the newest cloud, if the arm was then where it is now; of any other the hand covers nothing."""
        nothing = np.empty((0, 3), np.float32)
        if self._cloud is None or self._problem(self._age(self._arrived)):
            return nothing
        try:
            apart = np.abs(self._posture(self._cloud) - positions).max()
        except StaleJointsError:
            return nothing
        return np.asarray(self._cloud.points, np.float32) if apart <= SAME_PLACE else nothing

    @contextmanager
    def ahead_of(
        self, trajectory: JointTrajectory, token: CancellationToken, horizon: float = HORIZON
    ) -> Iterator[None]:
        """Around a motion: interrupt it where something comes into its way, or clouds cease.

        What the newest cloud shows counts from the beginning: it may have come since the motion was planned.

        Args:
            trajectory: that is about to be followed.
            token: of the motion.
            horizon: seconds of its beginning that have to be free by the newest cloud.
        """
        times = np.arange(0.0, trajectory.duration + PROGRESS_PERIOD, PROGRESS_PERIOD)
        under_way = _UnderWay(trajectory, token, times, interpolate(trajectory, times)[0])
        with self._lock:
            self._under_way = under_way
            if self._cloud is not None:
                if problem := self._problem(self._since(self._arrived)):
                    token.interrupt(self._stale, problem)
                self._look_ahead(under_way, self._cloud, horizon)
        try:
            yield
        finally:
            with self._lock:
                self._under_way = None

    def _look_ahead(self, motion: _UnderWay, cloud: Cloud, horizon: float = HORIZON) -> None:
        try:
            seen, now = self._seen(cloud), self._joints.positions()
        except StaleJointsError:
            return
        # By measurement, not by the clock: the motion may have been slowed down.
        rest = motion.times >= motion.elapsed
        nearest = int(np.abs(motion.places[rest] - now).max(axis=1).argmin())
        motion.elapsed = float(motion.times[rest][nearest])
        contact = self._planner.contact_ahead(motion.trajectory, motion.elapsed, horizon, seen)
        if contact is not None:
            reason = f"{contact.first} would come within {1e3 * contact.distance:.0f} mm of {contact.second}"
            motion.token.interrupt(self._blocked, f"something is in the way: {reason}")

    def _is_past(self, age: float) -> bool:
        """Whether the oldest cloud, of an age in seconds, is not to be remembered any more."""
        return age > self.max_age or (age > REMEMBERED and len(self._recent) > LEAST_REMEMBERED)

    def _seen(self, cloud: Cloud) -> Surroundings:
        """What a cloud shows, and what those before it have shown at least twice."""
        voxel = self._planner.config.obstacles.voxel
        lasting = seen_often([one.points for one in self._recent], voxel, SEEN_TWICE)
        points = np.concatenate([np.asarray(cloud.points, np.float32), lasting])
        return self._planner.surroundings(points, self._posture(cloud), self._held)

    def _posture(self, cloud: Cloud) -> Array:
        """(J,) radians, where the arm was at a cloud's stamp.

        Raises:
            StaleJointsError: that is not known.
        """
        at_stamp = self._joints.positions_at(cloud.stamp)
        return np.array([at_stamp[name] for name in self._planner.robot.arm_joint_names])

    def _age(self, arrived: float) -> float:
        return self._now() - arrived

    def _problem(self, age: float) -> str:
        if self._cloud is None:
            return "no cloud yet: motion keeps away from what the cameras see, see /diagnostics for perception"
        if age > self.max_age:
            return f"the newest cloud of use came {age:.1f} s ago, allowed are {self.max_age:.1f} s: see /diagnostics"
        return ""
