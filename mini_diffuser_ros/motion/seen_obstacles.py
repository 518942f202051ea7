"""Distances between the robot's parts and what the cameras see, at one configuration and along a segment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.motion.config import MotionConfig
from mini_diffuser_ros.motion.model import HELD
from mini_diffuser_ros.motion.surroundings import Floats, HeldObject, ShapeDistances
from mini_diffuser_ros.motion.violation import TOUCHING, Violation
from mini_diffuser_ros.robots import RobotDescription

Array = NDArray[np.float64]

_NEVER = -np.inf
"""Metres required of a pair that may touch."""


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Shapes and points, and how close they may come.

    Attributes:
        distances: of the shapes.
        names: G, of the shapes' links.
        points: (M, 3) metres, base frame.
        required: (G, M) metres.
    """

    distances: ShapeDistances
    names: tuple[str, ...]
    points: Floats
    required: Floats

    def free(self, data: mujoco.MjData) -> Floats:
        """(G, M) metres that are left before a pair is too close."""
        return np.asarray(self.distances(data, self.points) - self.required)

    def violation(self, free: Floats) -> Violation | None:
        """The deepest of the pairs, or None."""
        if free.size == 0 or free.min() >= 0.0:
            return None
        shape, point = np.unravel_index(int(free.argmin()), free.shape)
        required = float(self.required[shape, point])
        place = ", ".join(f"{value:.2f}" for value in self.points[point])
        seen = f"what the cameras see at [{place}] m"
        return Violation(self.names[shape], seen, float(free[shape, point]) + required, required)


@dataclass(frozen=True, eq=False)
class NearObstacles:
    """The points that a stretch of a path can come close to.

    Attributes:
        pairs: of those points.
        leverage: (G, J) metres per radian, the most that a joint moves a point of a shape.
    """

    pairs: _Pairs
    leverage: Array

    def violation(self, data: mujoco.MjData) -> Violation | None:
        """The deepest violation where ``data`` has the robot, or None."""
        return self.pairs.violation(self.pairs.free(data))

    def advance(self, data: mujoco.MjData, step: Array, resolution: float) -> tuple[Violation | None, float]:
        """A violation where ``data`` has the robot, and the fraction of a step (J,) radians that is free from here."""
        motion = np.maximum(self.leverage @ np.abs(step), 1e-9)[:, None]
        free = self.pairs.free(data)
        return self.pairs.violation(free), float((np.maximum(free, resolution) / motion).min())


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
        self._tool, self._opening = robot.tcp_frame, robot.max_gripper_width / 2.0
        self._geoms = np.array([geom for geom, name in enumerate(names) if name in roles or name == HELD])
        self._names = tuple(names[geom] for geom in self._geoms)
        self._held = np.array([name == HELD for name in self._names])
        self._grasping = np.array([roles.get(name) != "arm" for name in self._names])
        self._leverage = leverage[self._geoms]
        self.see(np.empty((0, 3), np.float32), (), holding=False)

    def see(self, points: Floats, grasps: Sequence[Array], holding: bool) -> None:
        """Check against these points from now on, as :meth:`CollisionChecker.surround` says."""
        required = np.full((len(self._geoms), len(points)), self._config.clearance, np.float32)
        for place in grasps:
            near = np.linalg.norm(points - np.asarray(place, np.float32), axis=1) <= self._config.grasp_radius
            required[np.ix_(self._grasping, near)] = _NEVER
        if not holding:
            required[self._held] = _NEVER
        self._pairs = _Pairs(ShapeDistances(self._model, self._geoms), self._names, points, required)
        self._on_way = self._pairs

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

    def leave_from(self, data: mujoco.MjData) -> None:
        """Let pairs that are too close stay as close as ``data`` has them, on the way."""
        pairs = self._pairs
        distances = pairs.distances(data, pairs.points)
        required = np.minimum(pairs.required, distances - np.float32(TOUCHING))
        self._on_way = _Pairs(pairs.distances, pairs.names, pairs.points, required)

    def violation(self, data: mujoco.MjData, *, on_way: bool = False) -> Violation | None:
        """The deepest violation where ``data`` has the robot, or None."""
        pairs = self._on_way if on_way else self._pairs
        return pairs.violation(pairs.free(data)) if len(pairs.points) else None

    def within(self, middle: mujoco.MjData, travel: Array) -> NearObstacles | None:
        """The points that a stretch of a path can come close to, None if there are none.

        Args:
            middle: the robot somewhere on it.
            travel: (J,) radians that joints move at most from there.
        """
        pairs = self._on_way
        if not len(pairs.points):
            return None
        reached = (pairs.free(middle) <= (self._leverage @ travel)[:, None]).any(axis=0)
        if not reached.any():
            return None
        near = _Pairs(pairs.distances, pairs.names, pairs.points[reached], pairs.required[:, reached])
        return NearObstacles(near, self._leverage)
