"""What the arm is measured to do, in the words of the page."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mini_diffuser_ros.robots import RobotDescription
from mini_diffuser_ros.sensing.errors import StaleJointsError
from mini_diffuser_ros.sensing.joint_history import JointHistory
from mini_diffuser_ros.sensing.joint_monitor import OPEN_FRACTION, JointStateMonitor
from mini_diffuser_ros.sensing.rest import RestConfig

MAX_AGE = 1.0
"""Seconds of the steady clock after which a joint is silent."""
MOST_JOINTS = 64  # of a message
MOST_NAMES = 4 * MOST_JOINTS  # that are told apart; others may publish any
NAMED = 3  # silent joints that are named
UNKNOWN = "which robot it is, motion_node has not said"


@dataclass(frozen=True, kw_only=True)
class MeasuredMotion:
    """What joint states show: in words, and whether the arm is known to rest, which nothing else makes it."""

    words: str
    rests: bool = False


class MeasuredArm:
    """Judges joint states as guard and motion do. Thread-safe.

    Until it is known which robot they are of, none of them makes an arm rest.

    Args:
        now: the steady clock by which joint states are received, seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._robot: RobotDescription | None = None
        self._own: frozenset[str] = frozenset()
        self.forget()

    def forget(self) -> None:
        """Nothing was heard, so far."""
        self._heard = False
        self._history = JointHistory()  # of joints that may be anybody's, until the robot is known
        self._monitor = self._made_monitor()

    def know(self, robot: RobotDescription) -> None:
        """Which robot it is."""
        if robot is not self._robot:
            self._robot = robot
            self._own = frozenset((*robot.arm_joint_names, *robot.finger_joint_names))
            self._history, self._monitor = JointHistory(), self._made_monitor()

    def take(
        self,
        names: Sequence[str],
        positions: Sequence[float],
        velocities: Sequence[float],
        stamp: float,
        received: float,
    ) -> None:
        """A new joint state; arguments and errors as of :meth:`JointHistory.add`, to which many joints are one more."""
        if len(names) > MOST_JOINTS:
            raise ValueError(f"joint state of {len(names)} joints, at most {MOST_JOINTS} are taken")
        self._heard = True
        if self._monitor is not None:
            is_whole = len(positions) == len(names) and len(velocities) in (0, len(names))
            if is_whole and not self._own.issuperset(names):  # others' names would be remembered without end
                own = [index for index, name in enumerate(names) if name in self._own]
                if not own:
                    return
                names, positions = [names[index] for index in own], [positions[index] for index in own]
                velocities = [velocities[index] for index in own] if len(velocities) else ()
            self._monitor.take(names, positions, velocities, stamp, received)
            return
        if len(self._history.known_positions()) > MOST_NAMES:
            self._history = JointHistory()
        self._history.add(names, positions, velocities, stamp, received)

    def positions(self) -> dict[str, float]:
        """Joint name to newest position, of the robot's joints, or of all where it is not known, however old."""
        source = self._history if self._monitor is None else self._monitor
        return source.known_positions()

    def age(self) -> float | None:
        """Seconds since the oldest joint of the arm was heard of, None if one never was or the robot is not known."""
        return None if self._monitor is None else self._monitor.age()

    def motion(self) -> MeasuredMotion:
        """What the arm does now."""
        monitor = self._monitor
        if not self._heard:
            return MeasuredMotion(words="no joint states")
        if monitor is None:
            return self._of_any_robot()
        if monitor.is_known_to_rest():
            return MeasuredMotion(words=f"at rest{_named(monitor.silent())}", rests=True)
        try:
            return MeasuredMotion(words=monitor.describe_unrest())
        except StaleJointsError as error:
            return MeasuredMotion(words=f"not known: {error}{_named(monitor.silent())}")

    def _of_any_robot(self) -> MeasuredMotion:
        """Of joints that may be anybody's: they can be seen to move."""
        now = self._now()
        fresh = [name for name, age in self._history.ages(list(self.positions()), now).items() if age <= MAX_AGE]
        if not fresh:
            return MeasuredMotion(words=f"no joint states for more than {MAX_AGE:.0f} s; {UNKNOWN}")
        speed = max(motion.speed for motion in self._history.motions(fresh).values())
        moves = f"joints move at {speed:.2f} rad/s; " if speed > RestConfig().speed else ""
        return MeasuredMotion(words=f"{moves}whether the arm rests is not known: {UNKNOWN}")

    def _made_monitor(self) -> JointStateMonitor | None:
        if self._robot is None:
            return None
        return JointStateMonitor(self._robot, MAX_AGE, RestConfig(), OPEN_FRACTION, with_fingers=False, now=self._now)


def _named(silent: Mapping[str, float]) -> str:
    """Joints that have fallen silent, at the end of a line; empty if none has."""
    if not silent:
        return ""
    names = list(silent)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"; nothing for {max(silent.values()):.0f} s of {', '.join(names[:NAMED])}{more}"
