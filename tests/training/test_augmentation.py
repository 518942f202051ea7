"""Augmentation moves cloud and target as one rigid scene."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.geometry import matrix_from_pose, top_down_quaternion, transform_points
from mini_diffuser_ros.records import Cloud
from mini_diffuser_ros.training.augmentation import PlanarMotion, augment, motion_within
from mini_diffuser_ros.training.config import AugmentConfig

WORKSPACE = ((0.25, 0.80), (-0.40, 0.40))
RIGID = AugmentConfig(dropout=0.0, jitter=0.0, color_gain=0.0)

angles = st.floats(-np.pi, np.pi)
motions = st.builds(
    PlanarMotion,
    yaw=angles,
    center=st.tuples(st.floats(-1, 1), st.floats(-1, 1)),
    shift=st.tuples(st.floats(-1, 1), st.floats(-1, 1), st.floats(-1, 1)),
)


def random_pose(seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    quaternion = random.normal(size=4)
    return np.concatenate([random.uniform(-1, 1, 3), quaternion / np.linalg.norm(quaternion)])


@given(motion=motions, seed=st.integers(0, 1000))
def test_points_keep_their_place_in_the_frame_of_the_target(motion: PlanarMotion, seed: int) -> None:
    points = np.random.default_rng(seed).uniform(-1, 1, (20, 3))
    pose = random_pose(seed)
    seen_before = transform_points(np.linalg.inv(matrix_from_pose(pose)), points)
    moved = np.linalg.inv(matrix_from_pose(motion.of_pose(pose)))
    np.testing.assert_allclose(transform_points(moved, motion.of_points(points)), seen_before, atol=1e-5)


@given(motion=motions, seed=st.integers(0, 1000))
def test_vertical_stays_vertical_and_distances_stay(motion: PlanarMotion, seed: int) -> None:
    points = np.random.default_rng(seed).uniform(-1, 1, (2, 3))
    moved = motion.of_points(points)
    np.testing.assert_allclose(moved[:, 2] - points[:, 2], motion.shift[2], atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(moved[0] - moved[1]), np.linalg.norm(points[0] - points[1]), atol=1e-5)


@given(seed=st.integers(0, 2**32), x=st.floats(0.30, 0.75), y=st.floats(-0.35, 0.35), yaw=angles)
def test_target_stays_in_the_workspace(seed: int, x: float, y: float, yaw: float) -> None:
    pose = np.array([x, y, 0.1, *top_down_quaternion(yaw)])
    motion = motion_within(WORKSPACE, pose, RIGID, np.random.default_rng(seed))
    moved = motion.of_pose(pose)
    assert WORKSPACE[0][0] <= moved[0] <= WORKSPACE[0][1]
    assert WORKSPACE[1][0] <= moved[1] <= WORKSPACE[1][1]


@given(seed=st.integers(0, 2**32))
def test_a_draw_depends_on_its_generator_only(seed: int) -> None:
    source = np.random.default_rng(0)
    points = source.uniform((0.3, -0.3, 0), (0.7, 0.3, 0.3), (50, 3)).astype(np.float32)
    cloud = Cloud(points, source.integers(0, 256, (50, 3), dtype=np.uint8), "base")
    pose = random_pose(1)
    first, second = (augment(cloud, pose, WORKSPACE, AugmentConfig(), np.random.default_rng(seed)) for _ in range(2))
    np.testing.assert_array_equal(first[0].points, second[0].points)
    np.testing.assert_array_equal(first[0].colors, second[0].colors)
    np.testing.assert_array_equal(first[1], second[1])
    assert 0 < len(first[0]) <= 50


def test_noise_and_gain_leave_the_target_alone() -> None:
    points = np.full((1000, 3), 0.5, np.float32)
    cloud = Cloud(points, np.full((1000, 3), 250, np.uint8), "base")
    still = AugmentConfig(yaw=0.0, shift_xy=0.0, shift_z=0.0, dropout=0.3, jitter=0.002, color_gain=0.1)
    pose = np.array([0.5, 0.0, 0.1, *top_down_quaternion(0.3)])
    changed, target = augment(cloud, pose, WORKSPACE, still, np.random.default_rng(0))
    np.testing.assert_allclose(target, pose)
    assert 600 < len(changed) < 1000
    assert 0.0015 < (changed.points - 0.5).std() < 0.0025
