"""From a cloud in the base frame to what the network reads: the one preprocessing of training and decisions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.geometry import voxel_downsample
from mini_diffuser_ros.policy.config import MiniDiffuserConfig
from mini_diffuser_ros.records import Cloud


class ScenePoints(NamedTuple):
    """One scene as the network reads it.

    Attributes:
        points: (N, 7) float32: position relative to ``centre`` (metres, axes of the base frame), colour in
            [-1, 1], height above the table (metres).
        centre: (3,) float32, metres, base frame: add it to the network's positions to get back.
    """

    points: NDArray[np.float32]
    centre: NDArray[np.float32]


def scene_points(cloud: Cloud, config: MiniDiffuserConfig) -> ScenePoints:
    """Crop a cloud to the workspace, keep one point a voxel, cap their number and centre them.

    With ``config.centring == "workspace"`` the centre is :func:`workspace_centre`, the same for every scene;
    with ``"cloud"`` it is the mean of the remaining points.

    Args:
        cloud: points in the base frame, metres; it may be voxelised already.
        config: the policy's configuration.

    Raises:
        ValueError: the cloud has values that are not finite, or no point inside the workspace.
    """
    if not np.isfinite(cloud.points).all():
        bad = int((~np.isfinite(cloud.points).all(axis=1)).sum())
        raise ValueError(f"cloud.points {cloud.points.shape} has {bad} points that are not finite, expected none")
    inside = _inside(cloud.points, config)
    if not inside.any():
        raise ValueError(f"cloud.points {cloud.points.shape} has no point inside the workspace {config.workspace}")
    indices = np.flatnonzero(inside)
    kept_points, kept_colors = cloud.points.take(indices, axis=0), cloud.colors.take(indices, axis=0)
    points, colors = voxel_downsample(kept_points, kept_colors, config.voxel_size)
    if len(points) > config.max_points:
        kept = np.linspace(0, len(points) - 1, config.max_points).round().astype(np.int64)
        points, colors = points.take(kept, axis=0), colors.take(kept, axis=0)
    centre = workspace_centre(config) if config.centring == "workspace" else points.mean(axis=0)
    return ScenePoints(_features(points, colors, centre, config.table_height), centre.astype(np.float32))


def _inside(points: NDArray[np.floating], config: MiniDiffuserConfig) -> NDArray[np.bool_]:
    """Which points (N, 3) lie in the workspace (N,)."""
    inside = np.ones(len(points), np.bool_)
    for column, (low, high) in zip(points.T.astype(np.float64, order="C"), config.workspace, strict=True):
        inside &= column >= low
        inside &= column <= high
    return inside


def _features(
    points: NDArray[np.float32], colors: NDArray[np.uint8], centre: NDArray[np.float32], table_height: float
) -> NDArray[np.float32]:
    """Points (N, 7): centred position, colour in [-1, 1], height."""
    features = np.empty((len(points), 7), np.float32)
    # Column by column: numpy's operations along the long axis of (N, 3) are several times slower.
    for axis in range(3):
        features[:, axis] = points[:, axis] - centre[axis]
        features[:, 3 + axis] = colors[:, axis] / np.float32(127.5) - np.float32(1.0)
    features[:, 6] = points[:, 2] - np.float32(table_height)
    return features


def workspace_centre(config: MiniDiffuserConfig) -> NDArray[np.float32]:
    """Origin (3,) of the network's coordinates in the base frame, metres.

    It lies on a corner of the voxel grid, so that voxelising again inside the network changes nothing.
    """
    (x_low, x_high), (y_low, y_high), _ = config.workspace
    centre = np.array([(x_low + x_high) / 2, (y_low + y_high) / 2, config.table_height + config.centre_height])
    return (np.round(centre / config.voxel_size) * config.voxel_size).astype(np.float32)
