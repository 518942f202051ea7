"""Whether an arm does what its controller says: what is measured against the controller's own word, in a motion."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.sensing.errors import (
    ContradictoryJointsError,
    DeviationError,
    FrozenJointsError,
    StaleJointsError,
)
from mini_diffuser_ros.sensing.joint_history import SPAN
from mini_diffuser_ros.sensing.joint_monitor import JointStateMonitor
from mini_diffuser_ros.support.awake import AwakeClock
from mini_diffuser_ros.support.settings import check_fields, not_expected

Array = NDArray[np.float64]

FORGOTTEN = 0.5  # seconds after which what a controller said is of another motion
KEPT = 5.0  # seconds of what it said
HEARD_WITHIN = 0.25  # seconds for which a word counts; controllers speak ten times a second and more often
FROZEN_TRAVEL = 0.03  # radians that a controller may go on while joint states stay the same to the last bit
FROZEN_STATES = 3  # joint states that have to say so
AHEAD = 0.1  # seconds by which the arm may be ahead of what was heard of its controller last
STEPS = 5  # between two words of the controller
EXPLAINED = 0.3  # of the whole miss, that the other joints may have where one joint explains it
DISAGREED = 0.5  # of a deviation, from which on it is one between joint states and controller
AGREED = 2e-3  # radians by which places are as good as the best
CREDIBLE = 2.0  # times a joint's limit, up to which a velocity is one


@dataclass(frozen=True)
class WatchConfig:
    """How far an arm may be away from where its controller wants it.

    Attributes:
        deviation: radians that a joint may be away.
        lag: seconds by which the arm and its joint states may be behind their controller.
        word_delay: seconds that a word of the controller may be under way longer than joint states are, as on a machine
            that is too busy; by its stamp, and only where the arm was there at that time. At most 2.
    """

    deviation: float = 0.1
    lag: float = 0.25
    word_delay: float = 0.5

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("deviation", "lag", "word_delay"):
            if not getattr(self, name) > 0.0:
                raise not_expected(name, getattr(self, name), "a number above 0")
        if self.word_delay > SPAN:
            raise not_expected("word_delay", self.word_delay, f"at most {SPAN:g}, for so long joint states are kept")


@dataclass(frozen=True, eq=False)
class _Word:
    """What the controller said of itself: steady seconds, those of its stamp, then (J,) radians and rad/s."""

    received: float
    stamp: float
    desired: Array
    velocities: Array
    actual: Array | None


@dataclass(frozen=True, eq=False)
class _Anchor:
    """When joint states changed last: steady seconds, what the controller wanted then, and the counts of both."""

    since: float
    desired: Array
    states: int
    changes: int


class ArmWatch:
    """Compares joint states with the feedback of the arm's controller, whoever's goals it follows. Thread-safe.

    Args:
        joints: what is measured.
        config: how far the two may be apart.
        awake: by which silence is measured; None for one of its own, with :meth:`check` called all the time.
    """

    def __init__(self, joints: JointStateMonitor, config: WatchConfig, awake: AwakeClock | None = None) -> None:
        self._joints = joints
        self._config = config
        self._awake = awake or AwakeClock()
        self._words: deque[_Word] = deque(maxlen=5000)
        self._anchor: _Anchor | None = None
        self._lock = threading.Lock()

    def hear(
        self,
        names: Sequence[str],
        desired: Sequence[float],
        velocities: Sequence[float],
        actual: Sequence[float],
        received: float,
        stamp: float = 0.0,
    ) -> None:
        """Feedback of the controller, radians and rad/s; what is not about every joint of the arm is ignored.

        Args:
            names: of the joints, in any order.
            desired, velocities: where it wants them, and how fast; velocities may be empty, and one that is no number,
                or that no joint of this arm can have, is absent.
            actual: where it says that they are; may be empty.
            received: seconds of the steady clock.
            stamp: seconds, by the controller's own clock; 0 where it gives none.
        """
        wanted = self._joints.robot.arm_joint_names
        order = [names.index(name) for name in wanted if name in names]
        if len(order) < len(wanted) or len(desired) != len(names):
            return
        said = velocities if len(velocities) == len(names) else [0.0] * len(names)
        speeds = np.array(said, dtype=np.float64)[order]
        speeds = np.where(np.abs(speeds) <= CREDIBLE * self._joints.robot.velocity_limits, speeds, 0.0)
        measured = np.array(actual, dtype=np.float64)[order] if len(actual) == len(names) else None
        word = _Word(received, stamp, np.array(desired, dtype=np.float64)[order], speeds, measured)
        if not np.isfinite(word.desired).all():
            return
        with self._lock:
            if self._words and received - self._words[-1].received > FORGOTTEN:
                self._words.clear()
                self._anchor = None
            self._words.append(word)
            while received - self._words[0].received > KEPT:
                self._words.popleft()
            states, changes = self._joints.changes()
            if self._anchor is None or self._anchor.changes != changes:
                self._anchor = _Anchor(received, word.desired, states, changes)

    def describe_miss(self) -> str:
        """Which joint is farthest from where the controller wanted it last, and by how much; empty if not known."""
        with self._lock:
            word = self._words[-1] if self._words else None
        try:
            measured = self._joints.positions()
        except StaleJointsError:
            return ""
        if word is None or time.monotonic() - word.received > FORGOTTEN:
            return ""
        joint, miss = odd_joint(word.desired[None], measured)
        return f"{self._joints.robot.arm_joint_names[joint]} is {miss:.3f} rad away from where its controller wants it"

    def silence(self) -> float:
        """Seconds since the controller was heard of, infinite if it never was."""
        with self._lock:
            return self._awake.since(self._words[-1].received) if self._words else float("inf")

    def check(self) -> None:
        """Compare now.

        Raises:
            StaleJointsError: if joint states are missing, too old, frozen or contradict each other or the controller;
                if what the controller says is true, but of too long ago.
            DeviationError: if the arm is not where its controller wants it, by its controller's word, too.
        """
        self._awake.look()
        if self._has_slept():
            return  # nobody knows yet: what came meanwhile is still to be read
        now = time.monotonic()
        measured = self._joints.positions()
        with self._lock:
            words, anchor = list(self._words), self._anchor
        if not words:
            return
        if now - words[-1].received <= FORGOTTEN:
            self._check_change(words[-1], anchor)
        age = self._joints.age() or 0.0
        if now - age - words[-1].received > HEARD_WITHIN:
            return
        # A joint state that is late is compared with what was said when it was new.
        oldest = words[-1].received - self._config.lag - age
        words = [word for word in words if word.received >= oldest]
        late = max(0.0, now - age - words[-1].received)
        try:
            self._compare(words, measured, late)
        except (ContradictoryJointsError, DeviationError):
            # On a busy machine words wait longer than joint states do. By its stamp the newest may be of a while ago:
            # then it is held against where the arm was at that time.
            earlier = self._joints.arm_at(words[-1].stamp, SPAN)
            if earlier is None:
                raise
            self._compare(words, earlier, 0.0)
            if self._joints.arm_at(words[-1].stamp, self._config.word_delay) is None:
                raise StaleJointsError(
                    f"words of the arm's controller come more than {self._config.word_delay:g} s later than joint "
                    "states (watch.word_delay): this machine is too busy, or their clocks differ"
                ) from None

    def _compare(self, words: Sequence[_Word], measured: Array, late: float) -> None:
        """Hold where the arm is measured, (J,) radians, against words of which the newest is so many seconds old."""
        robot = self._joints.robot
        names, ahead = robot.arm_joint_names, AHEAD + late
        # Since it spoke last the controller is taken to keep its velocity, and may have changed it.
        allowed = self._config.deviation + 0.5 * robot.acceleration_limits * late**2
        desired = _path([word.desired for word in words], words[-1].velocities, ahead)
        off, deviation = nearest_miss(desired, measured)
        said = [word.actual for word in words if word.actual is not None and np.isfinite(word.actual).all()]
        if said:
            path = _path(said, words[-1].velocities, ahead)
            joint, miss = nearest_miss(path, measured)
            # What the controller wants is ahead of where it says that the arm is: of an arm that is off both, the
            # part that its joint states and its controller do not agree on tells which of the two is at fault.
            if not miss <= allowed[joint] or (not deviation <= allowed[off] and miss > DISAGREED * deviation):
                joint, miss = odd_joint(path, measured)
                raise ContradictoryJointsError(
                    f"{names[joint]} is at {measured[joint]:.3f} rad by its joint state, {miss:.3f} rad away from what "
                    "its controller says"
                )
        if not deviation <= allowed[off]:  # what is no number is no agreement
            joint, miss = odd_joint(desired, measured)
            raise DeviationError(
                f"{names[joint]} is {miss:.3f} rad away from where its controller wants it, allowed are "
                f"{allowed[joint]:.3f} rad: the arm is blocked or pushed, or lags"
            )

    def _has_slept(self) -> bool:
        """Whether joint states are too old only because nobody was there to hear them."""
        age, allowed = self._joints.age(), self._joints.max_age
        return age is not None and age > allowed and self._awake.since(time.monotonic() - age) <= allowed

    def _check_change(self, newest: _Word, anchor: _Anchor | None) -> None:
        states, changes = self._joints.changes()
        if anchor is None or changes != anchor.changes or states - anchor.states < FROZEN_STATES:
            return
        travel = np.abs(newest.desired - anchor.desired)
        if newest.received - anchor.since >= AHEAD and travel.max() > FROZEN_TRAVEL:
            self._joints.disbelieve()
            name = self._joints.robot.arm_joint_names[int(np.argmax(travel))]
            raise FrozenJointsError(
                f"joint states do not change while the controller moves {name} by {travel.max():.3f} rad"
            )


def nearest_miss(path: NDArray[np.floating], positions: NDArray[np.floating]) -> tuple[int, float]:
    """How far an arm is away from where it passes at the same time with every joint.

    Args:
        path: (T, J) radians.
        positions: (J,) radians.

    Returns:
        The joint that is farthest off at the nearest place of the path, and by how many radians: no number where one
        of the places has none.
    """
    misses = np.abs(path - positions)
    place = int(np.argmin(misses.max(axis=1)))
    joint = int(np.argmax(misses[place]))
    return joint, float(misses[place, joint])


def odd_joint(path: NDArray[np.floating], positions: NDArray[np.floating]) -> tuple[int, float]:
    """The joint that explains why an arm is not where it passes, and by how many radians it is off.

    At the nearest place of the path the error of one joint is shared out among all that move. Where all others agree on
    a place without it, it alone is wrong; where no single joint explains it, the one of :func:`nearest_miss` is named.

    Args:
        path: (T, J) radians.
        positions: (J,) radians.
    """
    misses = np.abs(path - positions)
    ranked = np.sort(misses, axis=1)
    # Of each joint and place, the largest miss of the others.
    others = np.where(misses == ranked[:, -1:], ranked[:, -2:-1], ranked[:, -1:])
    joint = int(np.argmin(others.min(axis=0)))
    nearest, miss = nearest_miss(path, positions)
    if not others[:, joint].min() <= EXPLAINED * miss:
        return nearest, miss
    agreed = others[:, joint] <= others[:, joint].min() + AGREED
    return joint, float(misses[agreed, joint].min())


def _path(places: Sequence[Array], velocities: Array, ahead: float) -> Array:
    """(T, J) places between the given ones, and those that follow within ``ahead`` seconds."""
    corners = np.stack([*places, places[-1] + velocities * ahead])
    between = np.linspace(0.0, 1.0, STEPS, endpoint=False)[:, None, None]
    steps = corners[:-1] + between * (corners[1:] - corners[:-1])
    return np.concatenate([steps.reshape(-1, corners.shape[1]), corners[-1:]])
