"""Random changes of a sample that leave the task the same: cloud and target pose move together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.records import Cloud, Workspace
from mini_diffuser_ros.training.config import AugmentConfig

Pose = NDArray[np.float64]

MARGIN = 0.02
"""Metres; how far inside the workspace a moved target stays."""

MOTION_DRAWS = 20
"""Motions tried for one sample before it is left where it is."""


@dataclass(frozen=True)
class PlanarMotion:
    """A rigid motion of the whole scene on the table: rotation about a vertical axis, then a shift.

    Attributes:
        yaw: radians about the base frame's z axis.
        center: (x, y) metres; where the axis stands.
        shift: (x, y, z) metres.
    """

    yaw: float
    center: tuple[float, float]
    shift: tuple[float, float, float]

    def of_points(self, points: NDArray[np.floating]) -> NDArray[np.float32]:
        """The moved points (N, 3) float32."""
        cos, sin = np.cos(self.yaw), np.sin(self.yaw)
        center = np.array([*self.center, 0.0])
        turn = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
        offset = center - turn @ center + np.array(self.shift)
        moved: NDArray[np.float32] = turn.astype(np.float32) @ points.astype(np.float32, copy=False).T
        moved += offset.astype(np.float32)[:, None]
        return moved.T

    def of_pose(self, pose: NDArray[np.floating]) -> Pose:
        """The moved pose (7,) xyz + xyzw."""
        # Plain numbers: numpy's overhead on so few is most of the time that a pose takes.
        px, py, pz, x, y, z, w = map(float, pose)
        cos, sin = float(np.cos(self.yaw / 2.0)), float(np.sin(self.yaw / 2.0))
        # Product of the rotation about z, (0, 0, sin, cos), with the pose's own quaternion.
        turned = [cos * x - sin * y, cos * y + sin * x, cos * z + sin * w, cos * w - sin * z]
        cos, sin = float(np.cos(self.yaw)), float(np.sin(self.yaw))
        (cx, cy), (sx, sy, sz) = self.center, self.shift
        dx, dy = px - cx, py - cy
        return np.array([cos * dx - sin * dy + cx + sx, sin * dx + cos * dy + cy + sy, pz + sz, *turned])


def draw_motion(config: AugmentConfig, random: np.random.Generator) -> PlanarMotion:
    """A motion within the limits of the recipe."""
    yaw = random.uniform(-config.yaw, config.yaw)
    x, y = random.uniform(-config.shift_xy, config.shift_xy, size=2)
    z = random.uniform(-config.shift_z, config.shift_z)
    return PlanarMotion(float(yaw), config.center, (float(x), float(y), float(z)))


def motion_within(
    workspace: Sequence[tuple[float, float]],
    pose: NDArray[np.floating],
    config: AugmentConfig,
    random: np.random.Generator,
) -> PlanarMotion:
    """A drawn motion that leaves the position of ``pose`` inside the workspace ((low, high) for x, y, ...), metres.

    What leaves the workspace is cropped: a target there would be one that nobody can see.
    """
    for _ in range(MOTION_DRAWS):
        motion = draw_motion(config, random)
        moved = motion.of_pose(pose)
        if inside(moved, workspace):
            return motion
    return PlanarMotion(0.0, config.center, (0.0, 0.0, 0.0))


def augment(
    cloud: Cloud,
    pose: NDArray[np.floating],
    workspace: Sequence[tuple[float, float]],
    config: AugmentConfig,
    random: np.random.Generator,
) -> tuple[Cloud, Pose]:
    """Cloud and target pose (7,) after one random draw of every change in the recipe.

    Args:
        cloud: points of the scene, base frame.
        pose: target, base frame.
        workspace: (low, high) metres for x and for y, within which the target stays.
        config: sizes of the changes.
        random: source of all draws.
    """
    motion = motion_within(workspace, pose, config, random)
    kept = random.random(len(cloud)) >= random.uniform(0.0, config.dropout)
    indices = np.flatnonzero(kept) if kept.any() else np.arange(len(cloud))
    # One row an axis, in memory: numpy's operations along the long axis of (N, 3) are several times slower.
    points = motion.of_points(cloud.points.T.take(indices, axis=1).T)
    points += _noise(points.shape, config, random)
    gain = random.uniform(1.0 - config.color_gain, 1.0 + config.color_gain, size=3)
    colors = cloud.colors.T.take(indices, axis=1)
    if config.color_gain:
        shades = colors * gain[:, None]
        np.minimum(shades, 255.0, out=shades)
        np.rint(shades, out=shades)
        colors = shades.astype(np.uint8)
    return replace(cloud, points=points, colors=colors.T), motion.of_pose(pose)


def workspace_ranges(workspace: Workspace) -> tuple[tuple[float, float], ...]:
    """(low, high) metres for x, y and z."""
    return tuple(zip(workspace.lower, workspace.upper, strict=True))


def _noise(shape: tuple[int, ...], config: AugmentConfig, random: np.random.Generator) -> NDArray[np.float32]:
    if config.jitter_shape == "uniform":
        # One row an axis, like the points.
        noise = random.random(shape[::-1], dtype=np.float32).T
        noise -= np.float32(0.5)
        noise *= np.float32(2.0 * config.jitter)
    else:
        noise = random.standard_normal(shape, dtype=np.float32)
        noise *= np.float32(config.jitter)
    return noise


def inside(pose: Pose, workspace: Sequence[tuple[float, float]]) -> bool:
    """Whether a position lies in the workspace ((low, high) for x, y, ...), :data:`MARGIN` from its sides."""
    (x_low, x_high), (y_low, y_high) = workspace[:2]
    return x_low + MARGIN <= pose[0] <= x_high - MARGIN and y_low + MARGIN <= pose[1] <= y_high - MARGIN
