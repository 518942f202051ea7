"""Shots of the arm at rest from the running cameras and joint states."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo

from mini_diffuser_ros.calibration.lens import Lens
from mini_diffuser_ros.calibration.shots import Picture, Shot
from mini_diffuser_ros.nodes.cameras.camera_views import view_from_messages
from mini_diffuser_ros.nodes.cameras.image_transports import COLOR_TRANSPORTS, DEPTH_TRANSPORTS
from mini_diffuser_ros.nodes.recording.recorder_cameras import RecorderCameras
from mini_diffuser_ros.nodes.ros.joint_states import subscribe_joint_states
from mini_diffuser_ros.nodes.ros.process import AWAKE_PERIOD, NodeError
from mini_diffuser_ros.nodes.ros.ros_time import ros_seconds
from mini_diffuser_ros.nodes.ros.timers import steady_timer
from mini_diffuser_ros.perception.content import ContentConfig
from mini_diffuser_ros.robots import RobotDescription
from mini_diffuser_ros.sensing.camera_monitor import RgbdPair, SyncConfig
from mini_diffuser_ros.sensing.joint_monitor import JointStateMonitor
from mini_diffuser_ros.sensing.rest import RestConfig
from mini_diffuser_ros.support.awake import AwakeClock
from mini_diffuser_ros.support.cancellation import CancellationToken

MAX_JOINT_AGE = 2.0  # seconds
MAX_CLOCK_LEAD = 0.2  # seconds that an image may be stamped in the future


class ShotTaker:
    """Takes pictures of every camera and the joints of their time, once the arm has come to rest.

    Args:
        node: that listens; somebody else spins it.
        robot: whose joints they are.
        cameras: names.
    """

    def __init__(self, node: Node, robot: RobotDescription, cameras: Sequence[str]) -> None:
        self._node = node
        self._token = CancellationToken()
        self._rest = RestConfig()
        # Fingers may be missing: not every gripper says where they are.
        self._joints = JointStateMonitor(robot, MAX_JOINT_AGE, self._rest, 0.9, with_fingers=False)
        transports = COLOR_TRANSPORTS["raw"], DEPTH_TRANSPORTS["raw"]
        awake = AwakeClock()
        self._awake_timer = steady_timer(node, AWAKE_PERIOD, awake.look)
        content = ContentConfig(still_after=0.0)  # a picture that stands still contradicts the others
        self._cameras = RecorderCameras(
            node, awake.now, cameras, transports, SyncConfig(), MAX_CLOCK_LEAD, content, self._token.notify
        )
        subscribe_joint_states(node, self._take_joints)

    def take(self, name: str, timeout: float) -> Shot:
        """The next shot of the arm at rest.

        Args:
            name: of the shot.
            timeout: seconds to wait for rest and for every camera.

        Raises:
            NodeError: in one line, what was missing.
        """
        capture = self._cameras.capture(self._now(), self._rest.settle_time)
        try:
            pairs = self._token.wait_for(lambda: capture.taken(self._joints.rest.rests()), timeout)
        except TimeoutError:
            cause = "; ".join(self._cameras.what_lacks(capture)) or self._joints.rest.motion() or self._joint_problem()
            raise NodeError(
                f"no shot within {timeout:g} s: {cause or 'the arm did not rest before the cameras'}"
            ) from None
        finally:
            self._cameras.remove(capture)
        newest = max(pair.stamp for pair in pairs.values())
        robot = self._joints.robot
        known = self._joints.known_positions()
        arm = self._joints.positions_at(newest) if set(robot.finger_joint_names) <= set(known) else known
        return Shot(name, arm, {camera: self._picture(pair) for camera, pair in pairs.items()})

    def _picture(self, pair: RgbdPair[Any, CameraInfo]) -> Picture:
        # Where it is, is what calibration is about to say.
        view = view_from_messages(pair, self._cameras.transports, np.eye(4))
        height, width = view.depth.shape
        lens = Lens(width, height, np.asarray(view.intrinsics, np.float64), view.distortion)
        return Picture(lens, view.color, np.asarray(view.depth, np.float32))

    def _joint_problem(self) -> str:
        known = self._joints.known_positions()
        missing = [name for name in self._joints.robot.arm_joint_names if name not in known]
        return (
            f"nothing on joint_states about {missing[0]}: is it the robot {self._joints.robot.name}?" if missing else ""
        )

    def _take_joints(self, *state: Any) -> None:
        self._joints.take(*state)
        self._token.notify()

    def _now(self) -> float:
        return ros_seconds(self._node)
