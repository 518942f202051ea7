"""Which points belong to the robot itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.geometry import inverse_transform
from mini_diffuser_ros.perception.errors import PerceptionError
from mini_diffuser_ros.records import FusionConfig
from mini_diffuser_ros.robots import Geom, RobotDescription

Floats = NDArray[np.float32]


def self_filter(
    points: NDArray[np.floating],
    robot: RobotDescription,
    joint_positions: Mapping[str, float],
    config: FusionConfig,
) -> NDArray[np.bool_]:
    """Which points are NOT the robot's.

    A point is the robot's if it lies within ``link_margin`` of a capsule or box of the arm, or within ``hand_margin``
    of one of the hand. Fingers and hand stay in the cloud as the configuration says.

    Args:
        points: (N, 3), metres, in the robot's base frame.
        joint_positions: joint name to position at the time of the images, radians (metres for fingers).

    Returns:
        (N,) bool, True for the points to keep.

    Raises:
        PerceptionError: if an arm joint has no finite position.
    """
    return keep_foreign(np.ascontiguousarray(points.T, dtype=np.float32), robot, joint_positions, config)


def keep_foreign(
    points: Floats, robot: RobotDescription, joint_positions: Mapping[str, float], config: FusionConfig
) -> NDArray[np.bool_]:
    """:func:`self_filter` of points (3, N) with one row an axis, which is how the fusion holds them."""
    keep = np.ones(points.shape[1], np.bool_)
    shapes = list(_filtered_geoms(robot, joint_positions, config))
    if not shapes or not points.shape[1]:
        return keep
    # Most points are far from the robot, and most of the others from most of its links: axis-aligned boxes around all
    # shapes and around each are the cheap first tests.
    boxes = np.array([_bounds(*shape) for shape in shapes])
    candidates = np.flatnonzero(_within(points, boxes[:, 0].min(axis=0), boxes[:, 1].max(axis=0)))
    near_robot = points.take(candidates, axis=1)
    foreign = np.ones(len(candidates), np.bool_)
    for (base_from_geom, geom, margin), (low, high) in zip(shapes, boxes, strict=True):
        indices = np.flatnonzero(_within(near_robot, low, high) & foreign)
        if len(indices):
            geom_from_base = inverse_transform(base_from_geom).astype(np.float32)
            local = geom_from_base[:3, :3] @ near_robot.take(indices, axis=1) + geom_from_base[:3, 3:]
            foreign[indices] = _squared_distance(geom, local) > _allowance(geom, margin)
    keep[candidates] = foreign
    return keep


def _bounds(
    base_from_geom: NDArray[np.float64], geom: Geom, margin: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper corner (3,) of the axis-aligned box around a shape and its margin."""
    reach = np.abs(base_from_geom[:3, :3]) @ (_half_size(geom) + margin)
    return base_from_geom[:3, 3] - reach, base_from_geom[:3, 3] + reach


def _within(points: Floats, low: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of the points (3, N) lie in an axis-aligned box."""
    lowest, highest = low.astype(np.float32), high.astype(np.float32)
    inside = (points[0] >= lowest[0]) & (points[0] <= highest[0])
    for axis in (1, 2):
        inside &= points[axis] >= lowest[axis]
        inside &= points[axis] <= highest[axis]
    return inside


def _filtered_geoms(
    robot: RobotDescription, joint_positions: Mapping[str, float], config: FusionConfig
) -> Iterator[tuple[NDArray[np.float64], Geom, float]]:
    """(base_from_geom, geom, margin) of every shape whose points are dropped."""
    margins = {"arm": config.link_margin}
    if not config.keep_hand:
        margins["hand"] = config.hand_margin
    if config.draw_fingers or not config.keep_fingers:
        margins["finger"] = config.hand_margin
    try:
        poses = robot.forward_kinematics(joint_positions)
    except ValueError as error:
        raise PerceptionError(f"cannot take the robot out of the cloud: {error}") from error
    for link in robot.links:
        if link.role in margins:
            for geom in link.geoms:
                yield poses[link.name] @ geom.link_from_geom, geom, margins[link.role]


def _half_size(geom: Geom) -> NDArray[np.float64]:
    """Half extents (3,) of the geom along its own axes."""
    return geom.core + geom.radius


def _squared_distance(geom: Geom, local: Floats) -> Floats:
    """Squared distance of points (3, N) of the geom's frame to the box, or to the axis of the capsule."""
    outside = np.maximum(np.abs(local) - geom.core.astype(np.float32)[:, None], 0.0)
    return np.einsum("ij,ij->j", outside, outside)


def _allowance(geom: Geom, margin: float) -> float:
    """Squared distance up to which a point is the robot's, on the scale of :func:`_squared_distance`."""
    return (geom.radius + margin) ** 2
