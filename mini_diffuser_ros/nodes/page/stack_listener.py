"""What the nodes of a stack say, for the page: sentence, phases, decisions, questions, states, diagnostics."""

from __future__ import annotations

import time
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from action_msgs.msg import GoalStatusArray
from diagnostic_msgs.msg import DiagnosticArray
from mini_diffuser_msgs.action import ExecuteInstruction
from mini_diffuser_msgs.msg import KeyframeModes, MotionQuestion, SpeedState
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from std_msgs.msg import Bool, String
from visualization_msgs.msg import Marker, MarkerArray

from mini_diffuser_ros.nodes.motion.question_client import PLANNED, QUESTION
from mini_diffuser_ros.nodes.page.readable_topics import ReadableTopics
from mini_diffuser_ros.nodes.recording.followed_run import EXECUTIONS, INSTRUCTION, FollowedRun, goals_of
from mini_diffuser_ros.nodes.ros.diagnostics import level_of, own_part
from mini_diffuser_ros.nodes.ros.messages import MalformedMessageError, mode_from_message
from mini_diffuser_ros.nodes.ros.outcomes import outcome_name
from mini_diffuser_ros.nodes.ros.qos import LATCHED
from mini_diffuser_ros.running.world_verdict import JUDGED, SUCCESS, WorldVerdicts
from mini_diffuser_ros.support.drawing import Wireframe
from mini_diffuser_ros.viewing.live.run_state import MOVED, RunState
from mini_diffuser_ros.viewing.run_report import LoggedDecision, known_or_none, logged

LOOKING = 1.0  # seconds between two looks at who is there
EXECUTE = "mini_diffuser/execute"
PLANNED_COLOR = (26, 128, 255)
MOST_MODES = 100  # candidates of a decision
MOST_PLACES = 5000  # points of all lines of a planned motion
Result = ExecuteInstruction.Result
GOOD = (Result.TERMINATED, Result.PLANNED)
CONFIRMING = 3.0
"""Seconds of the steady clock after the end in which a world may yet see it done, as things come to rest."""


