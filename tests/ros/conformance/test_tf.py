"""Transforms over /tf and /tf_static."""

from __future__ import annotations

import math
import threading

import pytest
from geometry_msgs.msg import TransformStamped
from rclpy.duration import Duration
from rclpy.time import Time
from tf2_ros import (
    Buffer,
    ConnectivityException,
    ExtrapolationException,
    LookupException,
    StaticTransformBroadcaster,
    TransformBroadcaster,
    TransformException,
    TransformListener,
    buffer,
    static_transform_broadcaster,
    transform_broadcaster,
    transform_listener,
)

from .conftest import PATIENCE, Ros


def test_each_class_has_a_module_of_its_own() -> None:
    assert buffer.Buffer is Buffer
    assert static_transform_broadcaster.StaticTransformBroadcaster is StaticTransformBroadcaster
    assert transform_broadcaster.TransformBroadcaster is TransformBroadcaster
    assert transform_listener.TransformListener is TransformListener


def transform(parent: str, child: str, seconds: float = 0.0, x: float = 0.0, yaw: float = 0.0) -> TransformStamped:
    made = TransformStamped(child_frame_id=child)
    made.header.frame_id = parent
    made.header.stamp = Time(seconds=seconds).to_msg()
    made.transform.translation.x = x
    made.transform.rotation.z, made.transform.rotation.w = math.sin(yaw / 2), math.cos(yaw / 2)
    return made


def test_transforms_are_interpolated_and_chained() -> None:
    buffer = Buffer()
    buffer.set_transform(transform("world", "arm", 1.0), "test")
    buffer.set_transform(transform("world", "arm", 2.0, x=1.0, yaw=math.pi / 2), "test")
    buffer.set_transform_static(transform("arm", "camera", x=1.0), "test")
    found = buffer.lookup_transform("world", "camera", Time(seconds=1.5)).transform
    assert found.translation.x == pytest.approx(0.5 + math.cos(math.pi / 4))
    assert found.translation.y == pytest.approx(math.sin(math.pi / 4))
    assert found.rotation.z == pytest.approx(math.sin(math.pi / 8))


def test_a_lookup_and_its_inverse_agree() -> None:
    buffer = Buffer()
    buffer.set_transform_static(transform("a", "b", x=2.0, yaw=0.5), "test")
    back = buffer.lookup_transform("b", "a", Time()).transform
    assert (back.translation.x, back.translation.y) == pytest.approx((-2 * math.cos(0.5), 2 * math.sin(0.5)))


def test_branches_meet_at_their_newest_common_time() -> None:
    buffer = Buffer()
    for seconds in (1.0, 2.0, 3.0):
        buffer.set_transform(transform("world", "left", seconds, x=seconds), "test")
    for seconds in (1.0, 2.0):
        buffer.set_transform(transform("world", "right", seconds, x=-seconds), "test")
    found = buffer.lookup_transform("left", "right", Time())
    assert found.header.stamp.sec == 2
    assert found.transform.translation.x == pytest.approx(-4.0)


def test_what_cannot_be_looked_up_is_named() -> None:
    buffer = Buffer()
    buffer.set_transform(transform("world", "arm", 1.0), "test")
    buffer.set_transform(transform("world", "arm", 2.0), "test")
    buffer.set_transform_static(transform("moon", "crater"), "test")
    with pytest.raises(LookupException, match="nowhere"):
        buffer.lookup_transform("world", "nowhere", Time())
    with pytest.raises(ExtrapolationException, match="future"):
        buffer.lookup_transform("world", "arm", Time(seconds=3.0))
    with pytest.raises(ExtrapolationException, match="past"):
        buffer.lookup_transform("world", "arm", Time(seconds=0.5))
    with pytest.raises(ConnectivityException):
        buffer.lookup_transform("world", "crater", Time())
    assert issubclass(LookupException, TransformException)
    assert buffer.can_transform("world", "arm", Time(seconds=1.5))
    assert not buffer.can_transform("world", "arm", Time(seconds=3.0), Duration(seconds=0.01))


def test_what_is_older_than_the_cache_is_forgotten() -> None:
    buffer = Buffer(cache_time=Duration(seconds=5))
    buffer.set_transform(transform("world", "arm", 1.0), "test")
    buffer.set_transform(transform("world", "arm", 2.0), "test")
    assert buffer.can_transform("world", "arm", Time(seconds=1.5))
    for seconds in (10.0, 11.0):
        buffer.set_transform(transform("world", "arm", seconds), "test")
    assert not buffer.can_transform("world", "arm", Time(seconds=1.5))


def test_a_listener_hears_broadcasters_even_when_it_joins_late(ros: Ros) -> None:
    far = ros.far_node("broadcaster")
    static = StaticTransformBroadcaster(far)
    static.sendTransform([transform("arm", "camera", x=1.0), transform("arm", "tool", x=2.0)])
    buffer = Buffer()
    listener = TransformListener(buffer, ros.node("listener"))
    moving = TransformBroadcaster(far)

    def complete() -> bool:
        moving.sendTransform(transform("world", "arm", 5.0, x=1.0))
        return all(buffer.can_transform("world", frame, Time()) for frame in ("camera", "tool"))

    ros.spin_until(complete)
    found = buffer.lookup_transform("world", "tool", Time(seconds=5.0))
    assert (found.header.frame_id, found.child_frame_id) == ("world", "tool")
    assert found.transform.translation.x == pytest.approx(3.0)
    listener.unregister()


def test_a_lookup_waits_for_what_another_thread_hears(threaded_ros: Ros) -> None:
    ros = threaded_ros
    node = ros.node("node")
    buffer = Buffer()
    listener = TransformListener(buffer, node)
    broadcaster = TransformBroadcaster(node)
    ros.spin_in_background()
    enough = threading.Event()

    def broadcast() -> None:
        while not enough.wait(0.05):
            broadcaster.sendTransform(transform("world", "arm", 5.0, x=1.0))

    timer = threading.Timer(0.2, broadcast)
    timer.start()
    try:
        found = buffer.lookup_transform("world", "arm", Time(seconds=5.0), timeout=Duration(seconds=PATIENCE))
    finally:
        enough.set()
        timer.join()
    assert found.transform.translation.x == 1.0
    listener.unregister()
