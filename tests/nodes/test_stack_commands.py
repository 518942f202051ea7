"""What the page asks of a stack, and what it says of what cannot be asked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from mini_diffuser_msgs.srv import AnswerQuestion, SetSpeed
from rclpy.node import Node
from std_srvs.srv import Trigger

from mini_diffuser_ros.nodes.page.stack_commands import StackCommands
from mini_diffuser_ros.nodes.ros.client_node import client_node
from mini_diffuser_ros.support.errors import UserError
from mini_diffuser_ros.viewing.live.run_state import RunState
from mini_diffuser_ros.viewing.live.server import Command

QUESTION = 2**63 - 25  # more than a number of a browser holds


@pytest.fixture
def node(domain_id: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    monkeypatch.setenv("ROS_DOMAIN_ID", str(domain_id))
    with client_node("page", threads=4) as made:
        yield made


@pytest.fixture
def commands(node: Node) -> dict[str, Command]:
    return StackCommands(node, RunState()).by_name()


def test_commands_reach_those_who_serve(node: Node, commands: dict[str, Command]) -> None:
    def stopped(_: object, response: Trigger.Response) -> Trigger.Response:
        response.success, response.message = True, "stopped, the arm rests"
        return response

    def answered(request: AnswerQuestion.Request, response: AnswerQuestion.Response) -> AnswerQuestion.Response:
        response.success = request.id == QUESTION and request.consent
        response.message = "" if response.success else "this question is not open any more"
        return response

    def paced(request: SetSpeed.Request, response: SetSpeed.Response) -> SetSpeed.Response:
        response.success, response.message = True, f"{request.percent:.0f} %"
        return response

    node.create_service(Trigger, "mini_diffuser/stop", stopped)
    node.create_service(AnswerQuestion, "mini_diffuser/answer", answered)
    node.create_service(SetSpeed, "mini_diffuser/set_speed", paced)
    stop = commands["stop"]({})
    assert (stop.done, stop.said) == (True, "stopped, the arm rests")
    answer = commands["answer"]({"id": str(QUESTION), "consent": True})
    assert (answer.done, answer.said) == (True, "it may begin")
    late = commands["answer"]({"id": "7", "consent": True})
    assert (late.done, late.said) == (False, "this question is not open any more")
    assert commands["speed"]({"percent": 30}).said == "30 %"


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("speed", {}, "percent is no number"),
        ("speed", {"percent": True}, "percent is no number"),
        ("speed", {"percent": float("nan")}, "percent is no number"),
        ("speed", {"percent": "30"}, "percent is no number"),
        ("answer", {"id": "1"}, "true or false"),
        ("answer", {"id": "1", "consent": "yes"}, "true or false"),
        ("answer", {"id": "-1", "consent": True}, "true or false"),
        ("answer", {"id": str(2**64), "consent": True}, "true or false"),
        ("say", {}, "a sentence has"),
        ("say", {"sentence": "  "}, "a sentence has"),
        ("say", {"sentence": 7}, "a sentence has"),
        ("say", {"sentence": "x" * 3000}, "a sentence has"),
        ("resume", {}, "nobody serves /mini_diffuser/resume"),
    ],
)
def test_what_cannot_be_asked_is_said(commands: dict[str, Command], name: str, values: dict, said: str) -> None:
    with pytest.raises(UserError, match=said):
        commands[name](values)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("speed", {"percent": 10**400}),
        ("speed", {"percent": float("nan")}),
        ("answer", {"id": "9" * 5000, "consent": True}),
        ("say", {"sentence": "press \ud800"}),
    ],
)
def test_values_that_no_message_holds_are_refused_in_a_line(
    commands: dict[str, Command], name: str, values: dict[str, object]
) -> None:
    with pytest.raises(UserError):
        commands[name](values)
