"""Which device streams under a camera's name, as its driver says it, against what the cell has written down."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from rcl_interfaces.srv import GetParameters
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node

from mini_diffuser_ros.nodes.cameras.camera_topics import COLOR_TOPIC
from mini_diffuser_ros.nodes.ros.graph import publishers_of
from mini_diffuser_ros.nodes.ros.timers import steady_timer

PERIOD = 2.0  # seconds between questions: a driver may be started again on another device
PARAMETER = "serial_no"


class DeviceSerials:
    """Asks the node behind each camera's topics for the serial number of its device, again and again.

    realsense2_camera says it by its service ``device_info``, which is measured, and by its parameter ``serial_no``,
    which its device had to fit. Of a driver that says neither, nothing is known.

    Args:
        node: that asks; somebody else spins it.
        expected: camera to the serial number of its device; others are not asked about.
    """

    def __init__(self, node: Node, expected: Mapping[str, str]) -> None:
        self._node = node
        self._expected = {camera: serial for camera, serial in expected.items() if serial}
        self._kinds = _kinds()
        self._said: dict[str, dict[str, str]] = {camera: {} for camera in self._expected}
        self._clients: dict[str, Any] = {}
        self._group = ReentrantCallbackGroup()
        if self._expected:
            self._ask()
            self._timer = steady_timer(node, PERIOD, self._ask)

    def of(self, camera: str) -> str:
        """Serial number of a camera's device; empty if nobody has said it."""
        said = self._said.get(camera, {})
        return next((serial for way in self._kinds if (serial := said.get(way, ""))), "")

    def known(self) -> dict[str, str]:
        """Camera to the serial number of its device, as far as drivers have said it."""
        return {camera: serial for camera in self._expected if (serial := self.of(camera))}

    def faults(self) -> dict[str, str]:
        """Camera to what is wrong with the device under its name, of those with which something is."""
        return {camera: fault for camera in self._expected if (fault := self.fault(camera))}

    def fault(self, camera: str) -> str:
        """What is wrong with the device under a camera's name, in words that follow the name; empty if nothing is."""
        found, wanted = self.of(camera), self._expected.get(camera, "")
        if not found or found == wanted:
            return ""
        others = [name for name, serial in self._expected.items() if serial == found]
        whose = f", which is {others[0]} of the cell," if others else ""
        return (
            f"streams from the device {found}{whose} instead of {wanted}: start its driver with {PARAMETER}:={wanted}, "
            "or set its serial in the cell"
        )

    def _ask(self) -> None:
        for camera in self._expected:
            drivers = publishers_of(self._node, f"{camera}/{COLOR_TOPIC}")
            if not drivers:
                self._said[camera] = {}
            for driver in drivers:
                for way, (kind, request, read) in self._kinds.items():
                    self._call(camera, way, f"{driver}/{way}", kind, request, read)

    def _call(self, camera: str, way: str, service: str, kind: Any, request: Any, read: Any) -> None:
        client = self._clients.get(service)
        if client is None:
            client = self._clients[service] = self._node.create_client(kind, service, callback_group=self._group)
        if not client.service_is_ready():
            return

        def take(future: Any) -> None:
            if future.result() is not None:
                self._said[camera][way] = read(future.result())

        client.call_async(request).add_done_callback(take)


def _kinds() -> dict[str, tuple[Any, Any, Any]]:
    """Name of a driver's service to its type, what is asked and how the answer is read; the surest first."""
    kinds: dict[str, tuple[Any, Any, Any]] = {}
    try:
        info = import_module("realsense2_camera_msgs.srv").DeviceInfo
        kinds["device_info"] = (info, info.Request(), lambda answer: str(answer.serial_number))
    except (ImportError, AttributeError):  # not where the driver runs on another machine
        pass
    asked = GetParameters.Request(names=[PARAMETER])
    kinds["get_parameters"] = (GetParameters, asked, _serial_of)
    return kinds


def _serial_of(answer: Any) -> str:
    """The driver takes numbers with a leading underscore, so that no shell makes integers of them."""
    return "".join(value.string_value.lstrip("_") for value in answer.values)
