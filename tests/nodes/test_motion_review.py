"""What motion_node shows and asks: of what a node before it left behind, and of what is over, nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from mini_diffuser_msgs.msg import MotionQuestion
from rclpy.node import Node
from visualization_msgs.msg import Marker, MarkerArray

from mini_diffuser_ros.motion import MotionPlanner
from mini_diffuser_ros.nodes.motion.motion_review import MotionReview
from mini_diffuser_ros.nodes.motion.question_client import PLANNED, QUESTION
from mini_diffuser_ros.nodes.ros.action_goal import poll
from mini_diffuser_ros.nodes.ros.client_node import client_node
from mini_diffuser_ros.nodes.ros.qos import LATCHED
from mini_diffuser_ros.robots import load_robot
from mini_diffuser_ros.running.keyframe_motion import PlannedMotion
from mini_diffuser_ros.support.cancellation import CancellationToken

PATIENCE = 20.0  # seconds
PANDA = load_robot("panda")


@pytest.fixture
def node(domain_id: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    monkeypatch.setenv("ROS_DOMAIN_ID", str(domain_id))
    with client_node("motion_node", threads=4) as made:
        yield made


def until(so: Callable[[], Any]) -> None:
    assert poll(lambda: bool(so()), CancellationToken(), PATIENCE)


def heard_by(node: Node, kind: type, topic: str) -> list[Any]:
    heard: list[Any] = []
    node.create_subscription(kind, topic, heard.append, LATCHED)
    return heard


def is_empty(markers: MarkerArray) -> bool:
    """Whether it takes away what was drawn, in rviz too, and draws nothing."""
    return [marker.action for marker in markers.markers] == [Marker.DELETEALL]


def planned() -> PlannedMotion:
    home = np.array(PANDA.home)
    return PlannedMotion("home", MotionPlanner(PANDA).plan_joints(home + 0.1, home), None)


def test_a_node_that_begins_takes_back_a_question_and_a_motion_of_one_before(node: Node) -> None:
    questions, markers = heard_by(node, MotionQuestion, QUESTION), heard_by(node, MarkerArray, PLANNED)
    node.create_publisher(MotionQuestion, QUESTION, LATCHED).publish(MotionQuestion(id=7, text="may it begin?"))
    until(lambda: questions and questions[-1].id == 7)
    MotionReview(node, PANDA, True, 1.0)
    until(lambda: questions[-1].id == 0 and markers and is_empty(markers[-1]))


def test_what_was_planned_is_shown_until_it_is_over_to_who_comes_late_too(node: Node) -> None:
    review = MotionReview(node, PANDA, False, 1.0)
    markers = heard_by(node, MarkerArray, PLANNED)
    assert review(planned(), CancellationToken(), lambda *_: None)
    until(lambda: markers and len(markers[-1].markers) == 3)
    review.clear()
    until(lambda: is_empty(markers[-1]))
    late = heard_by(node, MarkerArray, PLANNED)
    until(lambda: late)
    assert all(map(is_empty, late))
