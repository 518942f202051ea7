"""What a robot is: joints, links, limits, coarse shapes and forward kinematics."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import ClassVar, Literal
from zlib import crc32

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mini_diffuser_ros.geometry import axis_angle_matrix, matrix_from_rpy
from mini_diffuser_ros.robots.folder import GeomEntry, JointEntry, RobotFolder, Triple, read_folder
from mini_diffuser_ros.robots.limits import CartesianLimits, VelocityCurve, velocity_range
from mini_diffuser_ros.support.errors import UserError

Array = NDArray[np.float64]

_FOLDERS = Path(__file__).parent

_RIGHT_ANGLE = 1e-15
"""Cosines below it are rounding."""

ROBOTS: tuple[str, ...] = tuple(sorted(file.parent.name for file in _FOLDERS.glob("*/robot.yaml")))
"""Names that :func:`load_robot` knows: the folders beside this module."""


OWN_ROBOTS = "MINI_DIFFUSER_ROBOTS"
"""Environment variable: folders of robots of your own that data may name, separated as in ``PATH``."""


class UnknownRobotError(UserError, ValueError):
    """A robot name without a description; ``remedy`` says what to do about it."""

    def __init__(self, name: str, remedy: str = "") -> None:
        known = f"unknown robot {_shown(name)}; known robots: {', '.join(ROBOTS)}"
        super().__init__(f"{known}; {remedy}" if remedy else known)
        self._all = name, remedy

    def __reduce__(self) -> tuple[type[UnknownRobotError], tuple[str, str]]:
        # Exceptions cross from worker processes; the default would call the class with the message alone.
        return type(self), self._all


def _shown(name: str) -> str:
    return repr(name) if len(name) <= 60 else f"{name[:57]!r}..."


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

    @property
    def core(self) -> Array:
        """(3,) metres, half extents of the box within ``radius`` of which the shape lies, here one without width."""
        return np.array([0.0, 0.0, self.length / 2.0])


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
    radius: ClassVar[float] = 0.0

    @property
    def core(self) -> Array:
        """(3,) metres, as of a :class:`Capsule`: the box itself."""
        return self.half_extents


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
    """An arm of J joints with a parallel gripper.

    Attributes:
        name: short name, that of its folder.
        joints: ordered from the base outwards, so that one pass computes the kinematics.
        links: every rigid body.
        arm_joint_names, finger_joint_names: ROS names, J and two.
        base_frame, hand_frame, tcp_frame: ROS frames; the tool centre point lies between the finger tips.
        home: (J,) radians, the pose from which the arm starts.
        position_limits: (J, 2) radians, lower and upper.
        velocity_limits, acceleration_limits, jerk_limits: (J,) rad/s, rad/s^2, rad/s^3, symmetric.
        velocity_curves: how the velocity limits fall towards the ends of the ranges; none where they do not.
        cartesian_limits: of the tool, where the maker states them.
        torque_limits: (J,) N m.
        finger_position_limits: (2,) metres, travel of one finger.
        finger_velocity_limit: m/s of one finger.
        finger_force_limit: newtons of one finger.
        servo_stiffness, servo_damping: (J,) gains of simulated joint servos.
        collision_exclusions: pairs of links that touch by construction.
        prefix: before the names of all frames and joints.
        arm_action, gripper_action: FollowJointTrajectory and GripperCommand of its usual drivers; empty if not known.
        surface_files: of true surfaces, for :func:`~mini_diffuser_ros.robots.surface_meshes`.
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
    velocity_curves: tuple[VelocityCurve, ...]
    acceleration_limits: Array
    jerk_limits: Array
    cartesian_limits: CartesianLimits | None
    torque_limits: Array
    finger_position_limits: Array
    finger_velocity_limit: float
    finger_force_limit: float
    servo_stiffness: Array
    servo_damping: Array
    collision_exclusions: tuple[tuple[str, str], ...]
    prefix: str = ""
    arm_action: str = ""
    gripper_action: str = ""
    surface_files: tuple[Path, ...] = ()

    @property
    def max_gripper_width(self) -> float:
        """Metres between the finger pads of the open gripper."""
        return 2.0 * float(self.finger_position_limits[1])

    def velocity_range(self, positions: ArrayLike) -> tuple[Array, Array]:
        """Lowest and highest joint velocities (..., J), rad/s, that the maker allows at positions (..., J) radians."""
        return velocity_range(self.velocity_limits, self.velocity_curves, positions)

    def usable_range(self, least_speed: float = 0.0) -> Array:
        """(J, 2) radians: ``position_limits`` as far as joints may move in both directions at ``least_speed`` rad/s."""
        ranges = np.stack([self.position_limits, *(curve.usable(least_speed) for curve in self.velocity_curves)])
        return np.stack([ranges[:, :, 0].max(axis=0), ranges[:, :, 1].min(axis=0)], axis=1)

    def limits_digest(self) -> int:
        """32 bits that tell arms apart whose joints, ranges or velocity limits differ: not all nodes may have read the
        same URDF."""
        curves = [part for curve in self.velocity_curves for part in vars(curve).values()]
        numbers = np.concatenate([np.ravel(one) for one in (self.position_limits, self.velocity_limits, *curves)])
        return crc32(numbers.tobytes(), crc32(" ".join(self.arm_joint_names).encode()))

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
                    given = ", ".join(sorted(positions))
                    shown = given if len(given) <= 200 else f"{given[:200]}... ({len(positions)})"
                    raise ValueError(f"joint '{joint.name}' has no finite position; given: {shown}")
            poses[joint.child] = poses[joint.parent] @ joint.parent_from_child(position)
        return poses

    def tcp_pose(self, arm_positions: NDArray[np.floating]) -> Array:
        """(4, 4) ``base_from_tcp`` for arm joint positions (J,) radians."""
        named = dict(zip(self.arm_joint_names, map(float, arm_positions), strict=True))
        return self.forward_kinematics(named)[self.tcp_frame]

    def tcp_motion(self, arm_positions: NDArray[np.floating]) -> tuple[Array, Array]:
        """Places (N, 3), metres, and rotations (N, 3, 3) ``base_from_tcp`` for many joint positions (N, J) at once."""
        count = len(arm_positions)
        places, columns = np.zeros((3, count)), np.empty((3, 3, count))  # columns[:, k]: k-th column of the rotations
        columns[:] = np.eye(3)[:, :, None]
        for step in self._steps_to_tcp:
            places += _combined(columns, step.translation)
            columns = np.stack([_combined(columns, weights) for weights in step.rotation.T], axis=1)
            if step.index is not None:
                sine, cosine = np.sin(arm_positions[:, step.index]), np.cos(arm_positions[:, step.index])
                first, second = columns[:, 0].copy(), columns[:, 1].copy()
                columns[:, 0] = first * cosine + second * sine
                columns[:, 1] = second * cosine - first * sine
        return places.T, np.moveaxis(columns, 2, 0)

    def turns_to_tcp(self) -> tuple[Array, Array]:
        """The arm as turns about z axes.

        Returns:
            (J, 4, 4) poses of the joints' frames, each in that of the joint before it, at positions zero, with z along
            the joint's axis; the (4, 4) pose of the tool centre point in the last one.
        """
        turns, pose = [], np.eye(4)
        for step in self._steps_to_tcp:
            fixed = np.eye(4)
            fixed[:3, :3], fixed[:3, 3] = step.rotation, step.translation
            pose = pose @ fixed
            if step.index is not None:
                turns.append(pose)
                pose = np.eye(4)
        return np.stack(turns), pose

    @cached_property
    def _steps_to_tcp(self) -> tuple[_Step, ...]:
        by_child = {joint.child: joint for joint in self.joints}
        chain, link = [], self.tcp_frame
        while link != self.base_frame:
            chain.append(by_child[link])
            link = by_child[link].parent
        steps, pending = [], np.eye(3)  # what turns the z axis back into the frame of the link
        for joint in reversed(chain):
            fixed = pending @ joint.parent_from_joint[:3, :3]
            translation = pending @ joint.parent_from_joint[:3, 3]
            if joint.kind == "revolute":
                to_z = _rotation_from_z(joint.axis)
                steps.append(_Step(translation, fixed @ to_z, self.arm_joint_names.index(joint.name)))
                pending = to_z.T
            else:
                steps.append(_Step(translation, fixed, None))
                pending = np.eye(3)
        return tuple(steps)


