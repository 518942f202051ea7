"""The joint-state monitor of one robot: where arm and fingers are, whether the arm rests, how open the gripper is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.robots import RobotDescription
from mini_diffuser_ros.sensing.errors import (
    ArmMovesError,
    ContradictoryJointsError,
    FrozenJointsError,
    StaleJointsError,
)
from mini_diffuser_ros.sensing.joint_history import JointHistory
from mini_diffuser_ros.sensing.rest import RestConfig, RestDetector
from mini_diffuser_ros.support.cancellation import CancellationToken

Array = NDArray[np.float64]
T = TypeVar("T")

OPEN_FRACTION = 0.9  # of the largest width, from which a gripper counts as open
WIDTH_SLACK = 0.02  # metres by which fingers may be measured to be nearer or farther apart than they can be
REST_TIMEOUT = 2.0  # seconds that a new motion waits for fresh joint states and for the arm to be at rest


class JointStateMonitor:
    """Joint states of one robot, for whoever has to look at them or to wait for something in them. Thread-safe.

    Args:
        robot: the arm.
        max_age: seconds of the steady clock after which a joint state is too old to be used.
        rest: what counts as rest.
        open_fraction: of the largest width, from which the gripper counts as open.
        with_fingers: whether moving fingers keep the arm from resting.
        now: the steady clock by which joint states are received, seconds.

    Attributes:
        robot: the arm.
        max_age: seconds after which a joint state is too old to be used.
        rest: since when the arm rests.
    """

    def __init__(
        self,
        robot: RobotDescription,
        max_age: float,
        rest: RestConfig,
        open_fraction: float,
        with_fingers: bool = True,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.robot = robot
        self.max_age = max_age
        self._now = now
        self._rest_speed, self._finger_rest_speed = rest.speed, rest.finger_speed
        self._open_width = open_fraction * robot.max_gripper_width
        self._joints = (*robot.arm_joint_names, *robot.finger_joint_names)
        self._history = JointHistory(max(max_age, 0.5), robot.finger_joint_names)
        fingers = robot.finger_joint_names if with_fingers else ()
        self.rest = RestDetector(self._history, robot.arm_joint_names, fingers, rest)
        self._lock = threading.Lock()
        self._waiting: list[CancellationToken] = []
        self._frozen: Array | None = None  # positions that are not believed until they change
        self._doubt = ""

    def take(
        self,
        names: Sequence[str],
        positions: Sequence[float],
        velocities: Sequence[float],
        stamp: float,
        received: float,
    ) -> None:
        """A new joint state; arguments and errors as of :meth:`JointHistory.add`."""
        self._history.add(names, positions, velocities, stamp, received)
        self.rest.update(names)
        with self._lock:
            waiting = list(self._waiting)
        for token in waiting:
            token.notify()

    # The arm

    def positions(self) -> Array:
        """(J,) radians.

        Raises:
            StaleJointsError: if a joint is missing or too old; a subclass if what is published cannot be true, or has
                not changed since :meth:`disbelieve`.
        """
        names, now = self.robot.arm_joint_names, self._now()
        positions = self._history.positions(names, now, self.max_age)
        if contradiction := self._history.contradiction(names, now):
            raise ContradictoryJointsError(_told_twice(contradiction))
        if self._frozen is not None:
            if np.array_equal(positions, self._frozen):
                raise FrozenJointsError(
                    "joint states come, but have not changed since a motion: start the arm's driver again"
                )
            self._frozen = None
        return positions

    def changes(self) -> tuple[int, int]:
        """How many states came of the arm's joints, and how many times one of them changed, by as little as a bit."""
        return self._history.changes(self.robot.arm_joint_names)

    def disbelieve(self) -> None:
        """From now on the present positions of the arm are no joint state, until one of them changes."""
        known = self._history.known_positions()
        if all(name in known for name in self.robot.arm_joint_names):
            self._frozen = np.array([known[name] for name in self.robot.arm_joint_names])

    def doubt(self, reason: str) -> None:
        """From now on nothing that joint states say makes the arm count as known to rest, until :meth:`trust`."""
        self._doubt = reason

    def trust(self) -> None:
        """Joint states have been found to be true again, or somebody has looked."""
        self._doubt = ""

    def doubted(self) -> str:
        """Why joint states are not believed; empty if they are."""
        return self._doubt

    def is_known_to_rest(self) -> bool:
        """Whether the arm is known to be at rest now, by joint states that are believed."""
        return not self._doubt and self.rests()

    def is_seen_to_move(self) -> bool:
        """Whether joint states that are believed show that the arm moves; False if nothing is known."""
        try:
            return not self._doubt and self.speed() > self._rest_speed
        except StaleJointsError:
            return False

    def speed(self) -> float:
        """Of the arm's fastest joint, rad/s.

        Raises:
            StaleJointsError: as :meth:`positions`.
        """
        self.positions()
        return max(motion.speed for motion in self._history.motions(self.robot.arm_joint_names).values())

    def age(self) -> float | None:
        """Seconds since the arm's oldest joint was heard of, None if one never was."""
        return self._history.age(self.robot.arm_joint_names, self._now())

    def silent(self) -> dict[str, float]:
        """Joints of arm and gripper that were heard of once and are too old now, with the seconds since."""
        ages = self._history.ages(self._joints, self._now())
        return {name: age for name, age in ages.items() if age > self.max_age}

    def arm_at(self, stamp: float, latest: float) -> Array | None:
        """(J,) radians, where the arm was at a time, seconds by the stamps of the joint states.

        Args:
            stamp: that time.
            latest: seconds before the newest joint state that it may be; None is returned for any other.
        """
        names = self.robot.arm_joint_names
        motions = self._history.motions(names)
        if len(motions) < len(names) or not 0.0 < min(m.stamp for m in motions.values()) - stamp <= latest:
            return None
        try:
            positions = self._history.positions_at(stamp, names, self.max_age)
        except StaleJointsError:
            return None
        return np.array([positions[name] for name in names])

    def rests(self) -> bool:
        """Whether the arm is known to be at rest now."""
        try:
            self.positions()
        except StaleJointsError:
            return False
        return self.rest.present() is not None

    def describe_unrest(self) -> str:
        """Why the arm does not count as at rest.

        Raises:
            StaleJointsError: if there are no fresh joint states, or none that are believed.
        """
        if self._doubt:
            raise StaleJointsError(f"joint states are not believed any more: {self._doubt}")
        return self._unrest()

    def _unrest(self) -> str:
        speed = self.speed()
        if speed <= self._rest_speed and (reason := self.rest.motion()):
            return f"the arm is not known to rest: {reason}"
        return f"the arm moves at {speed:.2f} rad/s, at rest are {self._rest_speed:.2f} rad/s"

    def describe_stop(self, timeout: float) -> tuple[bool, str]:
        """Whether an arm that was stopped comes to rest within ``timeout`` seconds, and what to say about it."""
        try:
            self.wait_for(CancellationToken(), self.is_known_to_rest, timeout)
        except TimeoutError:
            try:
                return False, f"stopped, but {self.describe_unrest()}"
            except StaleJointsError as error:
                return False, f"stopped, but whether the arm rests is not known: {error}"
        return True, "stopped, the arm rests"

    # All joints

    def positions_at(self, stamp: float) -> dict[str, float]:
        """Joint name to radians (metres for fingers) at a time, seconds by the stamps of the joint states.

        Raises:
            StaleJointsError: if a joint of arm or gripper is not known about that time.
        """
        known = self._history.positions_at(stamp, self._joints, self.max_age)
        return {name: known[name] for name in self._joints}

    def known_positions(self) -> dict[str, float]:
        """Joint name to newest position, of those joints of arm and gripper that were ever heard of, however old."""
        known = self._history.known_positions()
        return {name: known[name] for name in self._joints if name in known}

    def problem(self) -> str:
        """What is wrong with the joint states of arm and gripper, in one line; empty if they are there, fresh and can
        be true."""
        try:
            self._history.positions(self._joints, self._now(), self.max_age)
        except StaleJointsError as error:
            known = set(self._history.known_positions())
            others = "" if known.issuperset(self._joints) else ", ".join(sorted(known.difference(self._joints)))
            return f"{error}; published are {others}: is robot:={self.robot.name} right?" if others else str(error)
        return self.contradiction()

    def contradiction(self) -> str:
        """What was lately published of the arm that cannot all be true, in one line; empty if nothing."""
        found = self._history.contradiction(self.robot.arm_joint_names, self._now())
        return _told_twice(found) if found else ""

    # The gripper

    def finger_width(self) -> float | None:
        """Metres between the fingers, None if their joints are not published, cannot be so far apart, or if the robot
        has none."""
        return None if self.finger_fault() else self._published_width()

    def finger_fault(self) -> str:
        """What is wrong with what is published of the fingers, in a line; empty if nothing is, or nothing is."""
        if contradiction := self._history.contradiction(self.robot.finger_joint_names, self._now()):
            return _told_twice(contradiction)
        width, widest = self._published_width(), self.robot.max_gripper_width
        if width is None or -WIDTH_SLACK <= width <= widest + WIDTH_SLACK:
            return ""
        names = ", ".join(self.robot.finger_joint_names)
        return f"the joint states of {names} are {width:g} m together, expected are 0 to {widest:g}: metres?"

    def _published_width(self) -> float | None:
        if not self.robot.finger_joint_names:
            return None
        try:
            return float(self._history.positions(self.robot.finger_joint_names, self._now(), self.max_age).sum())
        except StaleJointsError:
            return None

    def fingers_rest(self) -> bool:
        """Whether neither finger moves; False if their joints are not published."""
        motions = self._history.motions(self.robot.finger_joint_names).values()
        return bool(motions) and all(motion.speed <= self._finger_rest_speed for motion in motions)

    @property
    def open_width(self) -> float:
        """Metres between the fingers, from which the gripper counts as open."""
        return self._open_width

    def gripper_is_open(self) -> bool | None:
        """Whether the fingers are as good as fully apart, None if their joints are not published."""
        width = self.finger_width()
        return None if width is None else width >= self._open_width

    def gripper_was_open(self, positions: Mapping[str, float]) -> bool:
        """Whether the fingers are as good as fully apart at these positions, joint name to metres.

        Raises:
            StaleJointsError: if a finger joint is missing.
        """
        missing = [name for name in self.robot.finger_joint_names if name not in positions]
        if missing:
            raise StaleJointsError(
                f"no joint state of {', '.join(missing)}: it is not known whether the gripper is open"
            )
        return sum(positions[name] for name in self.robot.finger_joint_names) >= self._open_width

    # Waiting

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
        """(J,) positions of the arm, once it rests by its joint states.

        Raises:
            StaleJointsError: if there are no fresh joint states.
            ArmMovesError: if it keeps moving.
            InterruptionError: when the token is interrupted.
        """
        try:
            self.wait_for(token, self.rests, REST_TIMEOUT)
        except TimeoutError:
            raise ArmMovesError(self._unrest()) from None
        return self.positions()


def _told_twice(contradiction: str) -> str:
    return f"{contradiction}: are there two publishers of joint_states?"
