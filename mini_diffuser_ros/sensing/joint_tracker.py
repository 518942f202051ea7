"""The newest joint states, merged from every publisher on the topic."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.sensing.errors import StaleJointsError

Array = NDArray[np.float64]


class JointTracker:
    """Remembers position and velocity of each joint and when they were received. Thread-safe.

    Ages are measured on the receiver's monotonic clock: a stopped publisher is noticed even if the stamps come from
    another machine or from a simulation that stands still.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._states: dict[str, tuple[float, float, float]] = {}

    def update(self, names: Sequence[str], positions: Sequence[float], velocities: Sequence[float], now: float) -> None:
        """Take a joint state message: radians (metres for fingers), per second.

        Velocities may be absent, as some drivers leave them out; differences of the positions stand in for them.

        Raises:
            ValueError: if the lengths differ or a position is not finite.
        """
        if len(positions) != len(names) or len(velocities) not in (0, len(names)):
            raise ValueError(
                f"joint state of {len(names)} names, {len(positions)} positions and {len(velocities)} velocities"
            )
        if not np.all(np.isfinite(np.asarray(positions, dtype=np.float64))):
            raise ValueError(f"joint state with a position that is not finite: {list(positions)}")
        with self._lock:
            speeds = velocities if len(velocities) else self._differences(names, positions, now)
            for name, position, speed in zip(names, positions, speeds, strict=True):
                self._states[name] = (float(position), float(speed), now)

    def positions(self, names: Sequence[str], now: float, max_age: float) -> Array:
        """(J,) positions of the named joints.

        Raises:
            StaleJointsError: naming the joints that were never heard of or are older than ``max_age`` seconds.
        """
        return self._read(names, now, max_age)[:, 0]

    def velocities(self, names: Sequence[str], now: float, max_age: float) -> Array:
        """(J,) velocities, NaN where they are not known yet.

        Raises:
            StaleJointsError: as :meth:`positions`.
        """
        return self._read(names, now, max_age)[:, 1]

    def age(self, names: Sequence[str], now: float) -> float | None:
        """Seconds since the oldest of the named joints was heard of, None if one never was."""
        with self._lock:
            if not all(name in self._states for name in names):
                return None
            return max(now - self._states[name][2] for name in names)

    def known_positions(self) -> dict[str, float]:
        """Every position received so far, however old."""
        with self._lock:
            return {name: state[0] for name, state in self._states.items()}

    def _differences(self, names: Sequence[str], positions: Sequence[float], now: float) -> list[float]:
        speeds = []
        for name, position in zip(names, positions, strict=True):
            before, _, then = self._states.get(name, (np.nan, np.nan, np.nan))
            speeds.append((position - before) / (now - then) if now > then else np.nan)
        return speeds

    def _read(self, names: Sequence[str], now: float, max_age: float) -> Array:
        with self._lock:
            found = {name: self._states[name] for name in names if name in self._states}
        missing = [name for name in names if name not in found]
        if missing:
            raise StaleJointsError(f"no joint state of {', '.join(missing)}")
        oldest = max(now - state[2] for state in found.values())
        if oldest > max_age:
            raise StaleJointsError(f"joint states are {oldest:.2f} s old, allowed are {max_age:.2f} s")
        return np.array([found[name] for name in names], dtype=np.float64)
