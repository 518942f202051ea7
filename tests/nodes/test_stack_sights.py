"""What the page says of the arm, by joint states as drivers publish them."""

from __future__ import annotations

import math

import pytest
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import JointState

from mini_diffuser_ros.nodes.page.readable_topics import ReadableTopics
from mini_diffuser_ros.nodes.page.stack_listener import StackListener
from mini_diffuser_ros.nodes.page.stack_sights import StackSights
from mini_diffuser_ros.nodes.ros.action_goal import poll
from mini_diffuser_ros.nodes.ros.client_node import client_node
from mini_diffuser_ros.support.cancellation import CancellationToken
from mini_diffuser_ros.viewing.live.parts import NewestParts
from mini_diffuser_ros.viewing.live.run_state import RunState

PATIENCE = 20.0  # seconds
FINGER = JointState(name=["panda_finger_joint1"], position=[0.01], velocity=[0.0])


@pytest.mark.parametrize(
    ("arm", "said"),
    [
        ([0.5], "moving, fastest joint 0.50 rad/s"),
        ([0.001], "at rest"),
        ([], "joint states without velocities: whether it moves is not known"),
        ([math.nan], "joint states without velocities: whether it moves is not known"),
    ],
)
def test_an_arm_rests_only_where_it_was_measured_whatever_its_fingers_say(
    arm: list[float], said: str, domain_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", str(domain_id))
    messages = [JointState(name=["panda_joint1"], position=[0.0], velocity=arm), *([FINGER] if arm else [])]
    with client_node("page", threads=2) as node:
        state = RunState()
        topics = ReadableTopics(node, state)
        sights = StackSights(node, NewestParts(), state, StackListener(node, state, topics), topics)
        publisher = node.create_publisher(JointState, "joint_states", qos_profile_sensor_data)
        sights.open()

        def says_so() -> bool:
            for message in messages:
                publisher.publish(message)
            sights.pack()
            return bool(state.values()["arm"] == said)

        assert poll(says_so, CancellationToken(), PATIENCE), state.values()["arm"]
