"""How cameras are turned: rotations that are none."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from mini_diffuser_ros.cell.cell import Cell, CellCamera
from mini_diffuser_ros.cell.fault import CellFault
from mini_diffuser_ros.geometry import matrix_from_rpy, quaternion_from_matrix

TOLERANCE = 1e-2
"""Of lengths and angles: a quaternion written with two digits is meant to be one of length 1."""


def rotation_faults(cell: Cell) -> Iterator[CellFault]:
    """Poses of cameras that are incomplete, said twice, or no rigid ones."""
    for name, camera in cell.cameras.items():
        yield from _of(f"cameras.{name}", camera)


def has_pose(camera: CellCamera) -> bool:
    """Whether a camera says where it is, without a fault."""
    return bool(camera.parent) and not any(_of("", camera))


def _of(place: str, camera: CellCamera) -> Iterator[CellFault]:
    placed = [key for key in ("translation", "quaternion", "rotation") if getattr(camera, key) is not None]
    if not camera.parent:
        if placed:
            remedy = "name the frame that the camera is fixed to, the robot's base or its hand"
            yield CellFault("error", f"{place}.parent", f"is missing, but {placed[0]} is given", remedy)
        return
    if camera.translation is None:
        yield CellFault("error", f"{place}.translation", "is missing", f"give x, y, z in {camera.parent}, metres")
    if camera.quaternion is not None and camera.rotation is not None:
        yield CellFault("error", place, "has a quaternion and a rotation", "leave out one of them")
    elif camera.quaternion is not None:
        yield from _of_quaternion(f"{place}.quaternion", camera.quaternion)
    elif camera.rotation is not None:
        yield from _of_matrix(f"{place}.rotation", np.array(camera.rotation))
    else:
        yield CellFault("error", f"{place}.quaternion", "is missing", f"give x, y, z, w in {camera.parent}")


def _of_quaternion(name: str, quaternion: tuple[float, ...]) -> Iterator[CellFault]:
    shown = f"is {list(quaternion)}"
    if len(quaternion) == 3:
        degrees = max(map(abs, quaternion)) > math.tau
        angles = np.radians(quaternion) if degrees else np.array(quaternion)
        turned = ", ".join(f"{value + 0.0:.4f}" for value in quaternion_from_matrix(matrix_from_rpy(angles)).round(4))
        meant = f"roll, pitch, yaw in {'degrees' if degrees else 'radians'}"
        remedy = f"expected x, y, z, w; if these are {meant}, write [{turned}]"
        yield CellFault("error", name, shown, remedy)
    elif len(quaternion) != 4:
        yield CellFault("error", name, shown, "expected four numbers x, y, z, w")
    elif abs((length := math.hypot(*quaternion)) - 1.0) > TOLERANCE:
        yield CellFault("error", name, f"{shown}, of length {length:.3f}", "expected x, y, z, w of length 1")


def _of_matrix(name: str, matrix: np.ndarray) -> Iterator[CellFault]:
    error = float(np.abs(matrix @ matrix.T - np.eye(3)).max())
    determinant = float(np.linalg.det(matrix))
    if error > 2.0 * TOLERANCE:
        problem = f"is no rotation: its rows are not of length 1 and square to each other, by {error:.3f}"
        yield CellFault("error", name, problem, "copy all nine numbers of the calibration anew, row by row")
    elif determinant < 0.0:
        remedy = (
            "expected determinant +1: one axis points the wrong way, or two are swapped; x right, y down, z forward"
        )
        yield CellFault("error", name, f"is mirrored: its determinant is {determinant:.3f}", remedy)
