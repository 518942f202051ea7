"""What the cameras see as obstacles, and what the hand holds.

The robot's own shapes are capsules and boxes, so distances to points are exact and need no voxel map: nothing has to be
built for a cloud, where a distance field of 1 cm voxels takes some hundred times as long as to ask for all distances at
one configuration. ``mini-diffuser bench surroundings`` measures it; docs/results/franka.md has the figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.support.settings import bounded, check_fields

Array = NDArray[np.float64]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class ObstacleConfig:
    """How the live cloud becomes obstacles. Metres.

    Attributes:
        clearance: kept between the robot and what the cameras see.
        voxel: edge of the cubes in which points are merged.
        table_margin: points less than this above the table belong to it.
        robot_margin: points nearer than this to the robot's own shapes are taken for the robot.
        grasp_radius: about the tool centre point at the start and at the goal of a motion, in which hand and fingers
            may come as close to things as a grasp needs; the arm may not. Beyond it the clearance that they keep grows
            from nothing, and is whole at twice the radius: the hand is wider than what it grasps, and what lies beside
            that comes under it.
        held_reach: of what is held, from the tool centre point.
    """

    clearance: float = bounded(0.02, 0.0, 0.2)
    voxel: float = bounded(0.015, 0.002, 0.1)
    table_margin: float = bounded(0.012, 0.0, 0.2)
    robot_margin: float = bounded(0.03, 0.0, 0.2)
    grasp_radius: float = bounded(0.09, 0.0, 0.5)
    held_reach: float = bounded(0.08, 0.01, 0.3)

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, eq=False)
class HeldObject:
    """What the hand holds, as a box along the axes of the tool centre point.

    Attributes:
        center: (3,) metres, tool frame.
        half_extents: (3,) metres, positive.
    """

    center: Array
    half_extents: Array


@dataclass(frozen=True, eq=False)
class Surroundings:
    """What a motion has to keep away from besides table and static boxes.

    Attributes:
        points: (M, 3) float32 metres, base frame, without the robot, the table and what is held.
        held: None while the hand is empty.
    """

    points: Floats
    held: HeldObject | None = None


def merged(points: NDArray[np.floating], voxel: float) -> Floats:
    """Points (N, 3) metres, those within one cube of a grid replaced by their mean; those not finite left out."""
    finite = np.asarray(points, dtype=np.float32)
    finite = finite[np.isfinite(finite).all(axis=1)]
    if not len(finite):
        return finite.reshape(0, 3)
    _, cube = np.unique(np.floor(finite / voxel).astype(np.int64), axis=0, return_inverse=True)
    cube = cube.ravel()
    counts = np.bincount(cube)
    return np.stack([np.bincount(cube, axis) / counts for axis in finite.T], axis=1).astype(np.float32)


def seen_often(clouds: Sequence[Floats], voxel: float, times: int) -> Floats:
    """Points (M, 3) metres in cubes of a grid in which at least so many of the clouds, each (N, 3), have points."""
    if len(clouds) < times:
        return np.empty((0, 3), np.float32)
    points = np.concatenate(clouds)
    # One number a cube: cubes of far more than a kilometre in each direction.
    cubes = (np.floor(points / voxel).astype(np.int64) + 2**20) @ np.array([1, 2**21, 2**42])
    owners = np.repeat(np.arange(len(clouds)), [len(cloud) for cloud in clouds])
    order = np.lexsort((owners, cubes))
    first = np.ones(len(order), dtype=bool)
    first[1:] = (np.diff(cubes[order]) != 0) | (np.diff(owners[order]) != 0)
    _, inverse, counts = np.unique(cubes[order][first], return_inverse=True, return_counts=True)
    return points[order][first][counts[inverse] >= times]


class ShapeDistances:
    """Exact distances between shapes of a MuJoCo model and points.

    Args:
        model: whose shapes are meant.
        geoms: (G,) their numbers; capsules and boxes.
    """

    def __init__(self, model: mujoco.MjModel, geoms: NDArray[np.intp]) -> None:
        self.geoms = geoms
        sizes = model.geom_size[geoms].astype(np.float32)
        capsule = (model.geom_type[geoms] == mujoco.mjtGeom.mjGEOM_CAPSULE)[:, None]
        axis = np.stack([np.zeros(len(geoms)), np.zeros(len(geoms)), sizes[:, 1]], axis=1)
        # A capsule is all that lies within its radius of a box without width.
        self._core = np.where(capsule, axis, sizes).astype(np.float32)[:, :, None]
        self._radius = np.where(capsule[:, 0], sizes[:, 0], 0.0).astype(np.float32)[:, None]

    def __call__(self, data: mujoco.MjData, points: Floats) -> Floats:
        """(G, M) metres from the shapes' surfaces, where ``data`` has them, to points (M, 3); negative inside."""
        rotations = data.geom_xmat[self.geoms].reshape(-1, 3, 3)
        return self.at(rotations, data.geom_xpos[self.geoms], points)

    def at(self, rotations: Array, centers: Array, points: Floats) -> Floats:
        """(G, M) or (G, N, M) metres, the same with the shapes at (G, [N,] 3, 3) and (G, [N,] 3), base frame."""
        geom_from_base = rotations.swapaxes(-1, -2).astype(np.float32)
        offsets = geom_from_base @ centers.astype(np.float32)[..., None]
        core = self._core if centers.ndim == 2 else self._core[:, None]
        local = geom_from_base @ points.T
        local -= offsets
        np.abs(local, out=local)
        local -= core
        deepest = np.maximum(np.maximum(local[..., 0, :], local[..., 1, :]), local[..., 2, :])
        np.maximum(local, 0.0, out=local)
        np.multiply(local, local, out=local)
        outside = local[..., 0, :] + local[..., 1, :]
        outside += local[..., 2, :]
        np.sqrt(outside, out=outside)
        outside += np.minimum(deepest, 0.0)
        outside -= self._radius if centers.ndim == 2 else self._radius[:, None]
        return np.asarray(outside, dtype=np.float32)


def held_object(points: Floats, base_from_tcp: Array, width: float, reach: float, least: int = 1) -> HeldObject | None:
    """What the fingers are about to close on, or None where nothing is seen between them.

    Args:
        points: (M, 3) metres, base frame, without robot and table.
        base_from_tcp: (4, 4), z the approach direction, y the direction in which the fingers open.
        width: metres between the open fingers.
        reach: metres that the object may extend from the tool centre point.
        least: points that have to show it.
    """
    local = (points - base_from_tcp[:3, 3]) @ base_from_tcp[:3, :3]
    between = np.abs(local) <= (reach, width / 2.0, reach)
    seen = local[between.all(axis=1)]
    if len(seen) < least:
        return None
    low, high = seen.min(axis=0), seen.max(axis=0)
    return HeldObject((low + high) / 2.0, np.maximum((high - low) / 2.0, 0.005))