@dataclass(frozen=True, eq=False)
class _Step:
    """One constant transform on the way to the tool, followed by a turn about z if it is that of a joint."""

    translation: Array
    rotation: Array
    index: int | None


def _combined(columns: Array, weights: Array) -> Array:
    """(3, N) sum of columns (3, 3, N), the second axis weighted: most turns of an arm's links are right angles."""
    used = [column for column in range(3) if abs(weights[column]) > _RIGHT_ANGLE]
    terms = [weights[column] * columns[:, column] for column in used]
    return np.asarray(sum(terms[1:], terms[0]) if terms else np.zeros_like(columns[:, 0]))


def _rotation_from_z(axis: Array) -> Array:
    """A rotation (3, 3) that turns the z axis into ``axis``."""
    helper = np.eye(3)[int(np.argmin(np.abs(axis)))]
    first = np.cross(helper, axis)
    first = first / np.linalg.norm(first)
    return np.stack([first, np.cross(axis, first), axis], axis=1)


def load_robot(robot: str | Path) -> RobotDescription:
    """The description of a robot.

    Args:
        robot: one of :data:`ROBOTS`, or the path of a folder of your own; a text with a slash in it is a path.

    Raises:
        UnknownRobotError: listing the known names.
        SettingsError: if a file of the folder is not as it has to be, naming file and field.
    """
    if isinstance(robot, str) and "/" not in robot:
        if robot not in ROBOTS:
            raise UnknownRobotError(robot)
        return _load(_FOLDERS / robot)
    return _load(Path(robot))


