"""Distances between the robot's parts and what the cameras see, at many places of a path at once.

Points are grouped into cells. A shape's distance to a cell's middle, less the cell's radius, is a bound that holds for
all of its points, and most cells are decided by it; only points of cells that are near are looked at one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.motion.config import MotionConfig
from mini_diffuser_ros.motion.model import HELD
from mini_diffuser_ros.motion.shapes import PlacedShapes
from mini_diffuser_ros.motion.surroundings import Floats, HeldObject, ShapeDistances
from mini_diffuser_ros.motion.violation import TOUCHING, Violation
from mini_diffuser_ros.robots import RobotDescription

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

_NEVER = -np.inf
"""Metres required of a pair that may touch."""

_CELL = 0.06
"""Metres, edge of the cubes by which points are grouped."""

_STILL = 1e-6
"""Metres; what moves by no more never comes closer."""

_LOOKED_INTO = 0.06
"""Metres; where shapes move by less, points of the cells within their reach are looked at one by one."""


@dataclass(frozen=True, eq=False)
class _Cells:
    """Points in groups, and how close shapes may come to them.

    Attributes:
        points: (M, 3) metres, base frame, group after group.
        required: (G, M) metres.
        first: (K + 1,) index of each group's first point, and M.
        middles: (K, 3) metres.
        radii: (K,) metres.
        most: (G, K) metres, the largest that is required in each.
    """

    points: Floats
    required: Floats
    first: Indices
    middles: Floats
    radii: Floats
    most: Floats

    @classmethod
    def of(cls, points: Floats) -> _Cells:
        """Grouped; nothing is required yet."""
        cube = np.floor(points / _CELL).astype(np.int64)
        keys = (cube[:, 0] * 100_003 + cube[:, 1]) * 100_003 + cube[:, 2]
        order = np.argsort(keys, kind="stable")
        points, keys = points[order], keys[order]
        starts = np.flatnonzero(np.diff(keys, prepend=keys[:1] - 1))
        first = np.append(starts, len(points))
        low, high = np.minimum.reduceat(points, starts), np.maximum.reduceat(points, starts)
        middles = (0.5 * (low + high)).astype(np.float32)
        offsets = np.linalg.norm(points - np.repeat(middles, np.diff(first), axis=0), axis=1)
        nothing = np.empty((0, 0), np.float32)
        radii = np.maximum.reduceat(offsets, starts).astype(np.float32)
        return cls(points, nothing, first, middles, radii, nothing)

    def requiring(self, required: Floats) -> _Cells:
        """The same points with these distances (G, M)."""
        most = np.maximum.reduceat(required, self.first[:-1], axis=1)
        return _Cells(self.points, required, self.first, self.middles, self.radii, most)

    def within(self, cells: Indices) -> Indices:
        """Numbers of the points of some cells."""
        return np.concatenate([np.arange(self.first[cell], self.first[cell + 1]) for cell in cells])


class SeenObstacles:
    """The live cloud as obstacle.

    Args:
        robot: the arm.
        config: ``obstacles`` says how close the robot may come.
        model: the planning model.
        leverage: (geoms, J) metres per radian, the most that a joint moves a point of a shape.
    """

    def __init__(self, robot: RobotDescription, config: MotionConfig, model: mujoco.MjModel, leverage: Array) -> None:
        roles = {link.name: link.role for link in robot.links if link.name != robot.base_frame}
        names = [model.body(body).name for body in model.geom_bodyid]
        self._base = np.array([geom for geom, name in enumerate(names) if name == robot.base_frame], np.intp)
        self._model, self._config = model, config.obstacles
        self._resolution = config.collision_resolution
        self._tool, self._opening = robot.tcp_frame, robot.max_gripper_width / 2.0
        self._geoms = np.array([geom for geom, name in enumerate(names) if name in roles or name == HELD])
        self._names = tuple(names[geom] for geom in self._geoms)
        self._held = np.array([name == HELD for name in self._names])
        self._grasping = np.array([roles.get(name) != "arm" for name in self._names])
        self._leverage = leverage[self._geoms]
        self.see(np.empty((0, 3), np.float32), (), holding=False)

    def see(self, points: Floats, grasps: Sequence[Array], holding: bool) -> None:
        """Check against these points from now on, as :meth:`CollisionChecker.surround` says."""
        self._distances = ShapeDistances(self._model, self._geoms)
        self._cells: _Cells | None = None
        self._on_way: _Cells | None = None
        if not len(points):
            return
        cells = _Cells.of(points)
        required = np.full((len(self._geoms), len(points)), self._config.clearance, np.float32)
        for place in grasps:
            away = np.linalg.norm(cells.points - np.asarray(place, np.float32), axis=1)
            required[self._grasping] = np.minimum(required[self._grasping], self._near_a_grasp(away))
        if not holding:
            required[self._held] = _NEVER
        self._cells = self._on_way = cells.requiring(required)

    def _near_a_grasp(self, away: Floats) -> Floats:
        """(M,) metres required of hand and fingers from points that are (M,) metres away from where they work."""
        radius = self._config.grasp_radius
        grown = np.clip((away - radius) / max(radius, _STILL), 0.0, 1.0)
        return np.where(away <= radius, _NEVER, self._config.clearance * grown).astype(np.float32)

    def foreign(self, data: mujoco.MjData, points: Floats, held: HeldObject | None) -> Floats:
        """Those of (M, 3) points that are not the robot's where ``data`` has it, nor between or on its fingers."""
        moving = self._geoms[~self._held | (held is not None)]
        shapes = ShapeDistances(self._model, np.concatenate([self._base, moving]))
        own = shapes(data, points) < self._config.robot_margin
        tool = data.site(self._tool)
        local = np.abs((points - tool.xpos) @ tool.xmat.reshape(3, 3))
        # Fingers are wherever they are between open and closed, not where the planning model has them.
        margin = self._config.robot_margin
        fingers = (local <= (margin, self._opening + margin, 2.0 * margin)).all(axis=1)
        return points[~own.any(axis=0) & ~fingers]

    def leave_from(self, placed: PlacedShapes) -> None:
        """Let pairs that are too close stay as close as they are at the first of these places, on the way."""
        cells = self._cells
        if cells is None:
            return
        close = self._close(cells, placed)
        required = cells.required.copy()
        if len(close):
            points = cells.within(close)
            distances = self._distances_at(placed, 0, cells.points[points])
            required[:, points] = np.minimum(required[:, points], distances - np.float32(TOUCHING))
        self._on_way = cells.requiring(required)

    def violation(self, placed: PlacedShapes, *, on_way: bool) -> Violation | None:
        """The deepest violation at the first of these places, or None."""
        cells = self._on_way if on_way else self._cells
        if cells is None:
            return None
        close = self._close(cells, placed)
        return self._free(cells, placed, 0, close)[1] if len(close) else None

    def _close(self, cells: _Cells, placed: PlacedShapes) -> Indices:
        """Numbers of the cells in which a point may be too close to a shape at the first of these places."""
        return np.flatnonzero((self._bounds(cells, placed, slice(None))[:, 0] < 0.0).any(axis=0))

    def near(self) -> Indices | None:
        """Numbers of all cells, None if nothing is seen: what :meth:`sweep` is first given."""
        return None if self._on_way is None else np.arange(len(self._on_way.radii))

    def sweep(self, placed: PlacedShapes, near: Indices) -> tuple[Violation | None, Array, Indices]:
        """How much of short motions is free.

        Args:
            placed: N places of the robot, and where it moves from each.
            near: the cells that may be in reach.

        Returns:
            a violation at one of the places; the fractions (N,) of the motions, forth and back, that are free,
            which may be more than 1; the cells that are in reach of any.
        """
        cells = self._on_way
        assert cells is not None
        radius = self._model.geom_rbound[self._geoms]
        reach = placed.reach(self._geoms, np.zeros_like(self._geoms), self._leverage, radius)
        whole = reach.whole + _STILL
        bounds = self._bounds(cells, placed, near)  # (G, N, K)
        kept = (bounds < whole[:, :, None]).any(axis=(0, 1))
        near, bounds = near[kept], bounds[:, :, kept]
        free = np.minimum(bounds.min(axis=2, initial=np.inf), 2.0 * whole)
        within = np.where(whole <= _LOOKED_INTO, whole, 0.0)
        looked_into: NDArray[np.bool_] = np.logical_or.reduce(bounds < within[:, :, None], axis=0)  # (N, K)
        for place in map(int, np.flatnonzero(looked_into.any(axis=1))):
            inside = looked_into[place]
            exact, violation = self._free(cells, placed, place, near[inside])
            if violation is not None:
                return violation, np.zeros(len(whole.T)), near
            rest = bounds[:, place, ~inside].min(axis=1, initial=np.inf)
            free[:, place] = np.minimum(np.minimum(exact, rest), 2.0 * whole[:, place])
        fractions = reach.fraction(np.maximum(free, 0.0)).min(axis=0)
        # Every place is free: by bounds, or by a look at the points.
        least = reach.fraction(np.full_like(whole, self._resolution)).min(axis=0)
        return None, np.maximum(fractions, least), near

    def _bounds(self, cells: _Cells, placed: PlacedShapes, chosen: Indices | slice) -> Floats:
        """(G, N, K) metres that are left at least between shapes and points of chosen cells."""
        rotations, centers = placed.rotations[self._geoms], placed.centers[self._geoms]
        bounds = self._distances.at(rotations, centers, cells.middles[chosen])
        bounds -= (cells.radii[chosen] + cells.most[:, chosen])[:, None]
        return bounds

    def _free(
        self, cells: _Cells, placed: PlacedShapes, place: int, chosen: Indices
    ) -> tuple[Floats, Violation | None]:
        """(G,) metres that are left between shapes at one place and points of chosen cells, and the violation."""
        points = cells.within(chosen)
        required = cells.required[:, points]
        free = self._distances_at(placed, place, cells.points[points]) - required
        least = np.asarray(free.min(axis=1))
        if least.min() >= 0.0:
            return least, None
        shape, point = np.unravel_index(int(free.argmin()), free.shape)
        needed = float(required[shape, point])
        where = ", ".join(f"{value:.2f}" for value in cells.points[points[point]])
        seen = f"what the cameras see at [{where}] m"
        return least, Violation(self._names[shape], seen, float(free[shape, point]) + needed, needed)

    def _distances_at(self, placed: PlacedShapes, place: int, points: Floats) -> Floats:
        return self._distances.at(placed.rotations[self._geoms, place], placed.centers[self._geoms, place], points)
