"""The cameras of the recorder: what they deliver goes to the keyframes that are being waited for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo

from mini_diffuser_ros.nodes.camera_topics import COLOR_TOPIC, DEPTH_TOPIC, INFO_TOPIC, subscribe_camera
from mini_diffuser_ros.nodes.diagnostics import Health, Level
from mini_diffuser_ros.nodes.image_transports import ImageTransport
from mini_diffuser_ros.nodes.keyframe_capture import ImagePair, KeyframeCapture
from mini_diffuser_ros.nodes.messages import seconds

Capture = KeyframeCapture[Any]
"""Of messages of whatever kind the images travel as."""


class RecorderCameras:
    """Subscribes to any number of cameras.

    Args:
        node: that subscribes.
        names: of the cameras.
        transports: how colour and how depth travel.
        silence: seconds without a message after which a topic counts as silent.
        notify: called when something arrives that somebody may wait for.
    """

    def __init__(
        self,
        node: Node,
        names: Sequence[str],
        transports: tuple[ImageTransport, ImageTransport],
        silence: float,
        notify: Callable[[], None],
    ) -> None:
        self.names = tuple(names)
        self._transports = transports
        self._silence, self._notify = silence, notify
        self._received: dict[tuple[str, str], float] = {}  # camera and topic: when, on the monotonic clock
        self._infos: dict[str, CameraInfo] = {}
        self._captures: list[Capture] = []
        self._lock = threading.Lock()
        group = MutuallyExclusiveCallbackGroup()
        callbacks = (self._on_color, self._on_depth, self._on_info)
        for name in names:
            on_color, on_depth, on_info = (partial(callback, name) for callback in callbacks)
            subscribe_camera(node, name, transports, on_color, on_depth, on_info, group)

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

    def decode(self, pair: ImagePair[Any]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Colour (H, W, 3) and depth (H, W), metres, of a pair of messages.

        Raises:
            MalformedMessageError: saying what is wrong with one of them.
        """
        color, depth = self._transports
        return color.decode(pair.color), depth.decode(pair.depth)

    def problem(self, camera: str) -> str:
        """Which of a camera's topics are silent, in one line; empty if none is."""
        now = time.monotonic()
        silent = []
        for topic in (COLOR_TOPIC, DEPTH_TOPIC, INFO_TOPIC):
            last = self._received.get((camera, topic))
            if last is None:
                silent.append(f"nothing on {camera}/{topic} yet")
            elif now - last > self._silence and topic != INFO_TOPIC:  # some drivers send the calibration only once
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

    def _on_color(self, camera: str, message: Any) -> None:
        self._received[camera, COLOR_TOPIC] = time.monotonic()
        for capture in self._waiting():
            capture.add_color(camera, seconds(message.header.stamp), message)
        self._notify()

    def _on_depth(self, camera: str, message: Any) -> None:
        self._received[camera, DEPTH_TOPIC] = time.monotonic()
        for capture in self._waiting():
            capture.add_depth(camera, seconds(message.header.stamp), message)
        self._notify()

    def _on_info(self, camera: str, message: CameraInfo) -> None:
        self._received[camera, INFO_TOPIC] = time.monotonic()
        self._infos[camera] = message

    def _waiting(self) -> list[Capture]:
        with self._lock:
            return list(self._captures)
