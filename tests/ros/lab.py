"""Three cameras of the simulated table, their TF and the arm's joint states, each of which can lie as drivers do."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from geometry_msgs.msg import TransformStamped
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import Header
from tf2_ros import TransformBroadcaster

from mini_diffuser_ros.nodes.cameras.camera_topics import COLOR_TOPIC, DEPTH_TOPIC, INFO_TOPIC
from mini_diffuser_ros.nodes.ros.messages import (
    image_from_color,
    image_from_depth,
    info_from_intrinsics,
    stamp_from_seconds,
    transform_from_matrix,
)
from mini_diffuser_ros.records import CameraView
from mini_diffuser_ros.simulation import TabletopWorld

PERIOD = 0.08  # seconds
SIZE = (96, 96)
NOISE = 0.001  # metres

Array = NDArray[np.floating]


@dataclass
class Lie:
    """What is wrong with one camera; as it is made, nothing.

    Attributes:
        frozen: the picture of colour, of depth, or of both, does not change: "", "colour", "depth" or "both".
        bgr: red and blue of its pictures are swapped.
        distances: what becomes of depth, metres.
        sway: metres along x of the base by which its pose in TF goes to and fro, once a second.
        moved: (4, 4) what its pose in TF is multiplied with, from the left.
        late: seconds that its images are held back; their stamps are not.
        silent: it sends nothing.
        frame: in which its images claim to be; empty for its own.
    """

    frozen: str = ""
    bgr: bool = False
    distances: Callable[[Array], Array] = lambda depth: depth
    sway: float = 0.0
    moved: Array | None = None
    late: float = 0.0
    silent: bool = False
    frame: str = ""


class Lab:
    """Publishes until it is closed, in a thread of its own.

    Args:
        node: that publishes.
        namespace: of topics.
        size: width and height of the images, pixels.

    Attributes:
        lies: of each camera, by its name.
    """

    def __init__(self, node: Node, namespace: str, size: tuple[int, int] = SIZE) -> None:
        self._node = node
        self.world = TabletopWorld(renderer="rays", image_size=size)
        self.world.reset("stack_blocks", 3)
        self.robot = self.world.robot
        self._views = self.world.views()
        self._joints = self.world.joint_positions()
        self.lies = {view.name: Lie() for view in self._views}
        self._pictures: dict[tuple[str, str], Array] = {}
        self._generator = np.random.default_rng(0)
        self._tf = TransformBroadcaster(node)
        self._joint_states = node.create_publisher(JointState, f"{namespace}/joint_states", 10)
        self._outputs = {
            view.name: [
                node.create_publisher(kind, f"{namespace}/{view.name}/{topic}", qos_profile_sensor_data)
                for kind, topic in ((CameraInfo, INFO_TOPIC), (Image, COLOR_TOPIC), (Image, DEPTH_TOPIC))
            ]
            for view in self._views
        }
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._publish_on, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Publish no more."""
        self._ended.set()
        self._thread.join()
        self.world.close()

    def turn(self, angle: float) -> None:
        """Turn the arm's first joint, and see it turned."""
        with self._lock:
            target = self.world.arm_positions()
            target[0] += angle
            self.world.set_arm_target(target)
            self.world.step(2.0)
            self._views, self._joints = self.world.views(), self.world.joint_positions()

    def _publish_on(self) -> None:
        while not self._ended.wait(PERIOD):
            with self._lock:
                self._publish(self._node.get_clock().now().nanoseconds / 1e9)

    def _publish(self, now: float) -> None:
        stamp = stamp_from_seconds(now)
        joints = JointState(header=Header(stamp=stamp), name=list(self._joints), position=list(self._joints.values()))
        joints.velocity = [0.0] * len(self._joints)
        self._joint_states.publish(joints)
        self._tf.sendTransform([self._frame(view) for view in self._views])
        for view in self._views:
            if not self.lies[view.name].silent:
                self._show(view, now)

    def _frame(self, view: CameraView) -> TransformStamped:
        lie = self.lies[view.name]
        pose = view.base_from_camera if lie.moved is None else lie.moved @ view.base_from_camera
        if lie.sway:
            pose = shifted(x=lie.sway * np.sin(2.0 * np.pi * self._node.get_clock().now().nanoseconds / 1e9)) @ pose
        return TransformStamped(
            header=Header(stamp=self._node.get_clock().now().to_msg(), frame_id=self.robot.base_frame),
            child_frame_id=f"lab_{view.name}",
            transform=transform_from_matrix(pose),
        )

    def _show(self, view: CameraView, now: float) -> None:
        lie = self.lies[view.name]
        header = Header(stamp=stamp_from_seconds(now - lie.late), frame_id=lie.frame or f"lab_{view.name}")
        noise = self._generator.normal(0.0, NOISE, view.depth.shape)
        depth = np.where(view.depth > 0.0, view.depth + noise, 0.0).astype(np.float32)
        color = view.color ^ self._generator.integers(0, 2, view.color.shape, np.uint8)
        color = color[..., ::-1] if lie.bgr else color
        color, depth = self._kept(view.name, "colour", color), self._kept(view.name, "depth", depth)
        info, colors, depths = self._outputs[view.name]
        info.publish(info_from_intrinsics(view.intrinsics, depth.shape, header))
        colors.publish(image_from_color(color, header))
        depths.publish(image_from_depth(lie.distances(depth).astype(np.float32), header))

    def _kept(self, camera: str, kind: str, picture: Array) -> Array:
        if self.lies[camera].frozen not in (kind, "both"):
            self._pictures[camera, kind] = picture
        return self._pictures[camera, kind]


def shifted(x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Array:
    """(4, 4) a translation."""
    pose = np.eye(4)
    pose[:3, 3] = x, y, z
    return pose
