"""What the page asks the nodes of a stack once: half an answer is none, and is asked for again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rclpy.node import Node

from mini_diffuser_ros.nodes.page.stack_facts import MotionFacts, motion_facts
from mini_diffuser_ros.nodes.recovery.service_calls import ServiceCalls
from mini_diffuser_ros.nodes.ros.client_node import client_node
from mini_diffuser_ros.running.recovery import RecoveryError

LOWER, UPPER = [0.2, -0.4, 0.0], [0.8, 0.4, 0.6]


class TiredCalls(ServiceCalls):
    """Of which some are not answered in time."""

    def __init__(self, node: Node, answered: list[bool]) -> None:
        super().__init__(node)
        self._answered = iter(answered)

    def call(self, kind: object, name: str, request: object = None) -> object:
        if not next(self._answered):
            raise RecoveryError(f"{name} did not answer")
        return super().call(kind, name, request)


@pytest.fixture
def node(domain_id: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    """A motion_node by its parameters alone, spinning."""
    monkeypatch.setenv("ROS_DOMAIN_ID", str(domain_id))
    with client_node("motion_node", threads=4) as made:
        made.declare_parameter("robot", "panda")
        made.declare_parameter("cell", "")
        made.declare_parameter("planner.workspace.lower", LOWER)
        made.declare_parameter("planner.workspace.upper", UPPER)
        made.declare_parameter("planner.boxes", [0.5, 0.0, 0.1, 0.1, 0.1, 0.2, 0.0])
        yield made


def boxes_of(facts: MotionFacts | None) -> int:
    assert facts is not None
    return len(facts.standing.boxes)


@pytest.mark.parametrize("answered", [[False], [True, False]], ids=["nothing", "half"])
def test_what_is_not_answered_in_time_is_asked_for_again_with_all_boxes(node: Node, answered: list[bool]) -> None:
    assert motion_facts(TiredCalls(node, answered)) is None
    assert boxes_of(motion_facts(TiredCalls(node, [True, True]))) == 1
