"""Hearing for the page: whatever a message makes of who takes it, the node goes on."""

from __future__ import annotations

from typing import Any

import pytest
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from std_msgs.msg import String

from mini_diffuser_ros.nodes.page import readable_topics
from mini_diffuser_ros.nodes.page.readable_topics import AGAIN_AFTER, ReadableTopics
from mini_diffuser_ros.nodes.ros.action_goal import poll
from mini_diffuser_ros.nodes.ros.client_node import client_node
from mini_diffuser_ros.nodes.ros.messages import MalformedMessageError
from mini_diffuser_ros.support.cancellation import CancellationToken
from mini_diffuser_ros.viewing.live.run_state import RunState

PATIENCE = 20.0  # seconds


def lines_of(state: RunState) -> list[str]:
    return [line.partition(" ")[2] for line in state.values()["lines"]]


def test_a_message_that_breaks_who_takes_it_is_a_line_and_the_next_is_taken(
    domain_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", str(domain_id))
    taken: list[str] = []

    def take(message: Any) -> None:
        taken.append(message.data)
        if message.data == "odd":
            raise OverflowError("a number\nof two lines")

    with client_node("page") as node:
        state = RunState()
        topics = ReadableTopics(node, state)
        topics.subscribe(String, "words", take, 10, MutuallyExclusiveCallbackGroup())
        publisher = node.create_publisher(String, "words", 10)
        assert poll(lambda: publisher.get_subscription_count() > 0, CancellationToken(), PATIENCE)
        for word in ("odd", "odd", "even"):
            publisher.publish(String(data=word))
        assert poll(lambda: len(taken) == 3, CancellationToken(), PATIENCE)
        assert lines_of(state) == ["words cannot be read: OverflowError: a number of two lines"]


def test_a_fault_is_said_again_when_its_topic_was_well_for_long(
    domain_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", str(domain_id))
    now = 100.0
    monkeypatch.setattr(readable_topics.time, "monotonic", lambda: now)

    def fail() -> None:
        raise MalformedMessageError("too short")

    with client_node("page") as node:
        state = RunState()
        topics = ReadableTopics(node, state)
        for _ in range(3):
            topics.read("cloud", fail)
            now += 0.9 * AGAIN_AFTER
        topics.read("picture", fail)
        assert topics.read("cloud", lambda: 7) == 7
        now += AGAIN_AFTER
        topics.read("cloud", fail)
    assert lines_of(state) == [f"{topic} cannot be read: too short" for topic in ("cloud", "picture", "cloud")]


def test_another_fault_of_the_same_topic_is_said_and_other_numbers_are_the_same_fault(
    domain_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", str(domain_id))
    faults = iter(["holds 7 bytes", "holds 8 bytes", "is big-endian", "holds 9 bytes"])

    def fail() -> None:
        raise MalformedMessageError(next(faults))

    with client_node("page") as node:
        state = RunState()
        topics = ReadableTopics(node, state)
        for _ in range(4):
            topics.read("cloud", fail)
    assert lines_of(state) == ["cloud cannot be read: holds 7 bytes", "cloud cannot be read: is big-endian"]


def test_texts_without_end_are_not_remembered_without_end(domain_id: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", str(domain_id))
    monkeypatch.setattr(readable_topics, "MOST_KINDS", 3)

    def fail(letters: str) -> None:
        raise MalformedMessageError(letters)

    with client_node("page") as node:
        state = RunState()
        topics = ReadableTopics(node, state)
        for number in range(20):
            topics.read("cloud", lambda number=number: fail(chr(ord("a") + number)))
    assert [line[-1] for line in lines_of(state)] == ["a", "b", "c", "d"]
