"""What the drivers of an arm with cameras publish, made up: joint states, TF and images of any number of cameras."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import TransformStamped
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import Header
from tf2_ros import TransformBroadcaster

from mini_diffuser_ros.nodes.ros.messages import (
    image_from_color,
    image_from_depth,
    info_from_intrinsics,
    seconds,
    stamp_from_seconds,
    transform_from_matrix,
)
from mini_diffuser_ros.robots import load_robot

Array = NDArray[np.float64]

INTRINSICS = np.array([[40.0, 0.0, 15.5], [0.0, 40.0, 11.5], [0.0, 0.0, 1.0]])
PERIOD = 0.04  # seconds
NOISE = 0.001  # metres of depth; no sensor shows the same twice
SPEED = 1.0  # rad/s of the first joint


class SyntheticArm:
    """A Panda that turns its first joint, before cameras that look down on the table, one of them at its wrist.

    Args:
        node: that publishes.
        cameras: names; ``wrist`` is fixed to the tool.
        by_itself: whether time passes, and not only as :meth:`step` is called.
    """

    def __init__(self, node: Node, cameras: Sequence[str], by_itself: bool = True) -> None:
        self.robot = load_robot("panda")
        self._node = node
        self._joints = node.create_publisher(JointState, "joint_states", 10)
        self._tf = TransformBroadcaster(node)
        kinds = ((Image, "color/image_raw"), (Image, "aligned_depth_to_color/image_raw"))
        self._images = {
            name: [node.create_publisher(kind, f"{name}/{topic}", qos_profile_sensor_data) for kind, topic in kinds]
            for name in cameras
        }
        self._infos = {
            name: node.create_publisher(CameraInfo, f"{name}/color/camera_info", qos_profile_sensor_data)
            for name in cameras
        }
        self._position = self._goal = float(self.robot.home[0])
        self._finger = 0.04
        self._trembles = False
        self._lead = 0.0
        self._lies: dict[str, str] = {}
        self._shown: dict[str, float] = {}
        self._rng = np.random.default_rng(0)
        self._lock = threading.Lock()
        self._tick = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._publish_on, daemon=True)
        if by_itself:
            self._thread.start()

    def close(self) -> None:
        """Publish no more."""
        self._ended.set()
        self._thread.join()

    def move_by(self, angle: float) -> None:
        """Turn the first joint from now on, until it has turned that far."""
        with self._lock:
            self._goal += angle

    def tremble(self, trembles: bool) -> None:
        """Go to and fro from now on, or rest."""
        with self._lock:
            self._trembles = trembles

    def set_camera_clock(self, lead: float) -> None:
        """Have images stamped with a clock that is this many seconds ahead."""
        with self._lock:
            self._lead = lead

    def lie(self, who: str, about: str = "") -> None:
        """Have a camera, or the joints, show from now on what cannot be, or the truth.

        Args:
            who: a camera's name, or joints, which are frozen then.
            about: colour, which is frozen then, depth, of which there is none, place, which is another; or nothing.
        """
        with self._lock:
            self._lies[who] = about

    def grip(self, width: float) -> None:
        """Have the fingers this far apart, metres."""
        with self._lock:
            self._finger = width / 2.0

    def positions(self) -> dict[str, float]:
        """Joint name to where the joint will be when the arm rests."""
        with self._lock:
            return self._named(self._goal)

    @property
    def position(self) -> float:
        """Radians, where the first joint is now."""
        with self._lock:
            return self._position

    def base_from_tool(self) -> Array:
        """(4, 4) pose of the tool centre point when the arm rests."""
        return self.robot.forward_kinematics(self.positions())[self.robot.tcp_frame]

    @staticmethod
    def parent_from_camera(name: str) -> Array:
        """(4, 4) pose of a camera's optical frame in the base, that of the wrist's in the tool."""
        if name == "wrist":  # its z axis is the tool's, which points down
            pose, position = np.eye(4), (0.0, 0.05, -0.6)
        else:
            pose, position = np.diag([1.0, -1.0, -1.0, 1.0]), (0.5, 0.0, 1.0)
        pose[:3, 3] = position
        return pose

    def _named(self, first: float) -> dict[str, float]:
        arm = dict(zip(self.robot.arm_joint_names, [first, *self.robot.home[1:]], strict=True))
        return arm | dict.fromkeys(self.robot.finger_joint_names, self._finger)

    def _publish_on(self) -> None:
        while not self._ended.wait(PERIOD):
            self.step()

    def step(self) -> None:
        """Publish what there is once ``PERIOD`` has passed."""
        self._tick += 1
        tick = self._tick
        with self._lock:
            # Before whatever is asked of the arm next, so that its stamp does not say that it was asked already.
            stamp = self._node.get_clock().now().to_msg()
            before, lead = self._position, self._lead
            if self._trembles:
                self._position += 0.02 if tick % 2 else -0.02
            else:
                step = SPEED * PERIOD
                self._position += float(np.clip(self._goal - self._position, -step, step))
            positions = {name: value + 1e-9 * self._rng.normal() for name, value in self._named(self._position).items()}
            lies = dict(self._lies)
            self._shown = positions = self._shown if lies.get("joints") else positions
            speed = (self._position - before) / PERIOD
        message = JointState(header=Header(stamp=stamp), name=list(positions), position=list(positions.values()))
        message.velocity = [speed if index == 0 else 0.0 for index in range(len(positions))]
        self._joints.publish(message)
        links = self.robot.forward_kinematics(positions)
        frames = [_stamped(stamp, self.robot.base_frame, self.robot.tcp_frame, links[self.robot.tcp_frame])]
        for camera in self._images:
            parent = self.robot.tcp_frame if camera == "wrist" else self.robot.base_frame
            pose = self.parent_from_camera(camera)
            pose[0, 3] += 0.05 if lies.get(camera) == "place" else 0.0
            frames.append(_stamped(stamp, parent, f"{camera}_frame", pose))
        self._tf.sendTransform(frames)
        if tick % 2:
            self._publish_images(stamp_from_seconds(seconds(stamp) + lead), lies)

    def _publish_images(self, stamp: Time, lies: Mapping[str, str]) -> None:
        for camera, (colors, depths) in self._images.items():
            lie = lies.get(camera)
            color = np.full((24, 32, 3), 100, np.uint8)
            if lie != "colour":
                color += self._rng.integers(0, 5, color.shape, np.uint8)
            depth = np.zeros((24, 32)) if lie == "depth" else self._rng.normal(0.9, NOISE, (24, 32))
            depth = depth.astype(np.float32)
            header = Header(stamp=stamp, frame_id=f"{camera}_frame")
            self._infos[camera].publish(info_from_intrinsics(INTRINSICS, (24, 32), header))
            colors.publish(image_from_color(color, header))
            depths.publish(image_from_depth(depth, header))


def _stamped(stamp: Time, parent: str, child: str, parent_from_child: Array) -> TransformStamped:
    return TransformStamped(
        header=Header(stamp=stamp, frame_id=parent),
        child_frame_id=child,
        transform=transform_from_matrix(parent_from_child),
    )