def robot_of_data(name: str) -> RobotDescription:
    """The description of a robot that data name: data are anybody's, and open no folder that the user has not named.

    Args:
        name: one of :data:`ROBOTS`, or the name of a folder of :data:`OWN_ROBOTS`. Of a path, which recordings of a
            robot of one's own hold, the last part is the name, and then it is none of :data:`ROBOTS`.

    Raises:
        UnknownRobotError: saying how to name a folder.
        SettingsError: if a file of the folder is not as it has to be, naming file and field.
    """
    if name in ROBOTS:
        return load_robot(name)
    own = {Path(folder).name: folder for folder in os.environ.get(OWN_ROBOTS, "").split(os.pathsep) if folder}
    if (folder := own.get(Path(name).name)) is not None:
        return _load(Path(folder))
    raise UnknownRobotError(name, f"for one of your own set {OWN_ROBOTS} to its folder")


@cache
def _load(folder: Path) -> RobotDescription:
    return _described(read_folder(folder))


def _described(folder: RobotFolder) -> RobotDescription:
    robot, limits, model, tool = folder.robot, folder.limits, folder.model, folder.tool
    mount = JointEntry(robot.tool_joint, "fixed", model.flange, tool.root, robot.tool_mount.xyz, robot.tool_mount.rpy)
    joints = tuple(_joint(entry, robot.prefix) for entry in (*model.joints, mount, *tool.joints))
    links = tuple(
        Link(robot.prefix + entry.name, entry.role, entry.mass, tuple(map(_geom, entry.geoms)))
        for entry in (*model.links, *tool.links)
    )
    exclusions = (*model.collision_exclusions, *robot.collision_exclusions, *tool.collision_exclusions)
    return RobotDescription(
        name=folder.name,
        joints=joints,
        links=links,
        arm_joint_names=tuple(joint.name for joint in joints if joint.kind == "revolute"),
        finger_joint_names=tuple(joint.name for joint in joints if joint.kind == "prismatic"),
        base_frame=robot.prefix + model.base,
        hand_frame=robot.prefix + tool.root,
        tcp_frame=robot.prefix + tool.tcp,
        home=_array(robot.home),
        position_limits=_array(limits.position),
        velocity_limits=_array(limits.velocity),
        velocity_curves=tuple(
            VelocityCurve(_array(c.offset), _array(c.deceleration), _array(c.lower), _array(c.upper))
            for c in limits.velocity_curves
        ),
        acceleration_limits=_array(limits.acceleration),
        jerk_limits=_array(limits.jerk),
        cartesian_limits=limits.cartesian,
        torque_limits=_array(limits.torque),
        finger_position_limits=_array(tool.finger_limits.position),
        finger_velocity_limit=tool.finger_limits.velocity,
        finger_force_limit=tool.finger_limits.force,
        servo_stiffness=_array(model.servo.stiffness),
        servo_damping=_array(model.servo.damping),
        collision_exclusions=tuple((robot.prefix + a, robot.prefix + b) for a, b in exclusions),
        prefix=robot.prefix,
        arm_action=robot.arm_action,
        gripper_action=robot.gripper_action,
        surface_files=folder.surface_files,
    )


def _joint(entry: JointEntry, prefix: str) -> Joint:
    return Joint(
        name=prefix + entry.name,
        kind=entry.type,
        parent=prefix + entry.parent,
        child=prefix + entry.child,
        parent_from_joint=_pose(entry.xyz, entry.rpy),
        axis=_array(entry.axis),
    )


def _geom(entry: GeomEntry) -> Geom:
    pose = _pose(entry.xyz, entry.rpy)
    if entry.kind == "capsule":
        return Capsule(pose, entry.radius, entry.length)
    return Box(pose, _array(entry.half_extents), entry.pad)


def _pose(xyz: Triple, rpy: Triple) -> Array:
    matrix = np.eye(4)
    matrix[:3, :3] = matrix_from_rpy(rpy)
    matrix[:3, 3] = xyz
    return matrix


def _array(values: ArrayLike) -> Array:
    array = np.asarray(values, dtype=np.float64)
    array.setflags(write=False)
    return array
