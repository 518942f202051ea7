"""Obeying one sentence: look, decide, move, until the policy says that it is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from mini_diffuser_ros.records import Cloud, KeyframeMode

Look = Callable[[], Cloud]
"""A cloud newer than the sentence and the last motion."""
Decide = Callable[[Cloud, int], Sequence[KeyframeMode]]
"""Ranked modes for a cloud; the number counts decisions, for the seed."""
Move = Callable[[Sequence[KeyframeMode], Cloud], "MotionReport"]
"""Tries the candidates, decided on that cloud, in order and executes the first that motion accepts."""
Tell = Callable[[str, int, str], None]
"""Takes phase, number of the keyframe (1 for the first) and a line of text."""


@dataclass(frozen=True)
class MotionReport:
    """What motion did with the candidates.

    Attributes:
        chosen: index of the candidate that was executed, None if all were refused.
        message: one line.
    """

    chosen: int | None
    message: str


class Ending(Enum):
    """How a sentence ended when nothing interrupted it."""

    TERMINATED = "terminated"
    KEYFRAME_LIMIT = "keyframe limit"
    FAILED = "failed"


@dataclass(frozen=True)
class RunReport:
    """How a sentence ended.

    Attributes:
        ending: which of the three ways.
        message: one line.
        keyframes: reached.
    """

    ending: Ending
    message: str
    keyframes: int


def refusal_of(instruction: str, max_length: int) -> str | None:
    """Why a sentence is not obeyed at all, or None."""
    text = instruction.strip()
    if not text:
        return "the instruction is empty"
    if len(text) > max_length:
        return f"the instruction has {len(text)} characters, allowed are {max_length}"
    if not text.isprintable():
        return "the instruction holds control characters"
    return None


class InstructionRun:
    """The loop over keyframes. Waits, services and messages stay outside, behind three functions.

    Args:
        look: see :data:`Look`.
        decide: see :data:`Decide`.
        move: see :data:`Move`.
        tell: see :data:`Tell`.
        keyframe_limit: keyframes after which the run ends.
        decisions_per_keyframe: looks and decisions, each with other noise, before a keyframe is given up because
            motion refuses every candidate.
    """

    def __init__(
        self,
        look: Look,
        decide: Decide,
        move: Move,
        tell: Tell,
        keyframe_limit: int,
        decisions_per_keyframe: int,
    ) -> None:
        self._look = look
        self._decide = decide
        self._move = move
        self._tell = tell
        self._keyframe_limit = keyframe_limit
        self._decisions_per_keyframe = decisions_per_keyframe
        self.keyframes = 0

    def obey(self) -> RunReport:
        """Run to the end. Whatever the three functions raise passes through."""
        while self.keyframes < self._keyframe_limit:
            done, problem = self._next_keyframe()
            if problem:
                return RunReport(Ending.FAILED, problem, self.keyframes)
            self.keyframes += 1
            if done:
                return RunReport(Ending.TERMINATED, "the policy ended its task", self.keyframes)
        message = f"{self.keyframes} keyframes without the policy's end signal"
        return RunReport(Ending.KEYFRAME_LIMIT, message, self.keyframes)

    def _next_keyframe(self) -> tuple[bool, str]:
        """Whether the executed keyframe was the last, and why none was executed (empty if one was)."""
        number = self.keyframes + 1
        message = ""
        for attempt in range(self._decisions_per_keyframe):
            cloud = self._look()
            self._tell("deciding", number, f"{len(cloud)} points")
            modes = self._decide(cloud, self.keyframes + attempt * self._keyframe_limit)
            if not modes:
                message = "the policy has no keyframe for this cloud"
                continue
            report = self._move(modes, cloud)
            if report.chosen is not None:
                return modes[report.chosen].terminate, ""
            message = report.message
            self._tell("deciding", number, message)
        return False, message
