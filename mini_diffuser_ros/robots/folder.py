"""The files of a robot folder, read and checked before anything is built of them.

A folder holds files whose fields are those of the classes here; names in them lack the robot's prefix.

* ``robot.yaml`` (:class:`RobotFile`): prefix of the ROS names, home, which model and tool, how the tool is mounted.
* ``limits.yaml`` (:class:`LimitsFile`): what the joints allow, one entry a joint from the base outwards.
* ``model.yaml`` (:class:`ModelFile`): links, joints, coarse shapes and simulated servos of the arm.
* ``tool.yaml`` (:class:`ToolFile`): a parallel gripper.
* ``model.npz`` and ``tool.npz`` beside these, which may be missing: true surfaces, see :mod:`.surface`.

``robot.yaml`` names model and tool by paths relative to itself, so robots that differ in limits alone share the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from mini_diffuser_ros.robots.limits import CartesianLimits, refuse_degrees
from mini_diffuser_ros.support.settings import SettingsError, check_fields, from_mapping, not_expected, read_yaml

Triple = tuple[float, float, float]
T = TypeVar("T")

JOINT_LIMITS = ("position", "velocity", "acceleration", "jerk", "torque")
"""Fields of :class:`LimitsFile` with one entry a joint."""


@dataclass(frozen=True)
class Placement:
    """Where something sits in its parent.

    Attributes:
        xyz: metres.
        rpy: roll, pitch, yaw, radians.
    """

    xyz: Triple
    rpy: Triple = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class JointEntry:
    """A joint; ``xyz`` and ``rpy`` place the child at position zero, ``axis`` is a unit vector in the joint frame."""

    name: str
    type: Literal["revolute", "prismatic", "fixed"]
    parent: str
    child: str
    xyz: Triple
    rpy: Triple = (0.0, 0.0, 0.0)
    axis: Triple = (0.0, 0.0, 1.0)

    def __post_init__(self) -> None:
        check_fields(self)
        if abs(sum(number**2 for number in self.axis) - 1.0) > 1e-6:
            raise not_expected("axis", self.axis, "a vector of length 1")


@dataclass(frozen=True)
class GeomEntry:
    """A capsule of ``radius`` and ``length`` of its cylindrical part along its z axis, or a box; metres."""

    kind: Literal["capsule", "box"]
    xyz: Triple
    rpy: Triple = (0.0, 0.0, 0.0)
    radius: float = 0.0
    length: float = 0.0
    half_extents: Triple = (0.0, 0.0, 0.0)
    pad: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        if self.kind == "capsule":
            _require_positive("radius", (self.radius,))
            _require_positive("length", (self.length,))
        else:
            _require_positive("half_extents", self.half_extents)


@dataclass(frozen=True)
class LinkEntry:
    """A rigid body; ``mass`` in kilograms."""

    name: str
    role: Literal["arm", "hand", "finger"]
    mass: float
    geoms: tuple[GeomEntry, ...]

    def __post_init__(self) -> None:
        check_fields(self)
        if self.mass < 0.0:
            raise not_expected("mass", self.mass, "a number that is not negative")


@dataclass(frozen=True)
class Servo:
    """Gains of simulated joint servos: N m / rad and N m s / rad, one a joint."""

    stiffness: tuple[float, ...]
    damping: tuple[float, ...]

    def __post_init__(self) -> None:
        check_fields(self)
        _require_positive("stiffness", self.stiffness)
        _require_positive("damping", self.damping)


@dataclass(frozen=True)
class ModelFile:
    """``model.yaml``: the arm from the link ``base`` to the link ``flange``, joints from the base outwards."""

    base: str
    flange: str
    joints: tuple[JointEntry, ...]
    links: tuple[LinkEntry, ...]
    collision_exclusions: tuple[tuple[str, str], ...]
    servo: Servo

    def __post_init__(self) -> None:
        check_fields(self)
        _require_tree(self.base, self.joints, self.links, self.collision_exclusions)
        _require_link("flange", self.flange, self.links)
        if any(joint.type == "prismatic" for joint in self.joints):
            raise not_expected("joints", "prismatic", "revolute and fixed joints in an arm")


@dataclass(frozen=True)
class CurveEntry:
    """One set of parameters of :class:`mini_diffuser_ros.robots.limits.VelocityCurve`; one entry a joint."""

    offset: tuple[float, ...]
    deceleration: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]

    def __post_init__(self) -> None:
        check_fields(self)
        _require_positive("deceleration", self.deceleration)
        if min(self.offset, default=0.0) < 0.0:
            raise not_expected("offset", list(self.offset), "numbers that are not negative")


@dataclass(frozen=True)
class LimitsFile:
    """``limits.yaml``: one entry a joint of the arm; all but ``position`` hold in both directions.

    Attributes:
        position: lower and upper, radians.
        velocity: rad/s.
        acceleration: rad/s^2.
        jerk: rad/s^3.
        torque: N m.
        velocity_curves: how the velocity limits fall towards the ends of the ranges; of several the strictest holds.
        cartesian: of the tool, where the maker states it.
    """

    position: tuple[tuple[float, float], ...]
    velocity: tuple[float, ...]
    acceleration: tuple[float, ...]
    jerk: tuple[float, ...]
    torque: tuple[float, ...]
    velocity_curves: tuple[CurveEntry, ...] = ()
    cartesian: CartesianLimits | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        for index, (lower, upper) in enumerate(self.position):
            if not lower < upper:
                raise not_expected(f"position[{index}]", [lower, upper], "a lower limit below the upper one")
        for name in ("velocity", "acceleration", "jerk", "torque"):
            _require_positive(name, getattr(self, name))
        refuse_degrees(self.position, self.velocity)
        if self.cartesian is not None:
            for name, value in vars(self.cartesian).items():
                _require_positive(f"cartesian.{name}", (value,))


@dataclass(frozen=True)
class FingerLimits:
    """Of one finger: travel in metres, closed and open, m/s, newtons."""

    position: tuple[float, float]
    velocity: float
    force: float

    def __post_init__(self) -> None:
        check_fields(self)
        if not 0.0 <= self.position[0] < self.position[1]:
            raise not_expected("position", list(self.position), "0 <= closed < open")
        _require_positive("velocity", (self.velocity,))
        _require_positive("force", (self.force,))


@dataclass(frozen=True)
class ToolFile:
    """``tool.yaml``: a parallel gripper from the link ``root`` on; the link ``tcp`` lies between its finger tips."""

    root: str
    tcp: str
    joints: tuple[JointEntry, ...]
    finger_limits: FingerLimits
    links: tuple[LinkEntry, ...]
    collision_exclusions: tuple[tuple[str, str], ...]

    def __post_init__(self) -> None:
        check_fields(self)
        _require_tree(self.root, self.joints, self.links, self.collision_exclusions)
        _require_link("tcp", self.tcp, self.links)
        kinds = [joint.type for joint in self.joints]
        if kinds.count("prismatic") != 2 or "revolute" in kinds:
            raise not_expected("joints", ", ".join(kinds), "two prismatic joints, one a finger, and fixed ones")


@dataclass(frozen=True)
class RobotFile:
    """``robot.yaml``.

    Attributes:
        prefix: before every ROS name of a frame and a joint, e.g. ``panda_``; may be empty.
        model, tool: paths of these files, relative to the folder.
        tool_mount: of the tool's root in the flange.
        tool_joint: name of the fixed joint between them.
        home: radians, one a joint; the gripper points down over the table, away from everything.
        collision_exclusions: pairs of a link of the arm and one of the tool that touch by construction.
        arm_action: FollowJointTrajectory action of its usual driver; empty where there is none.
        gripper_action: GripperCommand action of its gripper's; likewise.
    """

    prefix: str
    model: str
    tool: str
    tool_mount: Placement
    tool_joint: str
    home: tuple[float, ...]
    collision_exclusions: tuple[tuple[str, str], ...]
    arm_action: str = ""
    gripper_action: str = ""


@dataclass(frozen=True)
class RobotFolder:
    """The files of a folder, which agree with each other."""

    name: str
    surface_files: tuple[Path, ...]
    robot: RobotFile
    limits: LimitsFile
    model: ModelFile
    tool: ToolFile


def read_folder(folder: Path) -> RobotFolder:
    """Read and check the folder of a robot; its name is the robot's.

    Raises:
        SettingsError: one line that names the file and the field.
    """
    robot = _read(RobotFile, folder / "robot.yaml")
    limits = _read(LimitsFile, folder / "limits.yaml")
    model = _read(ModelFile, folder / robot.model)
    tool = _read(ToolFile, folder / robot.tool)
    surfaces = tuple(
        file for name in (robot.model, robot.tool) if (file := (folder / name).with_suffix(".npz")).is_file()
    )
    found = RobotFolder(folder.resolve().name, surfaces, robot, limits, model, tool)
    _require_agreement(folder, found)
    return found


def _read(kind: type[T], path: Path) -> T:
    return from_mapping(kind, read_yaml(path), str(path))


def _require_agreement(folder: Path, found: RobotFolder) -> None:
    names = [joint.name for joint in found.model.joints if joint.type == "revolute"]
    robot_file, limits_file = str(folder / "robot.yaml"), str(folder / "limits.yaml")
    for source, values in (
        (limits_file, {name: getattr(found.limits, name) for name in JOINT_LIMITS}),
        *(
            (limits_file, {f"velocity_curves[{index}].{name}": entries for name, entries in vars(curve).items()})
            for index, curve in enumerate(found.limits.velocity_curves)
        ),
        (robot_file, {"home": found.robot.home}),
        (
            str(folder / found.robot.model),
            {"servo.stiffness": found.model.servo.stiffness, "servo.damping": found.model.servo.damping},
        ),
    ):
        for name, entries in values.items():
            if len(entries) != len(names):
                raise SettingsError(
                    name, f"has {len(entries)} entries, expected {len(names)}: one each of {', '.join(names)}", source
                )
    for joint, home, (lower, upper) in zip(names, found.robot.home, found.limits.position, strict=True):
        if not lower <= home <= upper:
            raise SettingsError(
                "home", f"has {joint} at {home:g} rad, outside [{lower:g}, {upper:g}] of {limits_file}", robot_file
            )
    links = [link.name for link in (*found.model.links, *found.tool.links)]
    doubled = sorted({name for name in links if links.count(name) > 1})
    if doubled:
        raise SettingsError("tool", f"has links that the arm has too: {', '.join(doubled)}", robot_file)
    for pair in found.robot.collision_exclusions:
        for name in pair:
            if name not in links:
                raise not_expected("collision_exclusions", name, "the name of a link", robot_file)


def _require_positive(name: str, values: Sequence[float]) -> None:
    if not all(value > 0.0 for value in values):
        raise not_expected(name, list(values) if len(values) > 1 else values[0], "positive numbers")


def _require_link(field: str, name: str, links: Sequence[LinkEntry]) -> None:
    if name not in [link.name for link in links]:
        raise not_expected(field, name, "the name of a link")


def _require_tree(
    root: str, joints: Sequence[JointEntry], links: Sequence[LinkEntry], exclusions: Sequence[tuple[str, str]]
) -> None:
    """Every link but the root hangs on one joint, whose parent was reached before."""
    reached = [root]
    for index, joint in enumerate(joints):
        if joint.parent not in reached:
            raise not_expected(f"joints[{index}].parent", joint.parent, "a link that an earlier joint leads to")
        if joint.child in reached:
            raise not_expected(f"joints[{index}].child", joint.child, "a link that no other joint leads to")
        reached.append(joint.child)
    names = [link.name for link in links]
    if sorted(names) != sorted(reached):
        raise not_expected("links", ", ".join(names), "the root and the child of every joint: " + ", ".join(reached))
    for pair in exclusions:
        for name in pair:
            _require_link("collision_exclusions", name, links)