class StackListener:
    """Fills the page's state from topics of the node's namespace.

    Args:
        node: that listens.
        state: of the page.
        topics: of the same node.

    Attributes:
        planned: lines of what the arm is about to do.
    """

    def __init__(self, node: Node, state: RunState, topics: ReadableTopics) -> None:
        self._node, self._state, self._topics = node, state, topics
        self.planned: list[Wireframe] = []
        self._run = FollowedRun()
        self._goals: dict[bytes, bool] = {}  # that were seen: whether they are under way
        self._begun: bytes | None = None  # goal whose sentence is told
        self._keyframe = 0
        self._asked: dict[str, str] | None = None
        self._worlds = WorldVerdicts()
        self._verdict = self._worlds.begin("")
        self._confirmed: bool | None = None  # None where no world judges
        self._ended: float | None = None  # when the sentence did
        self._servers: set[bytes] = set()  # who obeyed the sentence when it began: endpoints that tell of goals
        self._looked = -float("inf")
        group = MutuallyExclusiveCallbackGroup()
        listen = partial(topics.subscribe, group=group)
        listen(String, INSTRUCTION, self._on_sentence, LATCHED)
        listen(GoalStatusArray, EXECUTIONS, self._on_goals, LATCHED)
        listen(ExecuteInstruction.Impl.FeedbackMessage, f"{EXECUTE}/_action/feedback", self._on_feedback, 10)
        listen(KeyframeModes, "mini_diffuser/modes", self._on_modes, 10)
        listen(MotionQuestion, QUESTION, self._on_question, LATCHED)
        listen(MarkerArray, PLANNED, self._on_planned, LATCHED)
        listen(SpeedState, "mini_diffuser/speed_state", self._on_speed, LATCHED)
        listen(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        listen(Bool, SUCCESS, self._on_success, LATCHED)
        listen(String, JUDGED, self._on_judged, LATCHED)
        self._results = node.create_client(
            ExecuteInstruction.Impl.GetResultService,
            f"{EXECUTE}/_action/get_result",
            callback_group=MutuallyExclusiveCallbackGroup(),
        )

    def look(self) -> None:
        """Notice that whoever obeyed the sentence, or asked a question, is gone; to be called again and again."""
        now = time.monotonic()
        if now - self._looked < LOOKING:
            return
        self._looked = now
        self._state.tell(question=self._asked if self._node.count_publishers(QUESTION) else None)
        if self._begun is None or self._ended is not None:
            return
        servers = self._endpoints()
        if not self._servers:
            self._servers = servers
        elif not self._servers & servers:
            self._end(False, "the policy_node that obeyed it is gone: what became of it is not known")

    def _endpoints(self) -> set[bytes]:
        topic = self._node.resolve_topic_name(EXECUTIONS)
        return {bytes(one.endpoint_gid) for one in self._node.get_publishers_info_by_topic(topic)}

    def _on_sentence(self, message: String) -> None:
        self._run.instructed(message.data)
        self._begin_if_obeyed()

    def _on_goals(self, message: GoalStatusArray) -> None:
        goals = goals_of(message)
        self._run.executions(goals)
        self._begin_if_obeyed()
        for goal in goals:
            was_active = self._goals.get(goal.identity)
            self._goals[goal.identity] = goal.is_active
            if was_active and not goal.is_active:
                self._ask_for_result(goal.identity)
        self._goals = {goal.identity: goal.is_active for goal in goals}

    def _begin_if_obeyed(self) -> None:
        if self._run.is_obeyed and self._begun != self._run.goal:
            self._begun, self._ended = self._run.goal, None
            self._servers = self._endpoints()
            self._verdict = self._worlds.begin(self._run.sentence)
            self._state.begin(self._run.sentence)
            self._note_verdict()

    def _ask_for_result(self, identity: bytes) -> None:
        request = ExecuteInstruction.Impl.GetResultService.Request()
        request.goal_id.uuid = list(identity)
        asked = self._results.call_async(request)
        asked.add_done_callback(lambda done: self._topics.read(EXECUTE, lambda: self._on_result(identity, done)))

    def _on_result(self, identity: bytes, future: Any) -> None:
        answer = future.result()
        if answer is None:  # the node is ending
            return
        result = answer.result
        text = f"{outcome_name(result.outcome)}: {result.message}"
        counts = f"{result.keyframes} keyframes, {result.seconds:.1f} s"
        others = any(active for goal, active in self._goals.items() if goal != identity)
        if others:  # a newer sentence has taken over
            self._state.note(f"{text}, {counts}")
        else:
            self._end(result.outcome in GOOD, f"{text}, {counts}", result.outcome == Result.TERMINATED)

    def _end(self, done: bool, text: str, changes_world: bool = False) -> None:
        self.planned = []  # nothing is about to be done
        self._note_verdict()
        self._ended = time.monotonic()
        self._state.end(done, text, changes_world)

    def _on_success(self, message: Bool) -> None:
        self._worlds.hear_done(message.data)
        self._note_verdict()

    def _on_judged(self, message: String) -> None:
        self._worlds.hear_judged(message.data)
        self._note_verdict()

    def _note_verdict(self) -> None:
        """What the world says of the sentence; of what it says later, as when a table is laid anew, nothing."""
        if self._ended is not None and (self._confirmed or time.monotonic() - self._ended > CONFIRMING):
            return
        is_there = self._verdict.done is not None and self._node.count_publishers(SUCCESS) > 0
        self._confirmed = self._verdict.confirms if is_there else None
        self._state.tell(world=self._confirmed)

    def _on_feedback(self, message: Any) -> None:
        feedback = message.feedback
        self._keyframe = feedback.keyframe
        self._state.progress(feedback.phase, feedback.keyframe, feedback.message)
        if feedback.phase == MOVED:
            self._state.moved(None if feedback.chosen < 0 else feedback.chosen, list(feedback.refusals[:MOST_MODES]))

    def _on_modes(self, message: KeyframeModes) -> None:
        self.planned = []
        self._state.decided(
            LoggedDecision(
                0.0,
                None,
                logged([mode_from_message(mode) for mode in message.modes[:MOST_MODES]]),
                keyframe=self._keyframe,
                seed=message.seed,
                familiarity=known_or_none(message.familiarity),
                presence=known_or_none(message.presence),
                completion=known_or_none(message.completion),
                sureness=[known_or_none(each.share) for each in message.sureness[:MOST_MODES]],
            )
        )

    def _on_question(self, message: MotionQuestion) -> None:
        # As text: 64 bits are more than a number of a browser holds.
        self._asked = {"id": str(message.id), "text": message.text} if message.id else None
        self._state.tell(question=self._asked)
        if message.id:
            self._state.note(f"asks: {message.text}")

    def _on_planned(self, message: MarkerArray) -> None:
        lines = [marker for marker in message.markers if marker.type == Marker.LINE_STRIP and len(marker.points) > 1]
        if (count := sum(len(marker.points) for marker in lines)) > MOST_PLACES:
            self.planned = []
            raise MalformedMessageError(f"lines through {count} points, at most {MOST_PLACES} are drawn")
        self.planned = [_strip(marker) for marker in lines]

    def _on_speed(self, message: SpeedState) -> None:
        self._state.tell(speed=round(float(message.percent), 1), speed_reason=message.reason)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            part = own_part(status.name, self._node.get_namespace())
            if part is None:  # another robot's, or of no node of ours
                continue
            values = {value.key: value.value for value in status.values}
            self._state.health(part, level_of(status), status.message, values)


def _strip(marker: Marker) -> Wireframe:
    """Lines from each point of a marker to the next; of the arm backwards, as a label stands at the end."""
    places = [[point.x, point.y, point.z] for point in marker.points]
    if marker.ns == "arm":
        return Wireframe(np.array(list(pairwise(reversed(places)))), PLANNED_COLOR, "planned arm")
    return Wireframe(np.array(list(pairwise(places))), PLANNED_COLOR)
