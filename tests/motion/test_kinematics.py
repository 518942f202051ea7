"""Inverse kinematics finds what forward kinematics says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mini_diffuser_ros.geometry import matrix_from_pose, pose_from_matrix, quaternion_angle
from mini_diffuser_ros.motion import MotionConfig
from mini_diffuser_ros.motion.chain import ArmChain
from mini_diffuser_ros.motion.kinematics import ArmKinematics
from mini_diffuser_ros.robots import RobotDescription

from .conftest import top_down

SEEDS = st.integers(0, 2**32 - 1)


@pytest.fixture(scope="module")
def kinematics(robot: RobotDescription) -> ArmKinematics:
    config = MotionConfig()
    return ArmKinematics(robot, config)


@given(seed=SEEDS)
@settings(max_examples=25, deadline=None)
def test_tool_pose_is_that_of_the_description(kinematics: ArmKinematics, robot: RobotDescription, seed: int) -> None:
    positions = np.random.default_rng(seed).uniform(*robot.position_limits.T)

    np.testing.assert_allclose(kinematics.tcp_pose(positions), robot.tcp_pose(positions), atol=1e-7)


def test_the_poses_of_the_arm_are_found_again(kinematics: ArmKinematics, robot: RobotDescription) -> None:
    generator, found = np.random.default_rng(0), 0
    for _ in range(100):
        pose = pose_from_matrix(robot.tcp_pose(generator.uniform(kinematics.lower, kinematics.upper)))
        attempts = (attempt for several in kinematics.attempts(pose, robot.home) for attempt in several[::2])
        attempt = next((attempt for attempt in attempts if attempt.converged), None)
        if attempt is None:
            continue
        found += 1
        reached = pose_from_matrix(robot.tcp_pose(attempt.positions))
        assert np.linalg.norm(reached[:3] - pose[:3]) <= 1.1e-4
        assert quaternion_angle(reached[3:], pose[3:]) <= 1.1e-3
        assert np.all(attempt.positions >= kinematics.lower - 1e-9)
        assert np.all(attempt.positions <= kinematics.upper + 1e-9)
    # Numerical search misses a few that lie at the joints' limits; which ones differs with the libraries.
    assert found >= 97


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


def test_a_tool_that_stands_half_a_turn_away_is_turned(kinematics: ArmKinematics, robot: RobotDescription) -> None:
    opposite = robot.tcp_pose(robot.home)
    opposite[:3, :2] *= -1.0

    attempt = kinematics.solve(opposite, robot.home)

    assert attempt.converged
    np.testing.assert_allclose(robot.tcp_pose(attempt.positions), opposite, atol=1.5e-3)


@given(seed=SEEDS)
@settings(max_examples=25, deadline=None)
def test_jacobians_are_what_frames_do_when_joints_move(robot: RobotDescription, seed: int) -> None:
    chain, step = ArmChain(robot), 1e-6
    positions = np.random.default_rng(seed).uniform(*robot.position_limits.T, (3, len(robot.home)))
    frames = chain.frames(positions)
    tools = chain.tools(frames)

    jacobians = chain.jacobians(frames, tools[:, :3, 3])

    for joint in range(len(robot.home)):
        moved = positions + step * np.eye(len(robot.home))[joint]
        change = (chain.tools(chain.frames(moved)) - tools) / step
        turning = change[:, :3, :3] @ tools[:, :3, :3].transpose(0, 2, 1)
        np.testing.assert_allclose(jacobians[:, :3, joint], change[:, :3, 3], atol=1e-5)
        np.testing.assert_allclose(jacobians[:, 3:, joint], turning[:, (2, 0, 1), (1, 2, 0)], atol=1e-5)
