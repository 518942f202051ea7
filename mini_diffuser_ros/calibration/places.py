"""What the file of a cell says of cameras and table: read from it, and written into it when measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.calibration.errors import CalibrationError
from mini_diffuser_ros.calibration.lens import Lens
from mini_diffuser_ros.cell import (
    CameraIntrinsics,
    parse_cell,
    record_camera_intrinsics,
    record_camera_pose,
    record_table_height,
)
from mini_diffuser_ros.support.settings import unknown_name


@dataclass(frozen=True, eq=False)
class CameraPlace:
    """Where a camera is.

    Attributes:
        parent: frame that carries it; empty where the file says none.
        parent_from_camera: (4, 4) of its optical frame; None where the file says none.
    """

    parent: str
    parent_from_camera: NDArray[np.float64] | None


def read_place(path: Path, camera: str) -> CameraPlace:
    """What the cell says of a camera.

    Raises:
        CalibrationError: if it has no such camera, or its pose is of another frame than the optical one, which only
            the driver knows.
        SettingsError: if the file cannot be read.
    """
    cell = parse_cell(path)
    if camera not in cell.cameras:
        raise CalibrationError(f"cell {path}: {unknown_name(camera, list(cell.cameras), 'camera')}")
    entry, frame = cell.cameras[camera], cell.frame_of(camera)
    if entry.parent and "optical" not in frame:
        raise CalibrationError(
            f"cell {path}, {camera}: the pose is of frame '{frame}', measured is that of the optical frame: leave "
            "`frame` out and start the camera's driver with publish_tf:=false"
        )
    if not entry.parent or entry.translation is None:
        return CameraPlace(entry.parent, None)
    return CameraPlace(entry.parent, entry.parent_from_camera)


def write_place(path: Path, camera: str, parent: str, parent_from_camera: NDArray[np.floating]) -> None:
    """Write where a camera is, with date and digest; all else in the file stays, comments too.

    Raises:
        SettingsError: if it is no cell file.
        CellError: if it is written in a way that cannot be changed here.
        OSError: if it cannot be written.
    """
    record_camera_pose(path, camera, parent_from_camera, parent)


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
