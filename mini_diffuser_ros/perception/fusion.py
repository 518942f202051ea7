"""Several RGB-D images become one cloud in the base frame.

Recording, training, evaluation and the ROS node call the same function with the same configuration, so that a policy
never sees other clouds in service than in training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.geometry import voxel_downsample
from mini_diffuser_ros.perception.back_projection import check_view, points_in_workspace
from mini_diffuser_ros.perception.errors import PerceptionError
from mini_diffuser_ros.perception.known_fingers import COLOR, finger_points
from mini_diffuser_ros.perception.levelling import level_view
from mini_diffuser_ros.perception.outliers import keep_accompanied, keep_inliers
from mini_diffuser_ros.perception.self_filter import keep_foreign
from mini_diffuser_ros.perception.silhouettes import at_silhouettes
from mini_diffuser_ros.perception.smoothing import smoothed
from mini_diffuser_ros.records import CameraView, Cloud, FusionConfig
from mini_diffuser_ros.robots import RobotDescription


def fuse_views(
    views: Sequence[CameraView],
    config: FusionConfig,
    robot: RobotDescription | None = None,
    joint_positions: Mapping[str, float] | Sequence[Mapping[str, float]] | None = None,
) -> Cloud:
    """Fuse calibrated RGB-D images: crop to the workspace, take the robot out, one point a voxel.

    Args:
        views: one or more views, in any order; their poses are those at the time of exposure.
        config: what to keep.
        robot: whose points to take out; None leaves everything in.
        joint_positions: joint name to position, radians (metres for fingers); required with a robot. One mapping for
            all views, or one for each, if the arm moved between the exposures.

    Returns:
        the cloud in the base frame with the stamp of the oldest image; it may be empty.

    Raises:
        InvalidViewError: if a view is malformed, naming the camera.
        PerceptionError: if there is no view, or a robot without its joint positions, or not as many as views.
    """
    if not views:
        raise PerceptionError("no camera views to fuse, expected at least one")
    if not isinstance(joint_positions, Mapping | None) and len(joint_positions) != len(views):
        raise PerceptionError(f"{len(joint_positions)} joint_positions for {len(views)} views, expected one for each")
    if robot is not None and joint_positions is None:
        raise PerceptionError(f"joint_positions are missing, expected those of robot {robot.name!r}")
    cropped = [_points_of(view, config) for view in views]
    points = np.concatenate([part for part, _ in cropped], axis=1)
    colors = np.concatenate([part for _, part in cropped])
    if robot is not None and joint_positions is not None:
        if isinstance(joint_positions, Mapping):
            keep = keep_foreign(points, robot, joint_positions, config)
        else:
            parts = zip(cropped, joint_positions, strict=True)
            keep = np.concatenate([keep_foreign(part, robot, at, config) for (part, _), at in parts])
        points, colors = points.compress(keep, axis=1), colors.compress(keep, axis=0)
    if config.least_neighbors:
        keep = keep_accompanied(points.T, config.least_neighbors, config.neighbor_radius)
        points, colors = points.compress(keep, axis=1), colors.compress(keep, axis=0)
    if config.draw_fingers and robot is not None and joint_positions is not None:
        every = [joint_positions] * len(views) if isinstance(joint_positions, Mapping) else joint_positions
        drawn = [finger_points(view, robot, at, config) for view, at in zip(views, every, strict=True)]
        points = np.concatenate([points, *drawn], axis=1)
        shades = np.full((points.shape[1] - len(colors), 3), COLOR, np.uint8)
        colors = np.concatenate([colors, shades])
    points = np.ascontiguousarray(points.T)
    if config.voxel_size > 0.0:
        points, colors = voxel_downsample(points, colors, config.voxel_size)
    if config.outlier_neighbors > 0:
        keep = keep_inliers(points, config.outlier_neighbors, config.outlier_std_ratio)
        points, colors = points[keep], colors[keep]
    frame = config.frame if robot is None else robot.base_frame
    return Cloud(points, colors, frame, min(view.stamp for view in views))


def _points_of(view: CameraView, config: FusionConfig) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Points (3, N) of a view in the workspace, and their colours (N, 3)."""
    check_view(view)
    noise, edges = 0.0, None
    if config.silhouette_jump:
        edges = at_silhouettes(np.asarray(view.depth, np.float32), config.silhouette_jump)
    if config.smooth_reach:
        view = replace(
            view, depth=smoothed(np.asarray(view.depth, np.float32), config.smooth_reach, config.smooth_jump)
        )
    if config.level_reach:
        levelled = level_view(view, config)
        view, noise = levelled.view, levelled.noise
    if edges is not None:
        view = replace(view, depth=np.where(edges, np.float32(0.0), view.depth))
    return points_in_workspace(view, config, noise)
