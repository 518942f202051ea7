"""From keyframes to checked, timed joint trajectories."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import BSpline

from mini_diffuser_ros.geometry import matrix_from_pose, quaternion_angle, quaternion_from_matrix
from mini_diffuser_ros.motion.checking import TrajectoryCheck
from mini_diffuser_ros.motion.collision import NOTHING, CollisionChecker
from mini_diffuser_ros.motion.config import MotionConfig
from mini_diffuser_ros.motion.kinematics import ArmKinematics, Attempt
from mini_diffuser_ros.motion.limits import DynamicLimits
from mini_diffuser_ros.motion.model import HELD, planning_model
from mini_diffuser_ros.motion.path import SamplingPlanner, line_path, path_violation, straight_path
from mini_diffuser_ros.motion.refusals import (
    AllRefused,
    Impassable,
    InCollision,
    JointLimit,
    MotionRefused,
    NoPath,
    NotFinite,
    OutsideWorkspace,
    TooTilted,
    Unreachable,
)
from mini_diffuser_ros.motion.retiming import PacedTrajectory, retimed
from mini_diffuser_ros.motion.surroundings import Floats, HeldObject, Surroundings, held_object
from mini_diffuser_ros.motion.timing import (
    ImpassableError,
    check_passable,
    interpolate,
    stop_trajectory,
    time_path,
)
from mini_diffuser_ros.motion.violation import Violation
from mini_diffuser_ros.records import JointTrajectory, KeyframeMode
from mini_diffuser_ros.robots import RobotDescription

Array = NDArray[np.float64]

_GOAL_SPEED = 0.05
"""Rad/s at which a joint has to be allowed to come up to a goal; where it may not, only the way inwards is open."""

_ENTRIES, _GIVING_WAY = 60, 0.4
"""Ways that are tried into the joint limits, and radians by which the last of them moves the other joints."""

_SAME = 0.1
"""Radians by which two solutions of inverse kinematics differ at least, or they count as one."""

_LOOK_AHEAD_PERIOD = 0.05
"""Seconds between the places of a motion under way that are joined by straight segments to look ahead."""


_PARTS = (1.0, 0.75, 0.5, 0.25, 0.1)
"""Of the largest thing that a hand may hold, tried in turn where nobody has seen what it holds."""

_LEAST_HELD, _SEEN_HELD = 0.005, 5
"""Metres, half as wide as anything that is held; points between the fingers by which it counts as seen."""


@dataclass(frozen=True, eq=False)
class PlannedKeyframe:
    """The first candidate that can be executed.

    Attributes:
        index: of the candidate.
        trajectory: to its pose.
        refusals: why the candidates before it were refused, in order.
    """

    index: int
    trajectory: JointTrajectory
    refusals: tuple[MotionRefused, ...]


class MotionPlanner:
    """Plans one motion at a time; not to be shared between threads.

    Every trajectory that it returns is finite, starts exactly where it was asked to, stays inside joint limits and
    workspace, keeps the clearances of ``config`` and the scaled limits of velocity, acceleration and jerk. What
    cannot be done so is refused, never clamped.

    Args:
        robot: the arm.
        config: what is allowed; the defaults suit a table at the height of the robot's base.
    """

    def __init__(self, robot: RobotDescription, config: MotionConfig | None = None) -> None:
        self.robot = robot
        self.config = config or MotionConfig()
        self._limits = DynamicLimits.of(robot, self.config)
        scaling = self.config.stop_scaling
        stop = replace(self.config, velocity_scaling=1.0, acceleration_scaling=scaling, jerk_scaling=scaling)
        self._stop_limits = DynamicLimits.of(robot, stop)
        own = replace(self.config, velocity_scaling=1.0, acceleration_scaling=1.0, jerk_scaling=1.0)
        self._last_check, self._own_check = TrajectoryCheck(robot, self.config), TrajectoryCheck(robot, own)
        self._usable = robot.usable_range(_GOAL_SPEED)
        self._led = robot.position_limits + self.config.start_slack * np.array([-1.0, 1.0])
        self._kinematics = ArmKinematics(robot, self.config)
        self._checker = CollisionChecker(robot, self.config, planning_model(robot, self.config))
        self._sampling = SamplingPlanner(robot, self.config, self._kinematics, self._checker)

    def plan(
        self,
        start: ArrayLike,
        pose: ArrayLike,
        *,
        surroundings: Surroundings = NOTHING,
        target: str = "keyframe",
    ) -> JointTrajectory:
        """A trajectory that brings the tool centre point to a pose.

        Tried in order: the straight joint segment to the nearest of the arm's solutions, a straight line of the tool,
        a way with corners; for short moves (``straight_line_below``) the line comes first. The pose turned by 180
        degrees about the approach axis counts as the same (``gripper_symmetry``).

        Args:
            start: (J,) radians, the current joint positions; the arm is at rest.
            pose: (7,) xyz + quaternion xyzw of the tool centre point in the base frame.
            surroundings: what else to keep away from, of :meth:`surroundings`.
            target: what a refusal calls this pose.

        Raises:
            MotionRefused: a subclass that names the limit.
        """
        joints = self._checked_joints(start, "start", target, self._led)
        goal = self._checked_pose(pose, target)
        self._checker.surround(surroundings, (self._kinematics.tcp_pose(joints)[:3, 3], goal[:3]))
        self._check_start(joints, target)
        inside, entry = self._entry(joints, target)
        if self._prefers_line(inside, goal):
            pieces = self._line(inside, goal)
            if pieces is not None:
                return self._finished([*entry, *pieces], joints, target)
        return self._finished([*entry, *self._pieces_to_pose(inside, goal, target)], joints, target)

    def plan_first(
        self,
        start: ArrayLike,
        candidates: Sequence[KeyframeMode],
        before_each: Callable[[], None] = lambda: None,
        surroundings: Surroundings = NOTHING,
    ) -> PlannedKeyframe:
        """The first of several candidates, in the given order, that can be executed.

        Args:
            start: (J,) radians, the current joint positions; the arm is at rest.
            candidates: most wanted first.
            before_each: called before a candidate is tried; what it raises ends the planning.
            surroundings: as for :meth:`plan`.

        Raises:
            AllRefused: with the refusal of each candidate; also when there is none.
        """
        refusals: list[MotionRefused] = []
        for index, candidate in enumerate(candidates):
            before_each()
            try:
                trajectory = self.plan(
                    start, candidate.pose, surroundings=surroundings, target=_name_of(index, candidates)
                )
            except MotionRefused as refusal:
                refusals.append(refusal)
            else:
                return PlannedKeyframe(index, trajectory, tuple(refusals))
        raise AllRefused(refusals)

    def surroundings(
        self, points: NDArray[np.floating], positions: ArrayLike, held: HeldObject | None = None
    ) -> Surroundings:
        """What of a cloud is neither robot nor table nor held.

        Args:
            points: (N, 3) metres, base frame.
            positions: (J,) radians, the arm when the cloud was seen.
            held: by the hand at that time.
        """
        joints = self._joint_values(positions, "positions", "cloud")
        return Surroundings(self._checker.foreign(points, joints, held), held)

    def grasped(self, surroundings: Surroundings, positions: ArrayLike) -> HeldObject | None:
        """What the open fingers are about to close on at joint positions (J,) radians; None if nothing is there."""
        base_from_tcp = self._kinematics.tcp_pose(self._joint_values(positions, "positions", "grasp"))
        width, reach = self.robot.max_gripper_width, self.config.obstacles.held_reach
        return held_object(surroundings.points, base_from_tcp, width, reach)

    def presumed_held(self, width: float, positions: ArrayLike, points: Floats) -> HeldObject:
        """What closed fingers hold that nobody saw them close on.

        Args:
            width: metres between the fingers.
            positions: (J,) radians, the arm now.
            points: (M, 3) metres, base frame, seen with the hand where it is.
        """
        joints = self._joint_values(positions, "positions", "grasp")
        reach = self.config.obstacles.held_reach
        above = points[points[:, 2] > self.config.table_height + self.config.obstacles.table_margin]
        half = max(width / 2.0, _LEAST_HELD)
        seen = held_object(above, self._kinematics.tcp_pose(joints), 2.0 * half, reach, least=_SEEN_HELD)
        if seen is None:
            return self._largest_held(half, reach, joints)
        return HeldObject(seen.center * (1.0, 0.0, 1.0), np.array([seen.half_extents[0], half, seen.half_extents[2]]))

    def _largest_held(self, half: float, reach: float, joints: Array) -> HeldObject:
        """A box half as wide, as large as it can be without standing in the table or in a static box now."""
        for part in _PARTS:
            ahead, across = part * reach, max(part * reach, half)
            held = HeldObject(
                np.array([0.0, 0.0, (ahead - reach) / 2.0]), np.array([across, half, (ahead + reach) / 2])
            )
            self._checker.surround(Surroundings(np.empty((0, 3), np.float32), held))
            violation = self._checker.violation(joints)
            if violation is None or HELD not in (violation.first, violation.second):
                break
        return held

    def contact_ahead(
        self, trajectory: JointTrajectory, elapsed: float, horizon: float, surroundings: Surroundings
    ) -> Violation | None:
        """What the rest of a motion under way would come too close to.

        Args:
            trajectory: that the arm follows.
            elapsed: seconds of it that are over.
            horizon: seconds ahead that are looked at.
            surroundings: as seen now.
        """
        ends = trajectory.positions[0], trajectory.positions[-1]
        self._checker.surround(surroundings, [self._kinematics.tcp_pose(end)[:3, 3] for end in ends])
        until = min(elapsed + horizon, trajectory.duration)
        if until <= elapsed:
            return None
        times = np.linspace(elapsed, until, 2 + int((until - elapsed) / _LOOK_AHEAD_PERIOD))
        positions = interpolate(trajectory, times)[0]
        self._checker.leave_from(positions[0])
        return self._checker.polyline_violation(positions)

    def check_poses(self, candidates: Sequence[KeyframeMode]) -> None:
        """Refuses candidates of which none can be planned to from anywhere. Takes microseconds, in any thread.

        Raises:
            AllRefused: with the refusal of each candidate.
        """
        refusals: list[MotionRefused] = []
        for index, candidate in enumerate(candidates):
            try:
                self._checked_pose(candidate.pose, _name_of(index, candidates))
            except MotionRefused as refusal:
                refusals.append(refusal)
            else:
                return
        raise AllRefused(refusals)

    def plan_joints(
        self,
        start: ArrayLike,
        goal: ArrayLike,
        *,
        surroundings: Surroundings = NOTHING,
        target: str = "joint goal",
    ) -> JointTrajectory:
        """A trajectory to joint positions, e.g. the home position.

        Args:
            start, goal: (J,) radians.
            surroundings: as for :meth:`plan`.
            target: what a refusal calls the goal.

        Raises:
            MotionRefused: a subclass that names the limit.
        """
        start = self._checked_joints(start, "start", target, self._led)
        goal = self._checked_joints(goal, "goal", target, self._usable)
        self._checker.surround(surroundings, [self._kinematics.tcp_pose(start)[:3, 3]])
        self._check_start(start, target)
        self._check_workspace(self._kinematics.tcp_pose(goal)[:3, 3], target)
        violation = self._checker.violation(goal)
        if violation is not None:
            raise _in_collision(target, "at the goal", violation)
        inside, entry = self._entry(start, target)
        pieces = [straight_path(inside, goal)]
        violation = path_violation(self._checker, pieces)
        if violation is not None:
            pieces = self._sampled(inside, [goal], violation, target)
        return self._finished([*entry, *pieces], start, target)

    def retimed(self, paced: PacedTrajectory, elapsed: float, speed: float) -> PacedTrajectory:
        """The rest of a planned trajectory at another speed, 0 to hold on the path, within the limits of a stop.

        Args:
            paced: that is followed, of a trajectory that was planned by this planner.
            elapsed: seconds of it that are over at the moment of the change.
            speed: fraction of the planned speed, in [0, 1].

        Raises:
            UnchangeableError: if no change keeps the limits of the robot itself.
        """

        def is_acceptable(changing: JointTrajectory) -> bool:
            try:
                self._own_check(changing, "the new speed")
            except MotionRefused:
                return False
            return True

        speed = float(np.clip(speed, 0.0, 1.0))
        return retimed(paced, elapsed, speed, self._stop_limits, self.config.sample_period, is_acceptable)

    def stop_trajectory(
        self, position: ArrayLike, velocity: ArrayLike, acceleration: ArrayLike | None = None
    ) -> JointTrajectory:
        """The fastest stop of a moving arm within ``stop_scaling`` of its acceleration and jerk limits.

        It is not checked against obstacles or joint limits: braking is the best that is left.

        Args:
            position, velocity, acceleration: (J,) rad, rad/s, rad/s^2 at the moment the stop begins; acceleration
                is zero when not given.

        Raises:
            NotFinite: if a value is not finite, or not one a joint.
        """
        still = np.zeros(len(self.robot.arm_joint_names))
        return stop_trajectory(
            self._joint_values(position, "position", "stop"),
            self._joint_values(velocity, "velocity", "stop"),
            self._joint_values(still if acceleration is None else acceleration, "acceleration", "stop"),
            self.robot.arm_joint_names,
            self._stop_limits,
            self.config.sample_period,
        )

    def _check_start(self, positions: Array, target: str) -> None:
        violation = self._checker.violation(positions)
        if violation is not None and violation.distance < -self.config.start_penetration:
            raise _in_collision(target, "at the start", violation)
        self._checker.leave_from(positions)

    def _entry(self, start: Array, target: str) -> tuple[Array, list[BSpline]]:
        """Where planning begins, and the way there from a start outside the limits: straight inwards, or none.

        Led by hand, or after a reflex, a joint may stand where it may not be moved farther out. Where the shortest way
        in is blocked, the other joints give way.
        """
        nearest = np.clip(start, *self._usable.T)
        if np.array_equal(nearest, start):
            return start, []
        self._checker.leave_along(straight_path(start, nearest)(np.linspace(0.0, 1.0, 10)))
        generator = np.random.default_rng(self.config.seed)
        blocked: Violation | None = None
        for size in np.linspace(0.0, _GIVING_WAY, _ENTRIES):
            inside = np.clip(nearest + size * generator.normal(size=len(start)), *self._usable.T)
            entry = [straight_path(start, inside)]
            violation = path_violation(self._checker, entry)
            if violation is None:
                return inside, entry
            blocked = blocked or violation
        assert blocked is not None
        raise _in_collision(target, "on the way from the start into the joint limits", blocked)

    def _checked_joints(self, values: ArrayLike, name: str, target: str, limits: Array) -> Array:
        positions = self._joint_values(values, name, target)
        for joint, position, (lower, upper) in zip(self.robot.arm_joint_names, positions, limits, strict=True):
            if not lower <= position <= upper:
                raise JointLimit(target, joint, position, lower, upper)
        return positions

    def _checked_pose(self, pose: ArrayLike, target: str) -> Array:
        values = _finite(pose, 7, "numbers of a pose, xyz + quaternion xyzw", "pose", target)
        norm = float(np.linalg.norm(values[3:]))
        if abs(norm - 1.0) > 0.01:
            raise NotFinite(target, "the quaternion's norm", f"{norm:.4f}", "1")
        self._check_workspace(values[:3], target)
        approach = matrix_from_pose(values)[:3, 2]
        tilt = float(np.arccos(np.clip(-approach[2], -1.0, 1.0)))
        if tilt > self.config.max_tilt:
            raise TooTilted(target, tilt, self.config.max_tilt)
        return values

    def _check_workspace(self, tool: Array, target: str) -> None:
        box = self.config.workspace
        for axis, value, low, high in zip("xyz", tool, box.lower, box.upper, strict=True):
            if not low <= value <= high:
                raise OutsideWorkspace(target, axis, float(value), low, high)

    def _joint_values(self, values: ArrayLike, name: str, target: str) -> Array:
        return _finite(values, len(self.robot.arm_joint_names), f"joints of {self.robot.name}", name, target)

    def _prefers_line(self, start: Array, pose: Array) -> bool:
        distance = np.linalg.norm(pose[:3] - self._kinematics.tcp_pose(start)[:3, 3])
        return float(distance) < self.config.straight_line_below

    def _pieces_to_pose(self, start: Array, pose: Array, target: str) -> list[BSpline]:
        goals: list[Array] = []
        misses: list[Attempt] = []
        at_goal: Violation | None = None
        on_way: Violation | None = None
        for number, attempts in enumerate(self._kinematics.attempts(pose, start)):
            misses += [attempt for attempt in attempts if not attempt.converged]
            solutions = [attempt.positions for attempt in attempts if attempt.converged]
            for goal in sorted(solutions, key=lambda q: self._kinematics.cost(start, q)):
                if any(np.abs(goal - other).max() < _SAME for other in goals):
                    continue
                violation = self._checker.violation(goal)
                if violation is not None:
                    at_goal = at_goal or violation
                    continue
                pieces = [straight_path(start, goal)]
                violation = path_violation(self._checker, pieces)
                if violation is None:
                    return pieces
                on_way = on_way or violation
                goals.append(goal)
            if goals and number > 0:
                break
        if goals and on_way is not None:
            pieces_along_line = self._line(start, pose)
            return pieces_along_line or self._sampled(start, goals, on_way, target)
        if at_goal is not None:
            raise _in_collision(target, "at the goal", at_goal)
        raise self._unreachable(pose, start, misses, target)

    def _line(self, start: Array, pose: Array) -> list[BSpline] | None:
        """A free straight line of the tool to the pose or its twin, whichever turns the tool less."""
        rotation = quaternion_from_matrix(self._kinematics.tcp_pose(start))
        nearest = min(self._kinematics.equivalents(pose), key=lambda twin: quaternion_angle(twin[3:], rotation))
        line = line_path(self._kinematics, self._checker, start, matrix_from_pose(nearest))
        if line is None or self._checker.violation(line.c[-1]) is not None or not self._passable([line]):
            return None
        return [line]

    def _passable(self, pieces: Sequence[BSpline]) -> bool:
        """Whether joints move outwards only where they may, however slowly."""
        try:
            check_passable(pieces, self.robot.arm_joint_names, self._limits)
        except ImpassableError:
            return False
        return True

    def _sampled(self, start: Array, goals: Sequence[Array], blocked: Violation, target: str) -> list[BSpline]:
        outside = self._checker.starts_outside()
        paths = self._sampling.paths(start, goals, briefly=outside)
        if outside and not paths:
            # Led outside the workspace, the tool may have to pass through more of what lies there.
            self._checker.leave_by_any_way()
            nearest = sorted(goals, key=lambda q: self._kinematics.cost(start, q))
            straight = ([straight_path(start, goal)] for goal in nearest)
            free = (pieces for pieces in straight if path_violation(self._checker, pieces) is None)
            passable = next((pieces for pieces in free if self._passable(pieces)), None)
            paths = [passable] if passable else self._sampling.paths(start, goals)
        paths = [pieces for pieces in paths if self._passable(pieces)]
        if not paths:
            obstacle = f"the straight way is blocked by {blocked.second} near {blocked.first}"
            raise NoPath(target, self.config.planning_time, obstacle)
        return min(paths, key=lambda pieces: self._timed(pieces).duration)

    def _unreachable(self, pose: Array, start: Array, misses: Sequence[Attempt], target: str) -> MotionRefused:
        """What stands in the way of inverse kinematics: a joint limit if it succeeds without them."""
        for seed in (start, self.robot.home):
            free = self._kinematics.solve(matrix_from_pose(pose), seed, within_limits=False)
            if free.converged:
                center = self.robot.position_limits.mean(axis=1)
                positions = center + (free.positions - center + np.pi) % (2.0 * np.pi) - np.pi
                excess = np.maximum(self._kinematics.lower - positions, positions - self._kinematics.upper)
                worst = int(np.argmax(excess))
                if excess[worst] > 0.0:
                    return JointLimit(
                        target,
                        self.robot.arm_joint_names[worst],
                        float(positions[worst]),
                        float(self._kinematics.lower[worst]),
                        float(self._kinematics.upper[worst]),
                    )
        nearest = min(misses, key=lambda attempt: attempt.position_error + 0.1 * attempt.rotation_error)
        return Unreachable(target, nearest.position_error, nearest.rotation_error, len(misses))

    def _finished(self, pieces: Sequence[BSpline], start: Array, target: str) -> JointTrajectory:
        """The timed trajectory, after a last look at what leaves the planner."""
        try:
            trajectory = self._timed(pieces)
        except ImpassableError as error:
            raise Impassable(target, error.joint, error.position) from error
        if not np.array_equal(trajectory.positions[0], start):
            raise NotFinite(target, "the trajectory", "displaced", "one that begins at the start")
        self._last_check(trajectory, target)
        return trajectory

    def _timed(self, pieces: Sequence[BSpline]) -> JointTrajectory:
        return time_path(pieces, self.robot.arm_joint_names, self._limits, self.config.sample_period)


def _finite(values: ArrayLike, count: int, what: str, name: str, target: str) -> Array:
    """An array (count,) of finite numbers; ``what`` they are is said where they are not."""
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise NotFinite(target, name, repr(values), f"({count},) {what}") from None
    if array.shape != (count,):
        raise NotFinite(target, name, f"of shape {array.shape}", f"({count},) {what}")
    if not np.all(np.isfinite(array)):
        raise NotFinite(target, name, np.array2string(array, precision=4, max_line_width=1000))
    return array


def _name_of(index: int, candidates: Sequence[KeyframeMode]) -> str:
    return f"candidate {index + 1} of {len(candidates)}"


def _in_collision(target: str, where: str, violation: Violation) -> InCollision:
    return InCollision(target, where, violation.first, violation.second, violation.distance, violation.clearance)
