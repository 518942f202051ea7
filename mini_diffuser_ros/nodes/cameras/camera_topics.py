"""The topics of an RGB-D camera, under the names of realsense2_camera."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo

from mini_diffuser_ros.nodes.cameras.image_transports import ImageTransport
from mini_diffuser_ros.nodes.ros.sources import MessageSource

COLOR_TOPIC = "color/image_raw"
DEPTH_TOPIC = "aligned_depth_to_color/image_raw"
INFO_TOPIC = "color/camera_info"


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


def calibration_of(info: CameraInfo) -> object:
    """What a camera says of itself with every image alike, and another camera otherwise."""
    return info.header.frame_id, info.height, info.width, info.distortion_model, tuple(info.k), tuple(info.d)
