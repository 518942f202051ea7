"""Following a run of the stack from outside: which sentence is obeyed, which keyframes are reached, how it ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from action_msgs.msg import GoalStatus, GoalStatusArray

from mini_diffuser_ros.nodes.ros.messages import seconds

INSTRUCTION = "mini_diffuser/active_instruction"
EXECUTIONS = "mini_diffuser/execute/_action/status"
MOTIONS = "mini_diffuser/move_to_keyframe/_action/status"
"""Topics that tell of a run: the sentence that is obeyed, and the goals of policy and motion."""

_ACTIVE = (GoalStatus.STATUS_ACCEPTED, GoalStatus.STATUS_EXECUTING, GoalStatus.STATUS_CANCELING)


@dataclass(frozen=True)
class GoalState:
    """What an action server says about one goal on its status topic.

    Attributes:
        identity: of the goal.
        accepted: seconds, when it was accepted.
        status: constant of action_msgs/GoalStatus.
    """

    identity: bytes
    accepted: float
    status: int

    @property
    def is_active(self) -> bool:
        """Whether it has not ended."""
        return self.status in _ACTIVE

    @property
    def has_succeeded(self) -> bool:
        """Whether it has ended well."""
        return self.status == GoalStatus.STATUS_SUCCEEDED


def goals_of(message: GoalStatusArray) -> list[GoalState]:
    """What an action server says about its goals."""
    return [
        GoalState(bytes(one.goal_info.goal_id.uuid), seconds(one.goal_info.stamp), one.status)
        for one in message.status_list
    ]


class RunEvent(Enum):
    """What happens in a run."""

    STARTED = "started"
    REACHED = "reached a keyframe"
    TERMINATED = "the policy ended its task"
    FAILED = "ended otherwise"


class FollowedRun:
    """Makes events of the active sentence and of the states of two actions' goals.

    The sentence that is obeyed belongs to the newest goal of ``execute`` that has not ended when it becomes active: an
    older one may still be ending.
    """

    def __init__(self) -> None:
        self.sentence = ""
        self._obeyed: bytes | None = None  # identity of the goal
        self._executions: Sequence[GoalState] = ()
        self._reached: set[bytes] = set()

    @property
    def is_obeyed(self) -> bool:
        """Whether a goal has been seen to obey the active sentence, and has not ended."""
        return bool(self.sentence) and self._obeyed is not None

    @property
    def goal(self) -> bytes | None:
        """Identity of the goal that obeys the active sentence, or obeyed the last one."""
        return self._obeyed

    def instructed(self, sentence: str) -> list[RunEvent]:
        """The stack begins to obey a sentence."""
        ended = [RunEvent.FAILED] if self.sentence else []
        self.sentence, self._obeyed = sentence, None
        self._bind()
        return [*ended, RunEvent.STARTED]

    def executions(self, goals: Sequence[GoalState]) -> list[RunEvent]:
        """States of the goals of ``execute``."""
        self._executions = goals
        if not self.sentence:
            return []
        self._bind()
        goal = next((goal for goal in goals if goal.identity == self._obeyed), None)
        if goal is None or goal.is_active:
            return []
        self.sentence = ""
        return [RunEvent.TERMINATED if goal.has_succeeded else RunEvent.FAILED]

    def motions(self, goals: Sequence[GoalState]) -> list[RunEvent]:
        """States of the goals of ``move_to_keyframe``."""
        new = [goal.identity for goal in goals if goal.has_succeeded and goal.identity not in self._reached]
        self._reached.intersection_update(goal.identity for goal in goals)
        self._reached.update(new)
        return [RunEvent.REACHED] * len(new) if self.sentence else []

    def _bind(self) -> None:
        active = [goal for goal in self._executions if goal.is_active]
        if self._obeyed is None and active:
            self._obeyed = max(active, key=lambda goal: goal.accepted).identity
