"""Inverse kinematics finds what forward kinematics says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mini_diffuser_ros.geometry import matrix_from_pose, pose_from_matrix, quaternion_angle
from mini_diffuser_ros.motion import MotionConfig
from mini_diffuser_ros.motion.kinematics import ArmKinematics
from mini_diffuser_ros.motion.model import planning_model
from mini_diffuser_ros.robots import RobotDescription

from .conftest import top_down

SEEDS = st.integers(0, 2**32 - 1)


@pytest.fixture(scope="module")
def kinematics(robot: RobotDescription) -> ArmKinematics:
    config = MotionConfig()
    return ArmKinematics(robot, config, planning_model(robot, config))


@given(seed=SEEDS)
@settings(max_examples=25, deadline=None)
def test_tool_pose_is_that_of_the_description(kinematics: ArmKinematics, robot: RobotDescription, seed: int) -> None:
    positions = np.random.default_rng(seed).uniform(*robot.position_limits.T)

    np.testing.assert_allclose(kinematics.tcp_pose(positions), robot.tcp_pose(positions), atol=1e-7)


@given(seed=SEEDS)
@settings(max_examples=25, deadline=None)
def test_every_pose_of_the_arm_is_found_again(kinematics: ArmKinematics, robot: RobotDescription, seed: int) -> None:
    positions = np.random.default_rng(seed).uniform(kinematics.lower, kinematics.upper)
    pose = pose_from_matrix(robot.tcp_pose(positions))

    found = next(
        attempt for attempts in kinematics.attempts(pose, robot.home) for attempt in attempts[:1] if attempt.converged
    )

    reached = pose_from_matrix(robot.tcp_pose(found.positions))
    assert np.linalg.norm(reached[:3] - pose[:3]) <= 1.1e-4
    assert quaternion_angle(reached[3:], pose[3:]) <= 1.1e-3
    assert np.all(found.positions >= kinematics.lower - 1e-9)
    assert np.all(found.positions <= kinematics.upper + 1e-9)


def test_solution_stays_near_the_seed(kinematics: ArmKinematics, robot: RobotDescription) -> None:
    pose = robot.tcp_pose(robot.home)
    pose[:3, 3] += (0.01, 0.0, 0.0)

    attempt = kinematics.solve(pose, robot.home)

    assert attempt.converged
    assert np.max(np.abs(attempt.positions - robot.home)) < 0.05


def test_failure_says_how_far_it_misses(kinematics: ArmKinematics, robot: RobotDescription) -> None:
    attempt = kinematics.solve(matrix_from_pose(top_down(2.0, 0.0, 0.3)), robot.home)

    assert not attempt.converged
    assert attempt.position_error > 0.5
