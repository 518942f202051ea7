"""Where cameras are said to be: read from the file of a lab's cameras, and written into it when measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from mini_diffuser_ros.calibration.errors import CalibrationError
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


def read_place(path: Path, camera: str) -> CameraPlace:
    """What the file says of a camera.

    Raises:
        CalibrationError: if its pose is that of another frame than the optical one, which only the driver knows.
        CameraFileError: if the file cannot be read or has no such camera.
    """
    (entry,) = read_camera_file(path, [camera])
    if entry.parent and "optical" not in entry.frame:
        raise CalibrationError(
            f"camera file {path}, {camera}: the pose is of frame '{entry.frame}', measured is that of the optical "
            f"frame: leave `frame` out and start the camera's driver with publish_tf:=false"
        )
    if not entry.parent:
        return CameraPlace("", None)
    return CameraPlace(entry.parent, matrix_from_pose((*entry.translation, *entry.quaternion)))


def write_place(path: Path, camera: str, parent: str, parent_from_camera: NDArray[np.floating]) -> None:
    """Write where a camera is; the other cameras and the comments at the head of the file stay.

    Raises:
        CalibrationError: if the file is none of cameras.
        SettingsError: if it cannot be read.
        OSError: if it cannot be written.
    """
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
