"""A camera that publishes what a test wants, on the topics of realsense2_camera."""

from __future__ import annotations

import io
import struct
from array import array
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from geometry_msgs.msg import TransformStamped
from PIL import Image as PillowImage
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from mini_diffuser_ros.nodes.cameras.camera_topics import COLOR_TOPIC, DEPTH_TOPIC, INFO_TOPIC
from mini_diffuser_ros.nodes.ros.messages import info_from_intrinsics, stamp_from_seconds
from mini_diffuser_ros.records import CameraView, Distortion

BASE = "panda_link0"
WIDTH, HEIGHT = 32, 24
CAMERA_HEIGHT = 1.0  # metres above the base's origin, in the middle of the workspace, looking down
INTRINSICS = np.array([[40.0, 0.0, 15.5], [0.0, 40.0, 11.5], [0.0, 0.0, 1.0]])
BEYOND = 10.0  # metres, where a pixel flickers, as no sensor is without noise
ORDER = "rgba"


@dataclass
class Picture:
    """One colour, seen at one distance, and what is wrong with its messages.

    Attributes:
        color: red, green, blue.
        depth: metres.
        encoding, depth_encoding: of the messages.
        padding: bytes at the end of each row.
        step_error: added to the step that the message claims.
        age: seconds since exposure at the time of publication.
        depth_size: width and height of depth.
        info_size: width and height in camera_info.
        calibrated: whether K is given.
        frame: of the images; empty for the camera's own.
        depth_lead: seconds by which depth is exposed before colour.
        silent: publish nothing.
        stamp: seconds, always the same one instead of the time.
        distortion: of the lens.
        info_frame: of camera_info; empty for the images' own.
        frozen: the same picture from now on, bit for bit.
        transport: raw or compressed.
    """

    color: tuple[int, int, int] = (200, 10, 20)
    depth: float = 0.9
    encoding: str = "rgb8"
    depth_encoding: str = "16UC1"
    padding: int = 0
    step_error: int = 0
    age: float = 0.0
    depth_size: tuple[int, int] = (WIDTH, HEIGHT)
    info_size: tuple[int, int] = (WIDTH, HEIGHT)
    calibrated: bool = True
    frame: str = ""
    depth_lead: float = 0.0
    silent: bool = False
    stamp: float | None = None
    distortion: Distortion | None = None
    info_frame: str = ""
    frozen: bool = False
    transport: str = "raw"
    holes: list[float] = field(default_factory=list)  # values of depth without a measurement, one a column


class FakeCamera:
    """Publishes its picture again and again.

    Args:
        node: that publishes.
        name: of the camera.
        picture: may be changed at any time.
        namespace: in which its topics are.
        rate: pictures per second.
    """

    def __init__(self, node: Node, name: str, picture: Picture, namespace: str = "", rate: float = 10.0) -> None:
        self.frame, self.picture, self._node = f"{name}_optical", picture, node
        name = f"{namespace}/{name}"
        kind, suffix, depth_suffix = Image, "", ""
        if picture.transport == "compressed":
            kind, suffix, depth_suffix = CompressedImage, "/compressed", "/compressedDepth"
        qos = qos_profile_sensor_data
        self._color = node.create_publisher(kind, f"{name}/{COLOR_TOPIC}{suffix}", qos)
        self._depth = node.create_publisher(kind, f"{name}/{DEPTH_TOPIC}{depth_suffix}", qos)
        self._info = node.create_publisher(CameraInfo, f"{name}/{INFO_TOPIC}", qos)
        self._count = 0
        self._timer = node.create_timer(1.0 / rate, self._publish)

    def pose(self) -> TransformStamped:
        """It looks straight down, x of the image along -y of the base."""
        message = TransformStamped(header=Header(frame_id=BASE), child_frame_id=self.frame)
        message.transform.translation.x, message.transform.translation.z = 0.5, CAMERA_HEIGHT
        rotation = message.transform.rotation
        rotation.x, rotation.y, rotation.z, rotation.w = float(np.sqrt(0.5)), -float(np.sqrt(0.5)), 0.0, 0.0
        return message

    def close(self) -> None:
        """Publish nothing more."""
        self._timer.cancel()

    def _publish(self) -> None:
        picture = self.picture
        if picture.silent:
            return
        self._count += not picture.frozen
        now = self._node.get_clock().now().nanoseconds / 1e9 if picture.stamp is None else picture.stamp
        frame, exposed = picture.frame or self.frame, now - picture.age
        header = Header(stamp=stamp_from_seconds(exposed), frame_id=frame)
        earlier = Header(stamp=stamp_from_seconds(exposed - picture.depth_lead), frame_id=frame)
        matrix = INTRINSICS if picture.calibrated else np.zeros((3, 3))
        calibrated = Header(stamp=header.stamp, frame_id=picture.info_frame or frame)
        self._info.publish(info_from_intrinsics(matrix, picture.info_size[::-1], calibrated, picture.distortion))
        compressed = picture.transport == "compressed"
        self._color.publish(
            _compressed_color(picture, header, self._count) if compressed else _color(picture, header, self._count)
        )
        self._depth.publish(
            _compressed_depth(picture, earlier, self._count) if compressed else _depth(picture, earlier, self._count)
        )


