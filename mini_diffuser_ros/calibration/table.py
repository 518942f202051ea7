"""The table: height and tilt of the plane in the base frame that most of a cloud lies on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.calibration.errors import CalibrationError
from mini_diffuser_ros.geometry import nearest_plane

Array = NDArray[np.float64]

MIN_POINTS: Final = 2000
MIN_SHARE: Final = 0.15
"""Of the points, that have to lie on the plane."""
MAX_TILT: Final = 3.0
"""Degrees to the base's horizontal above which a camera is wrong rather than the table."""
MIN_EXTENT: Final = 0.25
"""Metres that the plane has to reach, both ways."""
_SEARCH_TILT: Final = np.cos(np.radians(20.0))
_SEARCH_WIDTH: Final = 0.012  # metres
_TRIALS: Final = 400
_SAMPLE: Final = 20000


@dataclass(frozen=True)
class TablePlane:
    """A table top.

    Attributes:
        height: metres, z in the base frame in the middle of what was seen.
        tilt: degrees to the base's horizontal.
        downhill: degrees about the base's z axis, the direction in which it falls off.
        residual: metres, robust standard deviation of the points from the plane.
        share: of the points that lie on it.
    """

    height: float
    tilt: float
    downhill: float
    residual: float
    share: float

    def __str__(self) -> str:
        return (
            f"table at z = {1e3 * self.height:.1f} mm, tilted by {self.tilt:.2f} degrees towards {self.downhill:.0f} "
            f"degrees; points within {1e3 * self.residual:.1f} mm, {self.share:.0%} of the cloud"
        )


def find_table(points: NDArray[np.floating]) -> TablePlane:
    """The table in a cloud without the arm.

    Args:
        points: (N, 3) metres, base frame.

    Raises:
        CalibrationError: if there is no such plane, or one that no table can have.
    """
    finite = np.asarray(points, dtype=np.float64)
    finite = finite[np.all(np.isfinite(finite), axis=1)]
    if len(finite) < MIN_POINTS:
        raise CalibrationError(f"{len(finite)} points, needed are {MIN_POINTS}: do the cameras see the table?")
    sample = finite[np.linspace(0, len(finite) - 1, min(len(finite), _SAMPLE)).round().astype(np.intp)]
    normal, offset = _largest_plane(sample)
    for _ in range(5):
        distances = sample @ normal - offset
        width = max(3.0 * 1.4826 * float(np.median(np.abs(distances[np.abs(distances) < _SEARCH_WIDTH]))), 0.002)
        on = sample[np.abs(distances) < width]
        normal, offset = nearest_plane(on)
    distances = np.abs(sample @ normal - offset)
    share = float(np.mean(distances < _SEARCH_WIDTH))
    if share < MIN_SHARE:
        raise CalibrationError(
            f"the largest plane has {share:.0%} of the points, needed are {MIN_SHARE:.0%}: clear the table, or turn a "
            "camera to it"
        )
    extent = float(np.sqrt(12.0 * np.linalg.eigvalsh(np.cov(on[:, :2].T))[0]))
    if extent < MIN_EXTENT:
        raise CalibrationError(
            f"the largest plane is {extent:.2f} m wide, needed are {MIN_EXTENT:g} m: clear the table, or turn "
            "a camera to it"
        )
    tilt = float(np.degrees(np.arccos(np.clip(normal[2], -1.0, 1.0))))
    if tilt > MAX_TILT:
        raise CalibrationError(
            f"the table is tilted by {tilt:.1f} degrees, allowed are {MAX_TILT:g}: calibrate the cameras, or is the "
            "robot mounted at an angle?"
        )
    middle = on[:, :2].mean(axis=0)
    return TablePlane(
        float((offset - normal[:2] @ middle) / normal[2]),
        tilt,
        float(np.degrees(np.arctan2(normal[1], normal[0]))),
        1.4826 * float(np.median(distances[distances < _SEARCH_WIDTH])),
        share,
    )


def _largest_plane(points: Array) -> tuple[Array, float]:
    """Normal and offset of the nearly horizontal plane through three points that most of the points lie on."""
    random = np.random.default_rng(0)
    corners = points[random.integers(len(points), size=(_TRIALS, 3))]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    lengths = np.linalg.norm(normals, axis=1)
    normals = normals / np.where(lengths > 0.0, lengths, 1.0)[:, None]
    normals *= np.where(normals[:, 2] < 0.0, -1.0, 1.0)[:, None]
    flat = (lengths > 1e-4) & (normals[:, 2] > _SEARCH_TILT)
    if not flat.any():
        raise CalibrationError(
            "the cloud holds no horizontal plane: do the cameras see the table, are they calibrated?"
        )
    normals, corners = normals[flat], corners[flat]
    offsets = np.einsum("ij,ij->i", normals, corners[:, 0])
    few = points[:: max(1, len(points) // 3000)]
    votes = np.count_nonzero(np.abs(few @ normals.T - offsets) < _SEARCH_WIDTH, axis=0)
    best = int(np.argmax(votes))
    return normals[best], float(offsets[best])
