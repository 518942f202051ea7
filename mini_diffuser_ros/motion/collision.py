"""Distances between the robot's parts, table, static boxes, walls of the workspace and what cameras see, along paths.

Sampling a path at fixed steps jumps over thin obstacles. Here a place of the path is looked at, and the stretch about
it that is free by the measured distances: two bodies that are ``d`` apart cannot touch as long as the path moves their
points relative to each other by less than ``d``. What is left on both sides is looked at in the same way. How fast
points move is known at each place, and how fast that changes has a bound.
"""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.motion.config import MotionConfig
from mini_diffuser_ros.motion.model import DETECTION_DISTANCE, HELD
from mini_diffuser_ros.motion.seen_obstacles import SeenObstacles
from mini_diffuser_ros.motion.shapes import ArmShapes, PlacedShapes
from mini_diffuser_ros.motion.surroundings import Floats, HeldObject, Surroundings, merged
from mini_diffuser_ros.motion.violation import TOUCHING, Violation
from mini_diffuser_ros.robots import RobotDescription

Array = NDArray[np.float64]

_HELD_OVERLAP = 0.01
"""Metres by which the shape of what is held may overlap with table and boxes."""

_FIRST, _MOST_PIECES = 8, 4
"""Pieces of a segment that are looked at first, and into how many what is left on either side of a look is cut."""

_WALL_STEP = 0.01
"""Metres, the smallest step of the tool on account of the workspace's walls."""

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
        leverage = leverages[np.ix_(body_of, body_of)]
        self._tool_leverage = leverage[model.geom(HELD).id, 0]
        self._shapes = ArmShapes(robot, model)
        self._moving, self._other = _colliding_pairs(model, self._shapes.joints)
        self._leverage = leverage[self._moving, self._other]
        self._pair_of = np.zeros((model.ngeom, model.ngeom), np.intp)
        self._pair_of[self._moving, self._other] = self._pair_of[self._other, self._moving] = np.arange(
            len(self._moving)
        )
        self._pair_of = self._pair_of.ravel()
        self._unseen = DETECTION_DISTANCE - self._clearance[self._moving * model.ngeom + self._other]
        self._seen = SeenObstacles(robot, config, model, leverage[:, 0])
        self._held_at = np.zeros(3)
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
            self._shapes.move_shape(geom, held.center - self._held_at)
            self._held_at = held.center

    def violation(self, positions: Array) -> Violation | None:
        """The deepest violation at joint positions (J,) radians, or None."""
        return self._worst(*self._distances(positions), self._clearance) or self._seen_violation(positions)

    def leave_from(self, start: Array) -> None:
        """Let pairs that are too close at ``start`` stay as close as they are there, in path checks only.

        After pushing or placing the arm rests closer to things than a path may come; it has to be able to leave.
        """
        pairs, distances = self._distances(start)
        self._clearance_on_way = self._clearance.copy()
        np.minimum.at(self._clearance_on_way, pairs, distances - TOUCHING)
        self._inside = min(0.0, self._tool_inside() - TOUCHING)
        self._seen.leave_from(self._resting(start))

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
        return self._solid_violation(positions) or self._seen_violation(positions, on_way=True)

    def segment_violation(self, start: Array, goal: Array) -> Violation | None:
        """A violation on the straight joint segment from ``start`` to ``goal`` (J,), or None."""
        step = goal - start
        centers = start + np.linspace(0.5, _FIRST - 0.5, _FIRST)[:, None] / _FIRST * step
        return self._swept(centers, np.tile(step / (2.0 * _FIRST), (_FIRST, 1)))

    def polyline_violation(self, waypoints: Array) -> Violation | None:
        """A violation along straight segments between waypoints (N, J), or None."""
        halves = 0.5 * np.diff(waypoints, axis=0)
        return self._swept(waypoints[:-1] + halves, halves)

    def _swept(self, centers: Array, halves: Array) -> Violation | None:
        """A violation on any of the stretches (N, J) from ``centers - halves`` to ``centers + halves``, or None."""
        near = self._seen.near()
        while len(centers):
            placed = self._shapes.placed(centers, halves)
            violation, free = self._solid_sweep(centers, placed)
            if violation is None and near is not None and len(near):
                violation, until_seen, near = self._seen.sweep(placed, near)
                free = np.minimum(free, until_seen)
            if violation is not None:
                return violation
            centers, halves = _left(centers, halves, free)
        return None

    def _solid_sweep(self, centers: Array, placed: PlacedShapes) -> tuple[Violation | None, Array]:
        """As :meth:`SeenObstacles.sweep`, of robot, table, boxes and the workspace's walls."""
        tool = np.minimum(placed.tools - self._workspace[0], self._workspace[1] - placed.tools).min(axis=1)
        if (tool < self._inside).any():
            return Violation(self._tool, "the workspace's wall", float(tool.min()), 0.0), np.zeros(len(centers))
        reach = placed.reach(self._moving, self._other, self._leverage, self._model.geom_rbound[self._moving])
        free = reach.fraction(self._unseen[:, None]).min(axis=0)
        if np.isfinite(self._inside):
            to_walls = np.maximum(tool - self._inside, _WALL_STEP)
            free = np.minimum(free, placed.tool_reach(self._tool_leverage).fraction(to_walls))
        close, room = [], []
        for positions in centers:
            pairs, distances = self._distances(positions)
            left = distances - self._clearance_on_way[pairs]
            if left.size and left.min() < 0.0:
                return self._worst(pairs, distances, self._clearance_on_way), free
            close.append(self._pair_of[pairs])
            room.append(left)
        places = np.repeat(np.arange(len(centers)), [len(pairs) for pairs in close])
        fractions = reach.of(np.concatenate(close), places).fraction(np.maximum(np.concatenate(room), self._resolution))
        np.minimum.at(free, places, fractions)
        return None, free

    def _seen_violation(self, positions: Array, *, on_way: bool = False) -> Violation | None:
        return self._seen.violation(self._resting(positions), on_way=on_way)

    def _resting(self, positions: Array) -> PlacedShapes:
        return self._shapes.placed(positions[None], np.zeros((1, len(positions))))

    def _solid_violation(self, positions: Array) -> Violation | None:
        """A violation among robot, table, boxes and the workspace's walls."""
        return self._worst(*self._distances(positions), self._clearance_on_way) or self._workspace_violation()

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


