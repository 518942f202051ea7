"""The fingers as the joints tell them, where a camera sees them, in place of what it measures of them.

A policy reads from the fingers' points how high its gripper is and how far it is open. Fingers are thin, dark and near
a wrist camera, of which a stereo camera measures next to nothing; the encoders know them to a tenth of a millimetre.
Drawn as each camera would see them without an error, they look to a policy as exact cameras have shown them to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.geometry import inverse_transform
from mini_diffuser_ros.perception.distortion import pixel_directions
from mini_diffuser_ros.perception.errors import PerceptionError
from mini_diffuser_ros.records import CameraView, FusionConfig
from mini_diffuser_ros.robots import Box, RobotDescription

Floats = NDArray[np.float64]

COLOR = (48, 48, 51)
"""RGB of rubber and steel in the shade."""
HIDING = 0.03
"""Metres; what is measured nearer than a finger by more than this hides it."""
_NEAREST = 0.01  # metres; a finger that reaches nearer to a camera is not drawn
_CORNERS = np.stack(np.meshgrid(*[(-1.0, 1.0)] * 3, indexing="ij")).reshape(3, 8)


def finger_points(
    view: CameraView, robot: RobotDescription, joint_positions: Mapping[str, float], config: FusionConfig
) -> NDArray[np.float32]:
    """Points (3, N), base frame, of the fingers where the view's pixels show them, in the workspace.

    Args:
        view: well-formed.
        robot: whose fingers they are; those that are boxes are drawn.
        joint_positions: joint name to radians, metres for fingers, when the image was taken.
        config: the workspace.

    Raises:
        PerceptionError: if an arm joint has no finite position.
    """
    try:
        poses = robot.forward_kinematics(joint_positions)
    except ValueError as error:
        raise PerceptionError(f"cannot draw the fingers into the cloud: {error}") from error
    camera_from_base = inverse_transform(np.asarray(view.base_from_camera, np.float64))
    fingers = [(camera_from_base @ pose, half) for pose, half in _boxes(robot, poses, "finger")]
    hand = [(camera_from_base @ pose, half) for pose, half in _boxes(robot, poses, "hand")]
    pixels = _pixels_around(view, fingers)
    if not len(pixels):
        return np.empty((3, 0), np.float32)
    rays = _rays(view, pixels)
    depth = np.min([_depth_of(box, rays) for box in fingers], axis=0)
    measured = np.asarray(view.depth, np.float64).reshape(-1).take(pixels)
    seen = np.isfinite(depth) & ~((measured > 0.0) & (measured < depth - HIDING))
    for box in hand:
        seen &= _depth_of(box, rays) > depth
    pose = np.asarray(view.base_from_camera, np.float64)
    points = pose[:3, :3] @ (rays[:, seen] * depth[seen]) + pose[:3, 3:]
    low, high = np.array([config.workspace.lower, config.workspace.upper])[..., None]
    return points[:, np.all((points > low) & (points < high), axis=0)].astype(np.float32)


def _boxes(
    robot: RobotDescription, poses: Mapping[str, Floats], role: Literal["hand", "finger"]
) -> Iterator[tuple[Floats, Floats]]:
    """(base_from_box, half extents) of the boxes of a role's links."""
    for link in robot.links:
        if link.role == role:
            for geom in link.geoms:
                if isinstance(geom, Box):
                    yield poses[link.name] @ geom.link_from_geom, geom.half_extents


def _pixels_around(view: CameraView, boxes: list[tuple[Floats, Floats]]) -> NDArray[np.intp]:
    """Numbers of the pixels of rectangles around boxes; their borders are generous, for the bend of a lens."""
    height, width = view.depth.shape
    covered = np.zeros((height, width), np.bool_)
    for camera_from_box, half in boxes:
        corners = camera_from_box[:3, :3] @ (_CORNERS * half[:, None]) + camera_from_box[:3, 3:]
        if corners[2].min() < _NEAREST:
            continue
        u, v, _ = np.asarray(view.intrinsics, np.float64) @ (corners / corners[2])
        border = 3 + int(0.1 * max(np.ptp(u), np.ptp(v)))
        left, right = (int(np.clip(at, 0, width)) for at in (u.min() - border, u.max() + border + 1))
        upper, lower = (int(np.clip(at, 0, height)) for at in (v.min() - border, v.max() + border + 1))
        covered[upper:lower, left:right] = True
    return np.flatnonzero(covered)


def _rays(view: CameraView, pixels: NDArray[np.intp]) -> Floats:
    """(3, N) camera frame, one metre forward."""
    height, width = view.depth.shape
    inverse = np.linalg.inv(np.asarray(view.intrinsics, np.float64))
    if view.distortion.bends:
        across = pixel_directions(inverse, view.distortion, height, width).reshape(2, -1).take(pixels, axis=1)
        return np.concatenate([across, np.ones((1, len(pixels)))]).astype(np.float64)
    rows, columns = np.divmod(pixels, width)
    return np.asarray(inverse @ np.stack([columns, rows, np.ones(len(pixels))]))


def _depth_of(box: tuple[Floats, Floats], rays: Floats) -> Floats:
    """(N,) metres along the optical axis at which rays enter a box, infinite for those that miss it."""
    camera_from_box, half = box
    box_from_camera = inverse_transform(camera_from_box)
    directions = box_from_camera[:3, :3] @ rays
    directions = np.where(np.abs(directions) < 1e-12, 1e-12, directions)
    first, second = ((sign * half - box_from_camera[:3, 3])[:, None] / directions for sign in (-1.0, 1.0))
    enters, leaves = np.minimum(first, second).max(axis=0), np.maximum(first, second).min(axis=0)
    return np.where((enters <= leaves) & (enters > 0.0), enters, np.inf)
