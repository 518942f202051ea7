"""Lenses that are no pinholes: the direction in which each pixel looks.

The formulas are those of OpenCV's camera models, which sensor_msgs/CameraInfo names: they tell where a direction shows
in the image. The way back has no closed form; it is found once for each calibration and kept.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.perception.errors import PerceptionError
from mini_diffuser_ros.records import Distortion

Floats = NDArray[np.float64]

COEFFICIENTS = {"plumb_bob": (4, 5), "rational_polynomial": (8, 12, 14), "equidistant": (4,)}
"""How many coefficients each model may have."""
TILT = slice(12, 14)  # of the sensor, the last two of fourteen: nobody ships it
PIXEL_TOLERANCE = 0.05  # pixels by which a direction may miss its pixel, once found
LEAST_SHARE = 0.5  # of an image's pixels that have to have a direction
ROUNDS = 25
STEP = 1e-6
CACHED = 16  # calibrations


def check_distortion(distortion: Distortion) -> None:
    """Refuse a lens that cannot be undone.

    Raises:
        PerceptionError: naming the model, and those that are known, or the coefficients.
    """
    if not distortion.bends:
        return
    model, values = distortion.model, distortion.coefficients
    if model not in COEFFICIENTS:
        raise PerceptionError(
            f"distortion model '{model}' with D = {list(values)} is not known; known are {', '.join(COEFFICIENTS)}: "
            "calibrate with one of them, or publish rectified images with D = 0"
        )
    if len(values) not in COEFFICIENTS[model] or not np.all(np.isfinite(values)):
        counts = " or ".join(map(str, COEFFICIENTS[model]))
        raise PerceptionError(f"distortion D = {list(values)} of model '{model}', expected {counts} finite numbers")
    if any(values[TILT]):
        raise PerceptionError(f"distortion D = {list(values)} tilts the sensor, which is not known: calibrate without")


def distort(directions: Floats, distortion: Distortion) -> Floats:
    """Where directions show.

    Args:
        directions: (..., 2) x / z and y / z of points in the camera frame.
        distortion: of the lens.

    Returns:
        (..., 2) what the intrinsic matrix turns into pixels.
    """
    x, y = directions[..., 0], directions[..., 1]
    if distortion.model == "equidistant":
        radius = np.hypot(x, y)
        angle = np.arctan(radius)
        factor = np.where(radius > 0.0, _bent_angle(angle, distortion) / np.where(radius > 0.0, radius, 1.0), 1.0)
        return np.stack([x * factor, y * factor], axis=-1)
    # Beyond what is given, coefficients are 0.
    k1, k2, p1, p2, k3, k4, k5, k6, s1, s2, s3, s4 = (*distortion.coefficients, *[0.0] * 12)[:12]
    r2 = x * x + y * y
    radial = (1.0 + r2 * (k1 + r2 * (k2 + r2 * k3))) / (1.0 + r2 * (k4 + r2 * (k5 + r2 * k6)))
    across = x * radial + 2.0 * p1 * x * y + p2 * (r2 + 2.0 * x * x) + r2 * (s1 + r2 * s2)
    along = y * radial + p1 * (r2 + 2.0 * y * y) + 2.0 * p2 * x * y + r2 * (s3 + r2 * s4)
    return np.stack([across, along], axis=-1)


def undistort(bent: Floats, distortion: Distortion) -> Floats:
    """Directions that show at given places, the way back of :func:`distort`.

    Args:
        bent: (..., 2) as :func:`distort` returns them.
        distortion: of the lens, checked.

    Returns:
        (..., 2) x / z and y / z; NaN where the lens shows nothing.
    """
    with np.errstate(all="ignore"):  # what has no direction goes to infinity
        return _unbent_circles(bent, distortion) if distortion.model == "equidistant" else _solve(bent, distortion)


def project(points: NDArray[np.floating], intrinsics: NDArray[np.floating], distortion: Distortion) -> Floats:
    """Pixels (N, 2) of points (N, 3) of the camera frame, metres, z > 0.

    Args:
        points: that are seen.
        intrinsics: (3, 3) pinhole matrix, pixels.
        distortion: of the lens, checked.
    """
    points, matrix = np.asarray(points, np.float64), np.asarray(intrinsics, np.float64)
    directions = points[:, :2] / points[:, 2:]
    bent = distort(directions, distortion) if distortion.bends else directions
    return np.asarray(bent @ matrix[:2, :2].T + matrix[:2, 2])


def pixel_directions(
    inverse_intrinsics: Floats, distortion: Distortion, height: int, width: int
) -> NDArray[np.float32]:
    """x / z and y / z of what each pixel shows.

    Args:
        inverse_intrinsics: (3, 3), of pixels.
        distortion: of the lens, checked.
        height: pixels.
        width: pixels.

    Returns:
        (2, H, W), read-only; NaN where the lens shows nothing.

    Raises:
        PerceptionError: if that is so in most of the image.
    """
    return _pixel_directions(np.ascontiguousarray(inverse_intrinsics, np.float64).tobytes(), distortion, height, width)


@lru_cache(maxsize=CACHED)
def _pixel_directions(matrix: bytes, distortion: Distortion, height: int, width: int) -> NDArray[np.float32]:
    inverse = np.frombuffer(matrix, np.float64).reshape(3, 3)
    v, u = np.indices((height, width), dtype=np.float64)
    bent = np.stack([u, v, np.ones_like(u)], axis=-1) @ inverse[:2].T
    directions = undistort(bent, distortion)
    with np.errstate(all="ignore"):
        miss = np.linalg.norm((distort(directions, distortion) - bent) / np.abs(inverse.diagonal()[:2]), axis=-1)
        directions[~(miss < PIXEL_TOLERANCE)] = np.nan
    share = float(np.mean(np.isfinite(directions[..., 0])))
    if share < LEAST_SHARE:
        raise PerceptionError(
            f"distortion D = {list(distortion.coefficients)} of model '{distortion.model}' gives only {share:.0%} of "
            f"the {width}x{height} pixels a direction: are these the coefficients of another lens or model?"
        )
    found = np.ascontiguousarray(np.moveaxis(directions, -1, 0), np.float32)
    found.flags.writeable = False
    return found


def _solve(bent: Floats, distortion: Distortion) -> Floats:
    """Directions (..., 2) that show at ``bent``, by Newton's method; NaN beyond where the lens folds over."""
    found, across, along = bent.copy(), np.array((STEP, 0.0)), np.array((0.0, STEP))
    for _ in range(ROUNDS):
        here = distort(found, distortion)
        miss = here - bent
        if not np.nanmax(np.abs(miss), initial=0.0) > 1e-12:
            break
        by_x = (distort(found + across, distortion) - here) / STEP
        by_y = (distort(found + along, distortion) - here) / STEP
        determinant = by_x[..., 0] * by_y[..., 1] - by_y[..., 0] * by_x[..., 1]
        # Where it is not positive, the image is folded over or mirrored.
        determinant[~(determinant > 0.0)] = np.nan
        found[..., 0] -= (by_y[..., 1] * miss[..., 0] - by_y[..., 0] * miss[..., 1]) / determinant
        found[..., 1] -= (by_x[..., 0] * miss[..., 1] - by_x[..., 1] * miss[..., 0]) / determinant
    return found


def _unbent_circles(bent: Floats, distortion: Distortion) -> Floats:
    """As :func:`_solve`, of a lens that bends angles from its axis."""
    radius = np.linalg.norm(bent, axis=-1)
    angle = radius.copy()
    for _ in range(ROUNDS):
        slope = (_bent_angle(angle + STEP, distortion) - _bent_angle(angle, distortion)) / STEP
        slope[~(slope > 0.0)] = np.nan
        angle -= (_bent_angle(angle, distortion) - radius) / slope
    angle[~((angle >= 0.0) & (angle < 0.5 * np.pi))] = np.nan
    factor = np.where(radius > 0.0, np.tan(angle) / np.where(radius > 0.0, radius, 1.0), 1.0)
    return bent * factor[..., None]


def _bent_angle(angle: Floats, distortion: Distortion) -> Floats:
    k1, k2, k3, k4 = distortion.coefficients
    a2 = angle * angle
    return angle * (1.0 + a2 * (k1 + a2 * (k2 + a2 * (k3 + a2 * k4))))
