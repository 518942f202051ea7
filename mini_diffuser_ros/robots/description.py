"""What a robot is: joints, links, limits, coarse shapes and forward kinematics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

import numpy as np
import yaml
from numpy.typing import NDArray

from mini_diffuser_ros.geometry import axis_angle_matrix, matrix_from_rpy
from mini_diffuser_ros.support.errors import UserError

Array = NDArray[np.float64]

ROBOTS: tuple[str, ...] = ("panda", "fr3")
"""Names that :func:`load_robot` knows."""


class UnknownRobotError(UserError, ValueError):
    """A robot name without a description."""

    def __init__(self, name: str) -> None:
        super().__init__(f"unknown robot '{name}'; known robots: {', '.join(ROBOTS)}")


@dataclass(frozen=True, eq=False)
class Capsule:
    """A cylinder with round ends along its own z axis.

    Attributes:
        link_from_geom: (4, 4) pose of the geom in its link frame.
        radius: metres.
        length: metres, of the cylindrical part.
    """

    link_from_geom: Array
    radius: float
    length: float


@dataclass(frozen=True, eq=False)
class Box:
    """A box.

    Attributes:
        link_from_geom: (4, 4) pose of its centre in its link frame.
        half_extents: (3,) metres.
        pad: True for the surface of a finger that touches what is grasped.
    """

    link_from_geom: Array
    half_extents: Array
    pad: bool = False


Geom = Capsule | Box


@dataclass(frozen=True, eq=False)
class Link:
    """A rigid body of the robot.

    Attributes:
        name: ROS frame name.
        role: what the link is to a camera and to a grasp.
        mass: kilograms.
        geoms: coarse shapes in the link frame.
    """

    name: str
    role: Literal["arm", "hand", "finger"]
    mass: float
    geoms: tuple[Geom, ...]


@dataclass(frozen=True, eq=False)
class Joint:
    """A joint between two links.

    Attributes:
        name: ROS joint name.
        kind: revolute (radians), prismatic (metres) or fixed.
        parent, child: link names.
        parent_from_joint: (4, 4) pose of the child at position zero.
        axis: (3,) unit axis in the joint frame.
    """

    name: str
    kind: Literal["revolute", "prismatic", "fixed"]
    parent: str
    child: str
    parent_from_joint: Array
    axis: Array

    def parent_from_child(self, position: float) -> Array:
        """(4, 4) pose of the child link in the parent link at a joint position."""
        if self.kind == "revolute":
            return self.parent_from_joint @ axis_angle_matrix(self.axis, position)
        if self.kind == "prismatic":
            motion = np.eye(4)
            motion[:3, 3] = self.axis * position
            return self.parent_from_joint @ motion
        return self.parent_from_joint


@dataclass(frozen=True, eq=False)
class RobotDescription:
    """An arm with a parallel gripper.

    Attributes:
        name: short name, one of :data:`ROBOTS`.
        joints: ordered from the base outwards, so that one pass computes the kinematics.
        links: every rigid body.
        arm_joint_names, finger_joint_names: ROS names, seven and two.
        base_frame, hand_frame, tcp_frame: ROS frames; the tool centre point lies between the finger tips.
        home: (7,) radians, the pose from which the arm starts.
        position_limits: (7, 2) radians, lower and upper.
        velocity_limits, acceleration_limits, jerk_limits: (7,) rad/s, rad/s^2, rad/s^3, symmetric.
        torque_limits: (7,) N m.
        finger_position_limits: (2,) metres, travel of one finger.
        finger_velocity_limit: m/s of one finger.
        finger_force_limit: newtons of one finger.
        servo_stiffness, servo_damping: (7,) gains of simulated joint servos.
        collision_exclusions: pairs of links that touch by construction.
    """

    name: str
    joints: tuple[Joint, ...]
    links: tuple[Link, ...]
    arm_joint_names: tuple[str, ...]
    finger_joint_names: tuple[str, ...]
    base_frame: str
    hand_frame: str
    tcp_frame: str
    home: Array
    position_limits: Array
    velocity_limits: Array
    acceleration_limits: Array
    jerk_limits: Array
    torque_limits: Array
    finger_position_limits: Array
    finger_velocity_limit: float
    finger_force_limit: float
    servo_stiffness: Array
    servo_damping: Array
    collision_exclusions: tuple[tuple[str, str], ...]

    @property
    def max_gripper_width(self) -> float:
        """Metres between the finger pads of the open gripper."""
        return 2.0 * float(self.finger_position_limits[1])

    def forward_kinematics(self, positions: Mapping[str, float]) -> dict[str, Array]:
        """Pose of every link.

        Args:
            positions: joint name to position; the arm's joints are required, fingers default to closed.

        Returns:
            link frame name to (4, 4) ``base_from_link``.

        Raises:
            ValueError: if an arm joint is missing or a position is not finite.
        """
        poses: dict[str, Array] = {self.base_frame: np.eye(4)}
        for joint in self.joints:
            position = 0.0
            if joint.kind != "fixed":
                position = float(positions.get(joint.name, np.nan if joint.kind == "revolute" else 0.0))
                if not np.isfinite(position):
                    raise ValueError(f"joint '{joint.name}' has no finite position; given: {sorted(positions)}")
            poses[joint.child] = poses[joint.parent] @ joint.parent_from_child(position)
        return poses

    def tcp_pose(self, arm_positions: NDArray[np.floating]) -> Array:
        """(4, 4) ``base_from_tcp`` for arm joint positions (7,) radians."""
        named = dict(zip(self.arm_joint_names, map(float, arm_positions), strict=True))
        return self.forward_kinematics(named)[self.tcp_frame]


@cache
def load_robot(name: str) -> RobotDescription:
    """The description of a robot by its short name.

    Raises:
        UnknownRobotError: listing the known names.
    """
    if name not in ROBOTS:
        raise UnknownRobotError(name)
    return _build(name, _read("franka_arm.yaml"), _read(f"{name}.yaml"))


def _read(file_name: str) -> dict[str, Any]:
    text = resources.files(__package__).joinpath(file_name).read_text(encoding="utf-8")
    return yaml.safe_load(text)


def _build(name: str, arm: dict[str, Any], model: dict[str, Any]) -> RobotDescription:
    prefix = model["prefix"]

    def named(item: str) -> str:
        return f"{prefix}_{item}"

    joints = tuple(_joint(entry, named(entry["name"]), prefix) for entry in arm["joints"])
    links = tuple(
        Link(named(entry["name"]), entry["role"], float(entry["mass"]), tuple(map(_geom, entry["geoms"])))
        for entry in arm["links"]
    )
    fingers = arm["finger_limits"]
    return RobotDescription(
        name=name,
        joints=joints,
        links=links,
        arm_joint_names=tuple(joint.name for joint in joints if joint.kind == "revolute"),
        finger_joint_names=tuple(joint.name for joint in joints if joint.kind == "prismatic"),
        base_frame=named("link0"),
        hand_frame=named("hand"),
        tcp_frame=named("hand_tcp"),
        home=_array(model["home"]),
        position_limits=_array(model["position_limits"]),
        velocity_limits=_array(model["velocity_limits"]),
        acceleration_limits=_array(model["acceleration_limits"]),
        jerk_limits=_array(model["jerk_limits"]),
        torque_limits=_array(model["torque_limits"]),
        finger_position_limits=_array(fingers["position"]),
        finger_velocity_limit=float(fingers["velocity"]),
        finger_force_limit=float(fingers["force"]),
        servo_stiffness=_array(arm["servo"]["stiffness"]),
        servo_damping=_array(arm["servo"]["damping"]),
        collision_exclusions=tuple((named(a), named(b)) for a, b in arm["collision_exclusions"]),
    )


def _joint(entry: dict[str, Any], name: str, prefix: str) -> Joint:
    return Joint(
        name=name,
        kind=entry["type"],
        parent=f"{prefix}_{entry['parent']}",
        child=f"{prefix}_{entry['child']}",
        parent_from_joint=_pose(entry),
        axis=_array(entry.get("axis", (0.0, 0.0, 1.0))),
    )


def _geom(entry: dict[str, Any]) -> Geom:
    if entry["kind"] == "capsule":
        return Capsule(_pose(entry), float(entry["radius"]), float(entry["length"]))
    return Box(_pose(entry), _array(entry["half_extents"]), bool(entry.get("pad", False)))


def _pose(entry: dict[str, Any]) -> Array:
    matrix = np.eye(4)
    matrix[:3, :3] = matrix_from_rpy(entry.get("rpy", (0.0, 0.0, 0.0)))
    matrix[:3, 3] = entry["xyz"]
    return matrix


def _array(values: Any) -> Array:
    array = np.asarray(values, dtype=np.float64)
    array.setflags(write=False)
    return array
