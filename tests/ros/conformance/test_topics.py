"""Publishers and subscriptions."""

from __future__ import annotations

from array import array

import numpy as np
import pytest
from rclpy.exceptions import InvalidTopicNameException
from rclpy.node import Node
from rclpy.qos import (
    DurabilityPolicy,
    QoSProfile,
    ReliabilityPolicy,
    qos_profile_sensor_data,
)
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import String

from .conftest import Ros


def test_a_message_arrives_as_it_was_sent(ros: Ros) -> None:
    node = ros.node("node")
    received: list[JointState] = []
    node.create_subscription(JointState, "joints", received.append, 10)
    publisher = node.create_publisher(JointState, "joints", 10)
    sent = JointState(name=["a", "ä"], position=[0.5, -1.0])
    sent.header.frame_id = "base"
    ros.spin_until(publisher.get_subscription_count)
    publisher.publish(sent)
    ros.spin_until(lambda: received)
    assert received == [sent]
    assert received[0].position == array("d", [0.5, -1.0])


def test_another_participant_receives_a_large_image(ros: Ros) -> None:
    other = Node("sender", context=ros.join())
    node = ros.node("receiver")
    received: list[Image] = []
    node.create_subscription(Image, "image", received.append, qos_profile_sensor_data)
    publisher = other.create_publisher(Image, "image", qos_profile_sensor_data)
    pixels = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    message = Image(height=256, width=256, encoding="rgb8", step=768)
    message.data = pixels.tobytes()
    ros.spin_until(publisher.get_subscription_count)

    def arrived() -> bool:
        publisher.publish(message)
        return bool(received)

    ros.spin_until(arrived)
    assert bytes(received[0].data) == pixels.tobytes()
    other.destroy_node()


def test_late_joiners_receive_what_was_latched(ros: Ros) -> None:
    latched = QoSProfile(depth=2, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    other = Node("sender", context=ros.join())
    publisher = other.create_publisher(String, "map", latched)
    for text in ("lost", "first", "second"):
        publisher.publish(String(data=text))
    received: list[str] = []
    ros.node("late").create_subscription(String, "map", lambda message: received.append(message.data), latched)
    ros.spin_until(lambda: len(received) == 2)
    assert received == ["first", "second"]
    other.destroy_node()


def test_keep_last_keeps_the_newest(ros: Ros) -> None:
    node = ros.node("node")
    received: list[str] = []
    node.create_subscription(String, "numbers", lambda message: received.append(message.data), 3)
    publisher = node.create_publisher(String, "numbers", 100)
    ros.spin_until(publisher.get_subscription_count)
    for number in range(20):
        publisher.publish(String(data=str(number)))
    ros.spin_until(lambda: received and received[-1] == "19")
    assert len(received) <= 20
    assert received == sorted(received, key=int)


def test_a_best_effort_publisher_does_not_match_a_reliable_subscription(ros: Ros) -> None:
    node = ros.node("node")
    node.create_subscription(String, "chatter", lambda message: None, 10)
    best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    unheard = node.create_publisher(String, "chatter", best_effort)
    heard = node.create_publisher(String, "chatter", 10)
    ros.spin_until(heard.get_subscription_count)
    assert unheard.get_subscription_count() == 0


def test_publishing_another_type_is_refused(ros: Ros) -> None:
    publisher = ros.node("node").create_publisher(String, "chatter", 10)
    with pytest.raises(TypeError):
        publisher.publish(JointState())


@pytest.mark.parametrize("name", ["a b", "1st", "a//b", "a/", "a~b"])
def test_malformed_topic_names_are_refused(ros: Ros, name: str) -> None:
    with pytest.raises(InvalidTopicNameException):
        ros.node("node").create_publisher(String, name, 10)


def test_names_are_resolved_in_the_namespace_and_remapped(ros: Ros) -> None:
    words = ["--ros-args", "-r", "chatter:=talk", "-r", "__ns:=/robot", "-r", "__node:=renamed"]
    node = ros.node("node", cli_args=words)
    assert node.get_fully_qualified_name() == "/robot/renamed"
    assert node.create_publisher(String, "chatter", 10).topic_name == "/robot/talk"
    assert node.create_publisher(String, "~/private", 10).topic_name == "/robot/renamed/private"
    assert node.create_publisher(String, "/global", 10).topic_name == "/global"


def test_the_graph_shows_nodes_and_topics(ros: Ros) -> None:
    other = Node("other", namespace="/far", context=ros.join())
    other.create_publisher(String, "news", 10)
    node = ros.node("near")
    ros.spin_until(lambda: ("/far/news", ["std_msgs/msg/String"]) in node.get_topic_names_and_types())
    ros.spin_until(lambda: ("other", "/far") in node.get_node_names_and_namespaces())
    assert node.count_publishers("/far/news") == 1
    other.destroy_node()
    ros.spin_until(lambda: node.count_publishers("/far/news") == 0)
