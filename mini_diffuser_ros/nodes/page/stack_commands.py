"""What the page has a stack do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mini_diffuser_msgs.action import ExecuteInstruction
from mini_diffuser_msgs.srv import AnswerQuestion, SetSpeed
from rclpy.action import ActionClient
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from std_srvs.srv import Trigger

from mini_diffuser_ros.nodes.motion.question_client import ANSWER
from mini_diffuser_ros.nodes.motion.speed_request import speed_client
from mini_diffuser_ros.nodes.page.stack_listener import EXECUTE
from mini_diffuser_ros.nodes.recovery.robot_recovery import RESUME
from mini_diffuser_ros.nodes.recovery.robot_recovery import STOP as STOP_SERVICE
from mini_diffuser_ros.nodes.ros.action_goal import send_goal
from mini_diffuser_ros.nodes.ros.process import NodeError
from mini_diffuser_ros.nodes.ros.service_call import call_service
from mini_diffuser_ros.nodes.simulation.table_client import TableClient
from mini_diffuser_ros.support.cancellation import CancellationToken
from mini_diffuser_ros.viewing.live.run_state import RunState
from mini_diffuser_ros.viewing.live.server import STOP, Answer, Command

PATIENCE = 1.0  # seconds to look for who serves
TIMEOUT = 5.0  # seconds; a stop answers when the arm rests
TABLE_PATIENCE = 0.3  # seconds to look for a simulated world; a real table is as it is
LONGEST_SENTENCE = 2000  # characters
LONGEST_ID = 20  # digits
MOST_PERCENT = 1e6  # that is passed on: motion_node says which it takes


class StackCommands:
    """Commands of the page; each says what came of it.

    Args:
        node: that calls; somebody else spins it.
        state: of the page, for a line about each command.
    """

    def __init__(self, node: Node, state: RunState) -> None:
        self._node, self._state = node, state
        self._token = CancellationToken()
        group = ReentrantCallbackGroup()
        self._stop = node.create_client(Trigger, STOP_SERVICE, callback_group=group)
        self._resume = node.create_client(Trigger, RESUME, callback_group=group)
        self._speed = speed_client(node, group)
        self._answer = node.create_client(AnswerQuestion, ANSWER, callback_group=group)
        self._execute = ActionClient(node, ExecuteInstruction, EXECUTE, callback_group=group)
        self._table = TableClient(node)

    def by_name(self) -> dict[str, Command]:
        """All of them."""
        return {
            STOP: self._on_stop,
            "resume": self._on_resume,
            "speed": self._on_speed,
            "answer": self._on_answer,
            "say": self._on_say,
        }

    def close(self) -> None:
        """Wait for nothing any more."""
        self._token.interrupt(ExecuteInstruction.Result.CANCELED, "page_node was shut down")

    def _on_stop(self, _: Mapping[str, Any]) -> Answer:
        self._state.note("Stop was pressed")
        told = self._told(self._call(self._stop, Trigger.Request()))
        return replace(told, holds=True)  # who answers has latched it, whatever the arm is measured to do

    def _on_resume(self, _: Mapping[str, Any]) -> Answer:
        return self._told(self._call(self._resume, Trigger.Request()))

    def _on_speed(self, values: Mapping[str, Any]) -> Answer:
        percent = values.get("percent")
        if not isinstance(percent, int | float) or isinstance(percent, bool) or not abs(percent) < MOST_PERCENT:
            raise NodeError("percent is no number")
        return self._told(self._call(self._speed, SetSpeed.Request(percent=float(percent))))

    def _on_answer(self, values: Mapping[str, Any]) -> Answer:
        number, consent = str(values.get("id", "")), values.get("consent")
        if not number.isdecimal() or len(number) > LONGEST_ID or int(number) >= 2**64 or not isinstance(consent, bool):
            raise NodeError("an answer is the id of a question and consent, true or false")
        response = self._call(self._answer, AnswerQuestion.Request(id=int(number), consent=consent))
        return Answer(done=response.success, said=response.message or ("it may begin" if consent else "declined"))

    def _on_say(self, values: Mapping[str, Any]) -> Answer:
        sentence = values.get("sentence")
        if not isinstance(sentence, str) or not sentence.strip() or len(sentence) > LONGEST_SENTENCE:
            raise NodeError(f"a sentence has 1 to {LONGEST_SENTENCE} characters")
        if any("\ud800" <= character <= "\udfff" for character in sentence):
            raise NodeError("a sentence is Unicode: this one holds half of a surrogate pair")
        if laid := self._table.prepare(sentence, self._token, TABLE_PATIENCE):
            self._state.note(laid)
        send_goal(self._execute, ExecuteInstruction.Goal(instruction=sentence), self._token, name=EXECUTE)
        return Answer(done=True, said="sent")

    def _told(self, response: Any) -> Answer:
        self._state.note(response.message)
        return Answer(done=response.success, said=response.message)

    def _call(self, client: Any, request: Any) -> Any:
        name = self._node.resolve_service_name(client.srv_name)
        return call_service(
            client,
            request,
            self._token,
            name=name,
            patience=PATIENCE,
            timeout=TIMEOUT,
            missing=f"nobody serves {name}: is the stack running?",
        )
