"""The topics of an RGB-D camera, under the names of realsense2_camera."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo

from mini_diffuser_ros.nodes.cameras.image_transports import ImageTransport
from mini_diffuser_ros.nodes.ros.graph import publishers_of
from mini_diffuser_ros.nodes.ros.sources import MessageSource

COLOR_TOPIC = "color/image_raw"
DEPTH_TOPIC = "aligned_depth_to_color/image_raw"
INFO_TOPIC = "color/camera_info"
LOOK_PERIOD = 0.5  # seconds between two looks at who publishes


def topics_of(camera: str, transports: tuple[ImageTransport, ImageTransport]) -> tuple[str, str, str]:
    """Names of a camera's colour, depth and calibration."""
    color, depth = transports
    names = (COLOR_TOPIC + color.suffix, DEPTH_TOPIC + depth.suffix, INFO_TOPIC)
    return f"{camera}/{names[0]}", f"{camera}/{names[1]}", f"{camera}/{names[2]}"


def subscribe_camera(
    node: MessageSource,
    camera: str,
    transports: tuple[ImageTransport, ImageTransport],
    on_color: Callable[[Any], None],
    on_depth: Callable[[Any], None],
    on_info: Callable[[CameraInfo], None],
    group: CallbackGroup,
) -> None:
    """Subscribe to colour, to depth aligned to it and to the calibration of one camera, with sensor-data QoS.

    Args:
        node: that subscribes.
        camera: its name, below which the topics live.
        transports: how colour and how depth travel; their messages are what the callbacks get.
        on_color, on_depth, on_info: called with each message.
        group: of the callbacks.
    """
    color, depth = transports
    kinds = ((color.message, on_color), (depth.message, on_depth), (CameraInfo, on_info))
    for topic, (kind, callback) in zip(topics_of(camera, transports), kinds, strict=True):
        node.create_subscription(kind, topic, callback, qos_profile_sensor_data, callback_group=group)


class PublisherWatch:
    """Notices that a camera's topics are published by two, as by drivers that say the same of their lens.

    Args:
        node: that looks.
        topics: of the camera.
    """

    def __init__(self, node: Node, topics: Sequence[str]) -> None:
        self._node, self._topics = node, tuple(topics)
        self._looked, self._found = -float("inf"), ""

    def several(self) -> str:
        """Who publish a topic together, in words that follow a camera's name; empty if one does."""
        now = time.monotonic()
        if now - self._looked > LOOK_PERIOD:
            self._looked, self._found = now, self._look()
        return self._found

    def _look(self) -> str:
        for topic in self._topics:
            if len(names := publishers_of(self._node, topic)) > 1:
                return (
                    f"{topic} is published {len(names)} times, by {', '.join(sorted(names))}: images of two drivers "
                    "would be taken for one camera's; end all but one (who was killed stands there for a while)"
                )
        return ""


def calibration_of(info: CameraInfo) -> object:
    """What a camera says of itself with every image alike, and another camera otherwise."""
    return info.header.frame_id, info.height, info.width, info.distortion_model, tuple(info.k), tuple(info.d)
