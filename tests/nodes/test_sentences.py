"""The newest sentence is obeyed, one at a time, and every one can be interrupted from its acceptance to its end."""

from __future__ import annotations

import threading
import time
import uuid

import pytest
from action_msgs.msg import GoalStatus
from mini_diffuser_msgs.action import ExecuteInstruction
from rclpy.action import CancelResponse
from unique_identifier_msgs.msg import UUID

from mini_diffuser_ros.nodes.policy.sentences import Result, Sentences
from mini_diffuser_ros.support.awake import AwakeClock
from mini_diffuser_ros.support.cancellation import CancellationToken, InterruptionError


class Goal:
    """The part of a goal handle that counts."""

    def __init__(self, instruction: str) -> None:
        self.goal_id = UUID(uuid=list(uuid.uuid4().bytes))
        self.request = ExecuteInstruction.Goal(instruction=instruction)
        self.status = GoalStatus.STATUS_ACCEPTED


def outcome_of(token: CancellationToken) -> int | None:
    """With which outcome a token was interrupted."""
    try:
        token.check()
    except InterruptionError as interruption:
        return interruption.outcome
    return None


def test_a_newer_sentence_preempts_and_a_refused_one_does_not() -> None:
    sentences = Sentences(max_length=20)
    first = sentences.begin(Goal("press the button"))
    refused = sentences.begin(Goal("press " * 9))
    assert (outcome_of(first), outcome_of(refused)) == (None, Result.REFUSED)
    second = sentences.begin(Goal("press another"))
    assert (outcome_of(first), outcome_of(second)) == (Result.PREEMPTED, None)


def test_the_same_sentence_again_changes_nothing_while_it_is_obeyed() -> None:
    sentences, goal = Sentences(30), Goal("press the button")
    first = sentences.begin(goal)
    again = [sentences.begin(Goal(text)) for text in ("press the button", " press the button\n")]
    assert [outcome_of(token) for token in (first, *again)] == [None, Result.ALREADY, Result.ALREADY]
    assert sentences.is_obeyed("press the button")
    other = sentences.begin(Goal("press another"))
    assert (outcome_of(first), outcome_of(other)) == (Result.PREEMPTED, None)
    assert not sentences.is_obeyed("press the button")
    goal = Goal("press the button")
    back = sentences.begin(goal)
    assert (outcome_of(other), outcome_of(back)) == (Result.PREEMPTED, None)
    with sentences.of(goal):
        pass
    assert outcome_of(sentences.begin(Goal("press the button"))) is None  # it has ended


def test_a_sentence_that_waited_for_a_node_that_hung_is_not_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = [50.0]
    monkeypatch.setattr(time, "monotonic", lambda: shown[0])
    awake = AwakeClock()
    sentences = Sentences(30, awake)
    first = sentences.begin(Goal("press the button"))
    shown[0] += 8.0
    late = sentences.begin(Goal("press another"))
    assert (outcome_of(first), outcome_of(late)) == (None, Result.REFUSED)
    with pytest.raises(InterruptionError, match="waited while policy_node stood still for 8 s: say it again"):
        late.check()
    assert sentences.is_obeyed("press the button")
    for _ in range(15):  # looks of the node
        shown[0] += 0.08
        awake.look()
    assert outcome_of(sentences.begin(Goal("press another"))) is None


def test_a_goal_can_be_canceled_from_its_acceptance_to_its_end() -> None:
    sentences, goal = Sentences(20), Goal("press")
    token = sentences.begin(goal)
    goal.status = GoalStatus.STATUS_EXECUTING
    assert sentences.cancel(goal, Result.CANCELED) == CancelResponse.ACCEPT
    assert outcome_of(token) == Result.CANCELED
    with sentences.of(goal):
        pass
    assert sentences.cancel(goal, Result.CANCELED) == CancelResponse.REJECT


def test_a_goal_that_is_canceled_as_soon_as_its_client_knows_of_it_ends() -> None:
    sentences, goal = Sentences(20), Goal("press")
    assert sentences.cancel(goal, Result.CANCELED) == CancelResponse.ACCEPT
    assert outcome_of(sentences.begin(goal)) == Result.CANCELED


def test_turns_follow_each_other_and_an_interrupted_wait_ends_at_once() -> None:
    sentences = Sentences(20)
    first, second, third = CancellationToken(), CancellationToken(), CancellationToken()
    order: list[str] = []
    goal = Goal("third")
    third = sentences.begin(goal)

    def take_turn() -> None:
        with sentences.turn(third):
            order.append("third")

    with sentences.turn(first):
        second.interrupt(Result.PREEMPTED, "preempted")
        with pytest.raises(InterruptionError), sentences.turn(second):
            order.append("second")
        waiting = threading.Thread(target=take_turn)
        waiting.start()
        order.append("first")
    waiting.join(30.0)
    assert order == ["first", "third"]


def test_a_turn_that_raises_is_given_back() -> None:
    sentences = Sentences(20)
    with pytest.raises(ValueError, match="bug"), sentences.turn(CancellationToken()):
        raise ValueError("bug")
    with sentences.turn(CancellationToken()):
        pass
