"""Views laid onto the table that they see, and how noisy they are by it.

A camera whose calibration is off by a degree has the far side of the table two centimetres in the air; its tilt and
height are what a plane tells. What is left, a turn about the vertical and a shift along the table, no plane tells.
Depth of stereo cameras is noisier by the square of the distance, some millimetres at a metre: without a measure of
it, half of the table would lie above the table.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.geometry import axis_angle_matrix, nearest_plane, quaternion_angle, quaternion_from_matrix
from mini_diffuser_ros.perception.back_projection import back_project
from mini_diffuser_ros.records import CameraView, FusionConfig

LEAST_POINTS = 150
"""Pixels on the table that are needed."""
LEAST_EXTENT = 0.08
"""Metres that they have to reach, both ways."""
MOST_TILT = np.radians(5.0)
"""Beyond it a plane is no table, and a camera not merely a little off."""
_PIXELS = 4000  # about as many are looked at
_SPREADS = 2.5  # standard deviations within which a point is the table's
_LEAST_SPREAD = 0.001  # metres
_ROUNDS = 5


@dataclass(frozen=True, eq=False)
class LevelledView:
    """A view as the table that it sees has it.

    Attributes:
        view: with a pose in which the table is level and at its height.
        noise: metres, standard deviation of the depth of what is a metre away, which grows with the square of the
            distance; 0 where too little of the table is seen.
    """

    view: CameraView
    noise: float = 0.0


def level_view(view: CameraView, config: FusionConfig) -> LevelledView:
    """Turn the camera about itself and lift it, so that it stays where it is along the table.

    A view that shows too little of the table, or a plane that is tilted like none, keeps its pose.

    Args:
        view: well-formed.
        config: ``table_height`` and ``level_reach``.
    """
    points, uncertainty = _near_table(view, config)
    on = _of_most(points)
    if on is None:
        return LevelledView(view)
    normal, offset = nearest_plane(points[on])
    tilt = float(np.arccos(np.clip(normal[2], -1.0, 1.0)))
    if tilt > MOST_TILT:
        return LevelledView(view)
    pose = np.array(view.base_from_camera, dtype=np.float64)
    above = float(normal @ pose[:3, 3]) - offset
    if tilt > 1e-9:
        pose[:3, :3] = axis_angle_matrix(np.cross(normal, (0.0, 0.0, 1.0)), tilt)[:3, :3] @ pose[:3, :3]
    pose[2, 3] = config.table_height + above
    noise = 1.4826 * float(np.median(np.abs(points[on] @ normal - offset) / uncertainty[on]))
    return LevelledView(replace(view, base_from_camera=pose), noise)


def levelled_within(view: CameraView, config: FusionConfig, most: float) -> CameraView:
    """The view as :func:`level_view` has it, or as it is where that turns it by more than ``most`` radians."""
    if not config.level_reach:
        return view
    levelled = level_view(view, config).view
    before, after = (quaternion_from_matrix(np.asarray(one.base_from_camera)) for one in (view, levelled))
    return levelled if quaternion_angle(before, after) <= most else view


def _near_table(view: CameraView, config: FusionConfig) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Some of the view's points (N, 3), base frame, that seem to lie within reach of the table's top, and for each the
    metres by which noise of a metre at a metre would lift it.
    """
    step = max(1, int(np.sqrt(view.depth.size / _PIXELS)))
    camera = back_project(np.asarray(view.depth), view.intrinsics, view.distortion, step).reshape(-1, 3)
    camera = camera[(camera[:, 2] > config.min_depth) & (camera[:, 2] < config.max_depth)].astype(np.float64)
    pose = np.asarray(view.base_from_camera, dtype=np.float64)
    rays = camera @ pose[:3, :3].T
    points = rays + pose[:3, 3]
    (left, near, _), (right, far, _) = config.workspace.lower, config.workspace.upper
    inside = np.abs(points[:, 2] - config.table_height) < config.level_reach
    inside &= (points[:, 0] > left) & (points[:, 0] < right) & (points[:, 1] > near) & (points[:, 1] < far)
    return points[inside], np.maximum(camera[inside, 2] * np.abs(rays[inside, 2]), 1e-6)


def _of_most(points: NDArray[np.float64]) -> NDArray[np.intp] | None:
    """Which points lie on the plane that most lie on; None if they are too few or too close together."""
    on = np.arange(len(points))
    for _ in range(_ROUNDS):
        if len(on) < LEAST_POINTS or np.sqrt(12.0 * np.linalg.eigvalsh(np.cov(points[on, :2].T))[0]) < LEAST_EXTENT:
            return None
        normal, offset = nearest_plane(points[on])
        distances = points @ normal - offset
        # Things on the table are on one side of it: what is in the middle is the table still.
        distances -= np.median(distances)
        spread = max(1.4826 * float(np.median(np.abs(distances))), _LEAST_SPREAD)
        on = np.flatnonzero(np.abs(distances) < _SPREADS * spread)
    return on
