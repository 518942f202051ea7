"""How a camera maps points to pixels, and the file that ROS keeps it in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from mini_diffuser_ros.calibration.errors import CalibrationError
from mini_diffuser_ros.perception.back_projection import PINHOLE
from mini_diffuser_ros.perception.distortion import check_distortion, project, undistort
from mini_diffuser_ros.perception.errors import PerceptionError
from mini_diffuser_ros.records import Distortion
from mini_diffuser_ros.support.files import write_whole
from mini_diffuser_ros.support.settings import SettingsError, read_yaml

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Lens:
    """Intrinsics of a camera.

    Attributes:
        width, height: of its images, pixels.
        intrinsics: (3, 3) pinhole matrix, pixels; pixel centres at integer coordinates.
        distortion: of the lens.
    """

    width: int
    height: int
    intrinsics: Array
    distortion: Distortion = PINHOLE

    def __post_init__(self) -> None:
        matrix = np.asarray(self.intrinsics, np.float64)
        object.__setattr__(self, "intrinsics", matrix)
        if matrix.shape != (3, 3) or not np.all(np.isfinite(matrix)):
            raise CalibrationError(f"camera matrix of shape {matrix.shape} is not a finite (3, 3) matrix of pixels")
        if matrix[0, 0] <= 0.0 or matrix[1, 1] <= 0.0:
            raise CalibrationError(f"focal lengths are {matrix[0, 0]:g} and {matrix[1, 1]:g} pixels, expected above 0")
        try:
            check_distortion(self.distortion)
        except PerceptionError as error:
            raise CalibrationError(str(error)) from error

    def project(self, points: NDArray[np.floating]) -> Array:
        """Pixels (N, 2) of points (N, 3) of the camera frame, metres, z > 0."""
        return project(points, self.intrinsics, self.distortion)

    def rays(self, pixels: NDArray[np.floating]) -> Array:
        """(N, 2) x and y at z = 1 of the rays through pixels (N, 2), the distortion taken out."""
        pixels = np.asarray(pixels, dtype=np.float64)
        homogeneous = np.concatenate([pixels, np.ones((len(pixels), 1))], axis=1)
        bent = (homogeneous @ np.linalg.inv(self.intrinsics).T)[:, :2]
        return undistort(bent, self.distortion) if self.distortion.bends else bent


def read_lens(path: Path) -> Lens:
    """A lens from a file of ROS's camera_info_manager.

    Raises:
        CalibrationError: in one line, what is wrong where.
    """
    try:
        content = read_yaml(path)
        return _lens(content if isinstance(content, Mapping) else {})
    except SettingsError as error:
        raise CalibrationError(f"camera file {error}") from error
    except (KeyError, TypeError, ValueError) as error:
        problem = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise CalibrationError(
            f"camera file {path} {problem}; expected image_width, image_height, camera_matrix, distortion_model and "
            "distortion_coefficients, as camera_info_manager writes them"
        ) from error


def write_lens(lens: Lens, name: str, path: Path) -> None:
    """Write a lens as ROS's camera_info_manager reads it.

    Raises:
        OSError: if it cannot be written.
    """
    rectified = np.hstack([lens.intrinsics, np.zeros((3, 1))])
    content = {
        "image_width": lens.width,
        "image_height": lens.height,
        "camera_name": name,
        "camera_matrix": _matrix(lens.intrinsics),
        "distortion_model": lens.distortion.model,
        "distortion_coefficients": _matrix(np.array([lens.distortion.coefficients or [0.0] * 5])),
        "rectification_matrix": _matrix(np.eye(3)),
        "projection_matrix": _matrix(rectified),
    }
    write_whole(path, yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=1000))


def _lens(content: Mapping[str, Any]) -> Lens:
    coefficients = np.asarray(content["distortion_coefficients"]["data"], np.float64)
    return Lens(
        int(content["image_width"]),
        int(content["image_height"]),
        np.reshape(np.asarray(content["camera_matrix"]["data"], np.float64), (3, 3)),
        Distortion(str(content["distortion_model"]), tuple(map(float, coefficients))),
    )


def _matrix(values: Array) -> dict[str, Any]:
    return {"rows": values.shape[0], "cols": values.shape[1], "data": [float(value) for value in values.ravel()]}
