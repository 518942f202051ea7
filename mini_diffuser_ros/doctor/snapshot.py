"""What was seen of a set-up within a few seconds: the record that the checks look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Software:
    """What is installed where the command runs.

    Attributes:
        python: version.
        packages: name: version, empty where a package is not installed.
        distribution: of ROS 2, e.g. ``humble``; empty if none is sourced.
        middleware: of this process, e.g. ``rmw_cyclonedds_cpp``.
        domain: ROS_DOMAIN_ID.
    """

    python: str
    packages: Mapping[str, str]
    distribution: str
    middleware: str
    domain: str


@dataclass(frozen=True)
class Drivers:
    """Names under which the robot is looked for.

    Attributes:
        robot: name of the robot description.
        arm_action, gripper_action: of its drivers, fully qualified.
        base_frame: in which cameras have to be known.
        joints: of the arm.
        max_width: metres between its open fingers.
    """

    robot: str
    arm_action: str
    gripper_action: str
    base_frame: str
    joints: tuple[str, ...]
    max_width: float


@dataclass(frozen=True)
class Graph:
    """Who is there.

    Attributes:
        nodes: fully qualified names, one that comes twice twice.
        middlewares: node: its middleware as its endpoints tell, empty where they do not.
        unnamed: topics with publishers whose node is not told.
        servers: action: nodes that serve it.
        arms, grippers: every FollowJointTrajectory and GripperCommand action.
        joint_publishers: nodes that publish joint states, one that comes twice twice.
        clock_publishers: of /clock.
    """

    nodes: tuple[str, ...] = ()
    middlewares: Mapping[str, str] = field(default_factory=dict)
    unnamed: tuple[str, ...] = ()
    servers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    arms: tuple[str, ...] = ()
    grippers: tuple[str, ...] = ()
    joint_publishers: tuple[str, ...] = ()
    clock_publishers: tuple[str, ...] = ()


@dataclass(frozen=True)
class JointFacts:
    """Joint states of the arm, as they came in.

    Attributes:
        count: messages with the arm's joints.
        seconds: listened.
        age: of the last one's stamp against this machine's clock, seconds; None without a message or a stamp.
        stamps_advance: whether every stamp is later than the one before.
        jump: largest step of a joint between two messages, radians, and that joint's name.
        finite: whether every position is a number.
        width: metres between the fingers; None where nobody publishes them.
    """

    count: int = 0
    seconds: float = 0.0
    age: float | None = None
    stamps_advance: bool = True
    jump: tuple[float, str] = (0.0, "")
    finite: bool = True
    width: float | None = None


@dataclass(frozen=True)
class CameraFacts:
    """A camera's topics, as they came in.

    Attributes:
        name: which its topics begin with.
        color_rate, depth_rate: Hz.
        color_size, depth_size, info_size: (width, height) pixels; None where nothing came.
        focal: fx, pixels; 0.0 where it is not calibrated or nothing came.
        frame: of its images.
        age: of the last image's stamp, seconds; None without one.
        filled: fraction of the last depth image that has a value.
        in_base: what TF says against it; empty if its pose in the base frame is known.
    """

    name: str
    color_rate: float = 0.0
    depth_rate: float = 0.0
    color_size: tuple[int, int] | None = None
    depth_size: tuple[int, int] | None = None
    info_size: tuple[int, int] | None = None
    focal: float = 0.0
    frame: str = ""
    age: float | None = None
    filled: float = 0.0
    in_base: str = ""


@dataclass(frozen=True)
class CellFacts:
    """What a cell file says.

    Attributes:
        path: of the file.
        problems: (whether it forbids running, what, remedy).
        calibrations: what was calibrated: days since then, None where the file does not say.
        robot: that it is of; empty where the file does not say.
        serials: camera: its serial number, of those that have one.
    """

    path: str
    problems: tuple[tuple[bool, str, str], ...] = ()
    calibrations: Mapping[str, float | None] = field(default_factory=dict)
    robot: str = ""
    serials: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Snapshot:
    """All of it.

    Attributes:
        controllers: name: state, of the controller_manager; None where it was not asked, `no_controllers` says why.
        sim_time: node of ours: whether it follows /clock; those that did not answer are missing.
        clock_runs: whether /clock advanced.
        diagnostics: (node and part, level 0 to 3, message) newest of each.
        homed: what motion_node says of the gripper's homing; empty where it says nothing.
        streaming: camera: serial number of the device that its driver has as it, where that says so.
        devices: serial number: model, of the RealSense cameras plugged in here; None where they cannot be listed.
        cell: None where no file was given.
    """

    software: Software
    drivers: Drivers
    graph: Graph = Graph()
    controllers: Mapping[str, str] | None = None
    no_controllers: str = ""
    joints: JointFacts = JointFacts()
    sim_time: Mapping[str, bool] = field(default_factory=dict)
    clock_runs: bool = False
    diagnostics: tuple[tuple[str, int, str], ...] = ()
    homed: str = ""
    cameras: tuple[CameraFacts, ...] = ()
    streaming: Mapping[str, str] = field(default_factory=dict)
    devices: Mapping[str, str] | None = None
    cell: CellFacts | None = None
