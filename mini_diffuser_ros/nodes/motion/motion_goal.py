"""What a goal of MoveToKeyframe asks for, and what became of it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from geometry_msgs.msg import Pose
from mini_diffuser_msgs.action import MoveToKeyframe

from mini_diffuser_ros.motion.refusals import (
    AllRefused,
    Impassable,
    InCollision,
    JointLimit,
    MotionRefused,
    NoPath,
    OutsideWorkspace,
    TooTilted,
    Unreachable,
)
from mini_diffuser_ros.nodes.ros.action_goal import ActionRejectedError, ActionUnavailableError
from mini_diffuser_ros.nodes.ros.messages import pose_to_message
from mini_diffuser_ros.nodes.ros.process import NodeError
from mini_diffuser_ros.records import FloatArray
from mini_diffuser_ros.running.obstacle_watch import StaleCloudError
from mini_diffuser_ros.sensing.errors import (
    ContradictoryJointsError,
    DeviationError,
    FrozenJointsError,
    StaleJointsError,
)
from mini_diffuser_ros.support.cancellation import InterruptionError
from mini_diffuser_ros.support.printable import printable

Result = MoveToKeyframe.Result
# The arm is not where it was to be, or nobody knows where it is: somebody has to look before it moves again.
LATCHING = (
    Result.STALE,
    Result.ABORTED,
    Result.OVERDUE,
    Result.OVERRIDDEN,
    Result.DEVIATED,
    Result.MISSED,
    Result.FROZEN,
    Result.CONTRADICTED,
    Result.NO_CLOCK,
)


class MotionFaultError(NodeError):
    """A motion that did not end as it was planned.

    Args:
        outcome: constant of the action's result.
        message: one line that says why.
    """

    def __init__(self, outcome: int, message: str) -> None:
        super().__init__(message)
        self.outcome = outcome


# The first that an error is an instance of counts.
OUTCOMES: tuple[tuple[type[Exception], int], ...] = (
    (FrozenJointsError, Result.FROZEN),
    (ContradictoryJointsError, Result.CONTRADICTED),
    (StaleJointsError, Result.STALE),
    (StaleCloudError, Result.STALE),
    (DeviationError, Result.DEVIATED),
    (ActionUnavailableError, Result.NO_CONTROLLER),
    (ActionRejectedError, Result.REJECTED),
)


def outcome_of(error: Exception) -> int:
    """The outcome of a motion that an error has ended."""
    if isinstance(error, (MotionFaultError, InterruptionError)):
        return error.outcome
    return next((outcome for kind, outcome in OUTCOMES if isinstance(error, kind)), Result.FAILED)


# What kinds of refusals all candidates may have in common.
COMMON_KINDS: tuple[tuple[tuple[type[MotionRefused], ...], int], ...] = (
    ((OutsideWorkspace, TooTilted, Unreachable, JointLimit, Impassable), Result.UNREACHABLE),
    ((InCollision, NoPath), Result.IN_COLLISION),
)
WIDER = 1.1  # times the gripper's opening that something held may be measured to be
# After these, another look may show another way.
REFUSALS = (Result.REFUSED, Result.UNREACHABLE, Result.IN_COLLISION, Result.BLOCKED)


@dataclass(frozen=True)
class MotionOutcome:
    """What became of a goal; fields as in MoveToKeyframe's result."""

    outcome: int
    message: str
    chosen: int = -1
    refusals: tuple[str, ...] = ()
    held: float = 0.0
    reached: FloatArray | None = field(default=None, compare=False)

    def result(self) -> MoveToKeyframe.Result:
        """The action's result."""
        return Result(
            outcome=self.outcome,
            success=self.outcome == Result.REACHED,
            message=self.message,
            chosen=self.chosen,
            refusals=list(self.refusals),
            held=self.held,
            reached=Pose() if self.reached is None else pose_to_message(self.reached),
        )


def refused(refusal: MotionRefused) -> MotionOutcome:
    """What becomes of a goal that the planner refuses, by what the refusals of its candidates have in common."""
    refusals = refusal.refusals if isinstance(refusal, AllRefused) else (refusal,)
    outcome = next(
        (outcome for kinds, outcome in COMMON_KINDS if refusals and all(isinstance(each, kinds) for each in refusals)),
        int(Result.REFUSED),
    )
    return MotionOutcome(outcome, str(refusal), refusals=tuple(map(str, refusals)))


def refusal_of(request: MoveToKeyframe.Goal, base_frame: str, max_candidates: int, widest: float) -> str | None:
    """Why a goal is refused before anything is planned, or None. Poses are the planner's to judge.

    Args:
        request: the goal.
        base_frame: of the robot.
        max_candidates: that a goal may have.
        widest: metres that a gripper opens.
    """
    frame, count = request.header.frame_id, len(request.candidates)
    if frame not in ("", base_frame):
        return f"the candidates are given in frame '{printable(frame, 80)}', expected '{base_frame}'"
    if request.home and count:
        return f"the goal asks for the home position and has {count} candidates, expected are none"
    if not request.home and not 1 <= count <= max_candidates:
        return f"the goal has {count} candidates, expected are 1 to {max_candidates}"
    if not 0.0 <= request.held <= WIDER * widest:
        return f"held is {request.held:g}, expected metres from 0 to {widest:g}, the gripper's whole opening"
    for number, candidate in enumerate(request.candidates, start=1):
        if not 0.0 <= candidate.share <= 1.0:
            return f"candidate {number} of {count} has the share {candidate.share}, expected a fraction in [0, 1]"
        if not 0.0 <= candidate.spread < np.inf:
            return f"candidate {number} of {count} has the spread {candidate.spread}, expected metres of 0 or more"
    return None


class GoalProgress:
    """Feedback of a goal. Repeated, it is also the sign by which the client knows that its goal is cared for."""

    def __init__(self, goal: Any) -> None:
        self._goal = goal
        self._lock = threading.Lock()
        self._last = MoveToKeyframe.Feedback(phase="planning", progress=0.0)
        self._ended = False

    def tell(self, phase: str, progress: float) -> None:
        """Phase of the motion, and how much of it is done, 0 to 1."""
        self._last = MoveToKeyframe.Feedback(phase=phase, progress=float(progress))
        self.repeat()

    def repeat(self) -> None:
        """Say it again."""
        with self._lock:
            if not self._ended:
                self._goal.publish_feedback(self._last)

    def end(self) -> None:
        """Say nothing from now on."""
        with self._lock:
            self._ended = True
