"""perception_node: colour and depth of any number of cameras become /mini_diffuser/cloud."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, NoReturn

import numpy as np
from mini_diffuser_msgs.msg import Heartbeat
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, PointCloud2
from std_srvs.srv import Trigger

from mini_diffuser_ros.cell import Cell, cell_digest
from mini_diffuser_ros.nodes.cameras.camera_input import CameraInput
from mini_diffuser_ros.nodes.cameras.camera_topics import calibration_of
from mini_diffuser_ros.nodes.cameras.camera_views import ImageFrame, frame_of, view_from_messages
from mini_diffuser_ros.nodes.cameras.device_serials import DeviceSerials
from mini_diffuser_ros.nodes.cameras.image_transports import transports_from_parameters
from mini_diffuser_ros.nodes.ros.cell_parameter import cameras_from, cell_from
from mini_diffuser_ros.nodes.ros.clouds import CLOUD_TOPIC, digest_of
from mini_diffuser_ros.nodes.ros.diagnostics import Diagnostics
from mini_diffuser_ros.nodes.ros.frames import FrameLookup
from mini_diffuser_ros.nodes.ros.heartbeat import Heart
from mini_diffuser_ros.nodes.ros.joint_states import subscribe_joint_states
from mini_diffuser_ros.nodes.ros.messages import cloud_to_message
from mini_diffuser_ros.nodes.ros.parameters import Parameters
from mini_diffuser_ros.nodes.ros.process import ManagedNode, NodeError, run_node
from mini_diffuser_ros.nodes.ros.ros_time import ros_seconds
from mini_diffuser_ros.perception import FusionConfig, PerceptionError, fuse_views, require_open3d
from mini_diffuser_ros.perception.content import ContentConfig
from mini_diffuser_ros.perception.levelling import levelled_within
from mini_diffuser_ros.perception.seen_places import VOXEL, SeenPlaces
from mini_diffuser_ros.policy.checkpoint import read_checkpoint
from mini_diffuser_ros.records import CameraView, Cloud, Provenance
from mini_diffuser_ros.robots import load_robot
from mini_diffuser_ros.sensing.camera_monitor import AgeLimits, CameraMonitor, Instant, SyncConfig
from mini_diffuser_ros.sensing.camera_places import camera_places
from mini_diffuser_ros.sensing.content_watch import ContentWatch, Pictures
from mini_diffuser_ros.sensing.errors import StaleJointsError
from mini_diffuser_ros.sensing.frame_sets import FrameCollector
from mini_diffuser_ros.sensing.joint_history import JointHistory
from mini_diffuser_ros.sensing.stamps import SetBackClock
from mini_diffuser_ros.support.errors import UserError
from mini_diffuser_ros.support.health import WINDOW, Health, HealthLevel, RecentValues
from mini_diffuser_ros.support.settings import leaves

Pose = Any

IDLE_PERIOD = 1.0  # seconds between looks at what the cameras show while nobody subscribes to the cloud
VOUCHED = 32  # newest clouds that each beat names
RESTING_SPEED = 0.02  # rad/s, below which the arm rests as far as cameras can tell


class PerceptionNode(ManagedNode):
    """Fuses the newest images of all cameras that deliver, and says on /diagnostics which do not.

    Images are only queued, in a callback group for each camera, so that none is lost while a cloud is made and none
    keeps another camera waiting; joint states and TF come in at any time; fusion is woken by the image that completes a
    set.
    """

    threads = 6  # fusion, joint states, TF, diagnostics, and images, which take little

    def __init__(self) -> None:
        super().__init__("perception_node")
        parameters = Parameters(self)
        cell = cell_from(self, parameters)
        self._lenses = {name: camera.intrinsics for name, camera in cell.cameras.items()} if cell else {}
        cameras = cameras_from(
            parameters,
            cell,
            "names of the cameras; their topics are <camera>/color/image_raw, "
            "<camera>/aligned_depth_to_color/image_raw and <camera>/color/camera_info",
        )
        self._transports = transports_from_parameters(parameters)
        robot = parameters.text(
            "robot", cell.robot if cell else "panda", "robot description whose links are taken out of the cloud"
        )
        self._filter_robot = parameters.flag(
            "filter_robot", True, "take the robot's own points out of the cloud, from the joint states"
        )
        self._period = 1.0 / parameters.number("max_rate", 20.0, "clouds per second at most, on average", 0.1, 100.0)
        self._joint_gap = parameters.number(
            "max_joint_age", 0.25, "seconds between an image and the nearest joint state at most", 0.01, 10.0
        )
        self._tf_timeout = parameters.number(
            "tf_timeout", 0.05, "seconds to wait for TF at the images' time, for all cameras together", 0.0, 5.0
        )
        limits = AgeLimits(
            parameters.number(
                "max_image_age", 0.1, "seconds from its stamp after which an image is not used any more", 0.01, 60.0
            ),
            parameters.number(
                "max_clock_lead",
                0.05,
                "seconds that an image may be stamped in the future before it is dropped",
                0.0,
                60.0,
            ),
        )
        sync = parameters.settings(SyncConfig(), "sync")
        content = parameters.settings(ContentConfig(), "content")
        self._robot = load_robot(robot)
        self._fusion = self._fusion_settings(parameters, cell)
        self._devices = DeviceSerials(self, {name: cell.cameras[name].serial for name in cameras} if cell else {})

        self._joints = JointHistory()
        self._collector: FrameCollector[Any, CameraInfo] = FrameCollector(
            CameraMonitor(cameras, sync, limits, self.awake.now(), calibration_of)
        )
        self._frames = FrameLookup(self, self._tf_timeout)
        self._watch = ContentWatch(
            cameras,
            self._fusion.workspace,
            self._robot.base_frame,
            content,
            places=camera_places(cell),
            fused_as=partial(levelled_within, config=self._fusion, most=content.levelled_by),
        )
        self._time_watch = SetBackClock(lambda: ros_seconds(self))
        self._fusion_problem = ""
        self._next_cloud = self._next_look = 0.0
        self._fusion_times, self._fusion_cpu = RecentValues(), RecentValues()
        self._latencies, self._ages = RecentValues(), RecentValues()
        self._dropped_sets = self._points = 0

        self._memory = SeenPlaces(cameras)
        self._remembered = np.empty((0, 3), np.float32)  # places that the newest cloud does not show

        self._publisher = self.create_publisher(PointCloud2, CLOUD_TOPIC, QoSProfile(depth=1))
        self._vouched: tuple[int, ...] = ()  # digests of the newest clouds
        self._heart = Heart(self, "perception", self._fill_beat)
        fusing = MutuallyExclusiveCallbackGroup()
        self._fuse = self.create_guard_condition(self._fuse_newest, fusing)
        self.create_service(Trigger, "mini_diffuser/forget", self._on_forget, callback_group=fusing)
        self._inputs = {
            camera: CameraInput(self, camera, self._transports, self._collector, self._now, self._on_pair)
            for camera in cameras
        }
        subscribe_joint_states(self, self._joints.add)
        diagnostics = Diagnostics(self, self._robot.name)
        for camera in cameras:
            diagnostics.add(f"camera {camera}", partial(self._camera_health, camera))
        diagnostics.add("fusion", self._fusion_health)
        self.get_logger().info(f"fusing {', '.join(cameras)} into {self._publisher.topic_name}")
        self.get_logger().debug(str(self._fusion))

    def _fusion_settings(self, parameters: Parameters, cell: Cell | None) -> FusionConfig:
        """Those of the checkpoint unless parameters say otherwise; the frame is always the robot's base."""
        checkpoint = parameters.text(
            "checkpoint",
            "",
            "directory of a policy, whose fusion gives the defaults of fusion.*; empty: the usual defaults",
        )
        trained = None
        if checkpoint:
            try:
                policy = read_checkpoint(checkpoint)
            except UserError as error:
                raise NodeError(f"parameter checkpoint: {error}") from error
            trained = policy.fusion
            self._compare_worlds(policy.world, cell)
        own = FusionConfig() if cell is None else FusionConfig(workspace=cell.workspace)
        if cell is not None and trained is not None and trained.workspace != cell.workspace:
            self.get_logger().warning(
                f"the cell's workspace is {cell.workspace}, but the policy in {checkpoint} was trained with "
                f"{trained.workspace}, which holds for the cloud"
            )
        given = parameters.settings(trained or own, "fusion", without=("frame",))
        for served, learnt in zip(leaves(given), leaves(trained or given), strict=True):
            if served.default != learnt.default:
                self.get_logger().warning(
                    f"fusion.{served.name} is {served.default}, but the policy in {checkpoint} was trained with "
                    f"{learnt.default}"
                )
        if given.outlier_neighbors > 0:
            require_open3d()
        return replace(given, frame=self._robot.base_frame)

    def _compare_worlds(self, trained: Provenance, cell: Cell | None) -> None:
        """Say that the policy knows another robot or cell."""
        if trained.robots and self._robot.name not in trained.robots:
            self.get_logger().warning(
                f"the robot is {self._robot.name}, but the policy was trained on {', '.join(trained.robots)}"
            )
        if cell is not None and trained.cells and (digest := cell_digest(cell)) not in trained.cells:
            self.get_logger().warning(
                f"the policy was trained in other cells ({', '.join(trained.cells)}) than this one ({digest}): robot, "
                "workspace or cameras have changed since its demonstrations"
            )

    def _now(self) -> Instant:
        clock, was_set_back = self._time_watch.read()
        if was_set_back:
            # A bag that begins again, a clock that was corrected: what came before lies in the future now.
            self._collector.clear()
            self._watch.forget_pictures()
            self.get_logger().warning("the clock was set back: images are collected anew")
        # Having stood still itself is no reason to go on without the cameras that have not been heard since.
        return Instant(self.awake.now(), clock)

    def _on_pair(self) -> None:
        # Nobody listens, little is computed: what the cameras show is looked at now and then.
        due = self._next_cloud if self._publisher.get_subscription_count() > 0 else self._next_look
        if self.awake.now() >= due:
            self._fuse.trigger()

    def _fuse_newest(self) -> None:
        now = self._now()
        taken = self._collector.take(now)
        if taken is None or not self._heart.is_serving():
            return
        # What a late set loses the next one may catch up, so that the average rate is kept.
        self._next_cloud = max(self._next_cloud + self._period, now.steady)
        self._next_look = now.steady + IDLE_PERIOD
        poses = self._poses(taken)
        frames = self._collector.refuse_aged([frame for frame in taken if frame.camera in poses], self._now())
        started, cpu, used_at = time.perf_counter(), time.thread_time(), self._now().clock
        cloud = self._cloud(frames, poses)
        if cloud is None:
            self._dropped_sets += 1
            return
        if self._publisher.get_subscription_count() == 0:
            return
        message = cloud_to_message(cloud, self._remembered)
        self._vouched = (*self._vouched, digest_of(message))[-VOUCHED:]
        self._heart.beat()  # first, so that no cloud has to wait for it
        self._publisher.publish(message)
        self._points = len(cloud)
        self._fusion_times.add(1e3 * (time.perf_counter() - started))
        self._fusion_cpu.add(1e3 * (time.thread_time() - cpu))
        self._ages.add(1e3 * (used_at - cloud.stamp))
        self._latencies.add(1e3 * (self._now().clock - cloud.stamp))

    def _fill_beat(self, beat: Heartbeat) -> None:
        beat.clouds = self._vouched

    def _poses(self, frames: Sequence[ImageFrame]) -> dict[str, Pose]:
        """Camera name to (4, 4) base_from_camera at the image's stamp, of those for which TF knows it."""
        poses: dict[str, Pose] = {}
        deadline = time.monotonic() + self._tf_timeout
        for frame in frames:
            # Depth is where the points come from; it has the frame of the colour that it is aligned to.
            try:
                poses[frame.camera] = self._frames.parent_from_child(
                    self._robot.base_frame, frame_of(frame), frame.depth.header.stamp, deadline - time.monotonic()
                )
            except UserError as error:
                self._name_problem(frame.camera, str(error))
        return poses

    def _cloud(self, frames: Sequence[ImageFrame], poses: dict[str, Pose]) -> Cloud | None:
        """What the frames show, or None if it cannot be said, which then shows on /diagnostics."""
        if rival := self._heart.rival():
            self._fusion_problem = f"another perception_node serves as well, {rival}: end one of the two"
            return None
        views = {frame.camera: view for frame in frames if (view := self._view(frame, poses[frame.camera])) is not None}
        if not views or not self._may_be_believed(frames, list(views.values())):
            return None
        robot = self._robot if self._filter_robot else None
        try:
            stamps = [view.stamp for view in views.values()]
            names = self._robot.arm_joint_names
            positions = None if robot is None else self._joints.positions_at_each(stamps, names, self._joint_gap)
            cloud = fuse_views(list(views.values()), self._fusion, robot, positions)
            if robot is not None:  # which would be in it, and would be remembered wherever it was
                at = self._joints.positions_at(cloud.stamp, robot.arm_joint_names, self._joint_gap)
                tool = robot.tcp_pose(np.array([at[name] for name in robot.arm_joint_names]))[:3, 3]
                self._remembered = self._memory.update(cloud.points, list(views.values()), tool)
        except (PerceptionError, StaleJointsError) as error:
            # No cloud rather than one with the robot in it: the policy has never seen such.
            self._fusion_problem = str(error)
            return None
        if len(cloud) == 0 and not self._watch.sees_workspace:
            lower, upper = self._fusion.workspace.lower, self._fusion.workspace.upper
            self._fusion_problem = (
                f"{', '.join(views)} deliver, but nothing lies in the workspace {lower} to {upper} m of "
                f"{self._robot.base_frame}: are the cameras' TF and fusion.workspace right?"
            )
            return None
        self._fusion_problem = ""
        return cloud

    def _may_be_believed(self, frames: Sequence[ImageFrame], views: Sequence[CameraView]) -> bool:
        """Whether what the cameras show can be; what cannot is named on /diagnostics."""
        steady = self.awake.now()
        read = {view.name for view in views}
        pictures = [
            Pictures(frame.camera, frame_of(frame), frame.color.data, frame.depth.data)
            for frame in frames
            if frame.camera in read
        ]
        blind = self._watch.blind(views)
        faults = dict(self._watch.faults(pictures, views, blind, partial(self._link_poses, frames), steady))
        faults |= self._devices.faults()
        faults |= {one.camera: several for one in frames if (several := self._inputs[one.camera].several_publishers())}
        for name, reason in blind.items():
            self._name_problem(name, reason)
        if not faults:
            self._watch.survey(views, self._arm_rests(), steady, partial(self._link_poses, frames))
            faults = self._watch.findings()
        for name, camera in self._inputs.items():
            camera.misleads = faults.get(name, "")
        if faults:
            self._fusion_problem = "; ".join(f"camera {name} {fault}" for name, fault in faults.items())
        return not faults and not self._watch.is_undecided()

    def _link_poses(self, frames: Sequence[ImageFrame]) -> Mapping[str, Pose]:
        """Where the arm's links were when the first of the images was taken; of TF where joint states are not known."""
        robot = self._robot
        try:
            stamp = min(frame.stamp for frame in frames)
            return robot.forward_kinematics(self._joints.positions_at(stamp, robot.arm_joint_names, self._joint_gap))
        except StaleJointsError:
            found = {}
            for link in robot.links:
                with suppress(UserError):
                    found[link.name] = self._frames.parent_from_child(
                        robot.base_frame, link.name, frames[0].depth.header.stamp, 0.0
                    )
            return found

    def _arm_rests(self) -> bool:
        """Whether the arm rests, as far as anybody says; a person before the cameras may not."""
        motions = self._joints.motions(self._robot.arm_joint_names).values()
        return all(motion.speed < RESTING_SPEED for motion in motions)

    def _view(self, frame: ImageFrame, base_from_camera: Pose) -> CameraView | None:
        """The frame as a record, or None if it cannot be used, which then shows on /diagnostics."""
        try:
            view = view_from_messages(frame, self._transports, base_from_camera, self._lenses.get(frame.camera))
        except UserError as error:
            self._name_problem(frame.camera, str(error))
            return None
        self._inputs[frame.camera].problem = ""
        return view

    def _name_problem(self, camera: str, problem: str) -> None:
        self._inputs[camera].problem = problem
        self.get_logger().warning(f"camera {camera}: {problem}", throttle_duration_sec=5.0)

    def _camera_health(self, camera: str) -> Health:
        states = {state.camera: state for state in self._collector.health(self.awake.now())}
        health = self._inputs[camera].health(states[camera])
        if count := self._memory.unseen[camera]:
            kept = (
                f"what it has shown is in the way until another camera looks through it ({count} places of "
                f"{100 * VOXEL:.0f} cm): bring it back, or look yourself and call mini_diffuser/forget"
            )
            return Health(max(health.level, HealthLevel.WARN), f"{health.message}; {kept}", health.values)
        return health

    def _on_forget(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        count = len(self._remembered)
        self._memory.forget()
        response.success, response.message = True, f"forgot {count} places that no camera shows"
        self.get_logger().warning(response.message)
        return response

    def _fusion_health(self) -> Health:
        rate = self._fusion_times.rate()
        values: dict[str, float | str] = {
            "clouds a second": rate,
            "points": float(self._points),
            "places remembered": float(len(self._remembered)),
            "sets dropped": float(self._dropped_sets),
            **self._fusion_times.summary("fusion", "ms"),
            **self._fusion_cpu.summary("fusion cpu", "ms"),
            **self._ages.summary("age of the oldest image at use", "ms"),
            **self._latencies.summary("stamp to cloud", "ms"),
        }
        if self._fusion_problem and self._collector.hindrance == "":
            return Health(HealthLevel.ERROR, f"no cloud: {self._fusion_problem}", values)
        if self._publisher.get_subscription_count() == 0:
            return Health(HealthLevel.OK, "idle: nobody subscribes to the cloud", values)
        if rate == 0.0:
            reason = f": {self._collector.hindrance}" if self._collector.hindrance else ""
            return Health(HealthLevel.WARN, f"no cloud within {WINDOW:g} s{reason}", values)
        if self._points == 0:
            return Health(HealthLevel.WARN, f"{rate:.1f} clouds a second, empty: nothing lies on the table", values)
        return Health(HealthLevel.OK, f"{rate:.1f} clouds a second", values)


def main() -> NoReturn:
    """Entry point of the executable ``perception_node``."""
    run_node(PerceptionNode)


if __name__ == "__main__":
    main()
