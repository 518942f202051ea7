"""Planners for the tests of motion: real robot, real collision world."""

import numpy as np
import pytest

from mini_diffuser_ros.geometry import top_down_quaternion
from mini_diffuser_ros.motion import MotionConfig, MotionPlanner, StaticBox
from mini_diffuser_ros.robots import ROBOTS, RobotDescription, load_robot

WALL = StaticBox("wall", center=(0.5, 0.0, 0.2), half_extents=(0.15, 0.02, 0.2))


@pytest.fixture(scope="session", params=ROBOTS)
def robot(request: pytest.FixtureRequest) -> RobotDescription:
    """Every arm of the package: two of seven joints, and one of six of another maker, so far."""
    return load_robot(request.param)


@pytest.fixture(scope="session")
def planner(robot: RobotDescription) -> MotionPlanner:
    return MotionPlanner(robot)


@pytest.fixture(scope="session")
def walled(robot: RobotDescription) -> MotionPlanner:
    """A wall stands between the left and the right half of the table."""
    return MotionPlanner(robot, MotionConfig(boxes=(WALL,)))


def moved(robot: RobotDescription, *changes: float) -> np.ndarray:
    """Home (J,) with the first joints moved by radians."""
    positions = robot.home.copy()
    positions[: len(changes)] += changes
    return positions


def top_down(x: float, y: float, z: float, yaw: float = 0.0) -> np.ndarray:
    """Pose (7,) of a gripper that points down."""
    return np.concatenate([[x, y, z], top_down_quaternion(yaw)])