def view_of(picture: Picture) -> CameraView:
    """What a camera with this picture sees, as a record."""
    color = np.broadcast_to(np.array(picture.color, np.uint8), (HEIGHT, WIDTH, 3))
    pose = np.array(
        [[0.0, -1.0, 0.0, 0.5], [-1.0, 0.0, 0.0, 0.0], [0.0, 0.0, -1.0, CAMERA_HEIGHT], [0.0, 0.0, 0.0, 1.0]]
    )
    return CameraView("fake", color, _metres(picture), INTRINSICS, pose)


def _color(picture: Picture, header: Header, count: int) -> Image:
    channels = [ORDER.find(letter) for letter in picture.encoding[:-1]] if picture.encoding[-1] == "8" else [0]
    pixel = np.array([*picture.color, 255], np.uint8)[channels]
    rows = np.tile(pixel, (HEIGHT, WIDTH)).astype(np.uint8)
    rows[0, -1] = count % 256
    if len(channels) > 1:
        rows[0, -2] = count // 256 % 256
    return _image(picture, header, picture.encoding, rows, (WIDTH, HEIGHT))


def _metres(picture: Picture, count: int = 0) -> np.ndarray:
    width, height = picture.depth_size
    metres = np.full((height, width), picture.depth, np.float32)
    for column, value in enumerate(picture.holes):
        metres[:, column] = value
    metres[0, -1] = BEYOND + 0.001 * (count % 30_000)
    return metres


def _depth(picture: Picture, header: Header, count: int) -> Image:
    metres = _metres(picture, count)
    samples = metres.astype("<f4") if picture.depth_encoding == "32FC1" else np.rint(metres * 1000).astype("<u2")
    return _image(picture, header, picture.depth_encoding, samples.view(np.uint8), picture.depth_size)


def _image(picture: Picture, header: Header, encoding: str, rows: np.ndarray, size: tuple[int, int]) -> Image:
    padded = np.pad(rows, ((0, 0), (0, picture.padding)))
    message = Image(header=header, encoding=encoding, width=size[0], height=size[1])
    message.step = padded.shape[1] + picture.step_error
    message.data = array("B", padded.tobytes())
    return message


def _compressed_color(picture: Picture, header: Header, count: int) -> CompressedImage:
    pixels = np.tile(np.array(picture.color, np.uint8), (HEIGHT, WIDTH, 1))
    pixels[0, -1] = count % 256, count // 256 % 256, 0
    return _packed(header, "rgb8; png compressed bgr8", pixels, b"")


def _compressed_depth(picture: Picture, header: Header, count: int) -> CompressedImage:
    millimetres = np.rint(_metres(picture, count) * 1000).astype(np.uint16)
    return _packed(header, "16UC1; compressedDepth png", millimetres, struct.pack("<iff", 0, 0.0, 0.0))


def _packed(header: Header, how: str, pixels: Any, prefix: bytes) -> CompressedImage:
    file = io.BytesIO()
    PillowImage.fromarray(np.ascontiguousarray(pixels)).save(file, "PNG")
    message = CompressedImage(header=header, format=how)
    message.data = array("B", prefix + file.getvalue())
    return message
