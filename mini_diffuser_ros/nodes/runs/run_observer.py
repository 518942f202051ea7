"""Listening to the stack while it obeys a sentence: first motion, decisions, speeds, diagnostics, pictures."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from mini_diffuser_msgs.msg import KeyframeModes
from numpy.typing import NDArray
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image, PointCloud2

from mini_diffuser_ros.geometry import evenly_spread
from mini_diffuser_ros.nodes.ros.clouds import CLOUD_TOPIC
from mini_diffuser_ros.nodes.ros.joint_states import subscribe_joint_states
from mini_diffuser_ros.nodes.ros.messages import (
    MalformedMessageError,
    cloud_from_message,
    color_from_image,
    in_order,
    mode_from_message,
    seconds,
)
from mini_diffuser_ros.nodes.ros.timers import steady_timer
from mini_diffuser_ros.records import Cloud, KeyframeMode
from mini_diffuser_ros.robots import RobotDescription
from mini_diffuser_ros.support.errors import one_line
from mini_diffuser_ros.viewing.joint_speeds import JointPeak, JointSpeeds
from mini_diffuser_ros.viewing.run_page import KEPT_POINTS, RUN_PAGE, RunSights, write_run_page
from mini_diffuser_ros.viewing.run_report import (
    PICTURE,
    LoggedDecision,
    RunReport,
    draw_decision,
    known_or_none,
    logged,
)
from mini_diffuser_ros.viewing.run_video import Film, RunVideo

MOVING = 0.02  # rad/s; joints at rest stay well below
VIDEO = "video.mp4"
FILM_PATIENCE = 20.0  # seconds that a film too large for the page may take to be made smaller


class RunObserver:
    """Fills a report with what happens, and films it.

    Args:
        node: that subscribes.
        report: to fill.
        folder: for the video and the picture of the first decision.
        cameras: names.
        robot: the arm.
        rate: frames per second of the video.
    """

    def __init__(
        self,
        node: Node,
        report: RunReport,
        folder: Path,
        cameras: Sequence[str],
        robot: RobotDescription,
        rate: float,
    ) -> None:
        self._node = node
        self._report = report
        self._folder = folder
        self._cameras = cameras
        self._joint_names = robot.arm_joint_names
        self._speeds = JointSpeeds(robot)
        self._rate = rate
        self._sent: float | None = None
        self._motion_commanded = False
        self._clouds: deque[Cloud] = deque(maxlen=30)
        self._picture: tuple[Cloud, list[KeyframeMode]] | None = None
        self._decided_on: dict[int, Cloud] = {}
        self._images: dict[str, NDArray[np.uint8]] = {}
        self._video: RunVideo | None = None
        self._film_times: list[float] = []
        self._video_lock = threading.Lock()
        self._filming = True

        listening = MutuallyExclusiveCallbackGroup()
        sensors = qos_profile_sensor_data
        for camera in cameras:
            node.create_subscription(
                Image,
                f"{camera}/color/image_raw",
                partial(self._on_image, camera),
                sensors,
                callback_group=listening,
            )
        node.create_subscription(PointCloud2, CLOUD_TOPIC, self._on_cloud, sensors, callback_group=listening)
        node.create_subscription(KeyframeModes, "mini_diffuser/modes", self._on_modes, 10, callback_group=listening)
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10, callback_group=listening)
        subscribe_joint_states(node, self._on_joints)
        steady_timer(node, 1.0 / rate, self._film)

    def sentence_sent(self) -> None:
        """The clock of the report starts now."""
        self._sent = time.monotonic()

    def motion_commanded(self) -> None:
        """From now on, a joint that moves is the sentence's doing."""
        self._motion_commanded = True

    def elapsed(self) -> float:
        """Seconds since the sentence, 0 before it."""
        return 0.0 if self._sent is None else time.monotonic() - self._sent

    def joint_peaks(self) -> list[JointPeak]:
        """The fastest of each joint since the sentence."""
        return self._speeds.peaks()

    def finish(self) -> None:
        """End the video and draw the first decision."""
        with self._video_lock:
            self._filming = False
            if self._video is not None:
                self._video.close()
        if self._picture is not None:
            cloud, modes = self._picture
            draw_decision(self._folder / PICTURE, cloud, modes, self._report.instruction)

    def write_page(self, in_a_hurry: bool) -> Path | None:
        """Write the run's page, if that can be; if not, a line of the log says why, and the run is what it was.

        Args:
            in_a_hurry: leaves a film that is too large beside the page.
        """
        film = Film(self._folder / VIDEO, self._rate, tuple(self._film_times)) if self._film_times else None
        sights = RunSights(clouds=self._decided_on, speeds=self._speeds, film=film)
        try:
            return write_run_page(self._folder, self._report, sights, 0.0 if in_a_hurry else FILM_PATIENCE)
        except Exception as error:  # whatever is wrong with a page: the run has ended as it has
            self._node.get_logger().warning(f"no {RUN_PAGE} in {self._folder}: {one_line(error)}")
            return None

    def _on_cloud(self, message: PointCloud2) -> None:
        try:
            self._clouds.append(cloud_from_message(message))
        except MalformedMessageError as error:
            self._node.get_logger().warning(f"mini_diffuser/cloud: {error}", throttle_duration_sec=5.0)

    def _on_modes(self, message: KeyframeModes) -> None:
        modes = [mode_from_message(mode) for mode in message.modes]
        stamp = seconds(message.header.stamp)
        seen = next((cloud for cloud in self._clouds if abs(cloud.stamp - stamp) < 1e-6), None)
        last = self._report.events[-1] if self._report.events else None
        self._report.decisions.append(
            LoggedDecision(
                round(self.elapsed(), 3),
                None if seen is None else len(seen),
                logged(modes),
                keyframe=0 if last is None else last.keyframe,
                seed=message.seed,
                familiarity=known_or_none(message.familiarity),
                presence=known_or_none(message.presence),
                completion=known_or_none(message.completion),
                sureness=[known_or_none(each.share) for each in message.sureness],
            )
        )
        self._report.checkpoint = message.checkpoint
        self._report.computed_on = f"{message.device}, {message.threads} threads, {message.library}"
        if seen is not None:
            self._decided_on[len(self._report.decisions) - 1] = _thinned(seen)
        if self._picture is None and seen is not None and modes:
            self._picture = (seen, modes)

    def _on_joints(
        self, names: Sequence[str], positions: Sequence[float], velocities: Sequence[float], stamp: float, now: float
    ) -> None:
        if self._sent is None or not self._filming:
            return
        elapsed, speeds = now - self._sent, in_order(names, velocities, self._joint_names)
        self._speeds.add(elapsed, stamp, in_order(names, positions, self._joint_names), speeds)
        waits = self._report.sentence_to_first_motion_s is None and self._motion_commanded
        if waits and (np.abs(speeds) > MOVING).any():
            self._report.sentence_to_first_motion_s = round(elapsed, 3)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        own = self._node.get_namespace().strip("/")
        for status in message.status:
            if own and not status.name.lstrip("/").startswith(f"{own}/"):
                continue  # of another arm in the graph
            level = status.level[0] if isinstance(status.level, bytes) else int(status.level)
            self._report.diagnosed(self.elapsed(), status.name, level, status.message)

    def _on_image(self, camera: str, message: Image) -> None:
        try:
            self._images[camera] = color_from_image(message)
        except MalformedMessageError as error:
            self._node.get_logger().warning(f"camera {camera}: {error}", throttle_duration_sec=5.0)

    def _film(self) -> None:
        with self._video_lock:
            if not self._filming or self._sent is None or not self._images:
                return
            if self._video is None:
                height, width = next(iter(self._images.values())).shape[:2]
                path = self._folder / VIDEO
                self._video = RunVideo(path, self._cameras, (width, height), self._rate)
            elapsed = self.elapsed()
            self._video.add(self._images, f"{self._report.instruction}   {elapsed:.1f} s")
            self._film_times.append(elapsed)


def _thinned(cloud: Cloud) -> Cloud:
    """What is kept of a cloud for its page: a run may have many."""
    kept = evenly_spread(len(cloud), KEPT_POINTS)
    return Cloud(cloud.points[kept], cloud.colors[kept], cloud.frame, cloud.stamp)
