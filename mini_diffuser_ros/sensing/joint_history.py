"""What the joints did in the last seconds: where they are, where they were at an image's stamp, how fast they move."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.sensing.errors import StaleJointsError
from mini_diffuser_ros.sensing.joint_conflicts import JointConflicts

Array = NDArray[np.float64]

SPAN = 2.0  # seconds of history
MOST = 4000  # states of one publisher, whatever its rate
MOTION_WINDOW = 0.1  # seconds over which a change of position counts as motion whatever the velocity says
CLOCK_SET_BACK = 3  # states in a row that are older than the newest: no network reorders so many


@dataclass(frozen=True, eq=False)
class _State:
    """One message: seconds, then one entry a joint; velocities are NaN where the driver gives none."""

    stamp: float
    positions: Array
    velocities: Array


class JointMotion(NamedTuple):
    """How one joint has moved lately.

    Attributes:
        stamp: seconds, of its newest state.
        since: seconds, the stamp from which on it has been watched without a gap, ``MOTION_WINDOW`` back if it can be.
        speed: rad/s (m/s for fingers), the larger of the velocity that is reported and of that by its positions.
    """

    stamp: float
    since: float
    speed: float


@dataclass(eq=False)
class _Publisher:
    """The states of one driver; the arm's and the gripper's are told apart by the names that they publish."""

    states: deque[_State] = field(default_factory=lambda: deque(maxlen=MOST))
    window: deque[_State] = field(default_factory=lambda: deque(maxlen=MOST))  # those since MOTION_WINDOW ago
    received: float = -np.inf  # when its stamps last advanced
    repeated: float = -np.inf  # when a stamp last came again
    behind: int = 0  # states in a row that were older than the newest
    count: int = 0  # states so far
    changes: NDArray[np.int64] | None = None  # of those, for each joint, the ones that were not like the one before

    def take(self, state: _State, received: float, longest_gap: float) -> bool:
        """Whether the state was of use: one that has been overtaken is not, nor is one whose stamp has been heard."""
        gap = state.stamp - self.states[-1].stamp if self.states else np.inf
        if gap == 0.0:
            self.repeated = received
            return False
        if gap < 0.0:
            self.behind += 1
            if gap >= -SPAN and self.behind < CLOCK_SET_BACK:
                return False
            # Time ran back: another world, a bag that began again, a clock that was set.
            self.states.clear()
        if gap < 0.0 or gap > longest_gap:
            self.window.clear()
        self.behind, self.received = 0, received
        if self.changes is None:
            self.changes = np.zeros(len(state.positions), dtype=np.int64)
        self.changes += state.positions != self.states[-1].positions if self.states else 1
        self.count += 1
        self.states.append(state)
        self.window.append(state)
        while state.stamp - self.states[0].stamp > SPAN:
            self.states.popleft()
        while len(self.window) > 2 and self.window[1].stamp <= state.stamp - MOTION_WINDOW:
            self.window.popleft()
        return True

    def speeds(self) -> Array:
        """Of each joint: the larger of what is reported and what the positions say. No driver is believed alone.

        Gripper drivers publish a velocity that is always zero, others none at all.
        """
        newest, first = self.window[-1], self.window[0]
        middle = self.window[len(self.window) // 2]  # a joint that turns round comes back to where it was
        travel = np.maximum(
            np.abs(newest.positions - first.positions), np.abs(newest.positions - middle.positions)
        ) / max(newest.stamp - first.stamp, MOTION_WINDOW)
        return np.fmax(travel, np.abs(newest.velocities))

    def velocities(self) -> Array:
        """Of each joint: as reported, or by its last positions; NaN where neither is known."""
        newest, first = self.window[-1], self.window[0]
        elapsed = newest.stamp - first.stamp
        by_positions = (newest.positions - first.positions) / elapsed if elapsed > 0.0 else np.nan
        return np.where(np.isfinite(newest.velocities), newest.velocities, by_positions)


class JointHistory:
    """The joint states of the last two seconds, from every publisher on the topic. Thread-safe.

    Times are seconds on two clocks: *stamps* say when the joints were where, by whatever clock the drivers have;
    *received* is the receiver's steady clock, by which a publisher that stopped is noticed, even if the stamps come
    from another machine. A state is heard of only if its stamp is a new one: a driver that repeats itself has stopped.

    Args:
        longest_gap: seconds between the stamps of two states in which a motion could have been missed.
        fingers: names of the joints that slide, by metres.
    """

    def __init__(self, longest_gap: float = 0.5, fingers: Collection[str] = ()) -> None:
        self._longest_gap = longest_gap
        self._lock = threading.Lock()
        self._publishers: dict[tuple[str, ...], _Publisher] = {}
        self._newest: dict[str, tuple[_Publisher, int]] = {}  # of each joint: who spoke of it last, and its place there
        self._conflicts = JointConflicts(fingers)

    def add(
        self,
        names: Sequence[str],
        positions: Sequence[float],
        velocities: Sequence[float],
        stamp: float,
        received: float,
    ) -> None:
        """Take a joint state message: radians (metres for fingers), per second.

        A position that is not finite is no state of its joint, a velocity that is not finite an absent one. The order
        of the names does not matter.

        Raises:
            ValueError: if the lengths differ, a name comes twice, or no position is finite.
        """
        if len(positions) != len(names) or len(velocities) not in (0, len(names)):
            raise ValueError(
                f"joint state of {len(names)} names, {len(positions)} positions and {len(velocities)} velocities"
            )
        if len(set(names)) != len(names):
            raise ValueError(f"joint state that names a joint twice: {', '.join(names)}")
        values = np.array(positions, dtype=np.float64)
        known = np.array(velocities, dtype=np.float64) if len(velocities) else np.full(len(names), np.nan)
        order = [index for index in sorted(range(len(names)), key=names.__getitem__) if np.isfinite(values[index])]
        if names and not order:
            raise ValueError(f"joint state without a position that is finite: {list(positions)}")
        group, values, known = tuple(names[index] for index in order), values[order], known[order]
        known = np.where(np.isfinite(known), known, np.nan)
        with self._lock:
            self._conflicts.take(group, values.tolist(), stamp, received)
            publisher = self._publishers.setdefault(group, _Publisher())
            if publisher.take(_State(stamp, values, known), received, self._longest_gap):
                self._newest.update({name: (publisher, index) for index, name in enumerate(group)})

    def contradiction(self, names: Iterable[str], now: float) -> str:
        """What publishers have lately said of the named joints that cannot all be true; empty if nothing.

        Args:
            names: of the joints.
            now: seconds of the steady clock.
        """
        with self._lock:
            return self._conflicts.present(names, now)

    def positions(self, names: Sequence[str], now: float, max_age: float) -> Array:
        """(J,) newest positions of the named joints.

        Args:
            names: of the joints.
            now: seconds of the steady clock.
            max_age: seconds since a joint was heard of, at most.

        Raises:
            StaleJointsError: naming the joints that were never heard of, or how old their states are.
        """
        with self._lock:
            self._check_age(names, now, max_age)
            found = [self._newest[name] for name in names]
            return np.array([publisher.states[-1].positions[index] for publisher, index in found])

    def velocities(self, names: Sequence[str], now: float, max_age: float) -> Array:
        """(J,) velocities, NaN where they are not known yet; arguments and errors as of :meth:`positions`."""
        with self._lock:
            self._check_age(names, now, max_age)
            found = [self._newest[name] for name in names]
            return np.array([publisher.velocities()[index] for publisher, index in found])

    def changes(self, names: Sequence[str]) -> tuple[int, int]:
        """How many states came of the named joints, and how many times one of them changed, by as little as a bit."""
        with self._lock:
            found = [self._newest[name] for name in names if name in self._newest]
            changed = sum(int(publisher.changes[index]) for publisher, index in found if publisher.changes is not None)
            return min((publisher.count for publisher, _ in found), default=0), changed

    def age(self, names: Sequence[str], now: float) -> float | None:
        """Seconds since the oldest of the named joints was heard of, None if one never was."""
        with self._lock:
            if not all(name in self._newest for name in names):
                return None
            return max(now - self._newest[name][0].received for name in names)

    def ages(self, names: Sequence[str], now: float) -> dict[str, float]:
        """Seconds since each of the named joints was heard of, of those that ever were."""
        with self._lock:
            return {name: now - self._newest[name][0].received for name in names if name in self._newest}

    def known_positions(self) -> dict[str, float]:
        """Every position received so far, however old."""
        with self._lock:
            newest = self._newest.items()
            return {name: float(publisher.states[-1].positions[index]) for name, (publisher, index) in newest}

    def motions(self, names: Iterable[str]) -> dict[str, JointMotion]:
        """How those of the named joints move that have been heard of."""
        with self._lock:
            found = [(name, *self._newest[name]) for name in names if name in self._newest]
            speeds = {publisher: publisher.speeds().tolist() for publisher in {publisher for _, publisher, _ in found}}
            return {
                name: JointMotion(publisher.window[-1].stamp, publisher.window[0].stamp, speeds[publisher][index])
                for name, publisher, index in found
            }

    def positions_at(self, stamp: float, names: Sequence[str], max_gap: float) -> dict[str, float]:
        """Position of every joint ever heard of at a time, interpolated.

        Args:
            stamp: seconds.
            names: joints that have to be known at that time.
            max_gap: seconds that the time may lie away from the states before and after, where there are not both or
                where more than twice as long passed between them; the nearest state counts then.

        Raises:
            StaleJointsError: naming the joints that were never heard of, or how far off their states are.
        """
        positions: dict[str, float] = {}
        gaps: dict[str, float] = {}
        with self._lock:
            for group, publisher in self._publishers.items():
                values, gap = _interpolated(publisher.states, stamp, max_gap)
                for name, value in zip(group, values, strict=True):
                    if gap <= gaps.get(name, np.inf):
                        positions[name], gaps[name] = float(value), gap
        missing = [name for name in names if name not in positions]
        if missing:
            raise StaleJointsError(f"no joint_states of {', '.join(missing)}")
        worst = max((gaps[name] for name in names), default=0.0)
        if worst > max_gap:
            raise StaleJointsError(
                f"joint_states are {worst:.2f} s away from the images, allowed are {max_gap:.2f} s (max_joint_age)"
            )
        return positions

    def positions_at_each(
        self, stamps: Sequence[float], names: Sequence[str], max_gap: float
    ) -> dict[str, float] | list[dict[str, float]]:
        """As :meth:`positions_at`, for each of several times; one mapping for all if that is the same."""
        positions = [self.positions_at(stamp, names, max_gap) for stamp in stamps]
        return positions[0] if all(one == positions[0] for one in positions) else positions

    def _check_age(self, names: Sequence[str], now: float, max_age: float) -> None:
        missing = [name for name in names if name not in self._newest]
        if missing:
            raise StaleJointsError(f"no joint state of {', '.join(missing)}")
        oldest = max((now - self._newest[name][0].received for name in names), default=-np.inf)
        if oldest > max_age:
            repeats = any(now - self._newest[name][0].repeated <= max_age for name in names)
            hint = ", and they come again with a stamp that stands still" if repeats else ""
            raise StaleJointsError(f"joint states are {oldest:.2f} s old, allowed are {max_age:.2f} s{hint}")


def _interpolated(states: deque[_State], stamp: float, max_gap: float) -> tuple[Array, float]:
    """Positions at a time, and how many seconds it lies away from the states."""
    place = bisect_left(states, stamp, key=lambda state: state.stamp)
    if place == len(states):
        return states[-1].positions, stamp - states[-1].stamp
    later = states[place]
    if place == 0:
        return later.positions, later.stamp - stamp
    earlier = states[place - 1]
    before, after = stamp - earlier.stamp, later.stamp - stamp
    if before + after > 2.0 * max_gap:  # states were lost, and with them what the arm did
        return (earlier.positions, before) if before < after else (later.positions, after)
    return earlier.positions + before / (before + after) * (later.positions - earlier.positions), 0.0
