"""What the page shows of an arm, of cameras and of clouds, by what drivers publish, and how long that was ago."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from PIL import Image as Picture
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import Header

from mini_diffuser_ros.nodes.page import stack_sights
from mini_diffuser_ros.nodes.page.readable_topics import ReadableTopics
from mini_diffuser_ros.nodes.page.stack_facts import MotionFacts
from mini_diffuser_ros.nodes.page.stack_listener import StackListener
from mini_diffuser_ros.nodes.page.stack_sights import StackSights
from mini_diffuser_ros.nodes.ros.action_goal import poll
from mini_diffuser_ros.nodes.ros.client_node import client_node
from mini_diffuser_ros.nodes.ros.messages import image_from_color, stamp_from_seconds
from mini_diffuser_ros.robots import load_robot
from mini_diffuser_ros.support.cancellation import CancellationToken
from mini_diffuser_ros.viewing.live.parts import NewestParts
from mini_diffuser_ros.viewing.live.run_state import RunState
from mini_diffuser_ros.viewing.live.sights import StandingThings

PATIENCE = 20.0  # seconds
PANDA = load_robot("panda")
FINGERS = PANDA.finger_joint_names


class Watched:
    """Sights of a stack, and the drivers that publish for them."""

    def __init__(self, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(stack_sights, "SEARCHING", 0.0)
        self.node, self.state, self.parts = node, RunState(), NewestParts()
        topics = ReadableTopics(node, self.state)
        listener = StackListener(node, self.state, topics)
        self.sights = StackSights(node, self.parts, self.state, listener, topics)
        self._joints = node.create_publisher(JointState, "joint_states", qos_profile_sensor_data)

    def know(self) -> None:
        self.sights.know(MotionFacts(robot=PANDA, standing=StandingThings()))

    def publish(self, speed: float, names: tuple[str, ...] = PANDA.arm_joint_names, stamp: Time | None = None) -> None:
        """Joints that turn at a speed, and say that they do not."""
        now = time.time()
        header = Header(stamp=stamp_from_seconds(now) if stamp is None else stamp)
        positions, still = [speed * (now % 1000.0)] * len(names), [0.0] * len(names)
        self._joints.publish(JointState(header=header, name=list(names), position=positions, velocity=still))

    def until(self, so: Callable[[], Any], publish: Callable[[], None] = lambda: None) -> None:
        """Look and publish until something is so."""

        def is_so() -> bool:
            self.sights.open()
            publish()
            self.sights.pack()
            return bool(so())

        assert poll(is_so, CancellationToken(), PATIENCE), (self.arm, self.shown())

    @property
    def arm(self) -> str:
        return str(self.state.values()["arm"])

    def shown(self) -> dict[str, Any]:
        """Values of the parts that a page gets that is opened now."""
        return {part.name: part.values for part in self.parts.newer_than(0)}


@pytest.fixture
def watched(domain_id: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    monkeypatch.setenv("ROS_DOMAIN_ID", str(domain_id))
    with client_node("page", threads=2) as node:
        yield Watched(node, monkeypatch)


def test_an_arm_rests_where_its_positions_do_whatever_velocity_is_said(watched: Watched) -> None:
    watched.until(lambda: "motion_node has not said" in watched.arm, lambda: watched.publish(0.0))
    watched.know()
    watched.until(lambda: watched.arm == "at rest", lambda: watched.publish(0.0))
    assert watched.state.values()["rests"]
    watched.until(lambda: watched.arm.startswith("the arm moves at"), lambda: watched.publish(2.0))
    assert not watched.state.values()["rests"]


def test_an_arm_that_repeats_itself_or_whose_fingers_alone_go_on_does_not_rest(watched: Watched) -> None:
    watched.know()
    watched.until(lambda: watched.arm == "at rest", lambda: watched.publish(0.0))
    last = stamp_from_seconds(time.time())
    watched.until(lambda: "a stamp that stands still" in watched.arm, lambda: watched.publish(0.0, stamp=last))
    watched.until(lambda: watched.arm == "at rest", lambda: watched.publish(0.0))
    watched.until(lambda: "of panda_joint1" in watched.arm, lambda: watched.publish(0.0, FINGERS))
    assert not watched.state.values()["rests"]


def test_an_arm_of_which_nothing_comes_is_past(watched: Watched) -> None:
    def publish() -> None:
        watched.publish(0.0)
        watched.publish(0.0, FINGERS)

    watched.know()
    watched.until(lambda: {"arm", "stale"} <= watched.shown().keys(), publish)
    assert watched.shown()["stale"] == {}
    watched.until(lambda: watched.shown()["stale"].get("arm", 0) >= 1)
    assert not any(line["label"] == "measured" for line in watched.shown()["lines"]["lines"])


def test_a_camera_is_shown_however_its_images_travel(watched: Watched) -> None:
    color = np.full((48, 64, 3), (200, 30, 60), np.uint8)
    data = io.BytesIO()
    Picture.fromarray(color).save(data, "PNG")
    raw = watched.node.create_publisher(Image, "front/color/image_raw", qos_profile_sensor_data)
    packed = watched.node.create_publisher(CompressedImage, "side/color/image_raw/compressed", qos_profile_sensor_data)
    watched.node.create_publisher(Image, "side/color/image_raw/compressed_depth", qos_profile_sensor_data)

    def publish() -> None:
        raw.publish(image_from_color(color, Header()))
        packed.publish(CompressedImage(format="rgb8; png compressed", data=data.getvalue()))

    watched.until(lambda: {"camera front", "camera side"} <= watched.shown().keys(), publish)
    for camera in ("front", "side"):
        assert watched.shown()[f"camera {camera}"] == {"camera": camera, "width": 64, "height": 48}
    assert watched.shown()["cameras"] == {"missing": ""}
    pictures = [part.content for part in watched.parts.newer_than(0) if part.name.startswith("camera ")]
    assert np.abs(np.asarray(Picture.open(io.BytesIO(pictures[1]))).astype(int) - color).max() < 12


def test_without_cameras_the_page_says_what_it_looks_for(watched: Watched) -> None:
    watched.until(lambda: "cameras" in watched.shown())
    said = watched.shown()["cameras"]["missing"]
    assert said == "nobody publishes <camera>/color/image_raw or <camera>/color/image_raw/compressed"


def test_a_picture_that_came_long_ago_is_past_and_shown_to_nobody_who_opens_the_page_later(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    camera = watched.node.create_publisher(Image, "front/color/image_raw", qos_profile_sensor_data)
    watched.until(
        lambda: "camera front" in watched.shown(),
        lambda: camera.publish(image_from_color(np.zeros((8, 8, 3), np.uint8), Header())),
    )
    assert watched.shown()["stale"] == {}
    monkeypatch.setattr(stack_sights, "OLD", 1.0)
    watched.until(lambda: watched.shown()["stale"].get("camera front", 0) >= 1)
    watched.sights.close()
    assert watched.shown() == {}
    watched.until(lambda: "stale" in watched.shown())
    assert "camera front" not in watched.shown()
    assert watched.shown()["stale"] == {}
