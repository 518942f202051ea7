"""When the arm rests, told from its joint states by their stamps."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from mini_diffuser_ros.sensing.joint_history import MOTION_WINDOW, JointHistory
from mini_diffuser_ros.support.settings import check_fields, not_expected

_ROUNDING = 1e-6  # seconds by which stamps are rounded


@dataclass(frozen=True)
class RestConfig:
    """What counts as rest.

    Attributes:
        speed: radians a second; a joint that is faster moves. An arm held by a hand trembles at about half of this.
        finger_speed: metres a second; a finger that is faster moves.
        settle_time: seconds that the arm has to rest before an image of it is used.
    """

    speed: float = 0.04
    finger_speed: float = 0.004
    settle_time: float = 0.3

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("speed", "finger_speed"):
            if not getattr(self, name) > 0.0:
                raise not_expected(name, getattr(self, name), "a speed above 0")
        if not self.settle_time >= 0.0:
            raise not_expected("settle_time", self.settle_time, "seconds of at least 0")


@dataclass(frozen=True)
class Rest:
    """A time in which the arm did not move, seconds by the stamps of the joint states.

    Attributes:
        since: its begin.
        until: the newest stamp up to which every joint is known to have rested.
    """

    since: float
    until: float

    def covers(self, stamp: float, settle_time: float) -> bool:
        """Whether an image of this stamp shows the arm at rest, and for ``settle_time`` seconds already."""
        return self.since + settle_time <= stamp <= self.until


class RestDetector:
    """Says from when to when the arm rested: every joint watched, and still, for ``MOTION_WINDOW``. Thread-safe.

    Args:
        history: of the joints.
        arm: names of the arm's joints; all must be known for it to rest.
        fingers: names of the finger joints; they must rest as well as soon as they have been heard of.
        config: what counts as rest.
    """

    def __init__(self, history: JointHistory, arm: Sequence[str], fingers: Sequence[str], config: RestConfig) -> None:
        self._history = history
        self._limits = dict.fromkeys(arm, config.speed) | dict.fromkeys(fingers, config.finger_speed)
        self._arm = tuple(arm)
        self._before: Rest | None = None
        self._now: Rest | None = None
        self._lock = threading.Lock()

    def update(self, names: Sequence[str]) -> None:
        """Look at the history again, to which a state of these joints was added. Joints of others are ignored."""
        if not any(name in self._limits for name in names):
            return
        motions = self._history.motions(self._limits)
        still = all(name in motions for name in self._arm) and all(
            motion.speed <= self._limits[name] and motion.stamp - motion.since >= MOTION_WINDOW - _ROUNDING
            for name, motion in motions.items()
        )
        with self._lock:
            if not still:
                if self._now is not None:
                    self._before, self._now = self._now, None
                return
            until = min(motion.stamp for motion in motions.values())
            if self._now is None:
                self._now = Rest(max(motion.since for motion in motions.values()), until)
            else:
                self._now = Rest(self._now.since, max(self._now.until, until))

    def rests(self) -> tuple[Rest, ...]:
        """The last rest that a motion ended and the present one, as far as there are such."""
        with self._lock:
            return tuple(rest for rest in (self._before, self._now) if rest is not None)

    def present(self) -> Rest | None:
        """The present rest, None if the arm moves."""
        with self._lock:
            return self._now

    def newest(self) -> float:
        """Newest stamp of a joint state, minus infinity if there is none."""
        motions = self._history.motions(self._limits).values()
        return max((motion.stamp for motion in motions), default=-float("inf"))

    def motion(self) -> str:
        """What keeps the arm from resting, in a few words; empty if it rests."""
        if self.present() is not None:
            return ""
        motions = self._history.motions(self._limits)
        unknown = [name for name in self._arm if name not in motions]
        if unknown:
            return f"no joint state of {', '.join(unknown)}"
        name = max(motions, key=lambda joint: motions[joint].speed / self._limits[joint])
        unit, speed = "rad/s" if name in self._arm else "m/s", motions[name].speed
        if speed <= self._limits[name]:
            return f"joint states have not come without a gap for {MOTION_WINDOW:g} s yet"
        return f"{name} moves at {speed:.3f} {unit}, at rest it stays below {self._limits[name]:g}"
