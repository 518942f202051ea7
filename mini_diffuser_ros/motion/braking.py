"""What replaces a trajectory that is to end at once: it goes on for an instant and then brakes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mini_diffuser_ros.motion import MotionPlanner, interpolate
from mini_diffuser_ros.motion.retiming import PacedTrajectory, UnchangeableError
from mini_diffuser_ros.records import JointTrajectory

LEAD = 0.1  # seconds in which the controller passes from the old trajectory to the new one
SERVO_LAG = 0.4  # seconds by which an arm may lag behind its reference and still count as following it
CLOSE = 0.1  # radians by which it may miss what it followed meanwhile
IN_STEP = 0.03  # seconds that the controller's word about its reference may be late
HEARD_WITHIN = 0.3  # seconds that this word counts; controllers speak ten times a second and more often
MATCH_PERIOD = 0.002  # seconds between the places where a reference is looked for on its trajectory


class TrajectoryProgress:
    """How far a controller has come on a trajectory, by its own word.

    The clock alone does not tell: a controller may be slowed down, simulated or held up, and a braking trajectory that
    begins where the arm is not makes it jump.

    Args:
        trajectory: that the controller was given.
        sent_at: monotonic seconds.
    """

    def __init__(self, trajectory: JointTrajectory, sent_at: float) -> None:
        self._trajectory = trajectory
        self._sent_at = sent_at
        self._times = np.arange(0.0, trajectory.duration + MATCH_PERIOD, MATCH_PERIOD)
        self._positions = interpolate(trajectory, self._times)[0]
        self._heard: tuple[float, float] | None = None  # when, and how late it was then

    def heard(self, reference: ArrayLike, now: float) -> None:
        """The controller's reference (J,), radians in the trajectory's order of joints, as received now."""
        misses = np.abs(self._positions - np.asarray(reference, dtype=np.float64)).max(axis=1)
        self._heard = (now, now - self._sent_at - float(self._times[np.argmin(misses)]))

    def elapsed(self, now: float) -> float | None:
        """Seconds of the trajectory that are over when a message sent now arrives; None if that is not known."""
        if self._heard is None:
            return None
        at, late = self._heard
        if now - at > HEARD_WITHIN or not -IN_STEP <= late <= IN_STEP:
            return None
        # What is late has travelled forth and back; the message to come travels forth.
        return now - self._sent_at - late / 2.0


def braking_trajectory(planner: MotionPlanner, paced: PacedTrajectory, elapsed: float) -> JointTrajectory:
    """A jerk-limited stop of an arm that follows a trajectory, as fast as the limits allow.

    It stays on the path, which was checked, and keeps limits that depend on position and the tool's; where it could not
    keep those of acceleration and jerk, each joint stops by itself. Its first sample lies LEAD seconds ahead: a joint
    trajectory controller fills the time before it with a smooth passage from what it does at that moment.

    Args:
        planner: knows the limits.
        paced: that is followed.
        elapsed: seconds since its start, at the time when the controller takes over the new one.
    """
    try:
        stop = planner.retimed(paced, elapsed + LEAD, 0.0).trajectory
    except UnchangeableError:
        stop = planner.stop_trajectory(*interpolate(paced.trajectory, elapsed + LEAD))
    return replace(stop, times=stop.times + LEAD)


def is_followed(trajectory: JointTrajectory, elapsed: float, positions: NDArray[np.floating]) -> bool:
    """Whether an arm at these positions (J,) is where the trajectory was a short while ago.

    One that is not is held by something; braking from where it should be would move it there.
    """
    recent = np.linspace(elapsed - SERVO_LAG, elapsed + LEAD, 26)
    wanted, _, _ = interpolate(trajectory, recent)
    return bool(np.abs(wanted - positions).max(axis=1).min() <= CLOSE)
