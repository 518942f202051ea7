"""The cameras of the recorder: what they deliver goes to the keyframes that are being waited for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image

from mini_diffuser_ros.nodes.diagnostics import Health, Level
from mini_diffuser_ros.nodes.keyframe_capture import KeyframeCapture
from mini_diffuser_ros.nodes.messages import seconds

_COLOR, _DEPTH, _INFO = "color/image_raw", "aligned_depth_to_color/image_raw", "color/camera_info"
TOPICS = (_COLOR, _DEPTH, _INFO)
"""Of a camera, below its name; those of realsense2_camera."""

Capture = KeyframeCapture[Image]


class RecorderCameras:
    """Subscribes to any number of cameras.

    Args:
        node: that subscribes.
        names: of the cameras.
        silence: seconds without a message after which a topic counts as silent.
        notify: called when something arrives that somebody may wait for.
    """

    def __init__(self, node: Node, names: Sequence[str], silence: float, notify: Callable[[], None]) -> None:
        self.names = tuple(names)
        self._silence, self._notify = silence, notify
        self._received: dict[tuple[str, str], float] = {}  # camera and topic: when, on the monotonic clock
        self._infos: dict[str, CameraInfo] = {}
        self._captures: list[Capture] = []
        self._lock = threading.Lock()
        group = MutuallyExclusiveCallbackGroup()
        callbacks: tuple[tuple[Any, str, Callable[..., None]], ...] = (
            (Image, _COLOR, self._on_color),
            (Image, _DEPTH, self._on_depth),
            (CameraInfo, _INFO, self._on_info),
        )
        for name in names:
            for kind, topic, callback in callbacks:
                node.create_subscription(
                    kind, f"{name}/{topic}", partial(callback, name), qos_profile_sensor_data, callback_group=group
                )

    def add(self, capture: Capture) -> None:
        """From now on the capture gets every image."""
        with self._lock:
            self._captures.append(capture)

    def remove(self, capture: Capture) -> None:
        """The capture gets no more images."""
        with self._lock:
            self._captures.remove(capture)

    def info(self, camera: str) -> CameraInfo | None:
        """The newest calibration of a camera."""
        return self._infos.get(camera)

    def problem(self, camera: str) -> str:
        """Which of a camera's topics are silent, in one line; empty if none is."""
        now = time.monotonic()
        silent = []
        for topic in TOPICS:
            last = self._received.get((camera, topic))
            if last is None:
                silent.append(f"nothing on {camera}/{topic} yet")
            elif now - last > self._silence and topic != _INFO:  # some drivers send the calibration only once
                silent.append(f"nothing on {camera}/{topic} for {now - last:.1f} s")
        return f"camera {camera}: {', '.join(silent)}" if silent else ""

    def health(self, camera: str) -> Health:
        """For diagnostics."""
        problem = self.problem(camera)
        return Health(Level.ERROR, problem) if problem else Health(Level.OK, f"camera {camera}: delivers")

    def what_lacks(self, capture: Capture) -> list[str]:
        """Why a capture has not got its images from every camera, one line a camera."""
        lines = {camera: problem for camera in self.names if (problem := self.problem(camera))}
        for camera, late in capture.late().items():
            if camera not in lines and late is not None:
                lines[camera] = (
                    f"camera {camera}: its newest image is stamped {late:.2f} s before the keyframe was asked for; "
                    "are the clocks of the machines synchronised?"
                )
        for camera in capture.unpaired():
            lines.setdefault(camera, f"camera {camera}: no colour and depth of the same time (pair_tolerance)")
        return [lines[camera] for camera in self.names if camera in lines]

    def _on_color(self, camera: str, message: Image) -> None:
        self._received[camera, _COLOR] = time.monotonic()
        for capture in self._waiting():
            capture.add_color(camera, seconds(message.header.stamp), message)
        self._notify()

    def _on_depth(self, camera: str, message: Image) -> None:
        self._received[camera, _DEPTH] = time.monotonic()
        for capture in self._waiting():
            capture.add_depth(camera, seconds(message.header.stamp), message)
        self._notify()

    def _on_info(self, camera: str, message: CameraInfo) -> None:
        self._received[camera, _INFO] = time.monotonic()
        self._infos[camera] = message

    def _waiting(self) -> list[Capture]:
        with self._lock:
            return list(self._captures)
