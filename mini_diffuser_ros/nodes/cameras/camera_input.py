"""The topics of one camera."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo

from mini_diffuser_ros.nodes.cameras.camera_topics import PublisherWatch, subscribe_camera, topics_of
from mini_diffuser_ros.nodes.cameras.image_transports import ImageTransport
from mini_diffuser_ros.nodes.ros.messages import seconds
from mini_diffuser_ros.sensing.camera_monitor import CameraHealth, Instant
from mini_diffuser_ros.sensing.frame_sets import FrameCollector
from mini_diffuser_ros.support.health import Health, HealthLevel, RecentValues

AddImage = Callable[[str, float, Any, Instant], bool]


class CameraInput:
    """Hands the images of one camera to the collector as they are, and remembers how they come in.

    Args:
        node: that subscribes.
        camera: name of the camera, below which its topics live.
        transports: how its colour and its depth images travel.
        collector: takes the images.
        now: both clocks.
        on_pair: called when colour and depth of one time have arrived.

    Attributes:
        several_publishers: who publish one of its topics together, in words that follow its name; empty if one does.
    """

    def __init__(
        self,
        node: Node,
        camera: str,
        transports: tuple[ImageTransport, ImageTransport],
        collector: FrameCollector[Any, CameraInfo],
        now: Callable[[], Instant],
        on_pair: Callable[[], None],
    ) -> None:
        self.camera = camera
        self.problem = ""  # why its last frame could not be used
        self.misleads = ""  # why no cloud may be made of it
        self._now, self._on_pair = now, on_pair
        self.several_publishers = PublisherWatch(node, topics_of(camera, transports)).several
        self._color_ages, self._depth_ages = RecentValues(), RecentValues()
        self._newest = float("-inf")
        subscribe_camera(
            node,
            camera,
            transports,
            partial(self._on_image, collector.add_color, self._color_ages),
            partial(self._on_image, collector.add_depth, self._depth_ages),
            partial(collector.add_info, camera),
            MutuallyExclusiveCallbackGroup(),
        )

    def _on_image(self, add: AddImage, ages: RecentValues, message: Any) -> None:
        stamp, now = seconds(message.header.stamp), self._now()
        ages.add(1e3 * (now.clock - stamp))
        self._newest = stamp
        if add(self.camera, stamp, message, now):
            self._on_pair()

    def health(self, state: CameraHealth) -> Health:
        """What is to be said on /diagnostics, given what the collector says."""
        values: dict[str, float | str] = {
            "colour rate (Hz)": self._color_ages.rate(),
            "depth rate (Hz)": self._depth_ages.rate(),
            "pairs dropped for their age": float(state.dropped),
            **self._color_ages.summary("age of colour on arrival", "ms"),
            **self._depth_ages.summary("age of depth on arrival", "ms"),
        }
        if self._newest > float("-inf"):
            values["age of the newest image (s)"] = self._now().clock - self._newest
        if not state.live:
            return Health(HealthLevel.ERROR, state.message, values)
        if self.misleads:
            return Health(HealthLevel.ERROR, f"camera {self.camera}: {self.misleads}", values)
        if several := self.several_publishers():
            return Health(HealthLevel.ERROR, f"camera {self.camera}: {several}", values)
        if self.problem:
            return Health(HealthLevel.WARN, f"camera {self.camera}: {self.problem}", values)
        return Health(HealthLevel.OK if state.well else HealthLevel.WARN, state.message, values)
