"""One picture of the arm: what of it was measured, and what should be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation
from scipy.spatial import cKDTree

from mini_diffuser_ros.calibration.arm_surface import ArmSurface, RayGrid, SeenSurface, ray_grid
from mini_diffuser_ros.calibration.errors import CalibrationError
from mini_diffuser_ros.calibration.lens import Lens
from mini_diffuser_ros.geometry import inverse_transform, transform_points
from mini_diffuser_ros.robots import RobotDescription

Array = NDArray[np.float64]

NEAR: Final = 0.025
"""Metres within which a measured point can be the surface's."""
_CELL: Final = 8  # pixels of the grid that is cast first
_GRAZING: Final = 0.3  # cosine below which a surface is seen at too flat an angle


@dataclass(frozen=True, eq=False)
class ArmShot:
    """A depth image of the arm at rest.

    Attributes:
        name: for messages.
        joints: joint name to radians, metres for fingers.
        depth: (H, W) metres; 0, NaN and inf mean "no measurement".
    """

    name: str
    joints: Mapping[str, float]
    depth: NDArray[np.float32]


class SceneFit(NamedTuple):
    """How a scene agrees with a pose: points that could be measured, the share of them that is, robust deviation."""

    points: int
    share: float
    residual: float


class ComparedDepth(NamedTuple):
    """Points of the arm in the camera frame, their normals, signed distances of what is measured along their rays from
    their planes, and whether there is a measurement and a clear view of them."""

    points: Array
    normals: Array
    distances: Array
    measured: NDArray[np.bool_]
    clear: NDArray[np.bool_]


class ArmScene:
    """One shot, prepared: what is measured, and what of the arm should be.

    Args:
        robot, surface: the arm.
        shot: joints and depth.
        lens, parent: of the camera.
    """

    def __init__(self, robot: RobotDescription, surface: ArmSurface, shot: ArmShot, lens: Lens, parent: str) -> None:
        self.shot, self.lens, self._surface = shot, lens, surface
        self.base_from_parent = robot.forward_kinematics(shot.joints)[parent]
        self.depth = np.where(np.isfinite(shot.depth) & (shot.depth > 0.0), shot.depth, 0.0).astype(np.float64)
        self._coarse = ray_grid(lens, _CELL)
        self._tree: tuple[cKDTree, Array] | None = None

    def check(self) -> None:
        """Refuse depth that is none, or of another image."""
        if self.depth.shape != (self.lens.height, self.lens.width):
            raise CalibrationError(
                f"depth of {self.shot.name} has {self.depth.shape[1]}x{self.depth.shape[0]} pixels, the camera's "
                f"calibration is of {self.lens.width}x{self.lens.height}: record depth aligned to colour"
            )
        share = float(np.mean(self.depth > 0.0))
        if share < 0.1:
            raise CalibrationError(
                f"depth of {self.shot.name} has values in {share:.0%} of its pixels: does the camera see the arm?"
            )
        middle = float(np.median(self.depth[self.depth > 0.0]))
        if middle > 20.0:
            raise CalibrationError(f"depth of {self.shot.name} is {middle:.0f} m in the middle: is it in millimetres?")

    def seen(self, parent_from_camera: Array, grid: RayGrid) -> SeenSurface:
        """What the camera at a pose sees of the arm."""
        return self._surface.seen(self.shot.joints, self.base_from_parent @ parent_from_camera, grid.rays)

    def _seen_of(self, parent_from_camera: Array, grid: RayGrid) -> SeenSurface:
        """As :meth:`seen`, casting rays only where a coarser grid meets the arm nearby."""
        coarse = self._coarse
        met = np.zeros(coarse.shape, bool)
        met.ravel()[self.seen(parent_from_camera, coarse).places] = True
        met = binary_dilation(met, np.ones((3, 3), bool), iterations=2)
        rows = np.minimum(grid.rows // _CELL, coarse.shape[0] - 1)
        likely = np.flatnonzero(met[rows, np.minimum(grid.columns // _CELL, coarse.shape[1] - 1)])
        base_from_camera = self.base_from_parent @ parent_from_camera
        found = self._surface.seen(self.shot.joints, base_from_camera, grid.rays[likely])
        return replace(found, places=likely[found.places])

    def in_parent(self, seen: SeenSurface, most: int) -> tuple[Array, Array]:
        """Points and normals in the frame of the camera's parent, evenly thinned to ``most``."""
        step = max(1, -(-len(seen) // most))
        parent_from_base = inverse_transform(self.base_from_parent)
        points = transform_points(parent_from_base, seen.points[::step])
        return np.asarray(points, np.float64), seen.normals[::step] @ parent_from_base[:3, :3].T

    def tree(self) -> tuple[cKDTree, Array]:
        """Measured points in the camera frame, thinned, to find the nearest of."""
        if self._tree is None:
            grid = ray_grid(self.lens, max(2, self.lens.width // 160))
            depth = self.depth[grid.rows, grid.columns]
            rays = np.concatenate([grid.rays, np.ones((len(depth), 1))], axis=1)[depth > 0.0]
            points = np.asarray(rays * depth[depth > 0.0, None], dtype=np.float64)
            self._tree = cKDTree(points), points
        return self._tree

    def compared(self, parent_from_camera: Array, grid: RayGrid) -> ComparedDepth:
        """Measured against known depth along the same rays."""
        seen = self._seen_of(parent_from_camera, grid)
        rays = np.concatenate([grid.rays[seen.places], np.ones((len(seen), 1))], axis=1)
        rotation = (self.base_from_parent @ parent_from_camera)[:3, :3]
        normals = seen.normals @ rotation
        slopes = np.einsum("ij,ij->i", normals, rays)
        measured = self.depth[grid.rows[seen.places], grid.columns[seen.places]]
        cosines = -slopes / np.linalg.norm(rays, axis=1)
        clear = _inner(seen, grid) & (cosines > _GRAZING)
        return ComparedDepth(
            rays * seen.depths[:, None], normals, slopes * (measured - seen.depths), measured > 0.0, clear
        )

    def fit(self, parent_from_camera: Array) -> SceneFit:
        """How well measurements agree with a pose."""
        compared = self.compared(parent_from_camera, ray_grid(self.lens, 4))
        could = compared.clear & compared.measured
        good = could & (np.abs(compared.distances) < NEAR)
        count = int(could.sum())
        residual = 1.4826 * float(np.median(np.abs(compared.distances[good]))) if good.any() else np.inf
        return SceneFit(count, float(good.sum()) / max(count, 1), residual)


def _inner(seen: SeenSurface, grid: RayGrid) -> NDArray[np.bool_]:
    """(N,) which points lie inside the outline: their neighbours in the grid are the arm's at about the same depth."""
    depth = np.zeros(len(grid.rays))
    depth[seen.places] = seen.depths
    padded = np.pad(depth.reshape(grid.shape), 1)
    middle = padded[1:-1, 1:-1]
    inner = np.ones(grid.shape, bool)
    for rows, columns in ((slice(2, None), slice(1, -1)), (slice(0, -2), slice(1, -1))):
        inner &= np.abs(padded[rows, columns] - middle) < 0.04
        inner &= np.abs(padded[columns, rows] - middle) < 0.04
    return np.asarray(inner.ravel()[seen.places])
