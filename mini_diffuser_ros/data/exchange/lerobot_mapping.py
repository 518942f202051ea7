"""What somebody else's LeRobotDataset does not say of itself, said in a small YAML file, and asked for by name."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from mini_diffuser_ros.data.errors import DataError
from mini_diffuser_ros.data.exchange.lerobot_layout import (
    COUNTERS,
    DEPTH,
    EXTRINSICS,
    IMAGES,
    INTRINSICS,
    Feature,
    Info,
)
from mini_diffuser_ros.records import Distortion
from mini_diffuser_ros.robots import ROBOTS
from mini_diffuser_ros.support.settings import bounded, check_fields, not_expected

NORM_TOLERANCE = 0.02
"""Of quaternions that others have rounded."""

TIMESTAMP = "timestamp"
"""The feature of every LeRobotDataset that says the seconds since its episode began, by its frames a second."""

Pose = tuple[float, float, float, float, float, float, float]
Rotation = Literal["xyzw", "wxyz", "rotation_vector", "rpy"]


@dataclass(frozen=True)
class ToolMapping:
    """Where the pose of the tool centre point is.

    Attributes:
        feature: that holds it, in the base frame of the robot.
        rotation: how it is written: xyzw or wxyz, a quaternion; rotation_vector, axis times radians; rpy, radians about
            the fixed axes x, y, z.
        columns: numbers of its entries, x y z first, then the rotation's.
        metres: a unit of x, y, z.
    """

    feature: str
    rotation: Rotation
    columns: tuple[int, ...] | None = None
    metres: float = bounded(1.0, 1e-6, 1.0)

    def __post_init__(self) -> None:
        check_fields(self)
        count = 3 + (4 if self.rotation in ("xyzw", "wxyz") else 3)
        if self.columns is not None and (len(self.columns) != count or min(self.columns) < 0):
            raise not_expected("columns", self.columns, f"{count} numbers from 0, for x y z and {self.rotation}")

    @property
    def places(self) -> tuple[int, ...]:
        """Numbers of the entries, the first ones where the file does not say."""
        return tuple(range(7 if self.rotation in ("xyzw", "wxyz") else 6)) if self.columns is None else self.columns


@dataclass(frozen=True)
class GripperMapping:
    """How the gripper's state is known.

    Attributes:
        feature: that holds it, a width or a flag.
        column: number of its entry.
        threshold: at which it changes.
        open_above: whether it is open above that, or below.
    """

    feature: str
    column: int
    threshold: float
    open_above: bool

    def __post_init__(self) -> None:
        check_fields(self)
        if self.column < 0:
            raise not_expected("column", self.column, "a number from 0")


@dataclass(frozen=True)
class JointsMapping:
    """Where the joint positions are, by which the robot's points are taken out of the clouds.

    Attributes:
        feature: that holds them, radians.
        columns: numbers of the entries, those of the arm's joints in their order.
    """

    feature: str
    columns: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class CameraMapping:
    """A camera.

    Attributes:
        color, depth: features of its images.
        depth_metres: a step of its depth; depth in floating numbers is in metres unless this is said.
        intrinsics: fx fy cx cy, pixels; or
        intrinsics_feature: that holds the (3, 3) matrix.
        base_from_camera: x y z qx qy qz qw of the optical frame (x right, y down, z forward) in the base frame; or
        base_from_camera_feature: that holds it, or the (4, 4) matrix; or
        tool_from_camera: the same of a camera on the hand, in the frame of the tool centre point.
        distortion: of the lens, as CameraInfo has it; none where the images are rectified.
    """

    color: str | None = None
    depth: str | None = None
    depth_metres: float | None = None
    intrinsics: tuple[float, float, float, float] | None = None
    intrinsics_feature: str | None = None
    base_from_camera: Pose | None = None
    base_from_camera_feature: str | None = None
    tool_from_camera: Pose | None = None
    distortion: Distortion = field(default_factory=Distortion)

    def __post_init__(self) -> None:
        check_fields(self)
        if self.depth_metres is not None and not 0.0 < self.depth_metres <= 1.0:
            raise not_expected("depth_metres", self.depth_metres, "metres a step, e.g. 0.001")
        for name, pose in (
            ("base_from_camera", self.base_from_camera),
            ("tool_from_camera", self.tool_from_camera),
        ):
            if pose is not None and abs(math.hypot(*pose[3:]) - 1.0) > NORM_TOLERANCE:
                raise not_expected(name, pose, "x y z, metres, and a quaternion qx qy qz qw of norm 1")

    def completed(self, name: str, info: Info) -> CameraMapping:
        """The same with the features that have our names, where nothing else is said."""

        def there(beginning: str) -> str | None:
            return beginning + name if beginning + name in info.features else None

        posed = (self.base_from_camera, self.base_from_camera_feature, self.tool_from_camera)
        return replace(
            self,
            color=self.color or there(IMAGES),
            depth=self.depth or there(DEPTH),
            intrinsics_feature=self.intrinsics_feature or (None if self.intrinsics else there(INTRINSICS)),
            base_from_camera_feature=self.base_from_camera_feature or (None if any(posed) else there(EXTRINSICS)),
        )


@dataclass(frozen=True)
class LeRobotMapping:
    """What has to be known of a LeRobotDataset before its frames are episodes.

    Attributes:
        robot: name or folder of its description; none leaves the robot in the clouds.
        task: name of the task; by default the words of the sentence.
        tool: where the pose of the tool is.
        gripper: how the gripper's state is known.
        joints: where joint positions are.
        cameras: by name.
        keyframes: feature that marks them with a number other than 0; by default they are where the gripper changes and
            the arm rests, and the last frame.
        stamps: feature with the seconds of each frame; by default the dataset's own timestamp.
    """

    robot: str | None = None
    task: str | None = None
    tool: ToolMapping | None = None
    gripper: GripperMapping | None = None
    joints: JointsMapping | None = None
    cameras: dict[str, CameraMapping] = field(default_factory=dict)
    keyframes: str | None = None
    stamps: str = TIMESTAMP

    def __post_init__(self) -> None:
        check_fields(self)


def complete_mapping(mapping: LeRobotMapping, info: Info) -> LeRobotMapping:
    """The mapping with what the dataset says of itself.

    Raises:
        DataError: in one line all that is missing, and which features there are.
    """
    named = mapping.robot or (info.robot if info.robot in ROBOTS else None)
    names = list(mapping.cameras) or [name[len(IMAGES) :] for name in info.features if name.startswith(IMAGES)]
    cameras = {name: mapping.cameras.get(name, CameraMapping()).completed(name, info) for name in names}
    complete = replace(mapping, robot=None if named == "none" else named, cameras=cameras)
    missing = list(_missing(complete, info, named))
    if missing:
        raise DataError(f"{info.root}: --mapping FILE has to say {'; '.join(missing)}. Features: {_features(info)}")
    return complete


def _missing(mapping: LeRobotMapping, info: Info, named: str | None) -> Iterator[str]:
    if named is None:
        yield f"robot ({', '.join(ROBOTS)}, a folder, or none)"
    if mapping.tool is None:
        yield "tool (feature, rotation)"
    if mapping.gripper is None:
        yield "gripper (feature, column, threshold, open_above)"
    if named not in (None, "none") and mapping.joints is None:
        yield "joints (feature)"
    if not mapping.cameras:
        yield "cameras"
    lacking: dict[str, list[str]] = {}  # what, by the cameras that lack it: most lack the same
    for name, camera in mapping.cameras.items():
        if missing := ", ".join(_missing_of(camera, info)):
            lacking.setdefault(missing, []).append(name)
    yield from (f"of cameras {', '.join(names)}: {missing}" for missing, names in lacking.items())


def _features(info: Info) -> str:
    """The features that a mapping may name, those first that it has to: a long line is cut at its end."""
    own = [feature for name, feature in info.features.items() if name not in (*COUNTERS, TIMESTAMP)]
    own.sort(
        key=lambda feature: (
            feature.name.startswith(IMAGES),
            feature.dtype in ("bool", "string"),
            feature.shape == (1,),
        )
    )
    return ", ".join(map(str, own))


def _missing_of(camera: CameraMapping, info: Info) -> Iterator[str]:
    if camera.color is None:
        yield "color"
    if camera.depth is None:
        yield "depth"
    elif camera.depth_metres is None and not _is_floating(info.features.get(camera.depth)):
        yield "depth_metres"
    if camera.intrinsics is None and camera.intrinsics_feature is None:
        yield "intrinsics"
    if not any((camera.base_from_camera, camera.base_from_camera_feature, camera.tool_from_camera)):
        yield "base_from_camera (or tool_from_camera)"


def _is_floating(feature: Feature | None) -> bool:
    return feature is not None and feature.dtype.startswith("float")
