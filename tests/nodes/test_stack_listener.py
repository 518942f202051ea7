"""What the page makes of the words of a stack: who said them has to be there, and a world has to see what was done."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from geometry_msgs.msg import Point
from mini_diffuser_msgs.action import ExecuteInstruction
from mini_diffuser_msgs.msg import MotionQuestion
from rclpy.action import ActionClient, ActionServer
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from std_msgs.msg import Bool, String
from visualization_msgs.msg import Marker, MarkerArray

from mini_diffuser_ros.nodes.motion.question_client import PLANNED, QUESTION
from mini_diffuser_ros.nodes.page import stack_listener
from mini_diffuser_ros.nodes.page.readable_topics import ReadableTopics
from mini_diffuser_ros.nodes.page.stack_listener import EXECUTE, StackListener
from mini_diffuser_ros.nodes.recording.followed_run import INSTRUCTION
from mini_diffuser_ros.nodes.ros.action_goal import poll
from mini_diffuser_ros.nodes.ros.client_node import client_node
from mini_diffuser_ros.nodes.ros.qos import LATCHED
from mini_diffuser_ros.running.world_verdict import JUDGED, SUCCESS
from mini_diffuser_ros.support.cancellation import CancellationToken
from mini_diffuser_ros.viewing.live.run_state import CONFIRMS, DENIES, RunState

PATIENCE = 20.0  # seconds
SENTENCE = "press the red button"
Result = ExecuteInstruction.Result


class Stack:
    """A policy that obeys until it is told how that ends, a world, a motion; and a page's listener."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.state = RunState()
        self._ends = threading.Event()
        self._outcome = Result.TERMINATED
        self._active = node.create_publisher(String, INSTRUCTION, LATCHED)
        self._markers = node.create_publisher(MarkerArray, PLANNED, LATCHED)
        self.question = node.create_publisher(MotionQuestion, QUESTION, LATCHED)
        group = ReentrantCallbackGroup()
        self.server = ActionServer(node, ExecuteInstruction, EXECUTE, self._obey, callback_group=group)
        self._client = ActionClient(node, ExecuteInstruction, EXECUTE, callback_group=group)
        self.listener = StackListener(node, self.state, ReadableTopics(node, self.state))
        self.until(self._client.server_is_ready)

    def _obey(self, goal: Any) -> Any:
        self._active.publish(String(data=goal.request.instruction))
        self._ends.wait(PATIENCE)
        goal.succeed()
        return Result(outcome=self._outcome, message="done", keyframes=3, seconds=2.0)

    def until(self, so: Callable[[], Any]) -> None:
        assert poll(lambda: bool(so()), CancellationToken(), PATIENCE), self.state.values()

    def begin(self) -> None:
        self._ends.clear()
        self._client.send_goal_async(ExecuteInstruction.Goal(instruction=SENTENCE))
        self.until(lambda: self.state.values()["phase"])

    def end(self, outcome: int = Result.TERMINATED) -> dict[str, Any]:
        self._outcome = outcome
        self._ends.set()
        self.until(lambda: self.ended)
        return self.ended

    @property
    def ended(self) -> Any:
        return self.state.values()["ended"]

    def plan(self) -> None:
        """Show a motion."""
        places = [Point(x=0.1), Point(x=0.5)]
        self._markers.publish(MarkerArray(markers=[Marker(type=Marker.LINE_STRIP, ns="arm", points=places)]))
        self.until(lambda: self.listener.planned)


class World:
    """A simulated one, by what it says."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._done = stack.node.create_publisher(Bool, SUCCESS, LATCHED)
        self._judged = stack.node.create_publisher(String, JUDGED, LATCHED)
        self._heard: list[bool] = []
        stack.node.create_subscription(Bool, SUCCESS, lambda message: self._heard.append(message.data), LATCHED)
        stack.until(lambda: self._done.get_subscription_count() == 2)

    def say(self, done: bool, judged: str = SENTENCE) -> None:
        known = len(self._heard)
        self._judged.publish(String(data=judged))
        self._done.publish(Bool(data=done))
        self._stack.until(lambda: len(self._heard) > known)


@pytest.fixture
def stack(domain_id: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    monkeypatch.setenv("ROS_DOMAIN_ID", str(domain_id))
    with client_node("policy_node", threads=6) as node:
        yield Stack(node)


@contextmanager
def hurried(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """With looks at who is there as often as they are asked for."""
    with monkeypatch.context() as patch:
        patch.setattr(stack_listener, "LOOKING", 0.0)
        yield


def test_without_a_world_the_policy_alone_says_how_it_ended(stack: Stack) -> None:
    stack.begin()
    assert stack.end() == {"good": True, "text": "TERMINATED: done, 3 keyframes, 2.0 s"}


def test_an_end_that_the_world_does_not_see_is_no_success_and_says_so(stack: Stack) -> None:
    world = World(stack)
    world.say(False)
    stack.begin()
    ended = stack.end()
    assert not ended["good"]
    assert ended["text"].endswith(DENIES)


def test_a_success_of_before_or_of_another_sentence_confirms_nothing(stack: Stack) -> None:
    world = World(stack)
    world.say(True)  # it was done already
    stack.begin()
    assert not stack.end()["good"]
    world.say(False)
    stack.begin()
    world.say(True, judged="press the blue button")
    assert not stack.end()["good"]


def test_what_the_world_sees_done_counts_and_stays_when_the_table_is_laid_anew(stack: Stack) -> None:
    world = World(stack)
    world.say(False)
    stack.begin()
    stack.end()
    world.say(True)  # a moment later, as things come to rest
    stack.until(lambda: stack.ended["good"])
    assert stack.ended["text"].endswith(CONFIRMS)
    world.say(False)
    stack.until(lambda: stack.ended["good"])


def test_what_comes_long_after_the_end_is_not_of_it(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack_listener, "CONFIRMING", -1.0)
    world = World(stack)
    world.say(False)
    stack.begin()
    stack.end()
    world.say(True)
    stack.begin()
    stack.end()  # which the world said before it
    assert not stack.ended["good"]


def test_a_dry_run_needs_no_world_to_see_it_done(stack: Stack) -> None:
    World(stack).say(False)
    stack.begin()
    assert stack.end(Result.PLANNED)["good"]


def test_nothing_is_planned_after_the_end(stack: Stack) -> None:
    stack.begin()
    stack.plan()
    stack.end()
    assert stack.listener.planned == []


def test_a_sentence_whose_policy_is_gone_has_ended(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    with hurried(monkeypatch):
        stack.begin()
        stack.plan()
        stack.listener.look()
        assert stack.ended is None
        stack.server.destroy()
        ActionServer(stack.node, ExecuteInstruction, EXECUTE, lambda goal: Result())  # started again
        stack.until(lambda: stack.listener.look() or stack.ended)
        assert not stack.ended["good"]
        assert "is gone" in stack.ended["text"]
        assert stack.listener.planned == []


def test_a_question_of_a_node_that_is_gone_is_open_no_more(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    def question() -> Any:
        stack.state.health("motion_node: motion", 0, "asks", {})
        return stack.state.values()["question"]

    with hurried(monkeypatch):
        stack.question.publish(MotionQuestion(id=7, text="may it begin?"))
        stack.until(question)
        stack.listener.look()
        assert question()["id"] == "7"
        stack.node.destroy_publisher(stack.question)
        stack.until(lambda: stack.listener.look() or question() is None)
