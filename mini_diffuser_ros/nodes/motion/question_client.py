"""The side of whoever consents: the question that is open, and the way back for an answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from mini_diffuser_msgs.msg import MotionQuestion
from mini_diffuser_msgs.srv import AnswerQuestion
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from std_srvs.srv import Trigger

from mini_diffuser_ros.nodes.ros.qos import LATCHED
from mini_diffuser_ros.nodes.ros.service_call import call_service
from mini_diffuser_ros.support.cancellation import CancellationToken

QUESTION, ANSWER, PLANNED = "mini_diffuser/question", "mini_diffuser/answer", "mini_diffuser/planned"
TIMEOUT = 3.0  # seconds; a stop answers when the arm rests
UNREAD = 1.0  # seconds for which a question has to be shown before somebody can mean it by a yes
WORDS = "y (it may begin), n (not this one) or stop, then ENTER"


class QuestionClient:
    """Hears what motion_node asks and answers it.

    Args:
        node: that listens; somebody else has to spin it.
        on_question: takes the text of each new question, in a thread of the executor.
    """

    def __init__(self, node: Node, on_question: Callable[[str], None]) -> None:
        self._node, self._on_question = node, on_question
        self._open, self._shown_at = 0, -float("inf")
        group = MutuallyExclusiveCallbackGroup()
        node.create_subscription(MotionQuestion, QUESTION, self._on_message, LATCHED, callback_group=group)
        self._answer = node.create_client(AnswerQuestion, ANSWER)
        self._stop = node.create_client(Trigger, "mini_diffuser/stop")

    def take(self, line: str) -> str:
        """Obey a line of a terminal; returns what came of it, to be shown.

        Only ``y`` and ``yes`` consent, and only to the question that is open now. One that comes within a second of the
        question was typed for another: it begins nothing.

        Raises:
            NodeError: if nobody takes the answer.
        """
        word, number, shown_at = line.strip().lower(), self._open, self._shown_at
        if word in ("stop", "s"):
            return str(self._call(self._stop, Trigger.Request()).message)
        if not number:
            return "nothing is asked"
        if word not in ("y", "yes", "n", "no"):
            return f"'{line.strip()[:40]}' is no answer; {WORDS}"
        if word in ("y", "yes") and time.monotonic() - shown_at < UNREAD:
            return "this question was shown only now: read it, and answer again"
        response = self._call(self._answer, AnswerQuestion.Request(id=number, consent=word in ("y", "yes")))
        if not response.success:
            return str(response.message)
        return "it may begin" if word in ("y", "yes") else "declined"

    def _on_message(self, message: MotionQuestion) -> None:
        self._open, self._shown_at = 0, float("inf")  # nobody says yes to what is not shown yet
        if message.id:
            self._open = message.id
            self._on_question(message.text)
            self._shown_at = time.monotonic()

    def _call(self, client: Any, request: Any) -> Any:
        name = client.srv_name
        missing = f"nobody serves {name}: is motion_node running?"
        return call_service(
            client, request, CancellationToken(), name=name, patience=TIMEOUT, timeout=TIMEOUT, missing=missing
        )
