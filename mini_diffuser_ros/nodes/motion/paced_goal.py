"""One goal of the arm's controller: a planned trajectory at some speed, and how far the controller has come on it."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from control_msgs.action import FollowJointTrajectory
from numpy.typing import NDArray

from mini_diffuser_ros.motion import interpolate
from mini_diffuser_ros.motion.braking import TrajectoryProgress
from mini_diffuser_ros.motion.retiming import PacedTrajectory
from mini_diffuser_ros.nodes.ros.action_goal import SentGoal
from mini_diffuser_ros.nodes.ros.messages import in_order, seconds
from mini_diffuser_ros.records import JointTrajectory
from mini_diffuser_ros.sensing.arm_watch import nearest_miss

SAME_SPEED = 0.01  # of the planned speed, less than which is no change
ENDING = 0.2  # seconds before its end from which a trajectory is left to end as it is
AHEAD = 0.15  # seconds by which an arm may be before our clock: messages travel, and simulations catch up
ROOM = 0.02  # radians by which a joint may be beyond where it may be by then
PASSING = 0.3  # seconds after its acceptance within which a goal that was replaced may still lead
UNKNOWN = 0.5  # seconds without knowing where the controller is, after which a lower speed does not wait for it


class PacedGoal:
    """A goal that the controller follows, or is about to.

    Args:
        paced: the plan, and the trajectory that the goal holds.
        begins: monotonic seconds at which the trajectory is to begin.
        before: the goal that it replaces.

    Attributes:
        paced: as given.
        progress: how far the controller has come on it.
        sent: the goal itself, once it is accepted.
        is_led: whether the controller follows it as far as is known: nothing was sent to replace it.
        taken_over_at: monotonic seconds at which it was accepted.
    """

    sent: SentGoal

    def __init__(self, paced: PacedTrajectory, begins: float, before: PacedGoal | None = None) -> None:
        self.paced = paced
        self._before = before
        self.progress = TrajectoryProgress(paced.trajectory, begins)
        self.is_led = True
        self.taken_over_at = float("inf")
        self._begins = begins
        self._due_since: float | None = None

    def part(self) -> float:
        """How much of the plan is done, 0 to 1, by the clock."""
        nominal = self.paced.pace(time.monotonic() - self._begins).nominal
        return float(np.clip(nominal / max(self.paced.planned.duration, 1e-3), 0.0, 1.0))

    def left(self, now: float) -> float:
        """Seconds of its trajectory that are still to come by the clock."""
        return self._begins + self.paced.trajectory.duration - now

    def hear(self, feedback: FollowJointTrajectory.Feedback, now: float) -> tuple[str, float]:
        """The controller's word; the joint that its reference leads farthest off the planned path, and radians."""
        names = self.paced.planned.joint_names
        reference = in_order(feedback.joint_names, feedback.desired.positions, names)
        if not np.isfinite(reference).all():
            return "", 0.0
        self.progress.heard(reference, now, seconds(feedback.header.stamp))
        joint, miss = nearest_miss(self.paced.planned.positions, reference)
        return names[joint], miss

    def ahead(self, places: NDArray[np.floating], now: float, room: float = ROOM) -> str:
        """The joint that is where the plan comes only later, in a few words; empty if it is not ahead.

        By the clock alone: a controller that plays a trajectory too fast leads the arm along the planned path.

        Args:
            places: (J,) radians, of the controller's reference or of the arm.
            now: monotonic seconds.
            room: radians.
        """
        planned, reached = self.paced.planned, self._reachable(now)
        if reached >= planned.duration or not np.isfinite(places).all():
            return ""
        times = planned.times - planned.times[0]
        path = np.vstack([planned.positions[times < reached], interpolate(planned, planned.times[:1] + reached)[0]])
        joint, miss = nearest_miss(path, places)
        # Between two samples the path is nearer than at either. Beside the plan an arm is nowhere on it.
        within = room + 0.5 * longest_step(planned)
        if miss <= within or nearest_miss(planned.positions, places)[1] > within:
            return ""
        return f"{planned.joint_names[joint]} is {miss:.3f} rad ahead of where its trajectory may be by now"

    def _reachable(self, now: float) -> float:
        """Nominal seconds of the plan that may be over by the clock, at most."""
        own = self.paced.pace(now - self._begins + AHEAD).nominal
        if self._before is None or now > self.taken_over_at + PASSING:
            self._before = None
            return own
        return max(own, self._before._reachable(now))

    def is_to_change(self, speed: Callable[[], float]) -> bool:
        """Whether another speed holds, and the controller can be given it now, or will not tell where it is."""
        wanted, now = speed(), time.monotonic()
        if abs(wanted - self.paced.speed) < SAME_SPEED and (wanted > 0.0) == (self.paced.speed > 0.0):
            self._due_since = None
            return False
        self._due_since = now if self._due_since is None else self._due_since
        elapsed = self.progress.elapsed(now)
        if elapsed is not None:
            return elapsed < self.paced.trajectory.duration - ENDING
        return wanted < self.paced.speed and now - self._due_since > UNKNOWN


def longest_step(trajectory: JointTrajectory) -> float:
    """Radians between two samples of a trajectory, at most."""
    return float(np.abs(np.diff(trajectory.positions, axis=0)).max(initial=0.0))
