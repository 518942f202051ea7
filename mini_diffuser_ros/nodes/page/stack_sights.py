"""What cameras, perception and joints of a stack show, for the page; heard only while somebody looks."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import JointState, PointCloud2

from mini_diffuser_ros.nodes.cameras.camera_topics import COLOR_TOPIC
from mini_diffuser_ros.nodes.cameras.image_transports import COLOR_TRANSPORTS, ImageTransport
from mini_diffuser_ros.nodes.page.readable_topics import ReadableTopics
from mini_diffuser_ros.nodes.page.stack_facts import MotionFacts
from mini_diffuser_ros.nodes.page.stack_listener import StackListener
from mini_diffuser_ros.nodes.ros.clouds import CLOUD_TOPIC
from mini_diffuser_ros.nodes.ros.joint_states import take_joint_state
from mini_diffuser_ros.nodes.ros.messages import cloud_from_message
from mini_diffuser_ros.robots import RobotDescription
from mini_diffuser_ros.support.drawing import GripperGlyph
from mini_diffuser_ros.viewing.live.measured_arm import MAX_AGE, MeasuredArm
from mini_diffuser_ros.viewing.live.parts import NewestParts
from mini_diffuser_ros.viewing.live.run_state import RunState
from mini_diffuser_ros.viewing.live.sights import (
    MEASURED_COLOR,
    MOST_POINTS,
    REMEMBERED_COLOR,
    DrawnArm,
    Packed,
    StandingThings,
    lines_values,
    packed_picture,
    packed_points,
)

COLOR_IMAGES = re.compile(rf"(\w+)/{COLOR_TOPIC}(/\w+)?")
MOST_CAMERAS = 12
SEARCHING = 2.0  # seconds between looks for cameras
OLD = 5.0
"""Seconds of the steady clock after which a cloud or a picture is not of now any more."""
OPEN_WIDTH = 0.02  # metres of a finger, from which the gripper is drawn open
ARM, CLOUD, CAMERAS = "arm", "cloud", "cameras"


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
        self._newest: dict[str, Callable[[], None]] = {}  # what packs the newest message of each topic
        self._came: dict[str, float] = {}  # when something of a part came last, seconds of the steady clock
        self._searched = -float("inf")
        self._joints = MeasuredArm()
        self._robot: RobotDescription | None = None
        self._arm: DrawnArm | None = None
        self._standing = StandingThings()
        self._drawn: dict[str, float] = {}
        self._hand: list[GripperGlyph] = []

    def know(self, facts: MotionFacts) -> None:
        """Which robot it is, and what stands around it."""
        self._standing = facts.standing
        if facts.robot is not self._robot:
            self._arm, self._robot = DrawnArm(facts.robot), facts.robot
            self._joints.know(facts.robot)
            self._drawn = {}

    def open(self) -> None:
        """Listen from now on; again and again, so that cameras that come later are found."""
        now = time.monotonic()
        if now - self._searched < SEARCHING:
            return
        self._searched = now
        self._listen(PointCloud2, CLOUD_TOPIC, partial(self._keep, CLOUD_TOPIC, CLOUD, _cloud_part))
        self._listen(JointState, "joint_states", self._on_joints)
        cameras = self._cameras()
        for camera in sorted(cameras)[:MOST_CAMERAS]:
            how = cameras[camera]
            topic, look = f"{camera}/{COLOR_TOPIC}{how.suffix}", partial(_camera_part, camera, how)
            self._listen(how.message, topic, partial(self._keep, topic, f"camera {camera}", look))
        missing = f"{len(cameras) - MOST_CAMERAS} more cameras are not shown" if len(cameras) > MOST_CAMERAS else ""
        self._parts.put(CAMERAS, {"missing": missing or ("" if cameras else _no_camera())})

    def close(self) -> None:
        """Listen no more; what was seen is nothing to show to whoever looks next."""
        if not self._subscriptions:
            return
        for subscription in self._subscriptions.values():
            self._node.destroy_subscription(subscription)
        self._parts.drop(*self._came, CLOUD, ARM, CAMERAS, "stale", "lines")
        self._subscriptions.clear()
        self._newest.clear()
        self._came.clear()
        self._joints.forget()
        self._drawn, self._hand = {}, []
        self._state.tell(arm="no joint states", rests=False)
        self._searched = -float("inf")

    def pack(self) -> None:
        """Put what is new into the page, and how old the rest is."""
        for topic in list(self._newest):
            self._topics.read(topic, self._newest.pop(topic))
        self._topics.read("joint_states", self._pack_arm)
        stale = self._stale()
        hand = [] if ARM in stale else self._hand
        lines = lines_values(self._standing, self._state.glyphs(), self._listener.planned, hand)
        self._parts.put("lines", lines)
        self._parts.put("stale", stale)

    def _listen(self, kind: type, topic: str, take: Any) -> None:
        if topic not in self._subscriptions:
            subscribed = self._topics.subscribe(kind, topic, take, qos_profile_sensor_data, self._group)
            self._subscriptions[topic] = subscribed

    def _keep(self, topic: str, part: str, look: Callable[[Any], Packed], message: Any) -> None:
        """The newest message of a topic, for when it is to be packed; one that cannot be read shows nothing new."""

        def pack() -> None:
            self._parts.put(part, *look(message))
            self._came[part] = received

        received = time.monotonic()
        self._newest[topic] = pack

    def _stale(self) -> dict[str, int]:
        """Whole seconds since anything of a part came, of those that are not of now."""
        now = time.monotonic()
        ages = {part: now - came for part, came in list(self._came.items())}
        old = {part: int(age) for part, age in ages.items() if age > OLD}
        # Joints come many times a second, and where the arm is matters more.
        age = self._joints.age()
        if self._drawn and (age is None or age > MAX_AGE):
            old[ARM] = int(age or 0.0)
        return old

    def _cameras(self) -> Mapping[str, ImageTransport]:
        """Those that publish colour in this namespace, and how; what lies deeper is another robot's."""
        space = self._node.get_namespace().rstrip("/") + "/"
        found: dict[str, ImageTransport] = {}
        for topic, kinds in self._node.get_topic_names_and_types():
            known = COLOR_IMAGES.fullmatch(topic.removeprefix(space))
            if not topic.startswith(space) or not known or not self._node.count_publishers(topic):
                continue
            for how in COLOR_TRANSPORTS.values():
                is_so = (known[2] or "") == how.suffix and f"sensor_msgs/msg/{how.message.__name__}" in kinds
                if is_so and (known[1] not in found or not how.suffix):  # raw ones need no unpacking
                    found[known[1]] = how
        return found

    def _on_joints(self, message: JointState) -> None:
        take_joint_state(self._node, message, self._joints.take, time.monotonic())

    def _pack_arm(self) -> None:
        motion = self._joints.motion()
        self._state.tell(arm=motion.words, rests=motion.rests)
        joints = self._joints.positions()
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
        self._parts.put(ARM, values, content)


def _camera_part(camera: str, how: ImageTransport, message: Any) -> Packed:
    values, content = packed_picture(how.decode(message))
    return {**values, "camera": camera}, content


def _no_camera() -> str:
    ways = " or ".join(f"<camera>/{COLOR_TOPIC}{how.suffix}" for how in COLOR_TRANSPORTS.values())
    return f"nobody publishes {ways}"


def _cloud_part(message: PointCloud2) -> Packed:
    """A cloud, with what it only remembers in a colour of its own."""
    shown = cloud_from_message(message, most_points=MOST_POINTS)
    everything = cloud_from_message(message, with_remembered=True, most_points=MOST_POINTS)
    colors = everything.colors.copy()
    colors[len(shown) :] = REMEMBERED_COLOR  # which follow those that it shows
    values, content = packed_points(everything.points, np.ascontiguousarray(colors))
    total = message.width * message.height
    return {**values, "total": total, "remembered": len(everything) - len(shown)}, content
