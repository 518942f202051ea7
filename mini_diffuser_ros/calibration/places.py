"""What a lab's file says of cameras and table: read from it, and written into it when measured.

The file is that of the whole cell (config/cells/example.yaml), or one of cameras alone (config/cameras.yaml).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from mini_diffuser_ros.calibration.errors import CalibrationError
from mini_diffuser_ros.calibration.lens import Lens
from mini_diffuser_ros.cell import (
    CameraIntrinsics,
    Cell,
    CellError,
    check_cell,
    record_camera_intrinsics,
    record_camera_pose,
    record_table_height,
)
from mini_diffuser_ros.geometry import matrix_from_pose, pose_from_matrix
from mini_diffuser_ros.perception.camera_file import read_camera_file
from mini_diffuser_ros.support.files import write_whole
from mini_diffuser_ros.support.settings import read_yaml


@dataclass(frozen=True, eq=False)
class CameraPlace:
    """Where a camera is.

    Attributes:
        parent: frame that carries it; empty where the file says none.
        parent_from_camera: (4, 4) of its optical frame; None where the file says none.
    """

    parent: str
    parent_from_camera: NDArray[np.float64] | None


def is_cell(path: Path) -> bool:
    """Whether a file is that of a whole cell.

    Raises:
        SettingsError: if it is there and cannot be read.
    """
    content = read_yaml(path) if path.exists() else None
    return isinstance(content, dict) and "robot" in content and "cameras" in content


def read_place(path: Path, camera: str) -> CameraPlace:
    """What the file says of a camera.

    Raises:
        CalibrationError: if its pose is that of another frame than the optical one, which only the driver knows.
        CameraFileError, CellError: if the file cannot be read or has no such camera.
    """
    frame, place = _place_in_cell(path, camera) if is_cell(path) else _place_in_cameras(path, camera)
    if place.parent and "optical" not in frame:
        raise CalibrationError(
            f"{path}, camera {camera}: the pose is of frame '{frame}', measured is that of the optical frame: leave "
            "`frame` out and start the camera's driver with publish_tf:=false"
        )
    return place


def _place_in_cell(path: Path, camera: str) -> tuple[str, CameraPlace]:
    cell = _cell(path)
    if camera not in cell.cameras:
        raise CellError(f"cell {path} has no camera '{camera}'; it has {', '.join(cell.cameras)}")
    entry = cell.cameras[camera]
    placed = bool(entry.parent) and entry.translation is not None
    return cell.frame_of(camera), CameraPlace(entry.parent, entry.parent_from_camera if placed else None)


def _cell(path: Path) -> Cell:
    """A cell that may have faults: a wrong pose is what is about to be mended."""
    cell, faults = check_cell(path)
    if cell is None:
        raise CellError(f"cell {path}: {faults[0]}")
    return cell


def _place_in_cameras(path: Path, camera: str) -> tuple[str, CameraPlace]:
    (entry,) = read_camera_file(path, [camera])
    pose = matrix_from_pose((*entry.translation, *entry.quaternion)) if entry.parent else None
    return entry.frame, CameraPlace(entry.parent, pose)


def write_lens_into_cell(path: Path, camera: str, lens: Lens) -> None:
    """Write the lens of a camera into the file of a cell.

    Raises:
        CellError: if it has no such camera.
        OSError: if it cannot be written.
    """
    (fx, _, cx), (_, fy, cy), _ = lens.intrinsics.tolist()
    record_camera_intrinsics(path, camera, CameraIntrinsics(lens.width, lens.height, fx, fy, cx, cy, lens.distortion))


def write_table(path: Path, height: float) -> None:
    """Write the height of the table, metres, into the file of a cell; errors as :func:`write_lens_into_cell`."""
    record_table_height(path, height)


def write_place(path: Path, camera: str, parent: str, parent_from_camera: NDArray[np.floating]) -> None:
    """Write where a camera is; the other cameras and the comments at the head of the file stay.

    Raises:
        CalibrationError: if the file is none of cameras.
        CellError: if it is that of a cell without that camera.
        SettingsError: if it cannot be read.
        OSError: if it cannot be written.
    """
    if is_cell(path):
        record_camera_pose(path, camera, parent_from_camera, parent)
        return
    content: Any = read_yaml(path) if path.exists() else {}
    if not isinstance(content, dict) or not isinstance(content.get(camera, {}), dict):
        raise CalibrationError(f"camera file {path} holds no cameras; config/cameras.yaml shows how it looks")
    pose = [round(float(value), 6) for value in pose_from_matrix(parent_from_camera)]
    entry = content.get(camera, {}) | {"parent": parent, "translation": pose[:3], "quaternion": pose[3:]}
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    head = "".join(line for line in _comments(text))
    write_whole(path, head + yaml.safe_dump(content | {camera: entry}, sort_keys=False, default_flow_style=None))


def _comments(text: str) -> list[str]:
    """The lines at the head of a text that are empty or comments."""
    head = []
    for line in text.splitlines(keepends=True):
        if line.strip() and not line.startswith("#"):
            break
        head.append(line)
    return head
