"""perception_node: colour and depth of any number of cameras become /mini_diffuser/cloud."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import NoReturn

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image, JointState, PointCloud2

from mini_diffuser_ros.nodes.camera_frames import CameraHealth, Frame, FrameCollector, SyncConfig
from mini_diffuser_ros.nodes.errors import MalformedMessageError, NodeError, StaleJointsError
from mini_diffuser_ros.nodes.frames import FrameLookup
from mini_diffuser_ros.nodes.joint_tracker import JointTracker
from mini_diffuser_ros.nodes.messages import (
    cloud_to_message,
    color_from_image,
    depth_from_image,
    intrinsics_from_info,
    seconds,
)
from mini_diffuser_ros.nodes.parameters import Parameters
from mini_diffuser_ros.nodes.process import ManagedNode, run_node
from mini_diffuser_ros.perception import FusionConfig, PerceptionError, fuse_views
from mini_diffuser_ros.records import CameraView
from mini_diffuser_ros.robots import load_robot

ImageFrame = Frame[Image, CameraInfo]
TakeImage = Callable[[str, float, Image, float], None]

DIAGNOSTICS_PERIOD = 1.0  # seconds, the rate that diagnostic aggregators expect


class PerceptionNode(ManagedNode):
    """Fuses the newest images of all cameras that deliver, and says on /diagnostics which do not."""

    def __init__(self) -> None:
        super().__init__("perception_node")
        parameters = Parameters(self)
        cameras = parameters.texts(
            "cameras",
            ["front", "left_shoulder", "wrist"],
            "names of the cameras; their topics are <camera>/color/image_raw, "
            "<camera>/aligned_depth_to_color/image_raw and <camera>/color/camera_info",
        )
        robot = parameters.text("robot", "panda", "robot description whose links are taken out of the cloud")
        self._filter_robot = parameters.flag(
            "filter_robot", True, "take the robot's own points out of the cloud, from the joint states"
        )
        self._max_rate = parameters.number("max_rate", 15.0, "clouds per second at most", 0.1, 100.0)
        self._joint_age = parameters.number(
            "max_joint_age", 0.25, "seconds; older joint states are not used to filter the robot", 0.01, 10.0
        )
        tf_timeout = parameters.number("tf_timeout", 0.1, "seconds to wait for the TF of an image", 0.0, 5.0)
        sync = parameters.config(SyncConfig, "sync")
        self._fusion = parameters.config(FusionConfig, "fusion")
        self._robot = load_robot(robot)
        self._joints = JointTracker()
        self._collector: FrameCollector[Image, CameraInfo] = FrameCollector(cameras, sync, time.monotonic())
        self._frames = FrameLookup(self, tf_timeout)
        self._problems: dict[str, str] = {}  # camera name: why its last image could not be used
        self._fusion_problem = ""
        self._clouds: deque[tuple[float, float, int]] = deque(maxlen=50)  # received at, seconds of fusion, points
        self._next_cloud = 0.0

        images = MutuallyExclusiveCallbackGroup()
        for camera in cameras:
            for topic, kind, take in (
                ("color/image_raw", Image, self._collector.add_color),
                ("aligned_depth_to_color/image_raw", Image, self._collector.add_depth),
            ):
                self.create_subscription(
                    kind,
                    f"{camera}/{topic}",
                    partial(self._on_image, camera, take),
                    qos_profile_sensor_data,
                    callback_group=images,
                )
            self.create_subscription(
                CameraInfo,
                f"{camera}/color/camera_info",
                partial(self._collector.add_info, camera),
                qos_profile_sensor_data,
                callback_group=images,
            )
        self.create_subscription(
            JointState,
            "joint_states",
            self._on_joints,
            qos_profile_sensor_data,
            callback_group=MutuallyExclusiveCallbackGroup(),
        )
        self._publisher = self.create_publisher(PointCloud2, "mini_diffuser/cloud", QoSProfile(depth=1))
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.create_timer(DIAGNOSTICS_PERIOD, self._report, callback_group=MutuallyExclusiveCallbackGroup())
        self.get_logger().info(f"fusing {', '.join(cameras)} into {self._publisher.topic_name}: {self._fusion}")

    def _on_image(self, camera: str, take: TakeImage, message: Image) -> None:
        now = time.monotonic()
        take(camera, seconds(message.header.stamp), message, now)
        # Nobody listens, nothing is computed: images are only queued.
        if now < self._next_cloud or self._publisher.get_subscription_count() == 0:
            return
        frames = self._collector.take(now)
        if frames is not None:
            self._next_cloud = now + 1.0 / self._max_rate
            self._fuse(frames)

    def _on_joints(self, message: JointState) -> None:
        try:
            self._joints.update(message.name, message.position, message.velocity, time.monotonic())
        except ValueError as error:
            self.get_logger().warning(f"joint_states: {error}", throttle_duration_sec=5.0)

    def _fuse(self, frames: list[ImageFrame]) -> None:
        start = time.monotonic()
        views = [view for frame in frames if (view := self._view(frame)) is not None]
        if not views:
            return
        try:
            positions = self._robot_positions()
            cloud = fuse_views(views, self._fusion, None if positions is None else self._robot, positions)
        except (PerceptionError, StaleJointsError) as error:
            # No cloud rather than one with the robot in it: the policy has never seen such.
            self._fusion_problem = str(error)
            return
        self._fusion_problem = ""
        self._publisher.publish(cloud_to_message(cloud))
        self._clouds.append((start, time.monotonic() - start, len(cloud)))

    def _view(self, frame: ImageFrame) -> CameraView | None:
        """The frame as a record, or None if it cannot be used, which then shows on /diagnostics."""
        header = frame.color.header
        try:
            view = CameraView(
                name=frame.camera,
                color=color_from_image(frame.color),
                depth=depth_from_image(frame.depth),
                intrinsics=intrinsics_from_info(frame.info),
                base_from_camera=self._frames.parent_from_child(self._robot.base_frame, header.frame_id, header.stamp),
                stamp=frame.stamp,
            )
            if view.color.shape[:2] != view.depth.shape:
                raise MalformedMessageError(
                    f"colour of {view.color.shape[:2]} and depth of {view.depth.shape} pixels differ in size"
                )
        except (NodeError, ValueError) as error:
            self._problems[frame.camera] = str(error)
            self.get_logger().warning(f"camera {frame.camera}: {error}", throttle_duration_sec=5.0)
            return None
        self._problems.pop(frame.camera, None)
        return view

    def _robot_positions(self) -> dict[str, float] | None:
        """Joint positions for the robot filter, None if it is off.

        Raises:
            StaleJointsError: if they are missing or too old.
        """
        if not self._filter_robot:
            return None
        self._joints.positions(self._robot.arm_joint_names, time.monotonic(), self._joint_age)
        return self._joints.known_positions()

    def _report(self) -> None:
        now = time.monotonic()
        statuses = [self._camera_status(health) for health in self._collector.health(now)]
        statuses.append(self._fusion_status(now))
        problems = [status.message for status in statuses if status.level != DiagnosticStatus.OK]
        if problems:
            self.get_logger().warning("; ".join(problems), throttle_duration_sec=10.0)
        array = DiagnosticArray(status=statuses)
        array.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(array)

    def _camera_status(self, health: CameraHealth) -> DiagnosticStatus:
        status = DiagnosticStatus(name=f"{self.get_name()}: camera {health.camera}", hardware_id=health.camera)
        problem = self._problems.get(health.camera)
        if not health.live:
            status.level, status.message = DiagnosticStatus.ERROR, health.message
        elif problem is not None:
            status.level, status.message = DiagnosticStatus.WARN, f"camera {health.camera}: {problem}"
        else:
            status.level, status.message = DiagnosticStatus.OK, health.message
        return status

    def _fusion_status(self, now: float) -> DiagnosticStatus:
        status = DiagnosticStatus(name=f"{self.get_name()}: fusion", hardware_id=self._robot.name)
        recent = [cloud for cloud in self._clouds if now - cloud[0] < 5.0]
        status.level = DiagnosticStatus.OK
        status.message = f"{len(recent) / 5.0:.1f} clouds a second"
        if self._publisher.get_subscription_count() == 0:
            status.message = "idle: nobody subscribes to the cloud"
        elif self._fusion_problem:
            status.level, status.message = DiagnosticStatus.ERROR, f"no cloud: {self._fusion_problem}"
        elif not recent:
            status.level, status.message = DiagnosticStatus.WARN, "no cloud within 5 s"
        if recent:
            _, fusion_seconds, points = recent[-1]
            status.values = [
                KeyValue(key="points", value=str(points)),
                KeyValue(key="fusion seconds", value=f"{fusion_seconds:.4f}"),
            ]
        return status


def main() -> NoReturn:
    """Entry point of the executable ``perception_node``."""
    run_node(PerceptionNode)


if __name__ == "__main__":
    main()
