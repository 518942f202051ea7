"""Obeying one sentence: look, decide, move, until the policy says that it is done."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from mini_diffuser_ros.records import Assessment, Cloud, EndJudgement, FloatArray, KeyframeMode, SeenEnd
from mini_diffuser_ros.running.progress import ProgressWatch
from mini_diffuser_ros.running.settings import LoopSettings
from mini_diffuser_ros.support.errors import UserError

Look = Callable[[float], Cloud]
"""Takes the settle time, seconds, and returns a cloud that shows the scene from then on."""
Decide = Callable[[Cloud, int], Assessment]
"""Takes a cloud and the seed of the noise, and returns ranked modes with what the policy knows of them."""
Doubt = Callable[[Assessment, bool], str]
"""Takes a decision and whether nothing has moved yet, and says in one line why it is not worth a move."""
Move = Callable[[Sequence[KeyframeMode], Cloud], "MotionReport"]
"""Tries the candidates, decided on that cloud, in order and executes the first that motion accepts."""
Tell = Callable[[str, int, str], None]
"""Takes phase, number of the keyframe (1 for the first) and a line of text."""

ConfirmEnd = Callable[[SeenEnd], "EndJudgement | None"]
"""Takes what is seen of an end, and judges whether the task is done; None where the policy does not know."""


@dataclass(frozen=True)
class MotionReport:
    """What motion did with the candidates.

    Attributes:
        chosen: index of the candidate that was executed, None if all were refused.
        message: one line.
        refusals: why candidates were refused, in order.
        missed: the arm ended short of the candidate's pose, and may be sent there again.
        rewarded: the world judges that the task is done; False where nobody judges.
        held: metres that what the gripper holds now is wide, 0.0 for nothing.
        lost: what was held is not any more, or not as it was; nothing was executed, and a new look may find it.
        reached: (7,) xyz + xyzw of the tool centre point as measured when the arm had come to rest; None where nobody
            measures it.
    """

    chosen: int | None
    message: str
    refusals: tuple[str, ...] = ()
    missed: bool = False
    rewarded: bool = False
    held: float = 0.0
    lost: bool = False
    reached: FloatArray | None = field(default=None, compare=False)


@dataclass(frozen=True, eq=False)
class Decision:
    """A decision, and what motion did with its modes.

    Attributes:
        keyframe: number of the keyframe that it was made for, 1 for the first.
        seed: of its noise.
        seconds: that the policy took.
        modes: ranked, the most probable first.
        report: of motion; where motion failed, with the reason and without a chosen candidate.
        doubt: why the policy itself would not move, which motion was not asked to then; empty if it would.
        cloud: that was looked at; None where it is not kept.
    """

    keyframe: int
    seed: int
    seconds: float
    modes: tuple[KeyframeMode, ...]
    report: MotionReport
    doubt: str = ""
    cloud: Cloud | None = None

    @property
    def executed(self) -> KeyframeMode | None:
        """The mode that was executed, None if none was."""
        return None if self.report.chosen is None else self.modes[self.report.chosen]


class Ending(Enum):
    """How a sentence ended when nothing interrupted it."""

    TERMINATED = "terminated"
    REWARDED = "rewarded"
    KEYFRAME_LIMIT = "keyframe limit"
    NO_PROGRESS = "no progress"
    UNFAMILIAR = "unfamiliar"
    NOT_CONFIRMED = "not confirmed"
    NOT_FOUND = "not found"
    FAILED = "failed"


@dataclass(frozen=True, eq=False)
class RunResult:
    """How a sentence ended.

    Attributes:
        ending: which of the ways.
        message: one line.
        keyframes: reached.
        decisions: in order, those included that motion refused.
    """

    ending: Ending
    message: str
    keyframes: int
    decisions: tuple[Decision, ...]


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
    """The loop over keyframes. Waits, services and messages stay outside, behind functions.

    Where ends can be judged, the policy's signal alone ends nothing: it is looked once more whether the task is done.
    If not, the policy goes on from there, as often as the settings allow; what it has lost it may grasp again.

    Decision number k of a sentence that is made for the first time for a keyframe has the noise of ``seed`` + k, its
    repetitions that of seeds beyond all of those.

    Args:
        look: see :data:`Look`.
        decide: see :data:`Decide`.
        move: see :data:`Move`.
        tell: see :data:`Tell`.
        settings: how often, how many, how long.
        seed: of the decisions' noise.
        doubt: see :data:`Doubt`; by default there is none.
        confirm_end: see :data:`ConfirmEnd`; by default the policy's signal is believed.

    Attributes:
        keyframes: reached so far.
        decisions: made so far.
    """

    def __init__(
        self,
        look: Look,
        decide: Decide,
        move: Move,
        tell: Tell,
        settings: LoopSettings,
        seed: int = 0,
        doubt: Doubt = lambda *_: "",
        confirm_end: ConfirmEnd | None = None,
    ) -> None:
        self._look = look
        self._decide = decide
        self._move = move
        self._tell = tell
        self._settings = settings
        self._seed = seed
        self._doubt = doubt
        self._confirm_end = confirm_end if settings.confirm_end else None
        self._doubted_ends = 0
        self._progress = ProgressWatch(settings)
        self.keyframes = 0
        self.decisions: list[Decision] = []

    def obey(self) -> RunResult:
        """Run to the end. Whatever the four functions raise passes through."""
        while self.keyframes < self._settings.keyframe_limit:
            cloud = self._see()
            if problem := self._no_progress(cloud):
                return self.result(Ending.NO_PROGRESS, problem)
            decision = self._next_keyframe(cloud)
            mode = decision.executed
            if mode is None:
                return self._without_move(decision)
            self.keyframes += 1
            if self._settings.ends_on == "reward" and decision.report.rewarded:
                return self.result(Ending.REWARDED, "the world rewards the task")
            if self._settings.ends_on == "termination" and mode.terminate and (end := self._end()):
                return end
        return self.result(Ending.KEYFRAME_LIMIT, f"{self.keyframes} keyframes without the policy's end signal")

    def result(self, ending: Ending, message: str) -> RunResult:
        """How it ended, with what was done until now."""
        return RunResult(ending, message, self.keyframes, tuple(self.decisions))

    def _without_move(self, decision: Decision) -> RunResult:
        """The end of a sentence whose last decision moved nothing."""
        if decision.doubt and self._doubted_ends:
            return self.result(
                Ending.NOT_CONFIRMED, f"the end of the task was doubted, and then: {decision.report.message}"
            )
        return self.result(Ending.NOT_FOUND if decision.doubt else Ending.FAILED, decision.report.message)

    def _end(self) -> RunResult | None:
        """What the policy's end signal comes to; None if the policy is to go on."""
        judged = None if self._confirm_end is None else self._confirm_end(self._seen_end())
        if judged is None:
            return self.result(Ending.TERMINATED, "the policy ended its task")
        if judged.is_done:
            return self.result(Ending.TERMINATED, f"the policy ended its task, and {judged}")
        self._doubted_ends += 1
        if self._doubted_ends > self._settings.further_rounds:
            return self.result(Ending.NOT_CONFIRMED, f"the policy ended its task, but {judged}")
        self._tell("deciding", self.keyframes + 1, f"the policy would end its task, but {judged}: it goes on")
        return None

    def _seen_end(self) -> SeenEnd:
        cloud = self._see()
        reached = [
            (mode, mode.pose if decision.report.reached is None else decision.report.reached)
            for decision in self.decisions
            if (mode := decision.executed) is not None
        ]
        (rest, now), (deed, then) = reached[-1], reached[-2:][0]
        return SeenEnd(cloud, then, now, deed.gripper_open, rest.gripper_open)

    def _see(self) -> Cloud:
        self._tell("looking", self.keyframes + 1, "")
        return self._look(self._settings.settle_time)

    def _no_progress(self, cloud: Cloud) -> str:
        """Why the keyframes until now lead nowhere; empty while they may."""
        last = self.decisions[-1] if self.decisions else None
        if last is None or last.executed is None:
            return self._progress.problem(cloud, None, 0.0)
        return self._progress.problem(cloud, last.executed, last.report.held)

    def _next_keyframe(self, cloud: Cloud) -> Decision:
        """The decision of which a candidate was executed, or the last one if motion refused them all."""
        for attempt in range(self._settings.decisions_per_keyframe):
            if attempt:
                cloud = self._see()
            decision = self._decide_and_move(cloud, attempt)
            if decision.executed is not None:
                break
            self._tell("deciding", decision.keyframe, decision.report.message)
        return decision

    def _decide_and_move(self, cloud: Cloud, attempt: int) -> Decision:
        number = self.keyframes + 1
        self._tell("deciding", number, f"{len(cloud)} points")
        seed = self._seed + self.keyframes + attempt * self._settings.keyframe_limit
        began = time.monotonic()
        assessment = self._decide(cloud, seed)
        seconds, modes = time.monotonic() - began, tuple(assessment.modes)
        if doubt := self._doubt(assessment, not self.keyframes):
            self.decisions.append(Decision(number, seed, seconds, modes, MotionReport(None, doubt), doubt, cloud))
            return self.decisions[-1]
        try:
            report = self._move_with_retries(modes[: self._settings.candidates], cloud)
        except UserError as error:
            self.decisions.append(Decision(number, seed, seconds, modes, MotionReport(None, str(error)), cloud=cloud))
            raise
        self.decisions.append(Decision(number, seed, seconds, modes, report, cloud=cloud))
        return self.decisions[-1]

    def _move_with_retries(self, candidates: Sequence[KeyframeMode], cloud: Cloud) -> MotionReport:
        if not candidates:
            return MotionReport(None, "the policy has no keyframe for this cloud")
        report = self._move(candidates, cloud)
        chosen = report.chosen
        for _ in range(self._settings.max_tries - 1):
            if chosen is None or report.chosen is None or not report.missed or report.rewarded:
                break
            report = self._move(candidates[chosen : chosen + 1], cloud)
        return report if report.chosen is None else replace(report, chosen=chosen)
