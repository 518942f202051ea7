"""From a cloud in the base frame to what the network reads: the one preprocessing of training and decisions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.geometry import evenly_spread, voxel_downsample_columns
from mini_diffuser_ros.policy.config import MiniDiffuserConfig
from mini_diffuser_ros.policy.official.scene import cloud_centre
from mini_diffuser_ros.records import Cloud, Workspace


class ScenePoints(NamedTuple):
    """One scene as the network reads it.

    Attributes:
        points: (N, 7) float32: position relative to ``centre`` (metres, axes of the base frame), colour in
            [-1, 1], height above the table (metres).
        centre: (3,) float32, metres, base frame: add it to the network's positions to get back.
    """

    points: NDArray[np.float32]
    centre: NDArray[np.float32]


def scene_points(cloud: Cloud, config: MiniDiffuserConfig, voxelised: bool = False) -> ScenePoints:
    """Crop a cloud to the workspace, keep one point a voxel, cap their number and centre them.

    The centre is :func:`workspace_centre`, the same for every scene; in official behaviour each has its own.

    Args:
        cloud: points in the base frame, metres; it may be voxelised already.
        config: the policy's configuration.
        voxelised: leave the points as they are: training may turn a cloud that had one point a voxel.

    Raises:
        ValueError: the cloud has values that are not finite, or no point inside the workspace.
    """
    settings = config.scene
    if not np.isfinite(cloud.points).all():
        bad = int((~np.isfinite(cloud.points).all(axis=1)).sum())
        raise ValueError(f"cloud.points {cloud.points.shape} has {bad} points that are not finite, expected none")
    # One row an axis: numpy's operations along the long axis of (N, 3) are several times slower.
    points, colors = np.ascontiguousarray(cloud.points.T), np.ascontiguousarray(cloud.colors.T)
    indices = np.flatnonzero(_inside(points, settings.workspace))
    if not len(indices):
        raise ValueError(f"cloud.points {cloud.points.shape} has no point inside the workspace {settings.workspace}")
    if len(indices) < len(cloud):
        points, colors = points.take(indices, axis=1), colors.take(indices, axis=1)
    if not voxelised:
        points, colors = voxel_downsample_columns(points, colors, settings.voxel_size, settings.max_points)
    elif len(indices) > settings.max_points:
        kept = evenly_spread(len(indices), settings.max_points)
        points, colors = points.take(kept, axis=1), colors.take(kept, axis=1)
    centre = workspace_centre(config) if config.official_behaviour is None else cloud_centre(points)
    return ScenePoints(_features(points, colors, centre, settings.table_height), centre.astype(np.float32))


def _inside(points: NDArray[np.floating], workspace: Workspace) -> NDArray[np.bool_]:
    """Which points (3, N) lie in the workspace (N,)."""
    inside = np.ones(points.shape[1], np.bool_)
    for row, low, high in zip(points, workspace.lower, workspace.upper, strict=True):
        # Bounds of the points' own type that no point between the two can tell from the given ones.
        kind = row.dtype.type
        inside &= row >= (kind(low) if kind(low) >= low else np.nextafter(kind(low), kind(np.inf)))
        inside &= row <= (kind(high) if kind(high) <= high else np.nextafter(kind(high), kind(-np.inf)))
    return inside


def _features(
    points: NDArray[np.float32], colors: NDArray[np.uint8], centre: NDArray[np.float32], table_height: float
) -> NDArray[np.float32]:
    """Centred position, colour in [-1, 1] and height (N, 7) of points and colours (3, N)."""
    features = np.empty((7, points.shape[1]), np.float32)
    np.subtract(points, centre[:, None], out=features[:3])
    np.divide(colors, np.float32(127.5), out=features[3:6])
    features[3:6] -= np.float32(1.0)
    np.subtract(points[2], np.float32(table_height), out=features[6])
    return np.ascontiguousarray(features.T)


def workspace_centre(config: MiniDiffuserConfig) -> NDArray[np.float32]:
    """Origin (3,) of the network's coordinates in the base frame, metres.

    It lies on a corner of the voxel grid, so that voxelising again inside the network changes nothing.
    """
    scene = config.scene
    (x_low, y_low, _), (x_high, y_high, _) = scene.workspace.lower, scene.workspace.upper
    centre = np.array([(x_low + x_high) / 2, (y_low + y_high) / 2, scene.table_height + scene.centre_height])
    return (np.round(centre / scene.voxel_size) * scene.voxel_size).astype(np.float32)
