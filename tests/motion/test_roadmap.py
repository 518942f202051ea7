"""The map of the workspace: ways that turn the arm over with the tool inside."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mini_diffuser_ros.geometry import pose_from_matrix
from mini_diffuser_ros.motion import MotionConfig, MotionPlanner
from mini_diffuser_ros.motion.collision import CollisionChecker
from mini_diffuser_ros.motion.kinematics import ArmKinematics
from mini_diffuser_ros.motion.model import planning_model
from mini_diffuser_ros.motion.roadmap import Roadmap
from mini_diffuser_ros.motion.timing import interpolate
from mini_diffuser_ros.robots import RobotDescription, load_robot

CONFIG = MotionConfig()


@pytest.fixture(scope="module")
def checker(robot: RobotDescription) -> CollisionChecker:
    return CollisionChecker(robot, CONFIG, planning_model(robot, CONFIG))


@pytest.fixture(scope="module")
def roadmap(robot: RobotDescription) -> Roadmap:
    return Roadmap(ArmKinematics(robot, CONFIG), CONFIG, robot.home)


@pytest.fixture(scope="module")
def planner(robot: RobotDescription) -> MotionPlanner:
    return MotionPlanner(robot, CONFIG)


def outside(robot: RobotDescription, positions: NDArray[np.floating]) -> float:
    """Metres by which the tool is outside the workspace at one of (N, J), at most 0 if at none."""
    tools = np.array([robot.tcp_pose(row)[:3, 3] for row in positions])
    return float(np.maximum(CONFIG.workspace.lower - tools, tools - CONFIG.workspace.upper).max())


def free_positions(
    robot: RobotDescription, checker: CollisionChecker, generator: np.random.Generator
) -> NDArray[np.float64]:
    while True:
        positions = generator.uniform(*ArmKinematics(robot, CONFIG).search_range)
        if outside(robot, positions[None]) < 0.0 and checker.violation(positions) is None:
            return positions


@given(seed=st.integers(0, 2**16))
@settings(max_examples=10, deadline=None)
def test_ways_are_free_and_lead_to_a_goal(
    robot: RobotDescription, checker: CollisionChecker, roadmap: Roadmap, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    start, *goals = (free_positions(robot, checker, generator) for _ in range(3))
    checker.leave_from(start)

    way = roadmap.way(start, goals, checker, lambda: False)

    if way is None:
        return
    np.testing.assert_array_equal(way[0], start)
    assert any(np.array_equal(way[-1], goal) for goal in goals)
    between = np.concatenate([np.linspace(one, other, 40) for one, other in pairwise(way)])
    assert outside(robot, between) < 0.001
    assert all(checker.path_state_violation(place) is None for place in between)


@pytest.mark.parametrize(
    "start",
    [
        [2.6242, -0.3319, 2.7385, -1.0647, -1.2483, 1.2810, -2.4250],
        [2.7281, -0.6668, 2.1058, -0.4981, 2.5776, 3.7132, -1.3136],
        [2.3841, -0.0185, 2.8559, -1.8116, -2.3363, 1.4582, 1.1373],
        [2.6516, -0.2612, 2.6677, -1.7929, -0.7909, 1.9614, -2.7765],
    ],
)
def test_starts_by_a_wall_of_the_workspace_are_left_in_small_steps(start: list[float]) -> None:
    robot = load_robot("fr3")
    checker = CollisionChecker(robot, CONFIG, planning_model(robot, CONFIG))
    checker.leave_from(np.array(start))

    way = Roadmap(ArmKinematics(robot, CONFIG), CONFIG, robot.home).way(
        np.array(start), [robot.home], checker, lambda: False
    )

    assert way is not None
    between = np.concatenate([np.linspace(one, other, 40) for one, other in pairwise(way)])
    assert outside(robot, between) < 0.001
    assert all(checker.path_state_violation(place) is None for place in between)


def test_a_search_that_is_over_finds_nothing(
    robot: RobotDescription, checker: CollisionChecker, roadmap: Roadmap
) -> None:
    goal = free_positions(robot, checker, np.random.default_rng(0))
    assert roadmap.way(robot.home, [goal], checker, lambda: False) is not None

    assert roadmap.way(robot.home, [goal], checker, lambda: True) is None


def test_every_pose_is_reached_from_everywhere_within_the_workspace(
    robot: RobotDescription, checker: CollisionChecker, planner: MotionPlanner
) -> None:
    generator = np.random.default_rng(3)
    for _ in range(20):
        start, goal = (free_positions(robot, checker, generator) for _ in range(2))

        trajectory = planner.plan(start, pose_from_matrix(robot.tcp_pose(goal)))

        times = np.linspace(0.0, trajectory.duration, 400)
        assert outside(robot, interpolate(trajectory, times)[0]) < 0.001
