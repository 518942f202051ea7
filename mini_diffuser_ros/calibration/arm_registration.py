"""The arm's surface laid over depth images of it.

A coarse search scores many poses by whether each point of the surface projects onto a depth like its own; the best are
drawn nearer by iterated closest points, and the last steps compare depths along the same rays, which noise of the depth
does not bias. All distances are point to plane, with the normals of the known surface (Chen and Medioni, 1992).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from mini_diffuser_ros.calibration.arm_scene import NEAR, ArmScene
from mini_diffuser_ros.calibration.arm_surface import RayGrid, ray_grid
from mini_diffuser_ros.calibration.errors import CalibrationError
from mini_diffuser_ros.calibration.rigid import Shift, matrix_from_vector
from mini_diffuser_ros.geometry import inverse_transform, transform_points

Array = NDArray[np.float64]

REACH: Final = Shift(0.12, 18.0)
"""How far off the first guess may be."""
NEAR_WIDTHS: Final = (0.03, 0.02, 0.012)
"""Metres, scales of the robust weights where a pose is nearly right."""

_COARSE_WIDTHS: Final = (0.10, 0.06, 0.04)
_SEARCHED: Final = 12  # power of two of the poses that are scored
_POINTS: Final = 250  # of the surface that each is scored by, in every picture
_DRAWN_NEAR: Final = 10  # of the best that are tried further
_SEARCH_WIDTH: Final = 0.08  # metres within which a depth speaks for a pose, in the search
_FINE_STEPS: Final = 6


def aligned(scenes: Sequence[ArmScene], guess: Array) -> Array:
    """``parent_from_camera`` from a guess that may be far off."""
    grid = ray_grid(scenes[0].lens, 8)
    near = [drawn_near(scenes, pose, _COARSE_WIDTHS, most=200) for pose in _search(scenes, guess)]
    near.sort(key=lambda pose: _disagreement(scenes, pose, grid))
    best = [drawn_near(scenes, pose, NEAR_WIDTHS, most=800) for pose in near[:2]]
    return refined(scenes, min(best, key=lambda pose: _disagreement(scenes, pose, grid)))


def _search(scenes: Sequence[ArmScene], guess: Array) -> list[Array]:
    """The best poses of many around a guess."""
    grid = ray_grid(scenes[0].lens, 8)
    surfaces = [scene.in_parent(scene.seen(guess, grid), _POINTS) for scene in scenes]
    if not sum(len(points) for points, _ in surfaces):
        raise CalibrationError("from the guess the camera sees nothing of the arm: turn it towards the arm")
    unit = qmc.Sobol(6, scramble=False).random_base2(_SEARCHED)
    spread = np.repeat([np.radians(REACH.degrees), REACH.metres], 3)
    poses = np.stack([guess @ matrix_from_vector(spread * (2.0 * one - 1.0)) for one in unit])
    poses[0] = guess  # Sobol's first point is a corner
    costs = np.zeros(len(poses))
    for scene, (points, _) in zip(scenes, surfaces, strict=True):
        for part in np.array_split(np.arange(len(poses)), 8):
            costs[part] += _search_costs(scene, points, poses[part])
    return [poses[index] for index in np.argsort(costs)[:_DRAWN_NEAR]]


def _search_costs(scene: ArmScene, points: Array, poses: Array) -> Array:
    """(P,) how little a scene speaks for each of the poses (P, 4, 4), by points of the arm in the parent's frame."""
    rotations, origins = poses[:, :3, :3], poses[:, :3, 3]
    in_camera = np.einsum("pji,pnj->pni", rotations, points[None] - origins[:, None])
    depth = in_camera[..., 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        pixels = in_camera[..., :2] / depth[..., None]
    focal = scene.lens.intrinsics
    columns = np.nan_to_num(pixels[..., 0] * focal[0, 0] + focal[0, 2], nan=-1.0, posinf=-1.0, neginf=-1.0)
    rows = np.nan_to_num(pixels[..., 1] * focal[1, 1] + focal[1, 2], nan=-1.0, posinf=-1.0, neginf=-1.0)
    inside = (depth > 0.05) & (columns >= 0) & (rows >= 0) & (columns < scene.lens.width) & (rows < scene.lens.height)
    column = np.where(inside, columns, 0.0).astype(np.intp)
    row = np.where(inside, rows, 0.0).astype(np.intp)
    measured = np.where(inside, scene.depth[row, column], 0.0)
    return _cost(measured, depth, _SEARCH_WIDTH).sum(axis=1)


def _cost(measured: Array, known: Array, width: float) -> Array:
    """0 for a depth as it has to be, 1 where the camera sees through the arm, in between where it sees less or none."""
    behind = measured - known
    cost = np.minimum(np.abs(behind) / width, 1.0)
    cost = np.where(behind < -width, 0.8, cost)
    return np.where(measured > 0.0, cost, 0.7)


def _disagreement(scenes: Sequence[ArmScene], pose: Array, grid: RayGrid) -> float:
    """Mean cost of the arm's visible surface at a pose."""
    total, count = 0.0, 0
    for scene in scenes:
        seen = scene.seen(pose, grid)
        measured = scene.depth[grid.rows[seen.places], grid.columns[seen.places]]
        total += float(_cost(measured, seen.depths, NEAR).sum())
        count += len(seen)
    return total / count if count else np.inf


def drawn_near(scenes: Sequence[ArmScene], start: Array, widths: Sequence[float], most: int) -> Array:
    """A pose drawn to the nearest measured points, their weights by ever smaller widths."""
    pose = start
    grid = ray_grid(scenes[0].lens, 8)
    for index, width in enumerate(widths):
        if index % 2 == 0:  # what is seen of the arm changes little from one to the next
            surfaces = [scene.in_parent(scene.seen(pose, grid), most) for scene in scenes]
        for _ in range(4):
            pose = pose @ matrix_from_vector(_step(list(_nearest(scenes, surfaces, pose, width))))
    return pose


def _nearest(
    scenes: Sequence[ArmScene], surfaces: Sequence[tuple[Array, Array]], pose: Array, width: float
) -> Iterator[_Equations]:
    """Equations of the surface's points with the measured points that lie nearest."""
    camera_from_parent = inverse_transform(pose)
    for scene, (points, normals) in zip(scenes, surfaces, strict=True):
        tree, measured = scene.tree()
        here = transform_points(camera_from_parent, points)
        if not len(here):
            continue
        _, index = tree.query(here, distance_upper_bound=3.0 * width)
        found = index < len(measured)
        offsets = measured[index[found]] - here[found]
        weights = (width**2 / (width**2 + (offsets**2).sum(axis=1))) ** 2
        directions = normals[found] @ camera_from_parent[:3, :3].T
        yield _Equations(here[found], directions, np.einsum("ij,ij->i", directions, offsets), weights)


class _Equations(NamedTuple):
    """Points and normals in the camera frame, distances from the points' planes and weights."""

    points: Array
    normals: Array
    distances: Array
    weights: Array


def _step(equations: Sequence[_Equations]) -> Array:
    """(6,) turn and move of the camera in its own frame that lessens the distances most."""
    if not equations:
        raise CalibrationError(
            "nothing of the arm is in the picture where the file puts the camera: set its pose right to about 10 cm "
            "and 15 degrees, or bring the arm before the camera"
        )
    points, normals, distances, weights = (np.concatenate(columns) for columns in zip(*equations, strict=True))
    # Turning the camera by w and moving it by v moves a point of the arm by -(w x p + v) before it.
    design = -np.concatenate([np.cross(points, normals), normals], axis=1)
    weighted = design * weights[:, None]
    matrix = weighted.T @ design
    damping = 1e-6 * np.trace(matrix) * np.eye(6) + 1e-9 * np.eye(6)
    return np.asarray(np.linalg.solve(matrix + damping, weighted.T @ distances))


def refined(scenes: Sequence[ArmScene], start: Array, steps: int = _FINE_STEPS) -> Array:
    """A pose near the truth, by depths along the same rays."""
    pose = start
    grid = ray_grid(scenes[0].lens, max(1, scenes[0].lens.width // 320))
    for step in range(steps):
        compared = [scene.compared(pose, grid) for scene in scenes]
        equations = []
        for one in compared:
            use = one.clear & one.measured & (np.abs(one.distances) < NEAR * (2.0 if step < 2 else 1.0))
            equations.append(_Equations(one.points[use], one.normals[use], one.distances[use], np.ones(int(use.sum()))))
        distances = np.concatenate([one.distances for one in equations])
        if len(distances) < 50:
            return pose
        scale = max(4.685 * 1.4826 * float(np.median(np.abs(distances))), 1e-4)
        # Tukey's weights, over the variance of what is measured: that of depth grows with its fourth power.
        weighted = [
            one._replace(
                weights=np.maximum(1.0 - (one.distances / scale) ** 2, 0.0) ** 2
                / (np.einsum("ij,ij->i", one.normals, one.points) * one.points[:, 2]) ** 2
            )
            for one in equations
        ]
        pose = pose @ matrix_from_vector(_step(weighted))
    return pose
