"""Shapes are where MuJoCo has them, and no point of them comes farther than is said."""

import mujoco
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mini_diffuser_ros.motion import MotionConfig
from mini_diffuser_ros.motion.collision import CollisionChecker
from mini_diffuser_ros.motion.model import planning_model
from mini_diffuser_ros.motion.shapes import ArmShapes
from mini_diffuser_ros.motion.surroundings import Surroundings
from mini_diffuser_ros.robots import RobotDescription

SEEDS = st.integers(0, 2**32 - 1)


@given(seed=SEEDS)
@settings(max_examples=20, deadline=None)
def test_shapes_are_where_mujoco_has_them(robot: RobotDescription, seed: int) -> None:
    model = planning_model(robot, MotionConfig())
    data = mujoco.MjData(model)
    positions = np.random.default_rng(seed).uniform(*robot.position_limits.T, (3, len(robot.home)))

    placed = ArmShapes(robot, model).placed(positions, np.zeros_like(positions))

    for place, at in enumerate(positions):
        data.qpos[:] = at
        mujoco.mj_kinematics(model, data)
        np.testing.assert_allclose(placed.centers[:, place], data.geom_xpos, atol=1e-9)
        np.testing.assert_allclose(placed.rotations[:, place], data.geom_xmat.reshape(-1, 3, 3), atol=1e-9)
        np.testing.assert_allclose(placed.tools[place], robot.tcp_pose(at)[:3, 3], atol=1e-9)


@given(seed=SEEDS, size=st.floats(0.01, 1.0), fraction=st.floats(-1.0, 1.0))
@settings(max_examples=50, deadline=None)
def test_no_point_comes_farther_than_its_reach(
    robot: RobotDescription, seed: int, size: float, fraction: float
) -> None:
    generator = np.random.default_rng(seed)
    model = planning_model(robot, MotionConfig())
    shapes = ArmShapes(robot, model)
    at, step = generator.uniform(*robot.position_limits.T), size * generator.normal(size=len(robot.home))
    arm = np.flatnonzero(shapes.joints >= 0)
    other = generator.integers(len(arm))  # what they move relative to
    moving = arm[shapes.joints[arm] > shapes.joints[arm[other]]]
    if not len(moving):
        return
    # As loose as can be: a joint moves nothing by more than the length of the whole arm.
    leverage = np.full((len(moving), len(step)), 2.5)
    begin = shapes.placed(at[None], step[None])
    end = shapes.placed((at + fraction * step)[None], np.zeros((1, len(step))))

    reach = begin.reach(moving, np.full(len(moving), arm[other]), leverage, model.geom_rbound[moving])

    allowed = np.minimum(reach.most * abs(fraction), reach.speed * abs(fraction) + 0.5 * reach.bend * fraction**2)
    for side in np.concatenate([np.eye(3), -np.eye(3)]):
        before, after = (
            _seen_from(placed, arm[other], _points(placed, moving, side * model.geom_rbound[moving, None]))
            for placed in (begin, end)
        )
        assert np.all(np.linalg.norm(after - before, axis=1) <= allowed[:, 0] + 1e-9)
    assert np.all(reach.fraction(reach.whole) >= 1.0 - 1e-6)


def _points(placed: object, geoms: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """(P, 3) points of shapes at offsets (P, 3) in their frames."""
    return placed.centers[geoms, 0] + np.einsum("pij,pj->pi", placed.rotations[geoms, 0], offsets)  # type: ignore[attr-defined]


def _seen_from(placed: object, geom: int, points: np.ndarray) -> np.ndarray:
    """Points (P, 3) in the frame of a shape."""
    return (points - placed.centers[geom, 0]) @ placed.rotations[geom, 0]  # type: ignore[attr-defined]


@given(seed=SEEDS)
@settings(max_examples=20, deadline=None)
def test_a_free_segment_keeps_away_from_every_point_that_is_seen(robot: RobotDescription, seed: int) -> None:
    generator = np.random.default_rng(seed)
    config = MotionConfig()
    checker = CollisionChecker(robot, config, planning_model(robot, config))
    start = robot.home
    tool = robot.tcp_pose(start)[:3, 3]
    points = tool + generator.normal(size=(300, 3)) * (0.25, 0.25, 0.15)
    checker.surround(Surroundings(checker.foreign(points.astype(np.float32), start, None)))
    checker.leave_from(start)
    for _ in range(100):
        goal = start + generator.normal(size=len(start)) * 0.15
        if checker.segment_violation(start, goal) is None:
            break
    else:
        return

    for fraction in np.linspace(0.0, 1.0, 200):
        violation = checker.violation(start + fraction * (goal - start))
        assert violation is None or violation.distance > violation.clearance - config.collision_resolution
