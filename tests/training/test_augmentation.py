"""Augmentation moves cloud and target as one rigid scene."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.geometry import matrix_from_pose, top_down_quaternion, transform_points
from mini_diffuser_ros.records import Cloud, Workspace
from mini_diffuser_ros.training.augmentation import PlanarMotion, augment, exchange_places, motion_within
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


TABLE = Workspace((0.25, -0.38, 0.004), (0.80, 0.38, 0.55))
PER_THING = 400
COLORS = np.array([(200, 20, 20), (20, 200, 20), (20, 20, 200), (90, 90, 90)], np.uint8)


def scene_of_things(seed: int, turned: float) -> tuple[Cloud, np.ndarray]:
    """Three things, each of a colour and a size, the target above the first, and an arm beside them."""
    random = np.random.default_rng(seed)
    # Each in a strip of its own, so that they stay apart.
    centers = [(0.40 + 0.1 * random.random(), -0.25 + 0.25 * number + 0.05 * random.random()) for number in range(3)]
    turn = np.array([[np.cos(turned), -np.sin(turned)], [np.sin(turned), np.cos(turned)]])
    parts = []
    for center, half_length in zip(centers, (0.045, 0.03, 0.02), strict=True):
        flat = random.uniform(-1, 1, (PER_THING, 2)) * (half_length, 0.02)
        parts.append(np.column_stack([flat @ turn.T + center, random.uniform(0.01, 0.05, PER_THING)]))
    arm = random.uniform((0.65, 0.2, 0.05), (0.75, 0.3, 0.5), (PER_THING, 3))
    points = np.concatenate([*parts, arm]).astype(np.float32)
    return Cloud(points, COLORS.repeat(PER_THING, axis=0), "base"), np.array(
        [*centers[0], 0.2, *top_down_quaternion(0.3)]
    )


@given(seed=st.integers(0, 2**32), turned=angles)
def test_things_exchanged_keep_their_shapes_and_the_target_stays_above_its_thing(seed: int, turned: float) -> None:
    cloud, pose = scene_of_things(seed, turned)
    changed, target = exchange_places(cloud, pose, TABLE, 0.0, np.random.default_rng(seed))
    steps = (changed.points - cloud.points).reshape(4, PER_THING, 3)
    for thing in range(4):
        np.testing.assert_allclose(steps[thing], np.tile(steps[thing, 0], (PER_THING, 1)), atol=1e-6)
    np.testing.assert_allclose(steps[0, 0], target[:3] - pose[:3], atol=1e-6)
    np.testing.assert_allclose(steps[:3, 0].sum(axis=0), 0.0, atol=1e-6)
    np.testing.assert_array_equal(steps[3], 0.0)
    np.testing.assert_array_equal(changed.colors, cloud.colors)
    np.testing.assert_array_equal(target[2:], pose[2:])


@given(seed=st.integers(0, 2**32), turned=angles)
def test_things_exchanged_lie_where_the_other_lay_and_apart(seed: int, turned: float) -> None:
    cloud, pose = scene_of_things(seed, turned)
    changed, _ = exchange_places(cloud, pose, TABLE, 0.0, np.random.default_rng(seed))
    before, after = (one.points.reshape(4, PER_THING, 3)[:, :, :2] for one in (cloud, changed))
    for thing in range(3):
        old, new = ((one.min(axis=1) + one.max(axis=1)) / 2 for one in (before, after))
        # To a cell and a half along each axis.
        assert np.linalg.norm(old[:3] - new[thing], axis=1).min() < 0.025
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert np.linalg.norm(after[one][:, None] - after[other][None], axis=2).min() > 0.005


def test_the_target_comes_to_every_thing_alike() -> None:
    cloud, pose = scene_of_things(0, 0.0)
    random = np.random.default_rng(0)
    places = [tuple(exchange_places(cloud, pose, TABLE, 0.0, random)[1][:2].round(3)) for _ in range(600)]
    shares = [places.count(place) / len(places) for place in sorted(set(places))]
    assert len(shares) == 3
    np.testing.assert_allclose(shares, 1 / 3, atol=0.06)


def test_nothing_is_exchanged_where_nothing_stands_under_the_target_or_a_hand_is_above() -> None:
    cloud, pose = scene_of_things(0, 0.0)
    aside = pose.copy()
    aside[:2] = (0.7, -0.3)
    hand = np.random.default_rng(0).uniform((-0.05, -0.05, 0.12), (0.05, 0.05, 0.3), (PER_THING, 3))
    over = (hand + np.array([*pose[:2], 0.0])).astype(np.float32)
    under_a_hand = Cloud(
        np.concatenate([cloud.points, over]), np.concatenate([cloud.colors, cloud.colors[-400:]]), "base"
    )
    things_gone = Cloud(cloud.points[3 * PER_THING :], cloud.colors[3 * PER_THING :], "base")
    for scene, asked in ((cloud, aside), (under_a_hand, pose), (things_gone, pose)):
        for seed in range(8):
            changed, target = exchange_places(scene, asked, TABLE, 0.0, np.random.default_rng(seed))
            np.testing.assert_array_equal(changed.points, scene.points)
            np.testing.assert_array_equal(target, asked)


@given(seed=st.integers(0, 2**32), yaw=angles)
def test_a_hand_over_its_grasp_goes_with_the_thing_that_it_grasps(seed: int, yaw: float) -> None:
    cloud, pose = scene_of_things(seed, 0.0)
    grasp = np.array([*pose[:2], 0.03, *top_down_quaternion(yaw)])
    # Fingers reach 14 cm above the table, the palm from 18 cm on, 20 cm wide: also above a thing that stands beside.
    seen = np.random.default_rng(seed).uniform((-0.03, -0.1, -0.3), (0.03, 0.1, -0.11), (PER_THING, 3))
    hand = transform_points(matrix_from_pose(grasp), seen).astype(np.float32)
    scene = Cloud(np.concatenate([cloud.points, hand]), np.concatenate([cloud.colors, cloud.colors[-400:]]), "base")
    moved = [
        exchange_places(scene, grasp, TABLE, 0.0, np.random.default_rng(seed + draw), under_hand=True)
        for draw in range(8)
    ]
    for changed, target in moved:
        steps = (changed.points - scene.points).reshape(5, PER_THING, 3)
        for rigid in range(5):
            np.testing.assert_allclose(steps[rigid], np.tile(steps[rigid, 0], (PER_THING, 1)), atol=1e-6)
        np.testing.assert_allclose(steps[0, 0], target[:3] - grasp[:3], atol=1e-6)
        np.testing.assert_allclose(steps[4], steps[0], atol=1e-6)
        np.testing.assert_array_equal(steps[3], 0.0)
        np.testing.assert_array_equal(target[2:], grasp[2:])
    assert any(not np.array_equal(target, grasp) for _, target in moved)


def test_what_is_taller_than_things_are_stays_where_it_is() -> None:
    cloud, pose = scene_of_things(0, 0.0)
    tall = cloud.points * np.float32([1, 1, 4])  # to 20 cm

    def moved(thing_height: float) -> int:
        scene = replace(cloud, points=tall)
        drawn = (
            exchange_places(scene, pose, TABLE, 0.0, np.random.default_rng(seed), thing_height) for seed in range(8)
        )
        return sum(not np.array_equal(target, pose) for _, target in drawn)

    assert moved(0.15) == 0
    assert moved(0.25) > 2
