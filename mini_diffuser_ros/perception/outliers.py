"""Removal of single points, for noisy cameras; the statistical one needs Open3D."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from mini_diffuser_ros.perception.errors import PerceptionError
from mini_diffuser_ros.perception.libusb import provide_libusb


def keep_accompanied(points: NDArray[np.floating], least: int, radius: float) -> NDArray[np.bool_]:
    """Which points have at least so many others around them.

    Args:
        points: (N, 3), metres.
        least: how many others.
        radius: metres.

    Returns:
        (N,) bool, True for the points to keep.
    """
    if len(points) <= least:
        return np.zeros(len(points), np.bool_)
    # The farthest of the wanted neighbours is near enough; the point itself is the nearest.
    distances, _ = cKDTree(points).query(points, k=[least + 1], distance_upper_bound=radius)
    return np.asarray(np.isfinite(distances[:, 0]))


def keep_inliers(points: NDArray[np.floating], neighbors: int, std_ratio: float) -> NDArray[np.bool_]:
    """Which points lie as near to their neighbours as is usual in this cloud.

    Args:
        points: (N, 3), metres.
        neighbors: how many nearest neighbours the mean distance is taken over.
        std_ratio: standard deviations above the cloud's mean from which on a point is an outlier.

    Returns:
        (N,) bool, True for the points to keep.

    Raises:
        PerceptionError: if Open3D is not installed.
    """
    open3d = require_open3d()
    keep = np.zeros(len(points), np.bool_)
    if len(points):
        cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(points.astype(np.float64)))
        keep[np.asarray(cloud.remove_statistical_outlier(neighbors, std_ratio)[1], dtype=np.intp)] = True
    return keep


def require_open3d() -> Any:
    """The module open3d, which takes seconds to import the first time.

    Raises:
        PerceptionError: if it is not installed, saying how to.
    """
    try:
        provide_libusb()
        import open3d
    except ImportError as error:
        raise PerceptionError(
            f"fusion.outlier_neighbors needs Open3D, which cannot be imported ({error}): "
            "pip install 'mini_diffuser_ros[open3d]', or set it to 0"
        ) from error
    return open3d
