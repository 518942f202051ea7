"""Publishers, subscriptions and the graph."""

from __future__ import annotations

import os
import threading
from array import array
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from geometry_msgs.msg import PoseStamped
from rclpy.duration import Duration
from rclpy.exceptions import InvalidTopicNameException
from rclpy.node import NodeNameNonExistentError
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSPresetProfiles,
    QoSProfile,
    ReliabilityPolicy,
    qos_profile_sensor_data,
)
from sensor_msgs.msg import CameraInfo, Image, JointState, PointField
from std_msgs.msg import Float64MultiArray, Header, String
from std_srvs.srv import SetBool, Trigger

from .conftest import PATIENCE, Ros

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks


def test_messages_have_defaults_and_constants() -> None:
    assert PoseStamped().pose.orientation.w == 1.0
    assert Header(frame_id="base", stamp=Time(sec=1)) == Header(frame_id="base", stamp=Time(sec=1))
    assert Header(frame_id="base") != Header()
    assert PointField.FLOAT32 == 7
    assert list(CameraInfo().k) == [0.0] * 9
    assert JointState().position == array("d")
    assert String().data == ""


def test_a_message_arrives_as_it_was_sent(ros: Ros) -> None:
    node = ros.node("node")
    received: list[JointState] = []
    node.create_subscription(JointState, "joints", received.append, 10)
    publisher = node.create_publisher(JointState, "joints", 10)
    sent = JointState(name=["a", "ä"], position=[0.5, -1.0])
    sent.header.frame_id = "base"
    sent.header.stamp.sec = -5
    assert ros.deliver(publisher, sent, received) == sent
    assert received[0].position == array("d", [0.5, -1.0])


def test_another_participant_receives_a_large_image(ros: Ros) -> None:
    received: list[Image] = []
    ros.node("receiver").create_subscription(Image, "image", received.append, qos_profile_sensor_data)
    publisher = ros.far_node("sender").create_publisher(Image, "image", qos_profile_sensor_data)
    pixels = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    message = Image(height=256, width=256, encoding="rgb8", step=768)
    message.data = pixels.tobytes()
    assert bytes(ros.deliver(publisher, message, received).data) == pixels.tobytes()


def test_numbers_may_come_as_array_or_list(ros: Ros) -> None:
    received: list[Float64MultiArray] = []
    node = ros.node("node")
    node.create_subscription(Float64MultiArray, "numbers", received.append, 10)
    publisher = node.create_publisher(Float64MultiArray, "numbers", 10)
    for values in ([0.5, 1.5], array("d", [0.5, 1.5]), np.array([0.5, 1.5]).tolist()):
        received.clear()
        assert ros.deliver(publisher, Float64MultiArray(data=values), received).data == array("d", [0.5, 1.5])


