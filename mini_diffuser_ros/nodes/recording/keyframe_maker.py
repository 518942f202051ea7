"""One keyframe from what the sensors say: images of the arm at rest, their TF, the tool's pose and the gripper."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import NDArray

from mini_diffuser_ros.cell import CameraIntrinsics
from mini_diffuser_ros.geometry import pose_from_matrix
from mini_diffuser_ros.nodes.cameras.camera_views import ImageFrame, frame_of, view_from_messages
from mini_diffuser_ros.nodes.recording.recorder_cameras import Capture, RecorderCameras
from mini_diffuser_ros.nodes.ros.process import NodeError
from mini_diffuser_ros.nodes.ros.sources import Frames, Waiting
from mini_diffuser_ros.perception import FusionConfig, fuse_views
from mini_diffuser_ros.perception.content import ContentConfig
from mini_diffuser_ros.records import CameraView, Keyframe
from mini_diffuser_ros.sensing.camera_places import CalibratedPlace
from mini_diffuser_ros.sensing.content_watch import ContentWatch, Pictures
from mini_diffuser_ros.sensing.joint_monitor import JointStateMonitor
from mini_diffuser_ros.support.errors import UserError
from mini_diffuser_ros.support.settings import check_fields, not_expected


@dataclass(frozen=True)
class KeyframeConfig:
    """How a keyframe is made.

    Attributes:
        timeout: seconds that may pass until the arm rests and every camera has delivered.
        tool_pose: tf, or joints: forward kinematics of the robot description, where nobody publishes the arm's TF.
        max_tool_difference: metres that the two may differ by; more means a wrong robot description or another tool.
        repeats: whether joint states may not have changed by a bit since the last keyframe, or at all, as those of a
            simulated arm.
    """

    timeout: float = 5.0
    tool_pose: str = "tf"
    max_tool_difference: float = 0.01
    repeats: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        if self.tool_pose not in ("tf", "joints"):
            raise not_expected("tool_pose", self.tool_pose, "tf or joints")


@dataclass(frozen=True, eq=False)
class MadeKeyframe:
    """A keyframe and what an operator wants to hear about it.

    Attributes:
        keyframe: with its images in memory.
        points: in its cloud.
        cameras: that it was seen by.
    """

    keyframe: Keyframe
    points: int
    cameras: int

    def __str__(self) -> str:
        x, y, z = self.keyframe.pose[:3]
        gripper = "open" if self.keyframe.gripper_open else "closed"
        return (
            f"gripper {gripper}, tool at ({x:.3f}, {y:.3f}, {z:.3f}) m, {self.points} points of {self.cameras} cameras"
        )


class KeyframeMaker:
    """Waits for the arm and the cameras, and makes keyframes.

    Args:
        joints: the arm's and the gripper's.
        cameras: what is seen.
        frames: TF.
        token: ends waits; it has to be notified of joint states and images.
        config: how a keyframe is made.
        settle_time: seconds that the arm has to rest before an image of it is used.
        fusion: tells whether anything is seen in the workspace.
        lenses: of cameras that were calibrated by hand.
        places: camera to where it was calibrated to be.
        content: what cameras show is not believed if it is beyond this.
        steady: seconds of the steady clock.
    """

    def __init__(
        self,
        joints: JointStateMonitor,
        cameras: RecorderCameras,
        frames: Frames,
        token: Waiting,
        config: KeyframeConfig,
        settle_time: float,
        fusion: FusionConfig,
        lenses: Mapping[str, CameraIntrinsics | None],
        places: Mapping[str, CalibratedPlace],
        content: ContentConfig,
        steady: Callable[[], float],
    ) -> None:
        self._lenses, self._places, self._content, self._steady = lenses, places, content, steady
        self._joints, self._cameras, self._frames, self._token = joints, cameras, frames, token
        self._robot, self._config, self._settle_time, self._fusion = joints.robot, config, settle_time, fusion
        self._watch = self._new_watch()
        self._last: Keyframe | None = None
        self._unchanged = len(joints.robot.arm_joint_names)  # what counts as changes of joint states that never changed
        self._changes = self._unchanged  # until the last keyframe

    def go_on_from(self, last: Keyframe | None) -> None:
        """Compare the next keyframe with the last one of its episode.

        Args:
            last: None before the first one of an episode, which cameras may have been moved before.
        """
        if last is None:
            self._watch = self._new_watch()
            self._cameras.misleads = {}
        elif self._last is None:  # it may be an earlier recorder's
            self._watch.remember(last.views, partial(self._robot.forward_kinematics, last.joint_positions))
        self._last = last

    def open(self, not_before: float) -> Capture:
        """Begin to collect images for a keyframe; :meth:`make` or :meth:`give_up` has to follow.

        Args:
            not_before: seconds, the oldest stamp that may be used.
        """
        return self._cameras.capture(not_before, self._settle_time)

    def give_up(self, capture: Capture) -> None:
        """Collect no more images for a keyframe that nobody will make."""
        self._cameras.remove(capture)

    def make(self, capture: Capture) -> MadeKeyframe:
        """Wait until the arm has rested before the eyes of every camera.

        Raises:
            NodeError: in one line what was missing (a camera, a transform, joint states, rest) or cannot be.
        """
        try:
            pairs = self._token.wait_for(lambda: self._taken(capture), self._config.timeout)
        except TimeoutError:
            raise NodeError(f"no keyframe: {self._what_lacks(capture)}") from None
        finally:
            self._cameras.remove(capture)
        return self._keyframe(pairs)

    def state(self) -> tuple[dict[str, float], bool]:
        """Where the arm is now, joint name to radians, and whether the gripper is open.

        Raises:
            StaleJointsError: if the gripper's joints are not published.
        """
        positions = self._joints.known_positions()
        return self.arm(positions), self._joints.gripper_was_open(positions)

    def state_at(self, stamp: float) -> tuple[dict[str, float], bool]:
        """As :meth:`state`, once joint states of a time, seconds, have come; waits no longer than they may be old."""
        with suppress(TimeoutError):
            self._token.wait_for(lambda: self._joints.rest.newest() >= stamp, self._joints.max_age)
        return self.state()

    def arm(self, positions: Mapping[str, float]) -> dict[str, float]:
        """Those of the positions that are of the arm's joints."""
        return {name: positions[name] for name in self._robot.arm_joint_names if name in positions}

    def _taken(self, capture: Capture) -> Mapping[str, ImageFrame] | None:
        taken = capture.taken(self._joints.rest.rests())
        faults = self._cameras.of_other_devices() or (self._cameras.frozen() if taken is None else [])
        if faults:
            raise NodeError(f"no keyframe: {'; '.join(faults)}")
        return taken

    def _what_lacks(self, capture: Capture) -> str:
        problem = self._joints.problem()
        if problem:
            return problem
        motion = self._joints.rest.motion()
        if motion:
            return f"the arm did not come to rest within {self._config.timeout:g} s: {motion}"
        cameras = self._cameras.what_lacks(capture)
        if cameras:
            return "; ".join(cameras)
        known = max((rest.until for rest in self._joints.rest.rests()), default=0.0)
        behind = capture.not_before - known
        if behind > 0.0:
            return (
                f"joint_states are stamped {behind:.2f} s before the time of asking: synchronise the machines' clocks"
            )
        return f"the arm rested and every camera delivered within {self._config.timeout:g} s, but not at the same time"

    def _keyframe(self, pairs: Mapping[str, ImageFrame]) -> MadeKeyframe:
        if contradiction := self._joints.contradiction() or self._joints.finger_fault():
            raise NodeError(f"no keyframe: {contradiction}")
        newest = max(pairs.values(), key=lambda pair: pair.stamp)
        positions = self._joints.positions_at(newest.stamp)
        views = tuple(self._view(camera, pair) for camera, pair in pairs.items())
        pose = pose_from_matrix(self._base_from_tool(newest.color.header.stamp, positions))
        gripper_open = self._joints.gripper_was_open(positions)
        blind = self._watch.blind(views)
        self._check_pictures(pairs, views, blind, positions)
        # A camera on the arm may be nearer to what it looks at than it measures: its picture says nothing.
        views = tuple(view for view in views if view.name not in blind)
        self._check_moved(positions, gripper_open)
        cloud = fuse_views(views, self._fusion, self._robot, positions)
        if not len(cloud):
            raise NodeError(
                f"no keyframe: no camera sees anything between {self._fusion.workspace.lower} and "
                f"{self._fusion.workspace.upper} m in {self._robot.base_frame} (fusion.workspace); is the "
                "cameras' calibration in TF right?"
            )
        _, self._changes = self._joints.changes()
        keyframe = Keyframe(pose, gripper_open, newest.stamp, lambda: cloud, lambda: views, positions)
        return MadeKeyframe(keyframe, len(cloud), len(views))

    def _check_pictures(
        self,
        pairs: Mapping[str, ImageFrame],
        views: Sequence[CameraView],
        blind: Mapping[str, str],
        positions: Mapping[str, float],
    ) -> None:
        """Refuse what cameras cannot have seen, and pictures none of which measures."""
        pictures = [Pictures(name, frame_of(pair), pair.color.data, pair.depth.data) for name, pair in pairs.items()]
        links = partial(self._robot.forward_kinematics, positions)
        faults = self._watch.faults(pictures, views, blind, links, self._steady())
        self._cameras.misleads = faults
        if len(blind) == len(views):
            faults = {**blind, **faults}
        if faults:
            raise NodeError("no keyframe: " + "; ".join(f"camera {name}: {fault}" for name, fault in faults.items()))

    def _check_moved(self, positions: Mapping[str, float], gripper_open: bool) -> None:
        """Refuse joint states none of which has changed by a bit since the last keyframe, or since the beginning.

        No encoder measures the same twice. Joint states without noise change when the arm moves, as it has to from one
        keyframe to the next; and before the first, or nobody knows whether they follow it.
        """
        acts = self._last is not None and gripper_open != self._last.gripper_open
        _, changes = self._joints.changes()
        if changes == self._changes and not acts and not self._config.repeats:
            name = self._robot.arm_joint_names[0]
            since = "at the last keyframe" if changes > self._unchanged else "when the recorder began to listen"
            raise NodeError(
                f"no keyframe: all joints are bit for bit where they were {since}, {name} at {positions[name]:.6f} "
                "rad: move the arm a little; if it has moved, its driver hangs, restart it; an arm without noise that "
                "is not to move needs keyframe.repeats:=true"
            )

    def _new_watch(self) -> ContentWatch:
        return ContentWatch(
            self._cameras.names,
            self._fusion.workspace,
            self._robot.base_frame,
            self._content,
            since="the first keyframe of the episode",
            anew="begin another episode",
            places=self._places,
        )

    def _view(self, camera: str, pair: ImageFrame) -> CameraView:
        base, stamp = self._robot.base_frame, pair.depth.header.stamp
        try:
            base_from_camera = self._frames.parent_from_child(base, frame_of(pair), stamp)
            return view_from_messages(pair, self._cameras.transports, base_from_camera, self._lenses.get(camera))
        except UserError as error:
            raise NodeError(f"no keyframe: camera {camera}: {error}") from error

    def _base_from_tool(self, stamp: Time, positions: Mapping[str, float]) -> NDArray[np.float64]:
        robot = self._robot
        computed = robot.forward_kinematics(positions)[robot.tcp_frame]
        if self._config.tool_pose == "joints":
            return computed
        try:
            measured = self._frames.parent_from_child(robot.base_frame, robot.tcp_frame, stamp)
        except UserError as error:
            raise NodeError(
                f"no keyframe: {error}; keyframe.tool_pose:=joints, or import --tool-pose joints, does without"
            ) from error
        difference = float(np.linalg.norm(measured[:3, 3] - computed[:3, 3]))
        if difference > self._config.max_tool_difference:
            raise NodeError(
                f"no keyframe: TF has {robot.tcp_frame} {difference:.3f} m away from where the joint positions of "
                f"robot:={robot.name} put it, allowed are {self._config.max_tool_difference:g} m: another tool?"
            )
        return measured
