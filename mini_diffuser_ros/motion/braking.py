"""What replaces a trajectory that is to end at once: it goes on for an instant and then brakes."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

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
SEARCHED = 0.5  # seconds around where a reference is expected, within which it is looked for on its trajectory
ON_TRAJECTORY = 5e-3  # radians by which it may miss it: controllers interpolate in several ways
BETWEEN = 1e-3  # seconds at least between two samples of what is sent
SAME = 0.01  # seconds by which a controller's words may differ on when a trajectory began
MATCH_PERIOD = 0.002  # seconds between the places where it is


@dataclass(frozen=True)
class _Word:
    """Of a controller: monotonic seconds of its arrival, how late it was, when the trajectory began by its stamp."""

    received: float
    late: float
    began: float | None


class TrajectoryProgress:
    """How far a controller has come on a trajectory, by its own word.

    The clock alone does not tell: a controller may be slowed down, simulated or held up, and a trajectory that
    replaces another where the arm is not makes it jump. A word about the place before the first sample, or after the
    last, tells nothing.

    Args:
        trajectory: that the controller was given.
        sent_at: monotonic seconds at which it was to begin.
    """

    def __init__(self, trajectory: JointTrajectory, sent_at: float) -> None:
        self._trajectory = trajectory
        self._sent_at = sent_at
        self._words: deque[_Word] = deque()

    def heard(self, reference: ArrayLike, now: float, stamp: float = 0.0) -> None:
        """The controller's reference as received now.

        Args:
            reference: (J,) radians in the trajectory's order of joints.
            now: monotonic seconds.
            stamp: seconds of the controller's clock when it was so; 0 if it does not say.
        """
        place = self._place(np.asarray(reference, dtype=np.float64), now - self._sent_at)
        if place is None:
            return
        self._words.append(_Word(now, now - self._sent_at - place, stamp - place if stamp > 0.0 else None))
        while now - self._words[0].received > HEARD_WITHIN:
            self._words.popleft()

    def elapsed(self, now: float) -> float | None:
        """Seconds of the trajectory that are over when a message sent now arrives; None if that is not known."""
        if not self._words or now - self._words[-1].received > HEARD_WITHIN:
            return None
        late = self._words[-1].late
        if self._began() is None:
            # What is late has travelled forth and back; the message to come travels forth.
            return now - self._sent_at - late / 2.0 if abs(late) <= IN_STEP else None
        # However late the controller began: its own clock tells, and the quickest word is late by that alone.
        least = min(word.late for word in self._words)
        return now - self._sent_at - least if late - least <= IN_STEP else None

    def stamp(self, elapsed: float) -> float:
        """Seconds of the controller's clock at a time of the trajectory; 0, which stands for none, if not known."""
        began = self._began()
        return 0.0 if began is None else began + elapsed

    def _began(self) -> float | None:
        """When it began on the controller's clock, if the controller has one by which it follows."""
        began = [word.began for word in self._words if word.began is not None]
        return began[-1] if len(began) > 1 and max(began) - min(began) <= SAME else None

    def _place(self, reference: NDArray[np.float64], expected: float) -> float | None:
        """Seconds of the trajectory at which its reference is that, looked for around where it is expected."""
        last = self._trajectory.duration
        begin, end = np.clip((expected - SEARCHED, expected + SEARCHED), 0.0, last)
        times = np.linspace(begin, end, 2 + int((end - begin) / MATCH_PERIOD))
        positions, velocities, _ = interpolate(self._trajectory, self._trajectory.times[0] + times)
        nearest = int(np.abs(positions - reference).max(axis=1).argmin())
        velocity = velocities[nearest]
        if not velocity.any():
            return None
        step = float((reference - positions[nearest]) @ velocity / (velocity @ velocity))
        place = float(times[nearest]) + float(np.clip(step, -MATCH_PERIOD, MATCH_PERIOD))
        missed = np.abs(positions[nearest] + (place - times[nearest]) * velocity - reference).max()
        return place if 0.0 < place < last and missed <= ON_TRAJECTORY else None


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


def continued(followed: JointTrajectory, first: float, branch: float, after: JointTrajectory) -> JointTrajectory:
    """What is followed, from its second ``first`` to ``branch``, and then another trajectory; times count as before.

    A controller that begins it late, but before the branch, has nothing to make good.
    """
    knots = followed.times - followed.times[0]
    times = np.append(first, knots[(knots > first + BETWEEN) & (knots < branch - BETWEEN)])
    before = interpolate(followed, followed.times[0] + times)
    return replace(
        after,
        times=np.append(times, branch + after.times),
        positions=np.concatenate([before[0], after.positions]),
        velocities=np.concatenate([before[1], after.velocities]),
        accelerations=np.concatenate([before[2], after.accelerations]),
    )


def is_followed(trajectory: JointTrajectory, elapsed: float, positions: NDArray[np.floating]) -> bool:
    """Whether an arm at these positions (J,) is where the trajectory was a short while ago.

    One that is not is held by something; braking from where it should be would move it there.
    """
    recent = np.linspace(elapsed - SERVO_LAG, elapsed + LEAD, 26)
    wanted, _, _ = interpolate(trajectory, recent)
    return bool(np.abs(wanted - positions).max(axis=1).min() <= CLOSE)
