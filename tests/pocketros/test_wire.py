"""What goes over DDS: names, identity, garbage; and that nothing is left behind."""

from __future__ import annotations

import gc
import os
import random
import threading
import time
from collections.abc import Iterator

import pytest
import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy, dds_qos
from rclpy.task import Future
from std_msgs.msg import String
from std_srvs.srv import Trigger

from pocketros.errors import PocketrosError
from pocketros.interfaces.codec import encode
from pocketros.wire.domain import configuration, discovery_range

PATIENCE = 60.0  # seconds; a busy machine takes its time


@pytest.fixture
def context(domain_id: int) -> Iterator[Context]:
    made = Context()
    rclpy.init(args=[], context=made, domain_id=domain_id)
    yield made
    made.try_shutdown()


def test_endpoints_have_the_names_of_ros(context: Context) -> None:
    with Node("node", namespace="/lab", context=context) as node:
        node.create_publisher(String, "chatter", 10)
        node.create_service(Trigger, "check", lambda request, response: response)
        found = {(one.topic_name, one.type_name) for one in context.graph.endpoints()}
    assert ("rt/lab/chatter", "std_msgs::msg::dds_::String_") in found
    assert ("rq/lab/checkRequest", "std_srvs::srv::dds_::Trigger_Request_") in found
    assert ("rr/lab/checkReply", "std_srvs::srv::dds_::Trigger_Response_") in found
    assert ("ros_discovery_info", "rmw_dds_common::msg::dds_::ParticipantEntitiesInfo_") in found


def test_garbage_is_refused_and_the_node_lives(context: Context) -> None:
    node = Node("node", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    received: list[str] = []
    node.create_subscription(String, "in", lambda message: received.append(message.data), 100)
    publisher = node.create_publisher(String, "in", 100)
    good = bytes(encode(String, String(data="good")))
    generator = random.Random(0)
    for _ in range(1000):
        bad = bytearray(good)
        bad[generator.randrange(4, len(bad))] = generator.randrange(256)
        try:
            publisher.publish(bytes(bad[: generator.randrange(4, len(bad) + 1)]))
        except PocketrosError:
            continue  # Cyclone DDS refused to send it
        executor.spin_once(timeout_sec=0.0)
    publisher.publish(good)
    deadline = time.monotonic() + PATIENCE
    while received[-1:] != ["good"] and time.monotonic() < deadline:
        executor.spin_once(timeout_sec=0.05)
    assert received[-1] == "good"
    executor.shutdown()
    node.destroy_node()


def test_incompatible_qos_is_told_in_the_words_of_ros(context: Context, capfd: pytest.CaptureFixture[str]) -> None:
    best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    told: Future = Future()
    from rclpy.event_handler import SubscriptionEventCallbacks

    events = SubscriptionEventCallbacks(incompatible_qos=told.set_result)
    with Node("node", context=context) as node, SingleThreadedExecutor(context=context) as executor:
        executor.add_node(node)
        node.create_subscription(String, "chatter", lambda message: None, 10, event_callbacks=events)
        node.create_publisher(String, "chatter", best_effort)
        executor.spin_until_future_complete(told, PATIENCE)
        assert told.done()
    assert "offering incompatible QoS" not in capfd.readouterr().err


def test_nothing_is_left_behind(domain_id: int) -> None:
    def counts() -> tuple[int, int, int]:
        return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task")), threading.active_count()

    def cycle() -> None:
        made = Context()
        rclpy.init(args=[], context=made, domain_id=domain_id)
        node = Node("node", context=made)
        node.create_subscription(String, "chatter", lambda message: None, 10)
        node.create_client(Trigger, "check")
        node.destroy_node()
        made.shutdown()

    cycle()
    gc.collect()  # what earlier tests left is not to be missed when it goes
    before = counts()
    for _ in range(8):
        cycle()
    # A thread that was joined is in /proc for a moment longer.
    deadline = time.monotonic() + PATIENCE
    while any(now > then for now, then in zip(counts(), before, strict=True)):
        assert time.monotonic() < deadline, f"{counts()}, before {before}"
        time.sleep(0.05)


def test_a_context_is_initialized_and_shut_down_once(context: Context) -> None:
    with pytest.raises(RuntimeError, match="only be called once"):
        context.init(args=[])
    context.shutdown()
    assert not context.ok()
    with pytest.raises(RuntimeError, match="already"):
        context.shutdown()


def test_unconfigured_discovery_stays_on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CYCLONEDDS_URI", "ROS_AUTOMATIC_DISCOVERY_RANGE", "ROS_LOCALHOST_ONLY", "ROS_STATIC_PEERS"):
        monkeypatch.delenv(name, raising=False)
    assert discovery_range() == "LOCALHOST"
    assert 'name="lo"' in configuration() or "127.0.0.1" in configuration()
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "subnet")
    assert "NetworkInterface" not in configuration()
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "galaxy")
    with pytest.raises(PocketrosError, match="GALAXY"):
        configuration()
    monkeypatch.setenv("CYCLONEDDS_URI", "file:///etc/cyclonedds.xml")
    assert configuration() == "file:///etc/cyclonedds.xml"


def test_profiles_map_to_dds(context: Context) -> None:
    qos = dds_qos(QoSProfile(depth=7, reliability=ReliabilityPolicy.BEST_EFFORT), "std_msgs/msg/String", True)
    assert "depth=7" in repr(qos)
    assert "BestEffort" in repr(qos)
