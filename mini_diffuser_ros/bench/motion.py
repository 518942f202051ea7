"""How long motion planning takes and how often it succeeds.

``cpu_s`` and ``wall_s`` are medians of one call; ``success`` is the fraction of calls that found an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.bench.benchmark import Benchmark, at_least
from mini_diffuser_ros.bench.resources import Reading, median, peak_resident_mb
from mini_diffuser_ros.geometry import matrix_from_pose, pose_from_matrix, top_down_quaternion
from mini_diffuser_ros.motion import MotionConfig, MotionPlanner, MotionRefused, StaticBox, interpolate
from mini_diffuser_ros.motion.collision import CollisionChecker
from mini_diffuser_ros.motion.kinematics import ArmKinematics
from mini_diffuser_ros.motion.model import planning_model
from mini_diffuser_ros.records import JointTrajectory
from mini_diffuser_ros.robots import RobotDescription, load_robot

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class MotionSetting:
    """How much to plan.

    Attributes:
        poses: of inverse kinematics and free plans.
        walls: pairs of keyframes on both sides of a wall.
        seed: of the poses.
    """

    poses: int = at_least(1, 1000)
    walls: int = at_least(1, 50)
    seed: int = at_least(0, 0)


@dataclass(frozen=True)
class MotionRow:
    """One line of output; times in seconds."""

    config: str
    calls: int
    success: float
    cpu_s: float
    cpu_p95_s: float
    wall_s: float
    peak_mb: float
    device: str = "cpu"
    threads: int = 1


class Stopwatch:
    """Collects the time and the outcome of calls."""

    def __init__(self) -> None:
        self._times: list[Reading] = []
        self._successes = 0

    def measure(self, call: Callable[[], JointTrajectory | bool]) -> JointTrajectory | None:
        """Runs ``call``; a refusal or False counts as a failure."""
        start = Reading.now()
        try:
            outcome = call()
        except MotionRefused:
            outcome = False
        self._times.append(Reading.now() - start)
        self._successes += outcome is not False
        return outcome if isinstance(outcome, JointTrajectory) else None

    def row(self, config: str) -> MotionRow:
        """The summary."""
        middle = median(self._times)
        return MotionRow(
            config=config,
            calls=len(self._times),
            success=self._successes / len(self._times),
            cpu_s=middle.cpu_s,
            cpu_p95_s=float(np.percentile([each.cpu_s for each in self._times], 95)),
            wall_s=middle.wall_s,
            peak_mb=peak_resident_mb(),
        )


def top_down_poses(count: int, generator: np.random.Generator, low: Sequence[float], high: Sequence[float]) -> Array:
    """(count, 7) poses of a gripper that points down, in a box of the base frame."""
    positions = generator.uniform(low, high, (count, 3))
    rotations = [top_down_quaternion(yaw) for yaw in generator.uniform(-np.pi / 2, np.pi / 2, count)]
    return np.concatenate([positions, rotations], axis=1)


def reachable_poses(count: int, generator: np.random.Generator, robot: RobotDescription) -> Array:
    """(count, 7) poses over the table of random joint positions, the gripper pointing more or less down."""
    poses: list[Array] = []
    while len(poses) < count:
        tool = robot.tcp_pose(generator.uniform(robot.position_limits[:, 0], robot.position_limits[:, 1]))
        if 0.25 < tool[0, 3] < 0.8 and abs(tool[1, 3]) < 0.5 and 0.0 < tool[2, 3] < 0.6 and tool[2, 2] < -0.3:
            poses.append(pose_from_matrix(tool))
    return np.stack(poses)


def inverse_kinematics(robot: RobotDescription, poses: Array, name: str) -> Iterator[MotionRow]:
    """Success and time after one, six and twenty-one starting points, joint limits kept, no twin poses."""
    for starts in (1, 6, 21):
        config = MotionConfig(ik_restarts=starts - 1, joint_limit_margin=0.0, gripper_symmetry=False)
        kinematics = ArmKinematics(robot, config)
        token = Stopwatch()
        for pose in poses:

            def solve(pose: Array = pose, starts: int = starts, kinematics: ArmKinematics = kinematics) -> bool:
                if starts == 1:
                    return kinematics.solve(matrix_from_pose(pose), robot.home).converged
                return any(a.converged for attempts in kinematics.attempts(pose, robot.home) for a in attempts)

            token.measure(solve)
        yield token.row(f"inverse kinematics, {name}, {starts} starts")


def free_plans(robot: RobotDescription, poses: Array) -> Iterator[MotionRow]:
    """Keyframes in free space: long moves, then 10 cm straight down and up again."""
    planner = MotionPlanner(robot)
    far, near = Stopwatch(), Stopwatch()
    start = robot.home
    for pose in poses:
        above = pose + np.array([0.0, 0.0, 0.1, 0.0, 0.0, 0.0, 0.0])
        for token, goal in ((far, above), (near, pose), (near, above)):
            trajectory = token.measure(lambda start=start, goal=goal: planner.plan(start, goal))  # type: ignore[misc]
            start = start if trajectory is None else trajectory.positions[-1]
    yield far.row("plan, free, long")
    yield near.row("plan, free, 10 cm")


def walled_plans(robot: RobotDescription, left: Array, right: Array) -> Iterator[MotionRow]:
    """Keyframes on both sides of a wall, with a count of collisions found by dense sampling."""
    wall = StaticBox("wall", center=(0.5, 0.0, 0.2), half_extents=(0.15, 0.02, 0.2))
    planner = MotionPlanner(robot, MotionConfig(boxes=(wall,)))
    touching = MotionConfig(
        boxes=(wall,), arm_clearance=0.0, hand_clearance=0.0, finger_clearance=0.0, self_clearance=0.0
    )
    checker = CollisionChecker(robot, touching, planning_model(robot, touching))
    token, hidden = Stopwatch(), 0
    for first, second in zip(left, right, strict=True):
        start = planner.plan(robot.home, first).positions[-1]
        trajectory = token.measure(lambda start=start, goal=second: planner.plan(start, goal))  # type: ignore[misc]
        if trajectory is not None:
            positions = interpolate(trajectory, np.linspace(0.0, trajectory.duration, 2000))[0]
            hidden += any(checker.violation(sample) is not None for sample in positions)
    yield token.row(f"plan, around a wall, {hidden} hidden collisions")


def measure_motion(settings: Sequence[MotionSetting]) -> Iterator[MotionRow]:
    """Inverse kinematics, plans in free space, plans around a wall."""
    for setting in settings:
        robot = load_robot("panda")
        generator = np.random.default_rng(setting.seed)
        down = top_down_poses(setting.poses, generator, (0.3, -0.35, 0.02), (0.7, 0.35, 0.25))
        left = top_down_poses(setting.walls, generator, (0.35, -0.35, 0.05), (0.65, -0.15, 0.15))
        right = top_down_poses(setting.walls, generator, (0.35, 0.15, 0.05), (0.65, 0.35, 0.15))
        yield from inverse_kinematics(robot, down, "top down")
        yield from inverse_kinematics(robot, reachable_poses(setting.poses, generator, robot), "random")
        yield from free_plans(robot, down)
        yield from walled_plans(robot, left, right)


BENCHMARK = Benchmark(MotionSetting, measure_motion, __doc__)
