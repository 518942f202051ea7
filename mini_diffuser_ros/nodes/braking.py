"""What replaces a trajectory that is to end at once: it goes on for an instant and then brakes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.motion import MotionPlanner, interpolate
from mini_diffuser_ros.records import JointTrajectory

LEAD = 0.05  # seconds in which the controller passes from the old trajectory to the new one
LAG = 0.4  # seconds by which an arm may lag behind its reference and still count as following it
CLOSE = 0.1  # radians by which it may miss what it followed meanwhile


def braking_trajectory(planner: MotionPlanner, trajectory: JointTrajectory, elapsed: float) -> JointTrajectory:
    """The fastest jerk-limited stop of an arm that follows a trajectory.

    Its first sample lies LEAD seconds ahead: a joint trajectory controller fills the time before it with a smooth
    passage from what it does at that moment.

    Args:
        planner: knows the limits.
        trajectory: that is followed.
        elapsed: seconds since its start, at the time when the controller takes over the new one.
    """
    positions, velocities, accelerations = interpolate(trajectory, elapsed + LEAD)
    stop = planner.stop_trajectory(positions, velocities, accelerations)
    return replace(stop, times=stop.times + LEAD)


def is_followed(trajectory: JointTrajectory, elapsed: float, positions: NDArray[np.floating]) -> bool:
    """Whether an arm at these positions (7,) is where the trajectory was a short while ago.

    One that is not is held by something; braking from where it should be would move it there.
    """
    recent = np.linspace(elapsed - LAG, elapsed + LEAD, 19)
    wanted, _, _ = interpolate(trajectory, recent)
    return bool(np.abs(wanted - positions).max(axis=1).min() <= CLOSE)
