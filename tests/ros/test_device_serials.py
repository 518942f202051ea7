"""A camera is the device that the cell says, as its driver says it; another under its name is not believed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import rclpy
import yaml
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image, PointCloud2
from tf2_ros import StaticTransformBroadcaster

from mini_diffuser_ros.nodes.cameras.camera_topics import COLOR_TOPIC
from mini_diffuser_ros.nodes.cameras.device_serials import DeviceSerials

from .conftest import Peer, Process
from .fake_camera import FakeCamera, Picture

CELL = Path(__file__).parents[2] / "config" / "cells" / "example.yaml"


@pytest.fixture
def driver(peer: Peer) -> Iterator[Node]:
    """A driver as realsense2_camera's, named after its camera, which says what device it was told to open."""
    node = rclpy.create_node("front", namespace="/", start_parameter_services=True)
    node.declare_parameter("serial_no", "_000000000001")
    executor = peer.node.executor or SingleThreadedExecutor()
    executor.add_node(node)
    yield node
    executor.remove_node(node)
    node.destroy_node()


def test_a_device_is_known_by_what_its_driver_says(peer: Peer, driver: Node) -> None:
    images = driver.create_publisher(Image, f"/front/{COLOR_TOPIC}", qos_profile_sensor_data)
    serials = DeviceSerials(peer.node, {"front": "000000000001", "wrist": "2", "unsaid": ""})
    peer.await_that(lambda: serials.known() == {"front": "000000000001"})
    assert serials.faults() == {}
    driver.set_parameters([Parameter("serial_no", value="2")])  # as after another start of the driver
    peer.await_that(serials.faults)
    assert serials.fault("front") == (
        "streams from the device 2, which is wrist of the cell, instead of 000000000001: start its driver with "
        "serial_no:=000000000001, or set its serial in the cell"
    )
    assert serials.fault("wrist") == serials.fault("unsaid") == ""
    driver.destroy_publisher(images)
    peer.await_that(lambda: not serials.known())


def test_no_cloud_is_made_of_another_device(
    peer: Peer, driver: Node, start: Callable[..., Process], tmp_path: Path
) -> None:
    values = yaml.safe_load(CELL.read_text())
    values |= {"robot": "panda", "cameras": {"front": {"serial": "000000000002"}}, "gripper": {}}
    (tmp_path / "cell.yaml").write_text(yaml.safe_dump(values))
    camera = FakeCamera(driver, "front", Picture())
    frames = StaticTransformBroadcaster(peer.node)
    frames.sendTransform([camera.pose()])
    told, clouds = peer.collect(DiagnosticArray, "/diagnostics"), peer.collect(PointCloud2, "/mini_diffuser/cloud")
    alone = {"content.survey_period": 0.0, "filter_robot": False, "max_image_age": 5.0}
    start("perception_node", cell=tmp_path / "cell.yaml", **alone)

    def verdict() -> str:
        parts = [one for array in told for one in array.status if one.name == "perception_node: camera front"]
        return parts[-1].message if parts else ""

    peer.await_that(lambda: "streams from the device 000000000001 instead of 000000000002" in verdict())
    driver.set_parameters([Parameter("serial_no", value="000000000002")])
    peer.await_that(lambda: "streams from" not in verdict())
    known = len(clouds)
    peer.await_that(lambda: len(clouds) > known)
    camera.close()
