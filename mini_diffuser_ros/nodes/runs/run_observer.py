"""Listening to the stack while it obeys a sentence: first motion, decisions, pictures."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from mini_diffuser_msgs.msg import KeyframeModes
from numpy.typing import NDArray
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image, JointState, PointCloud2

from mini_diffuser_ros.nodes.ros.clouds import CLOUD_TOPIC
from mini_diffuser_ros.nodes.ros.messages import (
    MalformedMessageError,
    cloud_from_message,
    color_from_image,
    mode_from_message,
    seconds,
)
from mini_diffuser_ros.nodes.ros.timers import steady_timer
from mini_diffuser_ros.records import Cloud, KeyframeMode
from mini_diffuser_ros.viewing.run_report import LoggedDecision, RunReport, draw_decision, logged
from mini_diffuser_ros.viewing.run_video import RunVideo

MOVING = 0.02  # rad/s; joints at rest stay well below


class RunObserver:
    """Fills a report with what happens, and films it.

    Args:
        node: that subscribes.
        report: to fill.
        folder: for the video and the picture of the first decision.
        cameras: names.
        joint_names: of the arm.
        rate: frames per second of the video.
    """

    def __init__(
        self,
        node: Node,
        report: RunReport,
        folder: Path,
        cameras: Sequence[str],
        joint_names: Sequence[str],
        rate: float,
    ) -> None:
        self._node = node
        self._report = report
        self._folder = folder
        self._cameras = cameras
        self._joint_names = frozenset(joint_names)
        self._rate = rate
        self._sent: float | None = None
        self._motion_commanded = False
        self._clouds: deque[Cloud] = deque(maxlen=30)
        self._picture: tuple[Cloud, list[KeyframeMode]] | None = None
        self._images: dict[str, NDArray[np.uint8]] = {}
        self._video: RunVideo | None = None
        self._video_lock = threading.Lock()
        self._filming = True

        listening = MutuallyExclusiveCallbackGroup()
        sensors = qos_profile_sensor_data
        for camera in cameras:
            node.create_subscription(
                Image,
                f"{camera}/color/image_raw",
                partial(self._on_image, camera),
                sensors,
                callback_group=listening,
            )
        node.create_subscription(PointCloud2, CLOUD_TOPIC, self._on_cloud, sensors, callback_group=listening)
        node.create_subscription(KeyframeModes, "mini_diffuser/modes", self._on_modes, 10, callback_group=listening)
        node.create_subscription(JointState, "joint_states", self._on_joints, sensors, callback_group=listening)
        steady_timer(node, 1.0 / rate, self._film)

    def sentence_sent(self) -> None:
        """The clock of the report starts now."""
        self._sent = time.monotonic()

    def motion_commanded(self) -> None:
        """From now on, a joint that moves is the sentence's doing."""
        self._motion_commanded = True

    def elapsed(self) -> float:
        """Seconds since the sentence, 0 before it."""
        return 0.0 if self._sent is None else time.monotonic() - self._sent

    def finish(self) -> None:
        """End the video and draw the first decision."""
        with self._video_lock:
            self._filming = False
            if self._video is not None:
                self._video.close()
        if self._picture is not None:
            cloud, modes = self._picture
            draw_decision(self._folder / "cloud.png", cloud, modes, self._report.instruction)

    def _on_cloud(self, message: PointCloud2) -> None:
        try:
            self._clouds.append(cloud_from_message(message))
        except MalformedMessageError as error:
            self._node.get_logger().warning(f"mini_diffuser/cloud: {error}", throttle_duration_sec=5.0)

    def _on_modes(self, message: KeyframeModes) -> None:
        modes = [mode_from_message(mode) for mode in message.modes]
        stamp = seconds(message.header.stamp)
        seen = next((cloud for cloud in self._clouds if abs(cloud.stamp - stamp) < 1e-6), None)
        points = None if seen is None else len(seen)
        self._report.decisions.append(LoggedDecision(round(self.elapsed(), 3), points, logged(modes)))
        if self._picture is None and seen is not None and modes:
            self._picture = (seen, modes)

    def _on_joints(self, message: JointState) -> None:
        if self._report.sentence_to_first_motion_s is not None or not self._motion_commanded:
            return
        speeds = zip(message.name, message.velocity, strict=False)
        if any(abs(speed) > MOVING for name, speed in speeds if name in self._joint_names):
            self._report.sentence_to_first_motion_s = round(self.elapsed(), 3)

    def _on_image(self, camera: str, message: Image) -> None:
        try:
            self._images[camera] = color_from_image(message)
        except MalformedMessageError as error:
            self._node.get_logger().warning(f"camera {camera}: {error}", throttle_duration_sec=5.0)

    def _film(self) -> None:
        with self._video_lock:
            if not self._filming or self._sent is None or not self._images:
                return
            if self._video is None:
                height, width = next(iter(self._images.values())).shape[:2]
                path = self._folder / "video.mp4"
                self._video = RunVideo(path, self._cameras, (width, height), self._rate)
            self._video.add(self._images, f"{self._report.instruction}   {self.elapsed():.1f} s")
