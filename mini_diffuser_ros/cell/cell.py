"""The typed record of a cell file."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.geometry import matrix_from_pose
from mini_diffuser_ros.records import Distortion, StaticBox, Workspace

Triple = tuple[float, float, float]
DRIVEN = ("fr3", "panda")
"""Robots that the launch knows by name and whose folders name their drivers; another one is that of a cell file."""


@dataclass(frozen=True)
class CellCalibration:
    """When something was measured, and on what.

    Attributes:
        date: ISO 8601, e.g. ``2026-11-29`` or ``2026-11-29T10:30:00``; UTC.
        digest: of all that the measurement belongs to, as ``mini-diffuser calibrate`` writes it; empty: not known.
    """

    date: str
    digest: str = ""


@dataclass(frozen=True)
class CameraIntrinsics:
    """The lens of a camera, as calibrated; it is used in place of what the camera's driver says.

    Attributes:
        width, height: pixels of the images that it was calibrated on.
        fx, fy: focal lengths, pixels.
        cx, cy: principal point, pixels; pixel centres at integer coordinates.
        distortion: of the lens; left out, it has none.
        calibrated: when.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    distortion: Distortion = field(default_factory=Distortion)
    calibrated: CellCalibration | None = None

    @property
    def matrix(self) -> NDArray[np.float64]:
        """(3, 3) pinhole matrix, pixels."""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])


@dataclass(frozen=True)
class CellCamera:
    """A camera; one without ``parent`` gets its TF from elsewhere, from a calibration tool for example.

    Attributes:
        serial: of a RealSense, as ``rs-enumerate-devices`` prints it.
        parent: frame that it is fixed to: the robot's base for one on a tripod, the hand for one at the wrist.
        frame: of the camera; empty: ``<name>_color_optical_frame``, z forward, x right.
        translation: (3,) metres, of the frame in its parent.
        quaternion: x, y, z, w of the frame in its parent; or ``rotation``.
        rotation: the same as a matrix of three rows.
        intrinsics: of its lens, where calibrated here.
        calibrated: when its pose was.
    """

    serial: str = ""
    parent: str = ""
    frame: str = ""
    translation: Triple | None = None
    quaternion: tuple[float, ...] | None = None
    rotation: tuple[Triple, Triple, Triple] | None = None
    intrinsics: CameraIntrinsics | None = None
    calibrated: CellCalibration | None = None

    @property
    def parent_from_camera(self) -> NDArray[np.float64]:
        """(4, 4) pose of the frame in its parent; of a camera without faults that has a parent."""
        matrix = np.eye(4)
        if self.rotation is not None:
            left, _, right = np.linalg.svd(np.array(self.rotation))
            matrix[:3, :3] = left @ right
        else:
            matrix = matrix_from_pose((0.0, 0.0, 0.0, *(self.quaternion or (0.0, 0.0, 0.0, 1.0))))
        matrix[:3, 3] = self.translation or (0.0, 0.0, 0.0)
        return matrix


@dataclass(frozen=True)
class CellTable:
    """The table top: a plane, seen from the robot's base.

    Attributes:
        height: metres, z in the base frame.
        calibrated: when it was measured; left out, it was not.
    """

    height: float = 0.0
    calibrated: CellCalibration | None = None


@dataclass(frozen=True)
class CellSpeeds:
    """How fast the arm may be.

    Attributes:
        profile: ``collaborative`` with people beside the arm, ``fast`` behind a fence, ``simulation``, or the path of a
            file of your own; left out: ``collaborative``.
        max_tool_speed: m/s of the tool, where that is less than the profile's; left out: that of the profile.
        speed: percent of the profile's joint velocities and of the tool's speed.
    """

    profile: str | None = None
    max_tool_speed: float | None = None
    speed: float = 100.0


@dataclass(frozen=True)
class CellGripper:
    """The gripper.

    Attributes:
        action: its action; empty: as the robot's folder says.
        force: newtons that it may squeeze with; left out: the default of motion_node.
        width: metres between the open fingers; left out: the widest that the robot's has.
    """

    action: str = ""
    force: float | None = None
    width: float | None = None


@dataclass(frozen=True)
class Cell:
    """A lab's cell; all positions but those of cameras are in the robot's base frame.

    Attributes:
        robot: name of the robot description, or the path of a folder of your own.
        cameras: by their names, which their topics begin with.
        workspace: box in which the tool moves and of which the cloud is kept.
        table: its top.
        boxes: obstacles that never move.
        speeds: how fast the arm may be.
        gripper: what it may.
        arm_action: FollowJointTrajectory action of the arm; empty: as the robot's folder says.
    """

    robot: str
    cameras: dict[str, CellCamera]
    workspace: Workspace
    table: CellTable = CellTable()
    boxes: tuple[StaticBox, ...] = ()
    speeds: CellSpeeds = CellSpeeds()
    gripper: CellGripper = CellGripper()
    arm_action: str = ""

    def frame_of(self, camera: str) -> str:
        """The frame of a camera."""
        return self.cameras[camera].frame or f"{camera}_color_optical_frame"


def frame_from_optical(frame: str) -> NDArray[np.float64]:
    """(4, 4) of the optical frame: a frame that is not called optical has x forward and z up, as ROS bodies do."""
    if "optical" in frame:
        return np.eye(4)
    return matrix_from_pose((0.0, 0.0, 0.0, -0.5, 0.5, -0.5, 0.5))
