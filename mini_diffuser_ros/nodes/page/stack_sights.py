"""What cameras, perception and joints of a stack show, for the page; heard only while somebody looks."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image, JointState, PointCloud2

from mini_diffuser_ros.nodes.page.readable_topics import ReadableTopics
from mini_diffuser_ros.nodes.page.stack_facts import MotionFacts
from mini_diffuser_ros.nodes.page.stack_listener import StackListener
from mini_diffuser_ros.nodes.ros.clouds import CLOUD_TOPIC
from mini_diffuser_ros.nodes.ros.messages import cloud_from_message, color_from_image
from mini_diffuser_ros.support.drawing import GripperGlyph
from mini_diffuser_ros.viewing.live.parts import NewestParts
from mini_diffuser_ros.viewing.live.run_state import RunState
from mini_diffuser_ros.viewing.live.sights import (
    MEASURED_COLOR,
    MOST_POINTS,
    REMEMBERED_COLOR,
    DrawnArm,
    StandingThings,
    lines_values,
    packed_picture,
    packed_points,
)

CAMERA_TOPIC = re.compile(r"(\w+)/color/image_raw")
MOST_CAMERAS = 12
SEARCHING = 2.0  # seconds between looks for cameras
AT_REST = 0.02  # rad/s; joints at rest stay below
STALE_JOINTS = 2.0  # seconds
MOST_JOINTS = 64  # of a message
OPEN_WIDTH = 0.02  # metres of a finger, from which the gripper is drawn open


class StackSights:
    """Keeps the newest of each topic, and packs it for the page when it is asked to.

    Args:
        node: that listens.
        parts: of the page, to put into.
        state: of the page.
        listener: of the same stack.
        topics: of the same node.
    """

    def __init__(
        self, node: Node, parts: NewestParts, state: RunState, listener: StackListener, topics: ReadableTopics
    ) -> None:
        self._node, self._parts, self._state, self._listener, self._topics = node, parts, state, listener, topics
        self._group = MutuallyExclusiveCallbackGroup()
        self._subscriptions: dict[str, Any] = {}
        self._newest: dict[str, Any] = {}  # messages that are to be packed
        self._searched = -float("inf")
        self._joints: dict[str, float] = {}
        self._speeds: dict[str, float] = {}
        self._joints_heard = -float("inf")
        self._arm: DrawnArm | None = None
        self._standing = StandingThings()
        self._drawn: dict[str, float] = {}
        self._hand: list[GripperGlyph] = []

    def know(self, facts: MotionFacts) -> None:
        """Which robot it is, and what stands around it."""
        self._arm, self._standing = DrawnArm(facts.robot), facts.standing

    def open(self) -> None:
        """Listen from now on; again and again, so that cameras that come later are found."""
        now = time.monotonic()
        if now - self._searched < SEARCHING:
            return
        self._searched = now
        self._listen(PointCloud2, CLOUD_TOPIC, partial(self._newest.__setitem__, CLOUD_TOPIC))
        self._listen(JointState, "joint_states", self._on_joints)
        for camera in self._cameras()[:MOST_CAMERAS]:
            topic = f"{camera}/color/image_raw"
            self._listen(Image, topic, partial(self._newest.__setitem__, topic))

    def close(self) -> None:
        """Listen no more."""
        for subscription in self._subscriptions.values():
            self._node.destroy_subscription(subscription)
        self._subscriptions.clear()
        self._newest.clear()
        self._searched = -float("inf")

    def pack(self) -> None:
        """Put what is new into the page."""
        for topic in list(self._newest):
            self._topics.read(topic, partial(self._pack_seen, topic, self._newest.pop(topic)))
        self._topics.read("joint_states", self._pack_arm)
        lines = lines_values(self._standing, self._state.glyphs(), self._listener.planned, self._hand)
        self._parts.put("lines", lines)

    def _listen(self, kind: type, topic: str, take: Any) -> None:
        if topic not in self._subscriptions:
            subscribed = self._topics.subscribe(kind, topic, take, qos_profile_sensor_data, self._group)
            self._subscriptions[topic] = subscribed

    def _pack_seen(self, topic: str, message: Any) -> None:
        """A cloud or a picture."""
        if topic == CLOUD_TOPIC:
            self._parts.put("cloud", *_cloud_part(message))
            return
        values, content = packed_picture(color_from_image(message))
        camera = topic.partition("/")[0]
        self._parts.put(f"camera {camera}", {**values, "camera": camera}, content)

    def _cameras(self) -> Sequence[str]:
        """Names of those that publish colour in this namespace; what lies deeper is another robot's."""
        space = self._node.get_namespace().rstrip("/") + "/"
        topics = [
            topic.removeprefix(space)
            for topic, kinds in self._node.get_topic_names_and_types()
            if topic.startswith(space) and "sensor_msgs/msg/Image" in kinds
        ]
        return sorted(found[1] for topic in topics if (found := CAMERA_TOPIC.fullmatch(topic)))

    def _on_joints(self, message: JointState) -> None:
        names = list(message.name)[:MOST_JOINTS]
        # Fingers may come in messages of their own.
        if len(self._joints) > MOST_JOINTS:
            self._joints.clear()
            self._speeds.clear()
        self._joints.update(zip(names, message.position, strict=False))
        self._speeds.update(zip(names, message.velocity, strict=False))
        for name in names[len(message.velocity) :]:
            self._speeds.pop(name, None)  # not measured any more
        self._joints_heard = time.monotonic()

    def _pack_arm(self) -> None:
        if time.monotonic() - self._joints_heard > STALE_JOINTS:
            self._state.tell(arm="no joint states")
            return
        joints = dict(self._joints)
        self._state.tell(arm=_motion_of(dict(self._speeds)))
        if self._arm is None or joints == self._drawn:
            return
        try:
            (values, content), tool = self._arm.packed(joints)
        except ValueError:
            return  # joints of the arm are yet to come, or are no numbers; diagnostics say so
        self._drawn = joints
        fingers = [position for name, position in joints.items() if "finger" in name]
        held = self._state.held()
        self._hand = [GripperGlyph(tool, max(fingers, default=0.0) > OPEN_WIDTH, held or "measured", MEASURED_COLOR)]
        self._parts.put("arm", values, content)


def _motion_of(speeds: Mapping[str, float]) -> str:
    """Whether joints of these speeds move, in words; only what was measured rests."""
    if not speeds or not all(map(math.isfinite, speeds.values())):
        return "joint states without velocities: whether it moves is not known"
    fastest = max(map(abs, speeds.values()))
    return "at rest" if fastest < AT_REST else f"moving, fastest joint {fastest:.2f} rad/s"


def _cloud_part(message: PointCloud2) -> tuple[dict[str, Any], bytes]:
    """A cloud, with what it only remembers in a colour of its own."""
    shown = cloud_from_message(message, most_points=MOST_POINTS)
    everything = cloud_from_message(message, with_remembered=True, most_points=MOST_POINTS)
    colors = everything.colors.copy()
    colors[len(shown) :] = REMEMBERED_COLOR  # which follow those that it shows
    values, content = packed_points(everything.points, np.ascontiguousarray(colors))
    total = message.width * message.height
    return {**values, "total": total, "remembered": len(everything) - len(shown)}, content
