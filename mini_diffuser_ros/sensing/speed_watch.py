"""Whether an arm is faster than it may be, by its joint states alone: whoever leads it, whatever anybody planned."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.robots import RobotDescription

Array = NDArray[np.float64]

WINDOW = 0.08  # seconds over which a speed is measured: noise of 1e-4 rad is 2e-3 rad/s then
KEPT = 2.0  # seconds of states
MOST = 4000  # of them
PROMPT_WITHIN = 10.0  # seconds within which one state at least came without delay
MOST_DELAY = 0.5  # seconds by which a state may come late; what a stamp says beyond that is a clock that was set
LONGEST = 0.5  # seconds between two states, beyond which nobody knows how fast the arm was in between
STEP = 0.01  # seconds over which the tool's velocity is taken from the joints'
# A servo that makes a lag good is faster than its reference for a while, and an average over the window is not.
JOINT_SHARE, JOINT_ROOM = 1.1, 0.05  # of a joint's limit, and rad/s
TOOL_SHARE, TOOL_ROOM = 1.2, 0.02  # of the tool's limit, and m/s


@dataclass(frozen=True, eq=False)
class _State:
    """When it came, by the steady clock, how much later than stamped and than the promptest before it, and (J,) radians
    and rad/s."""

    received: float
    lead: float
    late: float
    positions: Array
    velocities: Array


class SpeedWatch:
    """Measures joint velocities and the speed of the tool. Thread-safe.

    Twice: by how far positions have come over the steady clock, and by the velocities that are published with them. A
    driver may lie in either, so both have to keep the limits. Where messages came in a bunch their stamps say that
    they belong apart; a clock that was set, or runs fast, does not make a motion slower.

    Args:
        robot: whose limits hold, and whose kinematics tell where the tool is.

    Attributes:
        max_tool_speed: m/s that hold now.
    """

    def __init__(self, robot: RobotDescription) -> None:
        maker = robot.cartesian_limits
        self.max_tool_speed = maker.velocity if maker else float("inf")
        self._robot = robot
        self._known: dict[str, tuple[float, float]] = {}
        self._states: deque[_State] = deque(maxlen=MOST)
        self._promptest: deque[tuple[float, float]] = deque()  # when states came and their leads, both growing
        self._lock = threading.Lock()

    def take(
        self,
        names: Sequence[str],
        positions: Sequence[float],
        velocities: Sequence[float],
        stamp: float,
        received: float,
    ) -> None:
        """A joint state, arguments as of ``JointHistory.add``; what is no number is not believed."""
        speeds = velocities if len(velocities) == len(names) else [np.nan] * len(names)
        wanted = self._robot.arm_joint_names
        with self._lock:
            for name, position, speed in zip(names, positions, speeds, strict=False):
                if isfinite(position):
                    self._known[name] = position, speed if isfinite(speed) else np.nan
            # A driver may split its arm over several messages; one of them counts.
            if wanted[0] not in names or not all(name in self._known for name in wanted):
                return
            values = np.array([self._known[name] for name in wanted])
            lead = received - stamp
            self._states.append(_State(received, lead, self._lateness(lead, received), values[:, 0], values[:, 1]))
            while received - self._states[0].received > KEPT:
                self._states.popleft()

    def _lateness(self, lead: float, received: float) -> float:
        """Seconds by which a state comes later than the promptest of the last ones, itself included."""
        prompt = self._promptest
        while prompt and prompt[-1][1] >= lead:
            prompt.pop()
        prompt.append((received, lead))
        while received - prompt[0][0] > PROMPT_WITHIN:
            prompt.popleft()
        return lead - prompt[0][1]

    def problem(self) -> str:
        """What is too fast, in one line; empty if nothing is, or nothing is known."""
        with self._lock:
            states = list(self._states)
        window, elapsed = _window(states)
        if not window:
            return ""
        travelled = (window[-1].positions - window[0].positions) / elapsed
        # One that is too large in a single state is noise; what is not published is NaN.
        steady = np.nan_to_num(np.median([state.velocities for state in window], axis=0))
        for velocities, source in ((travelled, "positions"), (steady, "published velocities")):
            if problem := self._joint_problem(window, velocities) or self._tool_problem(window, velocities):
                return f"{problem} by its {source}"
        return ""

    def _joint_problem(self, window: list[_State], velocities: Array) -> str:
        # Limits depend on position: the largest within the window is at one of its ends.
        ends = np.stack([window[0].positions, window[-1].positions])
        lowest, highest = self._robot.velocity_range(ends)
        limits = np.where(velocities > 0.0, highest.max(axis=0), -lowest.min(axis=0))
        excess = np.abs(velocities) - (JOINT_SHARE * limits + JOINT_ROOM)
        worst = int(np.argmax(excess))
        if not excess[worst] > 0.0:
            return ""
        name = self._robot.arm_joint_names[worst]
        return f"{name} moves at {abs(velocities[worst]):.2f} rad/s, allowed are {limits[worst]:.2f} rad/s,"

    def _tool_problem(self, window: list[_State], velocities: Array) -> str:
        now = window[-1].positions
        places = self._robot.tcp_motion(np.stack([now - STEP * velocities, now]))[0]
        speed = float(np.linalg.norm(places[1] - places[0])) / STEP
        if not speed > TOOL_SHARE * self.max_tool_speed + TOOL_ROOM:
            return ""
        return f"the tool moves at {speed:.2f} m/s, allowed are {self.max_tool_speed:.2f} m/s,"


def _window(states: list[_State]) -> tuple[list[_State], float]:
    """The newest states that are ``WINDOW`` seconds apart, and those seconds; no states where there are too few.

    A state that came late is farther from the newest than they came, as far as the stamps say so, and no farther than
    it was late itself: stamps of a clock that runs fast are ahead of all before, and none of them is late.
    """
    if not states:
        return [], 0.0
    newest = states[-1]
    for first in range(len(states) - 2, -1, -1):
        state = states[first]
        late = max(0.0, min(state.late, state.lead - newest.lead))
        elapsed = newest.received - state.received + (late if late <= MOST_DELAY else 0.0)
        if elapsed >= WINDOW:
            return (states[first:], elapsed) if elapsed <= LONGEST else ([], 0.0)
    return [], 0.0
