"""Listening for a few seconds: joint states, cameras, /clock and diagnostics."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from rclpy.time import Time
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, JointState
from tf2_ros import Buffer, TransformException, TransformListener

from mini_diffuser_ros.doctor.snapshot import CameraFacts, Drivers, JointFacts
from mini_diffuser_ros.nodes.ros.messages import seconds
from mini_diffuser_ros.robots import load_robot
from mini_diffuser_ros.support.errors import one_line

INFO = "/color/camera_info"
COLOR, DEPTH = "/color/image_raw", "/aligned_depth_to_color/image_raw"


class SetupListener:
    """Counts what comes in from now on, on the topics that are there now.

    Args:
        node: that listens; somebody else has to spin it.
        drivers: of the robot.
    """

    def __init__(self, node: Node, drivers: Drivers) -> None:
        self._node, self._drivers = node, drivers
        self._fingers = set(load_robot(drivers.robot).finger_joint_names)
        self._began = time.monotonic()
        self._joints, self._positions, self._stamp = JointFacts(), np.zeros(0), 0.0
        self._diagnostics: dict[str, tuple[int, str, dict[str, str]]] = {}
        self._clocks: set[float] = set()
        self._cameras = {name: CameraFacts(name.lstrip("/")) for name in camera_names(node)}
        self._buffer = Buffer()
        self._frames = TransformListener(self._buffer, node)
        self._listen(JointState, "joint_states", self._on_joints)
        self._listen(Clock, "/clock", lambda message: self._clocks.add(seconds(message.clock)))
        self._listen(DiagnosticArray, "/diagnostics", self._on_diagnostics)
        for name in self._cameras:
            self._listen(CameraInfo, name + INFO, lambda message, name=name: self._on_info(name, message))
            self._listen(Image, name + COLOR, lambda message, name=name: self._on_color(name, message))
            self._listen(Image, name + DEPTH, lambda message, name=name: self._on_depth(name, message))

    def joints(self) -> JointFacts:
        """Of the arm, since the beginning."""
        return replace(self._joints, seconds=time.monotonic() - self._began)

    def clock_runs(self) -> bool:
        """Whether /clock advanced."""
        return len(self._clocks) > 1

    def diagnostics(self) -> tuple[tuple[str, int, str], ...]:
        """The newest of each part: name, level, message."""
        return tuple((name, level, message) for name, (level, message, _) in sorted(self._diagnostics.items()))

    def homed(self) -> str:
        """What motion_node says of the gripper's homing."""
        return next((values["homed"] for _, _, values in self._diagnostics.values() if "homed" in values), "")

    def streaming(self) -> dict[str, str]:
        """Camera to the serial number of the device that realsense_node has as it."""
        parts = {name.rpartition("camera ")[2]: values for name, (_, _, values) in self._diagnostics.items()}
        return {camera: values["serial"] for camera, values in parts.items() if values.get("serial")}

    def cameras(self) -> tuple[CameraFacts, ...]:
        """Each camera whose topics were there, since the beginning."""
        listened = time.monotonic() - self._began
        return tuple(
            replace(
                camera,
                color_rate=camera.color_rate / listened,
                depth_rate=camera.depth_rate / listened,
                in_base=self._against(camera.frame),
            )
            for camera in self._cameras.values()
        )

    def _listen(self, kind: Any, topic: str, take: Any) -> None:
        group = MutuallyExclusiveCallbackGroup()
        self._node.create_subscription(kind, topic, take, qos_profile_sensor_data, callback_group=group)

    def _age(self, stamp: float) -> float | None:
        return time.time() - stamp if stamp else None

    def _on_joints(self, message: JointState) -> None:
        places = dict(zip(message.name, message.position, strict=False))
        known, width = self._joints, self._joints.width
        if self._fingers <= set(places):
            width = sum(places[name] for name in self._fingers)
        if not set(self._drivers.joints) <= set(places):
            self._joints = replace(known, width=width)
            return
        positions = np.array([places[name] for name in self._drivers.joints])
        stamp = seconds(message.header.stamp)
        jump = known.jump
        if known.count and np.all(np.isfinite(positions)):
            steps = np.abs(positions - self._positions)
            worst = int(np.argmax(steps))
            jump = max(jump, (float(steps[worst]), self._drivers.joints[worst]))
        self._joints = replace(
            known,
            count=known.count + 1,
            age=self._age(stamp),
            stamps_advance=known.stamps_advance and (not known.count or not stamp or stamp > self._stamp),
            jump=jump,
            finite=known.finite and bool(np.all(np.isfinite(positions))),
            width=width,
        )
        self._positions, self._stamp = positions, stamp

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            level = status.level[0] if isinstance(status.level, bytes) else int(status.level)
            values = {one.key: one.value for one in status.values}
            self._diagnostics[status.name] = (level, status.message, values)

    def _on_info(self, name: str, message: CameraInfo) -> None:
        self._cameras[name] = replace(
            self._cameras[name], info_size=(message.width, message.height), focal=float(message.k[0])
        )

    def _on_color(self, name: str, message: Image) -> None:
        known = self._cameras[name]
        self._cameras[name] = replace(
            known,
            color_rate=known.color_rate + 1,
            color_size=(message.width, message.height),
            frame=message.header.frame_id,
            age=self._age(seconds(message.header.stamp)),
        )

    def _on_depth(self, name: str, message: Image) -> None:
        known = self._cameras[name]
        kind = np.float32 if message.encoding == "32FC1" else np.uint16
        values = np.frombuffer(message.data, kind)
        self._cameras[name] = replace(
            known,
            depth_rate=known.depth_rate + 1,
            depth_size=(message.width, message.height),
            filled=float(np.mean(np.nan_to_num(values) > 0)) if len(values) else 0.0,
        )

    def _against(self, frame: str) -> str:
        """What TF says against a frame; empty if its pose in the base is known."""
        if not frame:
            return "its images name no frame"
        try:
            self._buffer.lookup_transform(self._drivers.base_frame, frame, Time())
        except TransformException as error:
            return one_line(error)
        return ""


def camera_names(node: Node) -> list[str]:
    """What the topics of each camera begin with, as the graph has them now."""
    topics = [topic for topic, _ in node.get_topic_names_and_types() if node.count_publishers(topic)]
    return sorted(topic.removesuffix(INFO) for topic in topics if topic.endswith(INFO))
