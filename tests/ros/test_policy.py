"""policy_node on its own: sentences that are refused, that wait, and that take over."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mini_diffuser_msgs.action import ExecuteInstruction
from std_msgs.msg import String

from .conftest import Peer, Process

EXECUTE = "/mini_diffuser/execute"
Result = ExecuteInstruction.Result


@pytest.fixture(scope="module", autouse=True)
def policy(start: Callable[..., Process], checkpoint: Path) -> Process:
    return start("policy_node", checkpoint=checkpoint, cloud_timeout=2.0, threads=1)


@pytest.mark.parametrize(("sentence", "reason"), [("", "empty"), ("   ", "empty"), ("press " * 100, "599 characters")])
def test_sentences_that_are_none_are_refused(peer: Peer, sentence: str, reason: str) -> None:
    result = peer.execute(ExecuteInstruction, EXECUTE, instruction=sentence)
    assert (result.outcome, result.keyframes) == (Result.REFUSED, 0)
    assert reason in result.message


def test_a_sentence_before_the_first_cloud_waits_and_then_fails_with_the_reason(peer: Peer) -> None:
    feedback: list[Any] = []
    result = peer.execute(ExecuteInstruction, EXECUTE, feedback.append, instruction="press the blue button")
    assert result.outcome == Result.FAILED
    assert "no cloud on mini_diffuser/cloud within 2.0 s" in result.message
    assert [(f.phase, f.message) for f in feedback] == [("waiting", "no cloud yet")]


def test_a_newer_sentence_takes_over(peer: Peer) -> None:
    older = peer.send(ExecuteInstruction, EXECUTE, instruction="press the blue button")
    newer = peer.send(ExecuteInstruction, EXECUTE, instruction="press the red button")
    result = peer.result_of(older.get_result_async()).result
    assert result.outcome == Result.PREEMPTED
    assert "press the red button" in result.message
    assert peer.result_of(newer.get_result_async()).result.outcome == Result.FAILED


def test_a_refused_sentence_takes_over_nothing(peer: Peer) -> None:
    older = peer.send(ExecuteInstruction, EXECUTE, instruction="press the blue button")
    assert peer.execute(ExecuteInstruction, EXECUTE, instruction="").outcome == Result.REFUSED
    assert peer.result_of(older.get_result_async()).result.outcome == Result.FAILED


def test_a_canceled_sentence_says_so(peer: Peer) -> None:
    handle = peer.send(ExecuteInstruction, EXECUTE, instruction="press the blue button")
    peer.result_of(handle.cancel_goal_async())
    assert peer.result_of(handle.get_result_async()).result.outcome == Result.CANCELED


def test_a_sentence_on_the_topic_is_taken_up(peer: Peer, policy: Process) -> None:
    active = peer.collect(String, "/mini_diffuser/active_instruction")
    publisher = peer.node.create_publisher(String, "/mini_diffuser/instruction", 10)
    peer.await_that(lambda: publisher.get_subscription_count() == 1)
    publisher.publish(String(data="press the green button"))
    peer.await_that(lambda: [message.data for message in active][-1:] == ["press the green button"])
    peer.await_that(lambda: "'press the green button': no cloud" in policy.said())
