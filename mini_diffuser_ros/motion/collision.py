"""Distances between the robot's parts, table, static boxes, walls of the workspace and what cameras see, along paths.

Sampling a path at fixed steps jumps over thin obstacles. Here the step follows the measured distance instead: if two
bodies are ``d`` apart and the path moves their points relative to each other by at most ``v`` a unit of path length,
they cannot touch within ``d / v``.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import mujoco
import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.motion.config import MotionConfig
from mini_diffuser_ros.motion.model import DETECTION_DISTANCE, HELD
from mini_diffuser_ros.motion.seen_obstacles import NearObstacles, SeenObstacles
from mini_diffuser_ros.motion.surroundings import Floats, HeldObject, Surroundings, merged
from mini_diffuser_ros.motion.violation import TOUCHING, Violation
from mini_diffuser_ros.robots import RobotDescription

Array = NDArray[np.float64]

_HELD_OVERLAP = 0.01
"""Metres by which the shape of what is held may overlap with table and boxes."""

NOTHING = Surroundings(np.empty((0, 3), np.float32))
"""Nothing seen, nothing held."""


class CollisionChecker:
    """Collision of the arm with itself, the table, static boxes and what it was told of its surroundings.

    Args:
        robot: the arm.
        config: clearances and resolution.
        model: the planning model of both.
    """

    def __init__(self, robot: RobotDescription, config: MotionConfig, model: mujoco.MjModel) -> None:
        self._model = model
        self._data = mujoco.MjData(model)
        self._config = config
        self._resolution = config.collision_resolution
        self._tool = robot.tcp_frame
        self._workspace = np.array([config.workspace.lower, config.workspace.upper])
        self._inside = 0.0  # metres that the tool has to be inside the workspace, negative after a start outside
        body_of = model.geom_bodyid
        self._names = [model.body(body).name for body in body_of]
        self._pair_weights = np.array([model.ngeom, 1], dtype=np.int32)
        # Of every pair of geoms (G * G,), in the order of their row-major index.
        self._clearance = _clearances(self._names, robot, config).ravel()
        self._clearance_on_way = self._clearance
        leverages = _leverages(model)
        self._leverage = leverages[np.ix_(body_of, body_of)].reshape(-1, model.njnt)
        self._largest_leverage = self._leverage.max(axis=0)
        self._seen = SeenObstacles(robot, config, model, leverages[body_of, 0])
        self.surround(NOTHING)

    def surround(self, surroundings: Surroundings, grasps: Sequence[Array] = ()) -> None:
        """From now on check against these surroundings.

        Args:
            surroundings: what is seen and held.
            grasps: (3,) metres, places where hand and fingers may come close to what is seen.
        """
        self._hold(surroundings.held)
        self._seen.see(surroundings.points, grasps, surroundings.held is not None)

    def foreign(self, points: NDArray[np.floating], positions: Array, held: HeldObject | None) -> Floats:
        """(M, 3) points of a cloud (N, 3) that belong neither to the table nor to the robot at (J,) nor to what it
        holds, merged."""
        self._hold(held)
        self._place(positions)
        above = self._config.table_height + self._config.obstacles.table_margin
        return self._seen.foreign(self._data, merged(points[points[:, 2] > above], self._config.obstacles.voxel), held)

    def _hold(self, held: HeldObject | None) -> None:
        geom = self._model.geom(HELD).id
        self._model.geom_contype[geom] = self._model.geom_conaffinity[geom] = int(held is not None)
        if held is not None:
            self._model.geom_sameframe[geom] = 0  # MuJoCo would place it at the body's origin, where it was compiled
            self._model.geom_pos[geom] = held.center
            self._model.geom_size[geom] = held.half_extents
            self._model.geom_rbound[geom] = float(np.linalg.norm(held.half_extents))

    def violation(self, positions: Array) -> Violation | None:
        """The deepest violation at joint positions (J,) radians, or None."""
        return self._worst(*self._distances(positions), self._clearance) or self._seen.violation(self._data)

    def leave_from(self, start: Array) -> None:
        """Let pairs that are too close at ``start`` stay as close as they are there, in path checks only.

        After pushing or placing the arm rests closer to things than a path may come; it has to be able to leave.
        """
        pairs, distances = self._distances(start)
        self._clearance_on_way = self._clearance.copy()
        np.minimum.at(self._clearance_on_way, pairs, distances - TOUCHING)
        self._inside = min(0.0, self._tool_inside() - TOUCHING)
        self._seen.leave_from(self._data)

    def leave_along(self, positions: Array) -> None:
        """Let the tool be as far outside the workspace as it is anywhere along positions (N, J), besides what
        :meth:`leave_from` allows: the way back into the joint limits is not the arm's to choose."""
        for place in positions:
            self._distances(place)
            self._inside = min(self._inside, self._tool_inside() - TOUCHING)

    def starts_outside(self) -> bool:
        """Whether the tool is outside the workspace where :meth:`leave_from` was told that the arm is."""
        return self._inside < 0.0

    def leave_by_any_way(self) -> None:
        """Forget the workspace until the next start: where there is no other way back into it."""
        self._inside = -np.inf

    def path_state_violation(self, positions: Array) -> Violation | None:
        """As :meth:`violation`, with what :meth:`leave_from` allows, and also if the tool leaves the workspace."""
        return self._solid_violation(positions) or self._seen.violation(self._data, on_way=True)

    def segment_violation(self, start: Array, goal: Array) -> Violation | None:
        """A violation on the straight joint segment from ``start`` to ``goal`` (J,), or None."""
        middle = (start + goal) / 2.0
        near = self._near(middle, np.abs(goal - start) / 2.0)
        # A blocked segment is mostly blocked in its middle: a few looks there save walking up to it.
        for fraction in (0.5, 0.25, 0.75, 1.0):
            violation = self._state_violation(start + fraction * (goal - start), near)
            if violation is not None:
                return violation
        return self._first_violation(start, goal, near)

    def polyline_violation(self, waypoints: Array) -> Violation | None:
        """The first violation along straight segments between waypoints (N, J), or None."""
        middle = len(waypoints) // 2
        steps = np.abs(np.diff(waypoints, axis=0))
        travel = np.maximum(steps[:middle].sum(axis=0), steps[middle:].sum(axis=0))
        near = self._near(waypoints[middle], travel)
        for start, goal in pairwise(waypoints):
            violation = self._first_violation(start, goal, near)
            if violation is not None:
                return violation
        return self._state_violation(waypoints[-1], near)

    def _near(self, middle: Array, travel: Array) -> NearObstacles | None:
        """What is seen within reach of joint positions (J,) that move by ``travel`` (J,) radians at most."""
        self._place(middle)
        return self._seen.within(self._data, travel)

    def _solid_violation(self, positions: Array) -> Violation | None:
        """A violation among robot, table, boxes and the workspace's walls."""
        return self._worst(*self._distances(positions), self._clearance_on_way) or self._workspace_violation()

    def _state_violation(self, positions: Array, near: NearObstacles | None) -> Violation | None:
        return self._solid_violation(positions) or (near.violation(self._data) if near is not None else None)

    def _first_violation(self, start: Array, goal: Array, near: NearObstacles | None) -> Violation | None:
        """The first violation on a segment, its last point not included."""
        step = goal - start
        # Metres of relative motion over the whole segment, of every pair of geoms.
        motion = np.maximum(self._leverage @ np.abs(step), 1e-9)
        farthest = DETECTION_DISTANCE / max(float(self._largest_leverage @ np.abs(step)), 1e-9)
        fraction = 0.0
        while fraction < 1.0:
            pairs, distances = self._distances(start + fraction * step)
            outside = self._workspace_violation()
            if outside is not None:
                return outside
            free = distances - self._clearance_on_way[pairs]
            if free.size and free.min() < 0.0:
                return self._worst(pairs, distances, self._clearance_on_way)
            advance = float((np.maximum(free, self._resolution) / motion[pairs]).min(initial=farthest))
            if near is not None:
                contact, until_seen = near.advance(self._data, step, self._resolution)
                if contact is not None:
                    return contact
                advance = min(advance, until_seen)
            fraction += advance
        return None

    def _distances(self, positions: Array) -> tuple[NDArray[np.int32], Array]:
        """Pairs of geoms (C,) within the detection distance and their distances (C,)."""
        self._place(positions)
        mujoco.mj_collision(self._model, self._data)
        contact = self._data.contact
        return contact.geom @ self._pair_weights, contact.dist

    def _place(self, positions: Array) -> None:
        self._data.qpos[:] = positions
        mujoco.mj_kinematics(self._model, self._data)

    def _tool_inside(self) -> float:
        """Metres from the tool centre point to the nearest wall of the workspace, negative outside."""
        tool = self._data.site(self._tool).xpos
        return float(min((tool - self._workspace[0]).min(), (self._workspace[1] - tool).min()))

    def _workspace_violation(self) -> Violation | None:
        inside = self._tool_inside()
        return None if inside >= self._inside else Violation(self._tool, "the workspace's wall", inside, 0.0)

    def _worst(self, pairs: NDArray[np.int32], distances: Array, clearances: Array) -> Violation | None:
        required = clearances[pairs]
        excess = distances - required
        if excess.size == 0 or excess.min() >= 0.0:
            return None
        worst = int(excess.argmin())
        first, second = divmod(int(pairs[worst]), self._model.ngeom)
        if self._model.body_weldid[self._model.geom_bodyid[first]] == 0:
            first, second = second, first  # what moves is named first
        return Violation(self._names[first], self._names[second], float(distances[worst]), float(required[worst]))


