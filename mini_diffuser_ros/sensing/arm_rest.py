"""When the arm rests, told from its joint states by their stamps."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

_DRIFT_WINDOW = 0.1  # seconds over which a change of position counts as motion whatever the velocity says


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
        for name in ("speed", "finger_speed"):
            if not getattr(self, name) > 0.0:
                raise ValueError(f"rest.{name} is {getattr(self, name)}, expected a speed above 0")
        if not self.settle_time >= 0.0:
            raise ValueError(f"rest.settle_time is {self.settle_time}, expected seconds of at least 0")


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


@dataclass
class _Joint:
    """The last positions of a joint and its speed."""

    samples: deque[tuple[float, float]] = field(default_factory=deque)  # stamp, position
    speed: float = np.inf

    @property
    def stamp(self) -> float:
        return self.samples[-1][0] if self.samples else -np.inf

    def take(self, stamp: float, position: float, velocity: float) -> None:
        self.samples.append((stamp, position))
        while len(self.samples) > 2 and self.samples[1][0] <= stamp - _DRIFT_WINDOW:
            self.samples.popleft()
        first_stamp, first_position = self.samples[0]
        drift = abs(position - first_position) / max(stamp - first_stamp, _DRIFT_WINDOW)
        # Gripper drivers publish a velocity that is always zero, others none at all.
        self.speed = max(drift, abs(velocity)) if np.isfinite(velocity) else drift


class RestTracker:
    """Follows joint states and says from when to when the arm rested. Thread-safe.

    Args:
        arm: names of the arm's joints; all must be known for it to rest.
        fingers: names of the finger joints; they must rest as well as soon as they have been heard of.
        config: what counts as rest.
        longest_gap: seconds without a joint state in which a motion could have been missed.
    """

    def __init__(self, arm: Sequence[str], fingers: Sequence[str], config: RestConfig, longest_gap: float) -> None:
        self._limits = dict.fromkeys(arm, config.speed) | dict.fromkeys(fingers, config.finger_speed)
        self._arm = tuple(arm)
        self._longest_gap = longest_gap
        self._joints = {name: _Joint() for name in self._limits}
        self._before: Rest | None = None
        self._now: Rest | None = None
        self._lock = threading.Lock()

    def update(
        self, names: Sequence[str], positions: Sequence[float], velocities: Sequence[float], stamp: float
    ) -> None:
        """Take a joint state message; velocities may be absent. Joints of others are ignored."""
        known = len(velocities) == len(names)
        with self._lock:
            touched = False
            for index, name in enumerate(names):
                joint = self._joints.get(name)
                if joint is None:
                    continue
                if joint.samples and not 0.0 <= stamp - joint.stamp <= self._longest_gap:
                    joint.samples.clear()
                    self._end()
                joint.take(stamp, float(positions[index]), float(velocities[index]) if known else np.nan)
                touched = True
            if touched:
                self._judge(stamp)

    def rests(self) -> tuple[Rest, ...]:
        """The last rest that a motion ended and the present one, as far as there are such."""
        with self._lock:
            return tuple(rest for rest in (self._before, self._now) if rest is not None)

    def present(self) -> Rest | None:
        """The present rest, None if the arm moves."""
        with self._lock:
            return self._now

    def positions(self) -> dict[str, float]:
        """Newest position of each joint heard of: radians, metres for fingers."""
        with self._lock:
            return {name: joint.samples[-1][1] for name, joint in self._joints.items() if joint.samples}

    def newest(self) -> float:
        """Newest stamp of a joint state, minus infinity if there is none."""
        with self._lock:
            return max(joint.stamp for joint in self._joints.values())

    def motion(self) -> str:
        """What keeps the arm from resting, in a few words; empty if it rests."""
        with self._lock:
            if self._now is not None:
                return ""
            unknown = [name for name in self._arm if not self._joints[name].samples]
            if unknown:
                return f"no joint state of {', '.join(unknown)}"
            moving = {name: joint.speed for name, joint in self._joints.items() if joint.samples}
            name = max(moving, key=lambda joint: moving[joint] / self._limits[joint])
            unit = "rad/s" if name in self._arm else "m/s"
            return f"{name} moves at {moving[name]:.3f} {unit}, at rest it stays below {self._limits[name]:g}"

    def _judge(self, stamp: float) -> None:
        heard = {name: joint for name, joint in self._joints.items() if joint.samples}
        if not all(name in heard for name in self._arm) or any(
            joint.speed > self._limits[name] for name, joint in heard.items()
        ):
            self._end()
            return
        until = min(joint.stamp for joint in heard.values())
        self._now = Rest(stamp, until) if self._now is None else Rest(self._now.since, max(self._now.until, until))

    def _end(self) -> None:
        if self._now is not None:
            self._before, self._now = self._now, None
