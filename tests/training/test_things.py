"""Things on the table of a few demonstrations, put elsewhere or among those of others."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.geometry import matrix_from_pose, top_down_quaternion, transform_points
from mini_diffuser_ros.records import Cloud, Workspace
from mini_diffuser_ros.training.things import TableTop, exchange_places, mixed_in

angles = st.floats(-np.pi, np.pi)

TABLE = TableTop(Workspace((0.25, -0.38, 0.004), (0.80, 0.38, 0.55)), height=0.0)
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
    changed, target = exchange_places(cloud, pose, TABLE, np.random.default_rng(seed))
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
    changed, _ = exchange_places(cloud, pose, TABLE, np.random.default_rng(seed))
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
    places = [tuple(exchange_places(cloud, pose, TABLE, random)[1][:2].round(3)) for _ in range(600)]
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
            changed, target = exchange_places(scene, asked, TABLE, np.random.default_rng(seed))
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
        exchange_places(scene, grasp, TABLE, np.random.default_rng(seed + draw), under_hand=True) for draw in range(8)
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
            exchange_places(scene, pose, replace(TABLE, thing_height=thing_height), np.random.default_rng(seed))
            for seed in range(8)
        )
        return sum(not np.array_equal(target, pose) for _, target in drawn)

    assert moved(0.15) == 0
    assert moved(0.25) > 2


PURPLE = (150, 30, 200)


def other_scene(seed: int, color: tuple[int, int, int] = PURPLE) -> tuple[Cloud, np.ndarray]:
    """A scene whose target is above a thing of a colour."""
    cloud, pose = scene_of_things(seed, 0.3)
    colors = cloud.colors.copy()
    colors[:PER_THING] = color
    return replace(cloud, colors=colors), pose


def of_color(cloud: Cloud, color: tuple[int, int, int] | np.ndarray) -> np.ndarray:
    """The points of a colour."""
    return cloud.points[(cloud.colors == np.array(color, np.uint8)).all(axis=1)]


@given(seed=st.integers(0, 2**32), other_seed=st.integers(0, 2**32), turned=angles)
def test_the_other_target_stands_whole_and_apart_in_the_stead_of_what_is_not_meant(
    seed: int, other_seed: int, turned: float
) -> None:
    cloud, pose = scene_of_things(seed, turned)
    other, other_pose = other_scene(other_seed)
    changed = mixed_in(cloud, [pose], other, other_pose, TABLE, np.random.default_rng(seed))
    here = [len(of_color(changed, color)) for color in COLORS]
    assert here[0] == here[3] == PER_THING  # what is meant, and the arm
    assert sorted(here[1:3]) == [0, PER_THING]
    put = of_color(changed, PURPLE)
    steps = put - of_color(other, PURPLE)
    np.testing.assert_allclose(steps, np.tile(steps[0], (PER_THING, 1)), atol=1e-6)
    np.testing.assert_allclose(steps[:, 2], 0.0, atol=1e-6)
    rest = changed.points[~(changed.colors == np.array(PURPLE, np.uint8)).all(axis=1)]
    assert np.linalg.norm(put[:, None, :2] - rest[None, :, :2], axis=2).min() > 0.005
    assert (put[:, :2] >= TABLE.workspace.lower[:2]).all()
    assert (put[:, :2] <= TABLE.workspace.upper[:2]).all()


def test_a_scene_is_left_alone_that_has_nothing_meant_or_nothing_to_spare_or_whose_target_looks_alike() -> None:
    cloud, pose = scene_of_things(0, 0.0)
    other, other_pose = other_scene(1)
    red, _ = other_scene(1, (230, 40, 40))
    aside = np.array([0.7, -0.3, *pose[2:]])
    alone = Cloud(
        np.concatenate([cloud.points[:PER_THING], cloud.points[3 * PER_THING :]]),
        np.concatenate([cloud.colors[:PER_THING], cloud.colors[3 * PER_THING :]]),
        "base",
    )
    asked = ((cloud, aside, other, other_pose), (cloud, pose, other, aside), (cloud, pose, red, other_pose))
    for scene, target, second, second_target in (*asked, (alone, pose, other, other_pose)):
        for seed in range(4):
            random = np.random.default_rng(seed)
            changed = mixed_in(scene, [target], second, second_target, TABLE, random)
            np.testing.assert_array_equal(changed.points, scene.points)


def at_thing(cloud: Cloud, number: int) -> np.ndarray:
    """A pose above one of the three things."""
    return np.array([*of_color(cloud, COLORS[number])[:, :2].mean(axis=0), 0.2, *top_down_quaternion(0.0)])


@given(seed=st.integers(0, 2**32), kept=st.integers(1, 2))
def test_whatever_else_a_demonstration_goes_to_stays_and_gets_no_double(seed: int, kept: int) -> None:
    cloud, pose = scene_of_things(seed, 0.0)
    other, other_pose = other_scene(seed + 1)
    poses = [pose, at_thing(cloud, kept)]
    changed = mixed_in(cloud, poses, other, other_pose, TABLE, np.random.default_rng(seed))
    assert len(of_color(changed, COLORS[kept])) == PER_THING
    assert len(of_color(changed, COLORS[3 - kept])) == 0
    double, _ = other_scene(seed + 1, tuple(COLORS[kept]))
    changed = mixed_in(cloud, poses, double, other_pose, TABLE, np.random.default_rng(seed))
    np.testing.assert_array_equal(changed.points, cloud.points)


def test_a_thing_is_not_put_in_with_one_that_touches_it_and_looks_like_what_is_meant() -> None:
    cloud, pose = scene_of_things(0, 0.0)
    other, other_pose = other_scene(1)
    red = of_color(other, PURPLE)[:100] + np.array([0.0, 0.045, 0.0], np.float32)
    joined = Cloud(
        np.concatenate([other.points, red]),
        np.concatenate([other.colors, np.tile(COLORS[:1], (100, 1))]),
        "base",
    )
    for seed in range(5):
        changed = mixed_in(cloud, [pose], joined, other_pose, TABLE, np.random.default_rng(seed))
        np.testing.assert_array_equal(changed.points, cloud.points)


def test_points_of_the_table_join_nothing() -> None:
    cloud, pose = scene_of_things(0, 0.0)
    table = np.random.default_rng(0).uniform((0.25, -0.38, -0.002), (0.80, 0.38, 0.002), (20_000, 3)).astype(np.float32)
    on_it = Cloud(
        np.concatenate([cloud.points, table]), np.concatenate([cloud.colors, np.zeros(table.shape, np.uint8)]), "base"
    )
    for seed in range(5):
        bare, target = exchange_places(cloud, pose, TABLE, np.random.default_rng(seed))
        changed, same_target = exchange_places(on_it, pose, TABLE, np.random.default_rng(seed))
        np.testing.assert_array_equal(changed.points, np.concatenate([bare.points, table]))
        np.testing.assert_array_equal(same_target, target)


@pytest.mark.parametrize(("gap", "fits"), [(0.08, True), (0.05, False)])
def test_nothing_is_put_under_what_is_higher_than_things_are(gap: float, fits: bool) -> None:
    cloud, pose = scene_of_things(0, 0.0)
    other, other_pose = other_scene(1)
    spared = of_color(cloud, COLORS[1])[:, :2].mean(axis=0)
    # A ceiling with gaps above what is meant and above a thing that may go; the other one is 9 cm long.
    ceiling = np.random.default_rng(0).uniform((0.25, -0.38, 0.3), (0.80, 0.38, 0.32), (40_000, 3)).astype(np.float32)
    for above in (pose[:2], spared):
        ceiling = ceiling[np.linalg.norm(ceiling[:, :2] - above, axis=1) > gap]
    black = np.zeros(ceiling.shape, np.uint8)
    covered = Cloud(np.concatenate([cloud.points, ceiling]), np.concatenate([cloud.colors, black]), "base")
    for seed in range(5):
        put = of_color(mixed_in(covered, [pose], other, other_pose, TABLE, np.random.default_rng(seed)), PURPLE)
        assert len(put) == (PER_THING if fits else 0)
