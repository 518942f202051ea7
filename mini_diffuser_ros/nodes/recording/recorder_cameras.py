"""The cameras of the recorder: what they deliver goes to the keyframes that are being waited for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from sensor_msgs.msg import CameraInfo

from mini_diffuser_ros.nodes.cameras.camera_topics import (
    COLOR_TOPIC,
    DEPTH_TOPIC,
    INFO_TOPIC,
    calibration_of,
    subscribe_camera,
)
from mini_diffuser_ros.nodes.cameras.camera_views import ImageFrame
from mini_diffuser_ros.nodes.cameras.image_transports import ImageTransport
from mini_diffuser_ros.nodes.ros.messages import MalformedMessageError, seconds
from mini_diffuser_ros.nodes.ros.ros_time import ros_seconds
from mini_diffuser_ros.nodes.ros.sources import MessageSource
from mini_diffuser_ros.perception.content import ContentConfig, measures
from mini_diffuser_ros.sensing.camera_monitor import (
    SEVERAL_SENDERS,
    AgeLimits,
    Arrival,
    CameraMonitor,
    Instant,
    RgbdPair,
    SyncConfig,
)
from mini_diffuser_ros.sensing.keyframe_capture import KeyframeCapture
from mini_diffuser_ros.sensing.still_pictures import KINDS, StillPictureWatch, told_still
from mini_diffuser_ros.support.health import Health, HealthLevel

Capture = KeyframeCapture[Any, CameraInfo]
"""Of messages of whatever kind the images travel as."""

AddImage = Callable[[str, float, Any, Instant], "RgbdPair[Any, CameraInfo] | None"]


class RecorderCameras:
    """Subscribes to any number of cameras. Pictures that have not changed since the last ones go to no keyframe.

    Args:
        source: of the messages.
        awake: seconds on which silence is measured; somebody else keeps them running.
        names: of the cameras.
        transports: how colour and how depth travel.
        sync: which images belong together, and when a camera counts as silent.
        max_clock_lead: seconds that an image may be stamped in the future.
        content: when a picture counts as frozen.
        notify: called when something arrives that somebody may wait for.
        strange: what is wrong with the device under a camera's name, in words that follow it; empty if nothing is.

    Attributes:
        misleads: camera to why no keyframe could be made of what it showed last.
    """

    def __init__(
        self,
        source: MessageSource,
        awake: Callable[[], float],
        names: Sequence[str],
        transports: tuple[ImageTransport, ImageTransport],
        sync: SyncConfig,
        max_clock_lead: float,
        content: ContentConfig,
        notify: Callable[[], None],
        strange: Callable[[str], str] = lambda _: "",
    ) -> None:
        self.names = tuple(names)
        self.transports = transports
        self._source, self._awake, self._notify = source, awake, notify
        self._stale_after, self._max_clock_lead = sync.stale_after, max_clock_lead
        # However old: a keyframe waits until its images are known to show the arm at rest.
        limits = AgeLimits(oldest=float("inf"), lead=max_clock_lead)
        self._monitor = CameraMonitor[Any, CameraInfo](names, sync, limits, awake(), calibration_of)
        self._content = content
        self._strange = strange
        self._pictures = {(name, kind): StillPictureWatch(content.still_after) for name in names for kind in KINDS}
        self._still = dict.fromkeys(names, "")
        self.misleads: Mapping[str, str] = {}
        self._captures: list[Capture] = []
        self._lock = threading.Lock()
        group = MutuallyExclusiveCallbackGroup()
        for name in names:
            on_color = partial(self._on_image, name, self._monitor.add_color)
            on_depth = partial(self._on_image, name, self._monitor.add_depth)
            on_info = partial(self._monitor.add_info, name)
            subscribe_camera(source, name, transports, on_color, on_depth, on_info, group)

    def capture(self, not_before: float, settle_time: float) -> Capture:
        """A capture that gets every image from now on; arguments as those of KeyframeCapture."""
        capture: Capture = KeyframeCapture(self.names, not_before, settle_time)
        with self._lock:
            self._captures.append(capture)
        return capture

    def remove(self, capture: Capture) -> None:
        """The capture gets no more images."""
        with self._lock:
            self._captures.remove(capture)

    def problem(self, camera: str) -> str:
        """What is wrong with a camera: silent, from the future, several, another device, frozen; or empty."""
        faults = [
            fault
            for topic, arrival in zip((COLOR_TOPIC, DEPTH_TOPIC), self._monitor.arrivals(camera), strict=True)
            if (fault := self._fault(f"{camera}/{topic}", arrival))
        ]
        if not self._monitor.is_calibrated(camera):  # some drivers send the calibration only once
            faults.append(f"nothing on {camera}/{INFO_TOPIC} yet")
        if self._monitor.has_several_senders(camera):
            faults.append(f"images are {SEVERAL_SENDERS}")
        if strange := self._strange(camera):
            faults.append(strange)
        if not faults and self._still[camera]:
            faults.append(self._still[camera])
        return f"camera {camera}: {', '.join(faults)}" if faults else ""

    def frozen(self) -> list[str]:
        """What is wrong with cameras that go on sending the same picture, one line a camera."""
        return [self.problem(camera) for camera, still in self._still.items() if still]

    def of_other_devices(self) -> list[str]:
        """What is wrong with cameras that are other devices than the cell says, one line a camera."""
        return [f"camera {camera} {fault}" for camera in self.names if (fault := self._strange(camera))]

    def _fault(self, topic: str, arrival: Arrival | None) -> str:
        """What is wrong with the newest image on a topic, in words that name the topic; empty if nothing is."""
        if arrival is None:
            return f"nothing on {topic} yet"
        silence = self._awake() - arrival.steady
        if silence > self._stale_after:
            return f"nothing on {topic} for {silence:.1f} s"
        if arrival.lead > self._max_clock_lead:
            allowed = f"{self._max_clock_lead:g} s (camera.max_clock_lead)"
            return (
                f"{topic} is stamped {arrival.lead:.3f} s in the future, allowed are {allowed}: synchronise the clocks "
                "of the machines"
            )
        return ""

    def health(self, camera: str) -> Health:
        """For diagnostics."""
        problem = self.problem(camera)
        if not problem and (misleads := self.misleads.get(camera)):
            problem = f"camera {camera}: no keyframe was made: {misleads}"
        return Health(HealthLevel.ERROR, problem) if problem else Health(HealthLevel.OK, f"camera {camera}: delivers")

    def what_lacks(self, capture: Capture) -> list[str]:
        """Why a capture has not got its images from every camera, one line a camera."""
        newest = self._monitor.newest()
        lines = {camera: problem for camera in self.names if (problem := self.problem(camera))}
        for camera, late in capture.late(newest).items():
            if camera not in lines and late is not None:
                lines[camera] = (
                    f"camera {camera}: its newest image is stamped {late:.2f} s before the keyframe was asked for; "
                    "are the clocks of the machines synchronised?"
                )
        for camera in capture.unpaired(newest):
            lines.setdefault(camera, f"camera {camera}: no colour and depth of the same time (camera.pair_tolerance)")
        return [lines[camera] for camera in self.names if camera in lines]

    def _on_image(self, camera: str, add: AddImage, message: Any) -> None:
        now = Instant(self._awake(), ros_seconds(self._source))
        # A pair from the future shows what was before its stamp, and maybe before it was asked for: there is none.
        pair = add(camera, seconds(message.header.stamp), message, now)
        if pair is not None and self._shows_anew(pair, now.steady):
            for capture in self._waiting():
                capture.add(pair)
        self._notify()

    def _shows_anew(self, pair: ImageFrame, steady: float) -> bool:
        """Whether both pictures differ from those before them; remembers what to say of a frozen one."""
        still = ""
        is_new = True
        for kind, message in zip(KINDS, (pair.color, pair.depth), strict=True):
            watch = self._pictures[pair.camera, kind]
            lasted = watch.still_for(np.frombuffer(message.data, dtype=np.uint8), steady)
            if watch.is_new or (kind == "depth" and not self._measures(message)):
                continue  # depth without noise may have nothing in it, which the keyframe is judged by
            is_new = False
            if lasted and not still:
                still = told_still(kind, lasted)
        self._still[pair.camera] = still
        return is_new

    def _measures(self, depth: Any) -> bool:
        try:
            return measures(self.transports[1].decode(depth), self._content)
        except MalformedMessageError:
            return False  # whoever makes a keyframe of it says so

    def _waiting(self) -> list[Capture]:
        with self._lock:
            return list(self._captures)
