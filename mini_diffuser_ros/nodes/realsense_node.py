"""realsense_node: RealSense cameras or their recordings become the topics that realsense2_camera has."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NoReturn

from builtin_interfaces.msg import Time
from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from tf2_ros import StaticTransformBroadcaster

from mini_diffuser_ros.nodes.cameras.camera_topics import COLOR_TOPIC, DEPTH_TOPIC, INFO_TOPIC
from mini_diffuser_ros.nodes.ros.cell_parameter import cameras_from, cell_from
from mini_diffuser_ros.nodes.ros.diagnostics import Diagnostics
from mini_diffuser_ros.nodes.ros.messages import (
    image_from_color,
    image_from_millimetres,
    info_from_intrinsics,
    stamp_from_seconds,
    transform_from_matrix,
)
from mini_diffuser_ros.nodes.ros.parameters import Parameters
from mini_diffuser_ros.nodes.ros.process import ManagedNode, NodeError, run_node
from mini_diffuser_ros.nodes.ros.ros_time import ros_seconds
from mini_diffuser_ros.perception.realsense import (
    RealSenseCamera,
    RealSenseDevices,
    RealSenseError,
    RgbdFrame,
    StreamConfig,
)
from mini_diffuser_ros.perception.realsense_feed import FeedConfig, RealSenseFeed
from mini_diffuser_ros.perception.sensor_clock import SensorClock


class RealsenseNode(ManagedNode):
    """One thread a camera reads, aligns and publishes; a camera that is lost is named and opened again."""

    def __init__(self) -> None:
        super().__init__("realsense_node")
        parameters = Parameters(self)
        cell = cell_from(self, parameters)
        cameras = cameras_from(parameters, cell, "names of the cameras, below which their topics live", ["front"])
        serials = parameters.texts(
            "serials",
            [cell.cameras[name].serial for name in cameras] if cell else [""],
            "serial numbers, one a camera in the same order; empty: any that no other camera has",
        )
        recordings = parameters.texts(
            "recordings",
            [""],
            "files of the RealSense SDK to play instead, one a camera in the same order; empty: none",
        )
        config = StreamConfig(
            parameters.integer("width", 640, "pixels of colour and depth", 1, 4096),
            parameters.integer("height", 480, "pixels of colour and depth", 1, 4096),
            parameters.integer("fps", 30, "images per second", 1, 300),
        )
        publish_tf = parameters.flag(
            "publish_tf",
            False,
            "publish <camera>_link -> <camera>_color_optical_frame from the camera's factory calibration; only where "
            "nobody else publishes a parent of the optical frame",
        )
        feed = parameters.settings(FeedConfig(), "feed")
        self._serials = _one_each(cameras, serials, "serials")
        if cell is not None:
            _refuse_nameless(self._serials)
        files = _one_each(cameras, recordings, "recordings")
        self._config = config
        self._devices = RealSenseDevices()
        self._in_use: dict[str, str] = {}  # camera name: serial number
        self._opening = threading.Lock()
        self._static_tf = StaticTransformBroadcaster(self)
        diagnostics = Diagnostics(self, "realsense")
        self._feeds = []
        for name in cameras:
            output = RealSenseOutput(self, name, self._static_tf if publish_tf else None)
            opens: Callable[[], RealSenseCamera] = partial(self._open, name)
            if files[name]:
                opens = partial(self._play, name, Path(files[name]))
            self._feeds.append(RealSenseFeed(name, opens, output.publish, self.get_logger().info, feed))
            diagnostics.add(f"camera {name}", self._feeds[-1].health)
        for one in self._feeds:
            one.start()

    def close(self) -> None:
        """Stop every camera."""
        for feed in self._feeds:
            feed.close()

    def _open(self, name: str) -> RealSenseCamera:
        with self._opening:
            # A camera that came without a number keeps its device, also when it was lost.
            serial = self._serials[name] or self._in_use.get(name, "")
            taken = {*self._serials.values(), *self._in_use.values()}
            camera = self._devices.open(serial, self._config, taken - {serial})
            self._in_use[name] = camera.serial
            return camera

    def _play(self, name: str, file: Path) -> RealSenseCamera:
        camera, serial = self._devices.play(file), self._serials[name]
        if serial and camera.serial != serial:
            camera.close()
            raise RealSenseError(f"recording {file} is of the camera {camera.serial}, but {name} is {serial}")
        return camera


class RealSenseOutput:
    """The topics of one camera, named as realsense2_camera names them.

    Args:
        node: that publishes.
        name: of the camera.
        static_tf: for the pose of the optical frame in the camera's link; None to leave it out.
    """

    def __init__(self, node: Node, name: str, static_tf: StaticTransformBroadcaster | None) -> None:
        self._node, self._name, self._static_tf = node, name, static_tf
        qos = qos_profile_sensor_data
        self._color = node.create_publisher(Image, f"{name}/{COLOR_TOPIC}", qos)
        self._depth = node.create_publisher(Image, f"{name}/{DEPTH_TOPIC}", qos)
        self._info = node.create_publisher(CameraInfo, f"{name}/{INFO_TOPIC}", qos)
        self._clock = SensorClock()
        self._told = ""  # serial number of the camera whose pose was published

    def publish(self, camera: RealSenseCamera, frame: RgbdFrame) -> None:
        """Publish a frame that has just arrived."""
        stamps = self._stamps(frame)
        color, depth = (Header(stamp=stamp, frame_id=f"{self._name}_color_optical_frame") for stamp in stamps)
        if self._static_tf is not None and self._told != camera.serial:
            self._static_tf.sendTransform(
                TransformStamped(
                    header=Header(stamp=stamps[0], frame_id=f"{self._name}_link"),
                    child_frame_id=color.frame_id,
                    transform=transform_from_matrix(camera.link_from_optical),
                )
            )
            self._told = camera.serial
        self._info.publish(info_from_intrinsics(frame.intrinsics, frame.depth.shape, color, frame.distortion))
        self._color.publish(image_from_color(frame.color, color))
        self._depth.publish(image_from_millimetres(frame.depth, depth))

    def _stamps(self, frame: RgbdFrame) -> tuple[Time, Time]:
        """ROS time of colour and of depth."""
        offset = 0.0
        if not frame.host_clock:
            received = ros_seconds(self._node)
            newest = max(frame.color_stamp, frame.depth_stamp)
            offset = self._clock.to_receiver(newest, received) - newest
        return stamp_from_seconds(frame.color_stamp + offset), stamp_from_seconds(frame.depth_stamp + offset)


def _one_each(cameras: list[str], values: list[str], parameter: str) -> dict[str, str]:
    """Camera name to its value; a single empty one stands for all.

    Raises:
        ValueError: if there is not one for each, or one is given twice.
    """
    if values == [""]:
        return dict.fromkeys(cameras, "")
    if len(values) != len(cameras):
        raise ValueError(
            f"parameter {parameter} has {len(values)} entries, expected one for each of {', '.join(cameras)}"
        )
    given = [value for value in values if value]
    if len(set(given)) != len(given):
        raise ValueError(f"parameter {parameter} names one twice: {', '.join(given)}")
    return dict(zip(cameras, values, strict=True))


def _refuse_nameless(serials: dict[str, str]) -> None:
    """Cameras of a cell are told apart by what they say of themselves; a single one needs no number."""
    nameless = [name for name, serial in serials.items() if not serial]
    if nameless and len(serials) > 1:
        raise NodeError(
            f"camera '{nameless[0]}' has no serial in the cell to tell the cameras apart; mini-diffuser cameras lists "
            "those that are plugged in"
        )


def main() -> NoReturn:
    """Entry point of the executable ``realsense_node``."""
    run_node(RealsenseNode)


if __name__ == "__main__":
    main()
