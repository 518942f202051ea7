"""What cameras show, in colour, by the transport that the rest of the stack takes it by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data

from mini_diffuser_ros.nodes.cameras.camera_topics import COLOR_TOPIC
from mini_diffuser_ros.nodes.cameras.image_transports import COLOR_TRANSPORTS, ImageTransport
from mini_diffuser_ros.nodes.ros.graph import publishers_of, subscribers_of

SEARCHING = 0.5
"""Seconds between looks at who publishes pictures, and who takes them."""

Picture = NDArray[np.uint8]


class NewestPictures:
    """Keeps the newest picture of each camera, raw or compressed: whichever others take, so that none travels for this.

    Args:
        node: that listens; somebody else spins it.
        cameras: names.
        fault: is told the camera and the error, where a picture cannot be read.
    """

    def __init__(self, node: Node, cameras: Sequence[str], fault: Callable[[str, Exception], None]) -> None:
        self._node, self._cameras, self._fault = node, tuple(cameras), fault
        self._taken: dict[str, tuple[ImageTransport, Any]] = {}  # how, and the subscription
        self._unread: dict[str, tuple[ImageTransport, Any]] = {}  # newest messages
        self._pictures: dict[str, Picture] = {}
        self._heard: set[str] = set()
        self._group = MutuallyExclusiveCallbackGroup()

    def look(self) -> dict[str, Picture]:
        """(H, W, 3) RGB of each camera that has shown something."""
        for camera in list(self._unread):
            transport, message = self._unread.pop(camera)
            try:
                self._pictures[camera] = transport.decode(message)
            except Exception as error:  # of a picture that nobody has thought of, neither
                self._fault(camera, error)
        return dict(self._pictures)

    def unseen(self) -> dict[str, str]:
        """Camera to why it has shown nothing, of those that have not."""
        return {camera: self._reason(camera) for camera in self._cameras if camera not in self._pictures}

    def search(self) -> None:
        """Look who publishes pictures, and listen to them; to be called every :data:`SEARCHING` seconds."""
        for camera in self._cameras:
            before, wanted = self._taken.get(camera), self._transport(camera)
            if wanted is None or (before is not None and before[0] is wanted):
                continue
            if before is not None:
                self._node.destroy_subscription(before[1])
            topic, take = f"{camera}/{COLOR_TOPIC}{wanted.suffix}", partial(self._take, camera, wanted)
            subscribed = self._node.create_subscription(
                wanted.message, topic, take, qos_profile_sensor_data, callback_group=self._group
            )
            self._taken[camera] = wanted, subscribed

    def _take(self, camera: str, transport: ImageTransport, message: Any) -> None:
        self._heard.add(camera)
        self._unread[camera] = transport, message

    def _transport(self, camera: str) -> ImageTransport | None:
        """As others take this camera's pictures; if nobody does, as they are published; None if they are not."""
        own = self._node.get_fully_qualified_name()
        published, taken = [], []
        for transport in COLOR_TRANSPORTS.values():
            topic = f"{camera}/{COLOR_TOPIC}{transport.suffix}"
            if publishers_of(self._node, topic):
                published.append(transport)
                taken += [transport] if set(subscribers_of(self._node, topic)) - {own} else []
        wanted, now = taken or published, self._taken.get(camera)
        return now[0] if now is not None and now[0] in wanted else next(iter(wanted), None)

    def _reason(self, camera: str) -> str:
        if camera in self._heard:
            return "none of its pictures could be read"
        if camera in self._taken:
            return "no picture came"
        ways = " or ".join(f"{camera}/{COLOR_TOPIC}{transport.suffix}" for transport in COLOR_TRANSPORTS.values())
        return f"nobody publishes {ways}"
