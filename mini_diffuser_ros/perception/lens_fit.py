"""A lens of any model as the coefficients that CameraInfo knows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.perception.distortion import distort
from mini_diffuser_ros.perception.errors import PerceptionError
from mini_diffuser_ros.records import Distortion

LARGEST_MISS = 0.3  # pixels; what depth cameras measure is no sharper
LEAST_DIRECTIONS = 50


def fit_plumb_bob(directions: NDArray[np.float64], bent: NDArray[np.float64], focal: float) -> Distortion:
    """The plumb_bob coefficients of a lens that shows known directions at known places.

    Args:
        directions: (N, 2) x / z and y / z of points in the camera frame, all over the image.
        bent: (N, 2) where they show, before the intrinsic matrix.
        focal: pixels, for the error.

    Raises:
        PerceptionError: if no coefficients come near enough, with the miss in pixels.
    """
    if len(directions) < LEAST_DIRECTIONS:
        raise PerceptionError(f"only {len(directions)} directions show in the image, needed are {LEAST_DIRECTIONS}")
    x, y = directions.T
    r2 = x * x + y * y
    # The model is linear in its coefficients k1, k2, p1, p2, k3.
    across = np.stack([x * r2, x * r2**2, 2.0 * x * y, r2 + 2.0 * x * x, x * r2**3], axis=1)
    along = np.stack([y * r2, y * r2**2, r2 + 2.0 * y * y, 2.0 * x * y, y * r2**3], axis=1)
    rows, values = np.concatenate([across, along]), (bent - directions).T.reshape(-1)
    found = Distortion("plumb_bob", tuple(np.linalg.lstsq(rows, values, rcond=None)[0].tolist()))
    miss = focal * float(np.abs(distort(directions, found) - bent).max())
    if not miss <= LARGEST_MISS:
        raise PerceptionError(
            f"plumb_bob coefficients miss it by {miss:.1f} pixels, allowed are {LARGEST_MISS}: it cannot be used"
        )
    return found