def _clearances(names: list[str], robot: RobotDescription, config: MotionConfig) -> Array:
    """(G, G) metres required between two geoms, given the names of their bodies."""
    by_role = {"arm": config.arm_clearance, "hand": config.hand_clearance, "finger": config.finger_clearance}
    roles = {link.name: link.role for link in robot.links}
    outside = np.array([0.0 if name not in roles else by_role[roles[name]] for name in names])
    is_robot = np.array([name in roles or name == HELD for name in names])
    clearance = np.maximum(outside[:, None], outside[None, :])
    held = np.array([name == HELD for name in names])
    # It rests on something when it is taken and when it is put down, and its shape is known to some millimetres.
    clearance[held], clearance[:, held] = -_HELD_OVERLAP, -_HELD_OVERLAP
    clearance[np.ix_(is_robot, is_robot)] = config.self_clearance
    return clearance


def _leverages(model: mujoco.MjModel) -> Array:
    """(B, B, J) metres per radian: the most that a joint moves a point of one body relative to the other.

    A joint counts for a pair only when it lies between the two, and then with the stretched distance from its axis to
    the farthest point of the outer body.
    """
    reach = np.zeros((model.nbody, model.njnt))
    for body in range(model.nbody):
        own = [
            float(np.linalg.norm(model.geom_pos[geom])) + float(model.geom_rbound[geom])
            for geom in np.flatnonzero(model.geom_bodyid == body)
        ]
        distance, ancestor = max(own, default=0.0), body
        while ancestor:
            joint = model.body_jntadr[ancestor]
            if joint >= 0:
                reach[body, joint] = distance
            distance += float(np.linalg.norm(model.body_pos[ancestor]))
            ancestor = model.body_parentid[ancestor]
    moved = reach > 0.0
    between = moved[:, None, :] ^ moved[None, :, :]
    return np.where(between, np.maximum(reach[:, None, :], reach[None, :, :]), 0.0)
