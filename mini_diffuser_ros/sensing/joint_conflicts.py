"""Whether all that is published of a joint can be true: one joint is at one place, and its time runs forwards."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

STEP = 0.05  # radians (metres); what differs by less is noise, or a second publisher that agrees
TURN = 100.0  # rad/s^2, with which no arm turns round
TURN_OF_FINGERS = 10.0  # m/s^2, likewise of fingers
SHORTEST = 1e-3  # seconds between two states, where stamps are rounded
THERE_AND_BACK = 0.5  # seconds; a world that is laid anew leaps as well, but not back
BACKWARDS = 0.02  # seconds; networks reorder messages, but not by so much
MOST_RETURNS, RETURNS_WITHIN = 3, 5.0  # seconds; a clock that is set, or a recording that begins again, goes back once
SLIGHT, SAME = 1e-3, 3e-4  # radians (metres): beyond the noise of an encoder, and within it
MOST_SWITCHES, SWITCHES_WITHIN = 6, 1.0  # seconds; to and fro between two places, each without any motion
HELD = 3.0  # seconds for which a contradiction counts, longer than a motion waits for rest


@dataclass(eq=False)
class _Joint:
    """What was last said of a joint, whoever said it."""

    stamp: float
    position: float
    step: float = 0.0  # the last that was no noise
    speed: float = 0.0  # of that step
    stepped: float = -float("inf")  # received
    before: float = float("nan")  # the position before that one
    switches: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_SWITCHES))
    returns: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_RETURNS))
    conflict: str = ""
    conflicted: float = -float("inf")  # received


class JointConflicts:
    """Tells from content that two publishers speak of the same joints and disagree. Not thread-safe.

    Two that agree are harmless, and a publisher is not known by its name: its driver may be in any process.

    Args:
        fingers: names of the joints that slide, by metres.
    """

    def __init__(self, fingers: Collection[str] = ()) -> None:
        self._fingers = frozenset(fingers)
        self._joints: dict[str, _Joint] = {}

    def take(self, names: Iterable[str], positions: Iterable[float], stamp: float, received: float) -> None:
        """A state of some joints: radians (metres), its stamp, and the receiver's steady clock, both in seconds."""
        for name, position in zip(names, positions, strict=True):
            joint = self._joints.get(name)
            if joint is None:
                self._joints[name] = _Joint(stamp, position)
                continue
            self._look(name, joint, position, stamp, received)
            joint.before, joint.stamp, joint.position = joint.position, stamp, position

    def present(self, names: Iterable[str], now: float) -> str:
        """What contradicts itself about one of these joints, in one line; empty if nothing does."""
        for name in names:
            joint = self._joints.get(name)
            if joint is not None and now - joint.conflicted <= HELD:
                return joint.conflict
        return ""

    def _look(self, name: str, joint: _Joint, position: float, stamp: float, received: float) -> None:
        slides = name in self._fingers
        turn, unit = (TURN_OF_FINGERS, "m") if slides else (TURN, "rad")
        step, ahead = position - joint.position, stamp - joint.stamp
        if abs(step) > STEP:
            speed, since = abs(step) / max(abs(ahead), SHORTEST), received - joint.stepped
            if step * joint.step < 0.0 and since <= THERE_AND_BACK and speed + joint.speed > turn * since:
                joint.conflict = f"{name} is said to be at {joint.position:.3f} and at {position:.3f} {unit} at once"
                joint.conflicted = received
            joint.step, joint.speed, joint.stepped = step, speed, received
        if abs(step) > SLIGHT and abs(position - joint.before) < SAME and 4.0 * abs(step) > turn * ahead**2:
            joint.switches.append(received)
            if len(joint.switches) == MOST_SWITCHES and received - joint.switches[0] <= SWITCHES_WITHIN:
                joint.conflict = f"{name} is said to be at {joint.position:.4f} and at {position:.4f} {unit} at once"
                joint.conflicted = received
        if ahead < -BACKWARDS:
            joint.returns.append(received)
            if len(joint.returns) == MOST_RETURNS and received - joint.returns[0] <= RETURNS_WITHIN:
                joint.conflict = f"stamps of {name} go back and forth by {-ahead:.2f} s"
                joint.conflicted = received
