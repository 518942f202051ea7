"""Distances between the robot's parts, the table and static boxes, along whole paths and without gaps.

Sampling a path at fixed steps jumps over thin obstacles. Here the step follows the measured distance instead: if two
bodies are ``d`` apart and the path moves their points relative to each other by at most ``v`` a unit of path length,
they cannot touch within ``d / v``.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import mujoco
import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.motion.config import MotionConfig
from mini_diffuser_ros.motion.model import DETECTION_DISTANCE
from mini_diffuser_ros.robots import RobotDescription

Array = NDArray[np.float64]

_TOUCHING = 1e-4
"""Metres by which a pair that starts closer than its clearance may come closer still."""


@dataclass(frozen=True)
class Violation:
    """Two bodies nearer than their clearance.

    Attributes:
        first, second: body names.
        distance: metres between their surfaces, negative when they overlap.
        clearance: metres that were required.
        fraction: where on the checked segment, 0 at its start and 1 at its end.
    """

    first: str
    second: str
    distance: float
    clearance: float
    fraction: float = 0.0


class CollisionChecker:
    """Collision of the arm with itself, the table and static boxes.

    Args:
        robot: the arm.
        config: clearances and resolution.
        model: the planning model of both.
    """

    def __init__(self, robot: RobotDescription, config: MotionConfig, model: mujoco.MjModel) -> None:
        self._model = model
        self._data = mujoco.MjData(model)
        self._resolution = config.collision_resolution
        self._geom_body = model.geom_bodyid.copy()
        self._names = [model.body(body).name for body in range(model.nbody)]
        self._clearance = _clearances(self._names, robot, config)
        self._clearance_at_start = self._clearance
        self._leverage = _leverages(model)
        self._largest_leverage = self._leverage.max(axis=(0, 1))

    def violation(self, positions: Array) -> Violation | None:
        """The deepest violation at joint positions (7,) radians, or None."""
        return self._worst(*self._distances(positions), self._clearance)

    def path_state_violation(self, positions: Array) -> Violation | None:
        """As :meth:`violation`, with what :meth:`leave_from` allows."""
        return self._worst(*self._distances(positions), self._clearance_at_start)

    def leave_from(self, start: Array) -> None:
        """Let pairs that are too close at ``start`` stay as close as they are there, in path checks only.

        After pushing or placing the arm rests closer to things than a path may come; it has to be able to leave.
        """
        bodies, distances = self._distances(start)
        clearance = self._clearance.copy()
        for (first, second), distance in zip(bodies, distances, strict=True):
            if distance < clearance[first, second]:
                clearance[first, second] = clearance[second, first] = distance - _TOUCHING
        self._clearance_at_start = clearance

    def segment_violation(self, start: Array, goal: Array) -> Violation | None:
        """The first violation on the straight joint segment from ``start`` to ``goal`` (7,), or None."""
        step = goal - start
        speeds = self._leverage @ np.abs(step)  # metres of relative motion of two bodies over the whole segment
        fastest = float(self._largest_leverage @ np.abs(step))
        fraction = 0.0
        while True:
            bodies, distances = self._distances(start + fraction * step)
            violation = self._worst(bodies, distances, self._clearance_at_start, fraction)
            if violation is not None or fraction >= 1.0:
                return violation
            advance = DETECTION_DISTANCE / max(fastest, 1e-9)
            if len(distances):
                free = np.maximum(distances, self._resolution)
                speed = np.maximum(speeds[bodies[:, 0], bodies[:, 1]], 1e-9)
                advance = min(advance, float((free / speed).min()))
            fraction = min(1.0, fraction + advance)

    def polyline_violation(self, waypoints: Array) -> Violation | None:
        """The first violation along straight segments between waypoints (N, 7), or None."""
        for start, goal in pairwise(waypoints):
            violation = self.segment_violation(start, goal)
            if violation is not None:
                return violation
        return None

    def _distances(self, positions: Array) -> tuple[NDArray[np.int32], Array]:
        """Body pairs (C, 2) within the detection distance and their distances (C,)."""
        data = self._data
        data.qpos[:] = positions
        mujoco.mj_kinematics(self._model, data)
        mujoco.mj_collision(self._model, data)
        contact = data.contact
        return self._geom_body[contact.geom], contact.dist

    def _worst(
        self, bodies: NDArray[np.int32], distances: Array, clearances: Array, fraction: float = 0.0
    ) -> Violation | None:
        if not len(distances):
            return None
        required = clearances[bodies[:, 0], bodies[:, 1]]
        excess = distances - required
        worst = int(np.argmin(excess))
        if excess[worst] >= 0.0:
            return None
        first, second = sorted(bodies[worst], reverse=True)  # the robot's part first, surroundings come before it
        return Violation(
            self._names[first], self._names[second], float(distances[worst]), float(required[worst]), fraction
        )


def _clearances(names: list[str], robot: RobotDescription, config: MotionConfig) -> Array:
    """(B, B) metres required between two bodies."""
    by_role = {"arm": config.arm_clearance, "hand": config.hand_clearance, "finger": config.finger_clearance}
    roles = {link.name: link.role for link in robot.links}
    outside = np.array([0.0 if name not in roles else by_role[roles[name]] for name in names])
    is_robot = np.array([name in roles for name in names])
    clearance = np.maximum(outside[:, None], outside[None, :])
    clearance[np.ix_(is_robot, is_robot)] = config.self_clearance
    return clearance


def _leverages(model: mujoco.MjModel) -> Array:
    """(B, B, 7) metres per radian: the most that a joint moves a point of one body relative to the other.

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
