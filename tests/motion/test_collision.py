"""The collision checker against MuJoCo's own distance query and against dense sampling."""

from collections.abc import Iterator

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mini_diffuser_ros.motion import MotionConfig
from mini_diffuser_ros.motion.collision import CollisionChecker
from mini_diffuser_ros.motion.model import planning_model
from mini_diffuser_ros.robots import RobotDescription

from .conftest import WALL, moved

CONFIG = MotionConfig(boxes=(WALL,))


@pytest.fixture(scope="module")
def checker(robot: RobotDescription) -> CollisionChecker:
    return CollisionChecker(robot, CONFIG, planning_model(robot, CONFIG))


def test_home_is_free(checker: CollisionChecker, robot: RobotDescription) -> None:
    assert checker.violation(robot.home) is None


def test_overlap_names_both_bodies_and_its_depth(checker: CollisionChecker, robot: RobotDescription) -> None:
    lowered = moved(robot, 0.0, 1.2)

    violation = checker.violation(lowered)

    assert violation is not None
    assert violation.first in [link.name for link in robot.links]
    assert violation.second in ("table", "wall")
    assert violation.distance < 0.0


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=100, deadline=None)
def test_free_means_that_every_pair_keeps_its_clearance(
    checker: CollisionChecker, robot: RobotDescription, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    # Drawn until one is free: of an arm with wide ranges few are.
    draws = (generator.uniform(*robot.position_limits.T) for _ in range(1000))
    positions = next(drawn for drawn in draws if checker.violation(drawn) is None)

    for distance, clearance in _pair_distances(robot, positions):
        # The query works to a tolerance of its own.
        assert distance > clearance - 1e-4


def _segments(generator: np.random.Generator, lower: np.ndarray, upper: np.ndarray) -> Iterator[np.ndarray]:
    """Short segments (2, J), drawn until one is free: few are."""
    for _ in range(2000):
        start, towards = generator.uniform(lower, upper, (2, len(lower)))
        yield np.array([start, start + 0.3 * (towards - start)])


def _is_free(checker: CollisionChecker, start: np.ndarray, goal: np.ndarray) -> bool:
    if checker.violation(start) is not None:
        return False
    checker.leave_from(start)
    return checker.segment_violation(start, goal) is None


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_free_segment_has_no_hidden_collision(checker: CollisionChecker, robot: RobotDescription, seed: int) -> None:
    generator = np.random.default_rng(seed)
    # Not from two turns away: of such segments of an arm with that range hardly one is free.
    lower, upper = np.clip(robot.position_limits.T, robot.home - 2.0, robot.home + 2.0)
    start, goal = next(segment for segment in _segments(generator, lower, upper) if _is_free(checker, *segment))

    for fraction in np.linspace(0.0, 1.0, 400):
        violation = checker.violation(start + fraction * (goal - start))
        # Between two checks a pair may dip into its clearance by half a step of the resolution, never overlap.
        assert violation is None or violation.distance > violation.clearance - CONFIG.collision_resolution


def test_arm_that_rests_too_close_may_leave_but_not_go_deeper(robot: RobotDescription) -> None:
    config = MotionConfig(arm_clearance=0.0, hand_clearance=0.0, finger_clearance=0.01)
    checker = CollisionChecker(robot, config, planning_model(robot, config))
    start = _lowered_until(checker, robot)
    step = moved(robot, 0.0, 0.02) - robot.home
    assert checker.violation(start) is not None

    checker.leave_from(start)

    assert checker.segment_violation(start, start - 5.0 * step) is None
    assert checker.segment_violation(start, start + step) is not None


def _lowered_until(checker: CollisionChecker, robot: RobotDescription) -> np.ndarray:
    """Home with the shoulder lowered until something is too close."""
    positions = robot.home.copy()
    while checker.violation(positions) is None:
        positions[1] += 0.002
    return positions


def _pair_distances(robot: RobotDescription, positions: np.ndarray) -> list[tuple[float, float]]:
    """Distance and least clearance of every pair of the robot with table and wall, by MuJoCo's distance query."""
    model = planning_model(robot, CONFIG)
    data = mujoco.MjData(model)
    data.qpos[:] = positions
    mujoco.mj_kinematics(model, data)
    clearance = {"arm": CONFIG.arm_clearance, "hand": CONFIG.hand_clearance, "finger": CONFIG.finger_clearance}
    bolted = (robot.joints[0].parent, robot.joints[0].child)  # to the table, and what turns inside it
    geoms = {link.name: clearance[link.role] for link in robot.links if link.name not in bolted}
    return [
        (mujoco.mj_geomDistance(model, data, index, model.geom(obstacle).id, 1.0, None), geoms[name])
        for index in range(model.ngeom)
        if (name := model.body(model.geom_bodyid[index]).name) in geoms
        for obstacle in ("table", "wall")
    ]
