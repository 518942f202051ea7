"""How far an arm's joints have come within a moment, by the receiver's steady clock, and what is published of that."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from math import isfinite

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

WINDOW = 0.08  # seconds over which a speed is measured: noise of 1e-4 rad is 2e-3 rad/s then
KEPT = 2.0  # seconds of states
LONGEST = 0.5  # seconds between two states, beyond which nobody knows how fast the arm was in between
_MOST = 4000  # states
_PROMPT_WITHIN = 10.0  # seconds within which one state at least came without delay
_MOST_DELAY = 0.5  # seconds by which a state may come late; what a stamp says beyond that is a clock that was set


@dataclass(frozen=True, eq=False)
class _State:
    """When it came, by the steady clock, how much later than stamped and than the promptest before it, and (J,) radians
    and rad/s."""

    received: float
    lead: float
    late: float
    positions: Array
    velocities: Array


@dataclass(frozen=True, eq=False)
class Travel:
    """How the joints have moved lately.

    Attributes:
        before, now: (J,) radians, where they were and where they are.
        travelled: (J,) rad/s, by how far they have come in between.
        published: (N, J) rad/s that were published meanwhile, the newest last; NaN where none were.
    """

    before: Array
    now: Array
    travelled: Array
    published: Array


class JointTravel:
    """The joint states of the last moment, from any thread.

    Where messages came in a bunch their stamps say that they belong apart; a clock that was set, or runs fast, does not
    make a motion slower.

    Args:
        names: of the joints, in the order of all arrays.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._known: dict[str, tuple[float, float]] = {}
        self._states: deque[_State] = deque(maxlen=_MOST)
        self._promptest: deque[tuple[float, float]] = deque()  # when states came and their leads, both growing
        self._lock = threading.Lock()

    def take(
        self,
        names: Sequence[str],
        positions: Sequence[float],
        velocities: Sequence[float],
        stamp: float,
        received: float,
    ) -> bool:
        """A joint state, arguments as of ``JointHistory.add``; what is no number is not believed.

        Returns:
            whether it is one of this arm, of which all joints are known.
        """
        speeds = velocities if len(velocities) == len(names) else [np.nan] * len(names)
        with self._lock:
            for name, position, speed in zip(names, positions, speeds, strict=False):
                if isfinite(position):
                    self._known[name] = position, speed if isfinite(speed) else np.nan
            # A driver may split its arm over several messages; one of them counts.
            if self._names[0] not in names or not all(name in self._known for name in self._names):
                return False
            values = np.array([self._known[name] for name in self._names])
            lead = received - stamp
            self._states.append(_State(received, lead, self._lateness(lead, received), values[:, 0], values[:, 1]))
            while received - self._states[0].received > KEPT:
                self._states.popleft()
            return True

    def _lateness(self, lead: float, received: float) -> float:
        """Seconds by which a state comes later than the promptest of the last ones, itself included."""
        prompt = self._promptest
        while prompt and prompt[-1][1] >= lead:
            prompt.pop()
        prompt.append((received, lead))
        while received - prompt[0][0] > _PROMPT_WITHIN:
            prompt.popleft()
        return lead - prompt[0][1]

    def newest(self, longest: float = LONGEST) -> Travel | None:
        """What the newest states that are ``WINDOW`` seconds apart say; None where there are too few.

        Args:
            longest: seconds, at most :data:`KEPT`; states that are farther apart say nothing.
        """
        with self._lock:
            window, elapsed = self._window()
        if not window or elapsed > longest:
            return None
        before, now = window[0].positions, window[-1].positions
        return Travel(before, now, (now - before) / elapsed, np.stack([state.velocities for state in window]))

    def _window(self) -> tuple[list[_State], float]:
        """The newest states that are ``WINDOW`` seconds apart, and those seconds.

        A state that came late is farther from the newest than they came, as far as the stamps say so, and no farther
        than it was late itself: stamps of a clock that runs fast are ahead of all before, and none of them is late.
        """
        if not self._states:
            return [], 0.0
        newest = self._states[-1]
        window = [newest]
        for state in islice(reversed(self._states), 1, None):
            window.append(state)
            late = max(0.0, min(state.late, state.lead - newest.lead))
            elapsed = newest.received - state.received + (late if late <= _MOST_DELAY else 0.0)
            if elapsed >= WINDOW:
                return window[::-1], elapsed
        return [], 0.0