def test_late_joiners_receive_what_was_latched(ros: Ros) -> None:
    latched = QoSProfile(depth=2, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    publisher = ros.far_node("sender").create_publisher(String, "map", latched)
    for text in ("lost", "first", "second"):
        publisher.publish(String(data=text))
    received: list[str] = []
    ros.node("late").create_subscription(String, "map", lambda message: received.append(message.data), latched)
    ros.spin_until(lambda: len(received) == 2)
    assert received == ["first", "second"]


def test_keep_last_keeps_the_newest(ros: Ros) -> None:
    node = ros.node("node")
    received: list[int] = []
    node.create_subscription(String, "numbers", lambda message: received.append(int(message.data)), 3)
    publisher = node.create_publisher(String, "numbers", 100)
    ros.deliver(publisher, String(data="0"), received)
    for number in range(1, 20):
        publisher.publish(String(data=str(number)))
    ros.spin_until(lambda: received[-1] == 19)
    assert received == sorted(received)


def test_keep_all_keeps_everything(ros: Ros) -> None:
    every = QoSProfile(history=HistoryPolicy.KEEP_ALL, reliability=ReliabilityPolicy.RELIABLE)
    node = ros.node("node")
    received: list[int] = []
    node.create_subscription(String, "numbers", lambda message: received.append(int(message.data)), every)
    publisher = node.create_publisher(String, "numbers", every)
    ros.deliver(publisher, String(data="0"), received)
    for number in range(1, 30):
        publisher.publish(String(data=str(number)))
    ros.spin_until(lambda: received[-1] == 29)
    assert received[-30:] == list(range(30))


@pytest.mark.parametrize(
    ("offered", "requested", "policy"),
    [
        ({"reliability": ReliabilityPolicy.BEST_EFFORT}, {}, "RELIABILITY"),
        ({}, {"durability": DurabilityPolicy.TRANSIENT_LOCAL}, "DURABILITY"),
        ({"deadline": Duration(seconds=2)}, {"deadline": Duration(seconds=1)}, "DEADLINE"),
    ],
)
def test_incompatible_qos_is_told_to_both_sides(
    ros: Ros, offered: dict[str, Any], requested: dict[str, Any], policy: str
) -> None:
    from rclpy.qos import qos_policy_name_from_kind

    told: dict[str, Any] = {}
    subscription = SubscriptionEventCallbacks(incompatible_qos=lambda info: told.setdefault("subscription", info))
    publisher = PublisherEventCallbacks(incompatible_qos=lambda info: told.setdefault("publisher", info))
    node, far = ros.node("node"), ros.far_node("far")
    node.create_subscription(
        String, "chatter", lambda message: None, QoSProfile(depth=1, **requested), event_callbacks=subscription
    )
    unheard = far.create_publisher(String, "chatter", QoSProfile(depth=1, **offered), event_callbacks=publisher)
    ros.spin_until(lambda: len(told) == 2)
    for info in told.values():
        # Once, unless what was discovered twice is counted twice.
        assert info.total_count == info.total_count_change >= 1
        assert policy in qos_policy_name_from_kind(info.last_policy_kind)
    assert unheard.get_subscription_count() == 0


def test_incompatible_qos_is_told_by_the_executor(ros: Ros) -> None:
    node = ros.node("node")
    best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    threads: list[Any] = []
    received: list[String] = []

    def ask_for_less(info: Any) -> None:
        threads.append(threading.current_thread())
        node.destroy_subscription(asking)
        node.create_subscription(String, "chatter", received.append, best_effort)

    def fail(info: Any) -> None:
        raise RuntimeError("incompatible")

    publisher = node.create_publisher(String, "chatter", best_effort)
    asking = node.create_subscription(
        String, "chatter", print, 1, event_callbacks=SubscriptionEventCallbacks(incompatible_qos=ask_for_less)
    )
    ros.deliver(publisher, String(data="hello"), received)
    assert threads == [threading.current_thread()]
    failing = SubscriptionEventCallbacks(incompatible_qos=fail)
    node.create_subscription(String, "chatter", print, 1, event_callbacks=failing)
    with pytest.raises(RuntimeError, match="incompatible"):
        ros.spin_until(lambda: False)


@contextmanager
def standard_error(file: Path) -> Iterator[None]:
    """Let a file have what Python and C write there; pytest's captures lose what is written while they are read."""
    kept = os.dup(2)
    with file.open("a") as stream, redirect_stderr(stream):
        os.dup2(stream.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def test_incompatible_qos_is_logged_by_default(ros: Ros, tmp_path: Path) -> None:
    file = tmp_path / "standard_error"
    with standard_error(file):
        ros.node("node").create_subscription(String, "chatter", lambda message: None, 10)
        ros.far_node("far").create_publisher(String, "chatter", qos_profile_sensor_data)
        ros.spin_until(
            lambda: all(f"{what} incompatible QoS" in file.read_text() for what in ("offering", "requesting"))
        )
    assert "RELIABILITY" in file.read_text()
    assert "chatter" in file.read_text()


def test_a_subscription_may_ask_for_less_than_is_offered(ros: Ros) -> None:
    received: list[String] = []
    node = ros.node("node")
    node.create_subscription(String, "chatter", received.append, qos_profile_sensor_data)
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    ros.deliver(node.create_publisher(String, "chatter", latched), String(data="hello"), received)


def test_publishing_another_type_is_refused(ros: Ros) -> None:
    publisher = ros.node("node").create_publisher(String, "chatter", 10)
    with pytest.raises(TypeError):
        publisher.publish(JointState())


@pytest.mark.parametrize("name", ["a b", "1st", "a//b", "a/", "a~b"])
def test_malformed_topic_names_are_refused(ros: Ros, name: str) -> None:
    with pytest.raises(InvalidTopicNameException):
        ros.node("node").create_publisher(String, name, 10)


def test_names_are_resolved_in_the_namespace_and_remapped(ros: Ros) -> None:
    words = ["--ros-args", "-r", "chatter:=talk", "-r", "__ns:=/robot", "-r", "__node:=renamed", "-r", "/fixed:=/moved"]
    node = ros.node("node", cli_args=words)
    assert node.get_fully_qualified_name() == "/robot/renamed"
    assert (node.get_name(), node.get_namespace()) == ("renamed", "/robot")
    assert node.create_publisher(String, "chatter", 10).topic_name == "/robot/talk"
    assert node.create_publisher(String, "~/private", 10).topic_name == "/robot/renamed/private"
    assert node.create_publisher(String, "/global", 10).topic_name == "/global"
    assert node.create_publisher(String, "/fixed", 10).topic_name == "/moved"
    assert node.resolve_topic_name("chatter") == "/robot/talk"


def test_a_remapping_may_be_for_one_node(ros: Ros) -> None:
    words = ["--ros-args", "-r", "one:chatter:=talk"]
    assert ros.node("one", cli_args=words).resolve_topic_name("chatter") == "/talk"
    assert ros.node("two", cli_args=words).resolve_topic_name("chatter") == "/chatter"


def test_a_remapping_may_be_for_topics_or_services_alone(ros: Ros) -> None:
    words = ("-r", "rostopic://a:=b", "-r", "rosservice://a:=c", "-r", "node:rosservice://d:=e", "-r", "f:=g")
    node = ros.node("node", cli_args=["--ros-args", *words])
    assert [node.resolve_topic_name(name) for name in "adf"] == ["/b", "/d", "/g"]
    assert [node.resolve_service_name(name) for name in "adf"] == ["/c", "/e", "/g"]


@pytest.mark.parametrize(
    "rule",
    [
        *("a", "a:=", ":=a", "a:=b:=c", "a b:=c", "a:=b c", "a:=b/", "1a:=b", "a:=1b", "a:=b//c", "{node}:=a"),
        *("__a:=b", "__ns:=a", "__node:=a b", "__node:=/a", "/a:b:=c", "rostopic://a:=rostopic://b"),
    ],
)
def test_malformed_remappings_are_refused(ros: Ros, rule: str) -> None:
    with pytest.raises(RuntimeError, match="remap"):
        ros.node("node", cli_args=["--ros-args", "-r", rule])


def test_unknown_substitutions_are_refused(ros: Ros) -> None:
    node = ros.node("node", namespace="/space")
    assert node.resolve_topic_name("{ns}/{node}/a") == "/space/node/a"
    with pytest.raises(RuntimeError, match=r"substitution: \{nothing\}"):
        node.resolve_topic_name("{nothing}/a")


def test_nodes_of_one_name_are_counted(ros: Ros) -> None:
    observer, _, twin = ros.node("observer"), ros.node("twin"), ros.node("twin")
    far = ros.far_node("far")
    for each in (observer, far):
        ros.spin_until(lambda each=each: each.get_node_names().count("twin") == 2)
    twin.destroy_node()
    for each in (observer, far):
        ros.spin_until(lambda each=each: each.get_node_names().count("twin") == 1)


def test_a_node_is_waited_for(ros: Ros) -> None:
    node = ros.node("node", namespace="/space")
    assert node.wait_for_node("space/node", timeout=PATIENCE)
    assert not node.wait_for_node("/nobody", timeout=0.01)
    assert "/space/node" in node.get_fully_qualified_node_names()


def test_one_message_is_waited_for(ros: Ros) -> None:
    from rclpy.wait_for_message import wait_for_message

    node = ros.node("node")
    assert wait_for_message(String, node, "nothing", time_to_wait=0.01) == (False, None)
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    node.create_publisher(String, "chatter", latched).publish(String(data="hello"))
    found = wait_for_message(String, node, "chatter", qos_profile=latched, time_to_wait=PATIENCE)
    assert found == (True, String(data="hello"))


def test_policies_have_short_keys() -> None:
    assert ReliabilityPolicy.BEST_EFFORT.short_key == "best_effort"
    assert DurabilityPolicy.get_from_short_key("Transient_Local") == DurabilityPolicy.TRANSIENT_LOCAL
    assert "keep_last" in HistoryPolicy.short_keys()
    assert QoSPresetProfiles.get_from_short_key("sensor_data") == qos_profile_sensor_data


def test_the_graph_shows_nodes_and_topics(ros: Ros) -> None:
    far = ros.far_node("far", namespace="/away")
    publisher = far.create_publisher(String, "news", qos_profile_sensor_data)
    node = ros.node("near")
    ros.spin_until(lambda: ("/away/news", ["std_msgs/msg/String"]) in node.get_topic_names_and_types())
    ros.spin_until(lambda: ("far", "/away") in node.get_node_names_and_namespaces())
    ros.spin_until(lambda: [one.node_name for one in node.get_publishers_info_by_topic("/away/news")] == ["far"])
    (info,) = node.get_publishers_info_by_topic("/away/news")
    assert (info.node_namespace, info.topic_type) == ("/away", "std_msgs/msg/String")
    assert info.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
    assert node.count_publishers("/away/news") == 1
    assert node.count_subscribers("/away/news") == 0
    far.destroy_publisher(publisher)
    ros.spin_until(lambda: node.count_publishers("/away/news") == 0)


def test_the_graph_tells_what_a_node_does(ros: Ros) -> None:
    far, node = ros.far_node("far", namespace="/away"), ros.node("near")
    far.create_publisher(String, "news", 10)
    far.create_subscription(Image, "view", lambda message: None, 10)
    far.create_service(Trigger, "check", lambda request, response: response)
    far.create_client(SetBool, "switch")
    news, view = ("/away/news", ["std_msgs/msg/String"]), ("/away/view", ["sensor_msgs/msg/Image"])
    check, switch = ("/away/check", ["std_srvs/srv/Trigger"]), ("/away/switch", ["std_srvs/srv/SetBool"])
    ros.spin_until(lambda: ("far", "/away") in node.get_node_names_and_namespaces())
    ros.spin_until(lambda: news in node.get_publisher_names_and_types_by_node("far", "/away"))
    ros.spin_until(lambda: view in node.get_subscriber_names_and_types_by_node("far", "/away"))
    ros.spin_until(lambda: check in node.get_service_names_and_types_by_node("far", "/away"))
    ros.spin_until(lambda: switch in node.get_client_names_and_types_by_node("far", "/away"))
    assert view not in node.get_publisher_names_and_types_by_node("far", "/away")
    assert switch not in node.get_service_names_and_types_by_node("far", "/away")
    with pytest.raises(NodeNameNonExistentError):
        node.get_publisher_names_and_types_by_node("nobody", "/away")


def test_a_destroyed_subscription_hears_nothing(ros: Ros) -> None:
    node = ros.node("node")
    gone: list[String] = []
    received: list[String] = []
    node.destroy_subscription(node.create_subscription(String, "chatter", gone.append, 10))
    node.create_subscription(String, "chatter", received.append, 10)
    publisher = node.create_publisher(String, "chatter", 10)
    ros.deliver(publisher, String(data="hello"), received)
    assert gone == []
    assert publisher.get_subscription_count() == 1


def test_messages_pass_as_bytes(ros: Ros) -> None:
    received: list[Any] = []
    node = ros.node("node")
    node.create_subscription(String, "chatter", received.append, 10, raw=True)
    data = ros.deliver(node.create_publisher(String, "chatter", 10), String(data="hello"), received)
    assert isinstance(data, bytes)
    assert b"hello" in data
