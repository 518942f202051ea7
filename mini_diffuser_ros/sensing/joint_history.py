"""Where the joints were a moment ago: images are older than the newest joint states."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.sensing.errors import StaleJointsError

Array = NDArray[np.float64]

SPAN = 2.0  # seconds of history
MOST = 4000  # messages of one publisher, whatever its rate


class JointHistory:
    """The joint states of the last two seconds, from every publisher on the topic. Thread-safe.

    Publishers are told apart by the names they publish: the arm's and the gripper's drivers each have theirs.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._states: dict[tuple[str, ...], deque[tuple[float, Array]]] = {}

    def add(self, names: Sequence[str], positions: Sequence[float], stamp: float) -> None:
        """Take a joint state message: radians (metres for fingers), seconds.

        Raises:
            ValueError: if the lengths differ or a position is not finite.
        """
        values = np.array(positions, dtype=np.float64)
        if len(values) != len(names):
            raise ValueError(f"joint state of {len(names)} names and {len(values)} positions")
        if not np.all(np.isfinite(values)):
            raise ValueError(f"joint state with a position that is not finite: {list(positions)}")
        with self._lock:
            states = self._states.setdefault(tuple(names), deque(maxlen=MOST))
            if states and stamp < states[-1][0]:
                if states[-1][0] - stamp <= SPAN:
                    return
                # Time ran back: another world, or a bag that began again.
                states.clear()
            states.append((stamp, values))
            while stamp - states[0][0] > SPAN:
                states.popleft()

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
            for group, states in self._states.items():
                values, gap = _interpolated(states, stamp, max_gap)
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


def _interpolated(states: deque[tuple[float, Array]], stamp: float, max_gap: float) -> tuple[Array, float]:
    """Positions at a time, and how many seconds it lies away from the states."""
    position = bisect_left(states, stamp, key=lambda state: state[0])
    if position == len(states):
        return states[-1][1], stamp - states[-1][0]
    after, later = states[position]
    if position == 0:
        return later, after - stamp
    before, earlier = states[position - 1]
    if after - before > 2.0 * max_gap:  # states were lost, and with them what the arm did
        return (earlier, stamp - before) if stamp - before < after - stamp else (later, after - stamp)
    share = (stamp - before) / (after - before)
    return earlier + share * (later - earlier), 0.0
