"""Augmentation moves cloud and target as one rigid scene."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.geometry import matrix_from_pose, top_down_quaternion, transform_points
from mini_diffuser_ros.records import Cloud, Workspace
from mini_diffuser_ros.training.augmentation import PlanarMotion, augment, motion_within, move_target
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


BOX = Workspace((0.25, -0.38, 0.004), (0.80, 0.38, 0.55))


def scene_of_things(seed: int, turned: float) -> tuple[Cloud, np.ndarray]:
    """A thing at the target, two others and an arm above them; and which points are the thing's."""
    random = np.random.default_rng(seed)
    # Each in a strip of its own, so that they stay apart.
    centers = [(0.35 + 0.1 * random.random(), -0.25 + 0.25 * number + 0.05 * random.random()) for number in range(3)]
    parts = []
    for x, y in centers:
        flat = random.uniform(-1, 1, (400, 2)) * (0.045, 0.02)
        turn = np.array([[np.cos(turned), -np.sin(turned)], [np.sin(turned), np.cos(turned)]])
        parts.append(np.column_stack([flat @ turn.T + (x, y), random.uniform(0.01, 0.05, 400)]))
    arm = random.uniform((0.3, -0.1, 0.3), (0.5, 0.1, 0.5), (200, 3))
    points = np.concatenate([*parts, arm]).astype(np.float32)
    colors = random.integers(0, 256, points.shape, dtype=np.uint8)
    return Cloud(points, colors, "base"), np.array([*centers[0], 0.2, *top_down_quaternion(0.3)])


@given(seed=st.integers(0, 2**32), turned=angles)
def test_what_is_acted_on_is_moved_with_the_target_and_alone(seed: int, turned: float) -> None:
    cloud, pose = scene_of_things(seed, turned)
    moved_cloud, moved = move_target(cloud, pose, BOX, 0.0, np.random.default_rng(seed))
    step = moved[:3] - pose[:3]
    np.testing.assert_allclose(moved_cloud.points[:400] - cloud.points[:400], np.tile(step, (400, 1)), atol=1e-5)
    np.testing.assert_array_equal(moved_cloud.points[400:], cloud.points[400:])
    np.testing.assert_array_equal(moved_cloud.colors, cloud.colors)
    np.testing.assert_array_equal(moved[2:], pose[2:])
    thing, others = moved_cloud.points[:400, :2], moved_cloud.points[400:1200, :2]
    assert (thing >= np.array(BOX.lower[:2]) - 1e-5).all()
    assert (thing <= np.array(BOX.upper[:2]) + 1e-5).all()
    assert np.linalg.norm(thing[:, None] - others[None], axis=2).min() > 0.01


def test_it_is_moved_all_over_the_table() -> None:
    cloud, pose = scene_of_things(0, 0.0)
    random = np.random.default_rng(0)
    places = np.array([move_target(cloud, pose, BOX, 0.0, random)[1][:2] for _ in range(200)])
    assert (np.ptp(places, axis=0) > (0.35, 0.55)).all()


def test_where_nothing_stands_under_the_target_nothing_is_moved() -> None:
    cloud, pose = scene_of_things(0, 0.0)
    pose[:2] = (0.7, -0.3)
    for scene in (cloud, Cloud(cloud.points[1200:], cloud.colors[1200:], "base")):
        moved_cloud, moved = move_target(scene, pose, BOX, 0.0, np.random.default_rng(0))
        np.testing.assert_array_equal(moved_cloud.points, scene.points)
        np.testing.assert_array_equal(moved, pose)
