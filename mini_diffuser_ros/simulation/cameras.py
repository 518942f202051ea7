"""Where the three RGB-D cameras are and what they see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.geometry import inverse_transform, transform_points
from mini_diffuser_ros.robots import RobotDescription
from mini_diffuser_ros.simulation.errors import SimulationError
from mini_diffuser_ros.support.settings import unknown_name

Array = NDArray[np.float64]

# The part of the table-top the fixed cameras frame, metres in the base frame: x, y, z.
WORKSPACE: Final = ((0.25, 0.80), (-0.38, 0.38), (0.0, 0.30))
# Positions and the points looked at, chosen so that the workspace fills the image.
_FRONT: Final = ((1.35, 0.0, 1.00), (0.60, 0.0, 0.05))
_LEFT_SHOULDER: Final = ((0.05, 0.80, 0.95), (0.59, -0.01, 0.05))
_WRIST: Final = ((0.075, 0.0, 0.045), (0.025, 0.0, 0.16))
_WRIST_FOVY: Final = 1.2


@dataclass(frozen=True, eq=False)
class CameraMount:
    """A camera fixed to a frame.

    Attributes:
        name: ``front``, ``left_shoulder`` or ``wrist``.
        parent: ROS frame that carries the camera.
        parent_from_camera: (4, 4) pose of the optical frame (x right, y down, z forward).
        fovy: vertical field of view, radians.
    """

    name: str
    parent: str
    parent_from_camera: Array
    fovy: float

    def intrinsics(self, height: int, width: int) -> Array:
        """See :func:`pinhole`."""
        return pinhole(self.fovy, height, width)


def pinhole(fovy: float, height: int, width: int) -> Array:
    """Matrix (3, 3) of a simulated camera, pixels; pixel centres at integer coordinates.

    Args:
        fovy: vertical field of view, radians.
        height, width: of the image, pixels.
    """
    focal = height / 2.0 / np.tan(fovy / 2.0)
    return np.array([[focal, 0.0, (width - 1) / 2.0], [0.0, focal, (height - 1) / 2.0], [0.0, 0.0, 1.0]])


def tabletop_cameras(robot: RobotDescription) -> tuple[CameraMount, ...]:
    """The cameras of the world: two that frame the workspace, one on the hand that looks along the fingers."""
    return (
        _fixed_camera("front", robot.base_frame, *_FRONT),
        _fixed_camera("left_shoulder", robot.base_frame, *_LEFT_SHOULDER),
        CameraMount("wrist", robot.hand_frame, look_at(*_WRIST, up=(1.0, 0.0, 0.0)), _WRIST_FOVY),
    )


def cameras_named(names: Sequence[str] | None, mounts: Sequence[CameraMount]) -> tuple[CameraMount, ...]:
    """Those of the mounts that are named, in their own order; all for None.

    Raises:
        SimulationError: there is no camera of a name, or none is named.
    """
    known = [mount.name for mount in mounts]
    chosen = known if names is None else list(names)
    for name in chosen:
        if name not in known:
            raise SimulationError(unknown_name(name, known, "camera"))
    if not chosen:
        raise SimulationError(f"all cameras are left out, expected at least one of {', '.join(known)}")
    return tuple(mount for mount in mounts if mount.name in chosen)


def look_at(position: Sequence[float], target: Sequence[float], up: Sequence[float] = (0, 0, 1)) -> Array:
    """(4, 4) pose of an optical frame at ``position`` that looks at ``target``, image top towards ``up``."""
    origin = np.asarray(position, dtype=np.float64)
    forward = np.asarray(target, dtype=np.float64) - origin
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, np.asarray(up, dtype=np.float64))
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
    pose[:3, 3] = origin
    return pose


def _fixed_camera(name: str, frame: str, position: Sequence[float], target: Sequence[float]) -> CameraMount:
    """A camera with the smallest square field of view that takes in the whole workspace."""
    base_from_camera = look_at(position, target)
    corners = transform_points(inverse_transform(base_from_camera), np.array(list(product(*WORKSPACE))))
    slopes = np.abs(corners[:, :2] / corners[:, 2:])
    return CameraMount(name, frame, base_from_camera, float(2.0 * np.arctan(slopes.max())))
