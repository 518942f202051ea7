"""A yes is to the question that was read, and to no other."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from mini_diffuser_msgs.msg import MotionQuestion
from mini_diffuser_msgs.srv import AnswerQuestion

from mini_diffuser_ros.nodes.motion import question_client
from mini_diffuser_ros.nodes.motion.question_client import ANSWER, UNREAD, QuestionClient


class Listening:
    """The part of a node that counts: it hears questions, and somebody serves what it calls."""

    def __init__(self) -> None:
        self.ask: Callable[[MotionQuestion], None] = lambda _: None

    def create_subscription(self, kind: type, topic: str, callback: Any, *_: Any, **__: Any) -> None:
        self.ask = callback

    def create_client(self, kind: type, name: str) -> Any:
        return SimpleNamespace(srv_name=name)


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    shown = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: shown[0])
    return shown


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, bool]]:
    """What motion_node was told."""
    told: list[tuple[int, bool]] = []

    def call(client: Any, request: Any, *_: Any, **__: Any) -> Any:
        if client.srv_name == ANSWER:
            assert isinstance(request, AnswerQuestion.Request)
            told.append((request.id, request.consent))
        return SimpleNamespace(success=True, message="stopped")

    monkeypatch.setattr(question_client, "call_service", call)
    return told


def test_a_yes_that_was_typed_for_one_question_is_none_to_the_next(
    seconds: list[float], answers: list[tuple[int, bool]]
) -> None:
    node, shown = Listening(), list[str]()
    client = QuestionClient(node, shown.append)  # type: ignore[arg-type]
    node.ask(MotionQuestion(id=1, text="to the box"))
    seconds[0] += 30.0
    node.ask(MotionQuestion(id=0))
    assert client.take("y") == "nothing is asked"
    node.ask(MotionQuestion(id=2, text="somewhere else"))
    seconds[0] += 0.9 * UNREAD
    assert "shown only now: read it, and answer again" in client.take("y\n")
    assert answers == []
    seconds[0] += 0.2 * UNREAD
    assert client.take("yes\n") == "it may begin"
    assert answers == [(2, True)]
    assert shown == ["to the box", "somewhere else"]


def test_a_no_and_a_stop_count_at_once(seconds: list[float], answers: list[tuple[int, bool]]) -> None:
    node = Listening()
    client = QuestionClient(node, lambda _: None)  # type: ignore[arg-type]
    node.ask(MotionQuestion(id=7, text="to the box"))
    assert client.take("n") == "declined"
    assert answers == [(7, False)]
    assert client.take("stop") == "stopped"


@pytest.mark.usefixtures("seconds")
def test_what_is_typed_while_a_question_is_being_shown_answers_none(answers: list[tuple[int, bool]]) -> None:
    node, said = Listening(), list[str]()

    def show(_: str) -> None:
        said.append(client.take("y"))

    client = QuestionClient(node, show)  # type: ignore[arg-type]
    node.ask(MotionQuestion(id=3, text="to the box"))
    assert said == ["this question was shown only now: read it, and answer again"]
    assert answers == []