def _left(centers: Array, halves: Array, free: Array) -> tuple[Array, Array]:
    """What is left of stretches whose middle fractions ``free`` (N,) need no more looks, as stretches again."""
    again = free < 1.0
    centers, halves, free = centers[again], halves[again], free[again]
    pieces = np.clip(np.ceil((1.0 - free) / (2.0 * free)), 1.0, _MOST_PIECES).astype(int)
    of = np.repeat(np.arange(len(free)), pieces)
    number = np.arange(len(of)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    half = ((1.0 - free) / (2.0 * pieces))[of]  # of each piece, as a fraction of the stretch's half
    offset = (free[of] + (2.0 * number + 1.0) * half)[:, None] * halves[of]
    shorter = half[:, None] * halves[of]
    return np.concatenate([centers[of] - offset, centers[of] + offset]), np.concatenate([shorter, shorter])


def _colliding_pairs(model: mujoco.MjModel, joints: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pairs of geoms (P,) and (P,) that can come closer to each other, the farther out on the arm first.

    Args:
        model: the planning model.
        joints: (G,) last joint before each geom, -1 for what stands still.
    """
    excluded = {divmod(int(signature), 1 << 16) for signature in model.exclude_signature}
    excluded |= {(second, first) for first, second in excluded}
    body = model.geom_bodyid
    first, second = np.meshgrid(np.arange(model.ngeom), np.arange(model.ngeom), indexing="ij")
    apart = joints[first] > joints[second]
    bodies = zip(body[first].flat, body[second].flat, strict=True)
    meeting = np.array([(int(one), int(other)) not in excluded for one, other in bodies])
    chosen = apart & meeting.reshape(apart.shape)
    return first[chosen], second[chosen]


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
