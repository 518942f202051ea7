"""`mini-diffuser doctor` and `mini-diffuser cameras` beside a robot's drivers and a camera's topics."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from sensor_msgs.msg import CameraInfo

from mini_diffuser_ros.commands.cameras import cell_lines, missing_lines
from mini_diffuser_ros.perception.connected_cameras import ConnectedCamera, connected_cameras
from mini_diffuser_ros.perception.realsense import RealSenseError, load_sdk

from .conftest import FRANKA_INTERFACES, Peer, Process


def mini_diffuser(*words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **FRANKA_INTERFACES}
    return subprocess.run(["mini-diffuser", *words], env=environment, capture_output=True, text=True, timeout=120)


def examine() -> dict[str, tuple[str, str]]:
    """What the doctor looked at: level and value."""
    said = mini_diffuser("doctor", "--json", "--seconds", "2")
    found = json.loads(said.stdout)
    assert said.returncode == int(any(one["level"] == "ERROR" for one in found))
    return {one["what"]: (one["level"], one["value"]) for one in found}


def test_the_doctor_looks_at_drivers_and_finds_a_second_robot(peer: Peer, start: Callable[..., Process]) -> None:
    drivers = start("franka")
    peer.await_that(lambda: peer.node.count_publishers("/joint_states"))
    found = examine()
    arm = "/fr3_arm_controller/follow_joint_trajectory"
    assert found["arm"] == ("OK", f"{arm} is served by /fr3_arm_controller")
    assert found["controllers"][0] == "OK"
    assert found["gripper's width"] == ("OK", "80 mm of 80 mm, homed")
    assert found["joint states"][0] == "OK"
    assert found["nodes"][0] == "OK"
    assert found["cameras"][0] == "ERROR"

    second = start("franka", "--not-homed")
    peer.await_that(lambda: peer.node.count_publishers("/joint_states") > 1)
    found = examine()
    assert found["duplicates"][0] in ("ERROR", "WARNING")
    for process in (second, drivers):
        process.kill()


def test_cameras_lists_whose_topics_are_there(peer: Peer) -> None:
    peer.node.create_publisher(CameraInfo, "/overhead/color/camera_info", 1)
    said = mini_diffuser("cameras", "--seconds", "2")
    assert said.returncode == 0
    assert said.stdout == ('cameras:\n  overhead:  # its topics are there already, from test_peer\n    serial: ""\n')


def test_cameras_that_are_plugged_in_become_lines_of_a_cell_file() -> None:
    try:
        sdk: Any = load_sdk()
    except RealSenseError as error:
        pytest.skip(str(error))
    devices = []
    for serial, usb in (("0002", "2.1"), ("0001", "3.2")):
        device = sdk.software_device()
        device.register_info(sdk.camera_info.serial_number, serial)
        device.register_info(sdk.camera_info.name, "Intel RealSense D435")
        device.register_info(sdk.camera_info.firmware_version, "5.16.0.1")
        device.register_info(sdk.camera_info.usb_type_descriptor, usb)
        devices.append(device)
    found = connected_cameras(devices)
    assert found[0] == ConnectedCamera("0001", "Intel RealSense D435", "5.16.0.1", "3.2")
    assert list(cell_lines(found, {})) == [
        "cameras:",
        "  camera_1:  # Intel RealSense D435, firmware 5.16.0.1, USB 3.2",
        '    serial: "0001"',
        "  camera_2:  # Intel RealSense D435, firmware 5.16.0.1, USB 2.1: TOO SLOW, use a USB 3 port and cable",
        '    serial: "0002"',
    ]
    known = {"0002": "wrist", "0003": "front"}
    assert [line.split(":")[0].strip() for line in cell_lines(found, {}, known)][1::2] == ["camera_1", "wrist"]
    (line,) = missing_lines(found, known)
    assert line.startswith("front of the cell, 0003, is not plugged in here; plugged in are 0001 (Intel Real")
