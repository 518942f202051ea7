"""Where to go: collision-free joint paths as curves over [0, 1]."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from ompl import base, geometric, util
from scipy.interpolate import BSpline, make_interp_spline
from scipy.spatial.transform import Rotation, Slerp

from mini_diffuser_ros.motion.collision import CollisionChecker
from mini_diffuser_ros.motion.config import MotionConfig
from mini_diffuser_ros.motion.kinematics import ArmKinematics
from mini_diffuser_ros.motion.roadmap import Roadmap
from mini_diffuser_ros.motion.violation import Violation
from mini_diffuser_ros.robots import RobotDescription

Array = NDArray[np.float64]

_LINE_SPACING = 0.02
"""Metres between the poses of a straight tool line that inverse kinematics solves."""

_LINE_JUMP = 0.35
"""Radians; a larger joint step between neighbouring poses of a line means a singular or a changed configuration."""

_OVERSHOOT = 1e-3
"""Radians by which a curve may swing over the joint margin between the points it goes through."""

_CORNERS, _CORNER_SPREAD, _CORNER_SPEED = 10, 1.0, 0.2
"""Places of the one corner that are tried first, radians by which the last lie beside the middle, and rad/s at which
joints may move farther out there."""

_SHORTCUTS = 25
"""Attempts to cut a detour off."""

_CHORD = 0.03
"""Radians, length of the straight segments into which a curve is cut for the collision check."""


def straight_path(start: Array, goal: Array) -> BSpline:
    """The straight joint segment from ``start`` to ``goal`` (J,)."""
    return BSpline(np.array([0.0, 0.0, 1.0, 1.0]), np.stack([start, goal]), 1)


def line_path(kinematics: ArmKinematics, checker: CollisionChecker, start: Array, goal_pose: Array) -> BSpline | None:
    """A free joint curve along which the tool moves and turns straight to a pose, or None if there is none.

    Args:
        kinematics: of the arm.
        checker: of collisions.
        start: (J,) radians.
        goal_pose: (4, 4) ``base_from_tcp``.
    """
    start_pose = kinematics.tcp_pose(start)
    distance = float(np.linalg.norm(goal_pose[:3, 3] - start_pose[:3, 3]))
    ends = Rotation.from_matrix(np.stack([start_pose[:3, :3], goal_pose[:3, :3]]))
    angle = float((ends[0].inv() * ends[1]).magnitude())
    count = max(6, int(np.ceil(distance / _LINE_SPACING)) + 1, int(np.ceil(angle / 0.1)) + 1)
    fractions = np.linspace(0.0, 1.0, count)
    rotations = Slerp([0.0, 1.0], ends)(fractions).as_matrix()
    joints = [start]
    for fraction, rotation in zip(fractions[1:], rotations[1:], strict=True):
        pose = np.eye(4)
        pose[:3, :3] = rotation
        pose[:3, 3] = (1.0 - fraction) * start_pose[:3, 3] + fraction * goal_pose[:3, 3]
        attempt = kinematics.solve(pose, joints[-1])
        if not attempt.converged or np.max(np.abs(attempt.positions - joints[-1])) > _LINE_JUMP:
            return None
        if checker.path_state_violation(attempt.positions) is not None:
            return None
        joints.append(attempt.positions)
    curve = make_interp_spline(fractions, np.stack(joints), k=5)
    curve.c[0], curve.c[-1] = joints[0], joints[-1]  # exact, which the solved coefficients are not
    points = _polyline(curve)
    # Between its points a curve may swing over a limit that they keep.
    lower, upper = np.minimum(kinematics.lower, start) - _OVERSHOOT, np.maximum(kinematics.upper, start) + _OVERSHOOT
    inside = bool(np.all((points >= lower) & (points <= upper)))
    return curve if inside and checker.polyline_violation(points) is None else None


def path_violation(checker: CollisionChecker, pieces: Sequence[BSpline]) -> Violation | None:
    """The first collision along a path, or None."""
    for piece in pieces:
        if piece.k == 1:
            violation = checker.segment_violation(piece.c[0], piece.c[1])
        else:
            violation = checker.polyline_violation(_polyline(piece))
        if violation is not None:
            return violation
    return None


def _polyline(piece: BSpline) -> Array:
    """Points (N, J) on a curve, close enough together to check the chords instead of it."""
    length = float(np.linalg.norm(np.diff(piece.c, axis=0), axis=1).sum())
    return piece(np.linspace(0.0, 1.0, 8 + int(length / _CHORD)))


class SamplingPlanner:
    """Ways around obstacles, shortened and rounded: with one corner, on a map of the workspace, by RRT-Connect.

    Args:
        robot: joint limits.
        config: planning time and seed.
        kinematics: of the arm.
        checker: validity of states and motions.
    """

    def __init__(
        self, robot: RobotDescription, config: MotionConfig, kinematics: ArmKinematics, checker: CollisionChecker
    ) -> None:
        self._robot = robot
        self._config = config
        self._kinematics = kinematics
        self._checker = checker

    @cached_property
    def _roadmap(self) -> Roadmap:
        """Drawn when it is first needed, which is seldom."""
        return Roadmap(self._kinematics, self._config, self._robot.home)

    def paths(self, start: Array, goals: Sequence[Array], *, briefly: bool = False) -> list[list[BSpline]]:
        """Collision-free paths from ``start`` to one of ``goals`` (J,), none if time runs out.

        With ``briefly`` only those with one corner are tried.

        Each is a list of pieces at whose ends the arm rests: the same way with stops at its corners and, where there
        is room, in one sweep around them.
        """
        waypoints = self._by_one_corner(start, goals)
        if waypoints is None and not briefly:
            roadmap, deadline = self._roadmap, time.thread_time() + self._config.planning_time
            waypoints = roadmap.way(start, goals, self._checker, lambda: time.thread_time() > deadline)
            if waypoints is None:
                waypoints = self._by_trees(start, goals, deadline)
        if waypoints is None:
            return []
        waypoints = _shortened(waypoints, self._checker, np.random.default_rng(self._config.seed))
        found = [[straight_path(first, second) for first, second in pairwise(waypoints)]]
        for spans in (4, 8, 16):
            curve = rounded_path(waypoints, spans)
            if path_violation(self._checker, [curve]) is None:
                found.append([curve])
                break
        return found

    def _by_one_corner(self, start: Array, goals: Sequence[Array]) -> Array | None:
        """A way with one corner, at home or beside the middle, which is most often enough and found in milliseconds."""
        generator = np.random.default_rng(self._config.seed)
        lower, upper = self._robot.usable_range(_CORNER_SPEED).T
        for size in np.linspace(0.0, _CORNER_SPREAD, _CORNERS):
            for goal in goals:
                beside = 0.5 * (start + goal) + size * generator.normal(size=len(start))
                corner = np.clip(beside, lower, upper) if size > 0.0 else self._robot.home
                if (
                    self._checker.path_state_violation(corner) is None
                    and self._checker.segment_violation(start, corner) is None
                    and self._checker.segment_violation(corner, goal) is None
                ):
                    return np.stack([start, corner, goal])
        return None

    def _by_trees(self, start: Array, goals: Sequence[Array], deadline: float) -> Array | None:
        _seed_ompl(self._config.seed)
        space = self._space(start)
        information = base.SpaceInformation(space)
        information.setStateValidityChecker(_Validity(information, self._checker, len(start)))
        information.setMotionValidator(_Motions(information, self._checker, len(start)))
        information.setup()
        problem = base.ProblemDefinition(information)
        problem.addStartState(_state(space, start))
        region = base.GoalStates(information)
        for goal in goals:
            region.addState(_state(space, goal))
        problem.setGoal(region)
        planner = geometric.RRTConnect(information)
        planner.setRange(1.5)
        planner.setProblemDefinition(problem)
        planner.setup()
        planner.solve(base.PlannerTerminationCondition(lambda: time.thread_time() > deadline))
        if not problem.hasExactSolution():
            return None
        return np.array([state[0 : len(start)] for state in problem.getSolutionPath().getStates()])

    def _space(self, start: Array) -> base.RealVectorStateSpace:
        space = base.RealVectorStateSpace(len(start))
        bounds = base.RealVectorBounds(len(start))
        margin = self._config.joint_limit_margin
        for joint, (lower, upper) in enumerate(self._robot.position_limits):
            # A start beyond the margin has to count as valid, or the arm could never return from there.
            bounds.setLow(joint, float(min(lower + margin, start[joint])))
            bounds.setHigh(joint, float(max(upper - margin, start[joint])))
        space.setBounds(bounds)
        return space


def rounded_path(waypoints: Array, spans: int) -> BSpline:
    """A curve along the polyline ``waypoints`` (N, J) with corners rounded; the more spans, the closer.

    It is the quintic spline of Schoenberg: control points on the polyline at the averages of neighbouring knots. It
    reproduces straight stretches exactly, and four continuous derivatives give a continuous jerk.
    """
    lengths = np.linalg.norm(np.diff(waypoints, axis=0), axis=1)
    arc = np.concatenate([[0.0], np.cumsum(lengths)]) / lengths.sum()
    count = spans * (len(waypoints) - 1)
    knots = np.concatenate([np.zeros(5), np.linspace(0.0, 1.0, count + 1), np.ones(5)])
    averages = np.array([knots[index + 1 : index + 6].mean() for index in range(len(knots) - 6)])
    control = np.stack([np.interp(averages, arc, column) for column in waypoints.T], axis=1)
    control[0], control[-1] = waypoints[0], waypoints[-1]
    return BSpline(knots, control, 5)


def _shortened(waypoints: Array, checker: CollisionChecker, generator: np.random.Generator) -> Array:
    """The polyline with detours cut off: random pairs of points on it are joined where the way is free."""
    for _ in range(_SHORTCUTS):
        if len(waypoints) == 2:
            break
        lengths = np.linalg.norm(np.diff(waypoints, axis=0), axis=1)
        arc = np.concatenate([[0.0], np.cumsum(lengths)])
        # The ends are drawn often: joining them removes most.
        first, second = np.sort(np.clip(generator.uniform(-0.2, 1.2, 2), 0.0, 1.0) * arc[-1])
        left, right = (int(np.searchsorted(arc, value, side="right")) for value in (first, second))
        if left == right:
            continue
        start, goal = (np.array([np.interp(value, arc, column) for column in waypoints.T]) for value in (first, second))
        if checker.segment_violation(start, goal) is None:
            shorter = np.concatenate([waypoints[:left], [start, goal], waypoints[right:]])
            moved = np.linalg.norm(np.diff(shorter, axis=0), axis=1) > 1e-6
            waypoints = shorter[np.concatenate([[True], moved])]
    return waypoints


def _seed_ompl(seed: int) -> None:
    # OMPL has one generator for the process and complains when it is seeded twice, though it does as it is told.
    util.setLogLevel(util.LogLevel.LOG_NONE)
    util.RNG.setSeed(seed + 1)


def _state(space: base.RealVectorStateSpace, positions: Array) -> base.State:
    state = space.allocState()
    state[0 : len(positions)] = [float(position) for position in positions]
    return state


class _Validity(base.StateValidityChecker):
    """OMPL's question whether a configuration is free."""

    def __init__(self, information: base.SpaceInformation, checker: CollisionChecker, joints: int) -> None:
        super().__init__(information)
        self._checker, self._joints = checker, slice(joints)

    def isValid(self, state: base.State) -> bool:  # noqa: N802 - OMPL's name
        return self._checker.path_state_violation(np.array(state[self._joints])) is None


class _Motions(base.MotionValidator):
    """OMPL's question whether the straight way between two configurations is free."""

    def __init__(self, information: base.SpaceInformation, checker: CollisionChecker, joints: int) -> None:
        super().__init__(information)
        self._checker, self._joints = checker, slice(joints)

    def checkMotion(self, start: base.State, goal: base.State) -> bool:  # noqa: N802 - OMPL's name
        first, second = np.array(start[self._joints]), np.array(goal[self._joints])
        return self._checker.segment_violation(first, second) is None
