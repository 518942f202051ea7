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
    low, high = np.array(config.workspace, dtype=np.float64).T
    inside = ((cloud.points >= low) & (cloud.points <= high)).all(axis=1)
    if not inside.any():
        raise ValueError(f"cloud.points {cloud.points.shape} has no point inside the workspace {config.workspace}")
    points, colors = voxel_downsample(cloud.points[inside], cloud.colors[inside], config.voxel_size)
    if len(points) > config.max_points:
        kept = np.linspace(0, len(points) - 1, config.max_points).round().astype(np.int64)
        points, colors = points[kept], colors[kept]
    centre = workspace_centre(config) if config.centring == "workspace" else points.mean(axis=0)
    height = points[:, 2:] - np.float32(config.table_height)
    features = np.concatenate([points - centre, colors / np.float32(127.5) - 1, height], axis=1)
    return ScenePoints(features.astype(np.float32), centre.astype(np.float32))


def workspace_centre(config: MiniDiffuserConfig) -> NDArray[np.float32]:
    """Origin (3,) of the network's coordinates in the base frame, metres.

    It lies on a corner of the voxel grid, so that voxelising again inside the network changes nothing.
    """
    (x_low, x_high), (y_low, y_high), _ = config.workspace
    centre = np.array([(x_low + x_high) / 2, (y_low + y_high) / 2, config.table_height + config.centre_height])
    return (np.round(centre / config.voxel_size) * config.voxel_size).astype(np.float32)
