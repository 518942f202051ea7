"""What fusion does about the errors of real cameras: silhouettes, single points, fingers that are hardly seen."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.geometry import transform_points
from mini_diffuser_ros.perception import FusionConfig, PerceptionError, fuse_views
from mini_diffuser_ros.perception.known_fingers import COLOR, HIDING, finger_points
from mini_diffuser_ros.perception.outliers import keep_accompanied
from mini_diffuser_ros.perception.silhouettes import at_silhouettes
from mini_diffuser_ros.perception.smoothing import smoothed
from mini_diffuser_ros.records import CameraView
from mini_diffuser_ros.robots import RobotDescription
from mini_diffuser_ros.simulation import TabletopWorld

PLAIN, DRAWN = FusionConfig(), FusionConfig(draw_fingers=True)


def voxels(points: np.ndarray) -> set[tuple[int, ...]]:
    return set(map(tuple, np.floor(points / PLAIN.voxel_size).astype(int)))


class Scene:
    """A laid table and what its exact cameras see."""

    def __init__(self, task: str, seed: int) -> None:
        with closing(TabletopWorld()) as world:
            world.reset(task, seed)
            self.views, self.joints, self.robot = world.views(), world.joint_positions(), world.robot

    def fused(self, config: FusionConfig, views: tuple[CameraView, ...] | None = None) -> np.ndarray:
        return fuse_views(self.views if views is None else views, config, self.robot, self.joints).points


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene("push_buttons", 3)


def test_fingers_are_drawn_as_exact_cameras_see_them(scene: Scene) -> None:
    plain, drawn = voxels(scene.fused(PLAIN)), voxels(scene.fused(DRAWN))
    fingers = len(voxels(scene.fused(PLAIN)) - voxels(scene.fused(replace(PLAIN, keep_fingers=False))))
    assert fingers > 10
    assert len(plain ^ drawn) <= 0.1 * fingers


def test_fingers_are_there_though_no_camera_measures_them(scene: Scene) -> None:
    blind = tuple(replace(view, depth=np.zeros_like(view.depth)) for view in scene.views)
    cloud = fuse_views(blind, DRAWN, scene.robot, scene.joints)
    assert len(cloud) > 10
    assert np.all(cloud.colors == COLOR)
    assert voxels(cloud.points) >= voxels(scene.fused(PLAIN)) - voxels(scene.fused(replace(PLAIN, keep_fingers=False)))


def test_something_nearer_hides_the_fingers(scene: Scene) -> None:
    view = next(view for view in scene.views if view.name == "front")
    seen = finger_points(view, scene.robot, scene.joints, DRAWN)
    assert seen.shape[1] > 10
    depth = transform_points(np.linalg.inv(view.base_from_camera), seen.T)[:, 2]
    wall = replace(view, depth=np.full_like(view.depth, depth.min() - 2 * HIDING))
    assert finger_points(wall, scene.robot, scene.joints, DRAWN).shape == (3, 0)
    behind = replace(view, depth=np.full_like(view.depth, depth.max() + HIDING))
    assert finger_points(behind, scene.robot, scene.joints, DRAWN).shape[1] >= seen.shape[1]


def test_fingers_need_joints(scene: Scene) -> None:
    robot: RobotDescription = scene.robot
    with pytest.raises(PerceptionError, match="joint"):
        fuse_views(scene.views, DRAWN, robot, {**scene.joints, robot.arm_joint_names[0]: float("nan")})


def test_both_sides_of_a_silhouette_are_dropped() -> None:
    depth = np.full((12, 12), 1.0, np.float32)
    depth[4:8, 4:8] = 0.9
    at = at_silhouettes(depth, 0.05)
    expected = np.zeros((12, 12), bool)
    expected[3:9, 3:9] = True
    expected[5:7, 5:7] = False
    assert np.array_equal(at, expected)
    assert not at_silhouettes(depth, 0.2).any()


def test_what_is_not_measured_makes_no_silhouette() -> None:
    depth = np.full((8, 8), 1.0, np.float32)
    depth[3:5, 3:5] = 0.0
    assert not at_silhouettes(depth, 0.01).any()
    assert not at_silhouettes(np.zeros((8, 8), np.float32), 0.01).any()


def test_points_of_two_depths_at_a_silhouette_do_not_hang_in_the_air(scene: Scene) -> None:
    clean = FusionConfig(silhouette_jump=0.03, voxel_size=0.0)
    random = np.random.default_rng(0)

    def mixed(view: CameraView) -> CameraView:
        depth = view.depth.copy()
        edge = at_silhouettes(depth, 0.05) & (depth > 0)
        rows, columns = np.nonzero(edge[1:-1, 1:-1])
        neighbours = depth[
            rows + 1 + random.integers(-1, 2, len(rows)), columns + 1 + random.integers(-1, 2, len(rows))
        ]
        share = random.random(len(rows), dtype=np.float32)
        depth[rows + 1, columns + 1] = share * neighbours + (1 - share) * depth[rows + 1, columns + 1]
        return replace(view, depth=depth)

    views = tuple(map(mixed, scene.views))
    whole = voxels(scene.fused(PLAIN))
    grown = {tuple(np.add(voxel, step)) for voxel in whole for step in np.ndindex(3, 3, 3)}
    near = {tuple(np.subtract(voxel, 1)) for voxel in grown}

    def stray(config: FusionConfig) -> int:
        return len(voxels(scene.fused(config, views)) - near)

    assert stray(replace(PLAIN, drop_flying_points=False)) > 50
    assert stray(clean) <= 0.2 * stray(PLAIN)


@given(st.integers(1, 4), st.integers(0, 100))
def test_smoothing_takes_noise_away_and_keeps_surfaces_apart(reach: int, seed: int) -> None:
    true = np.full((64, 64), 1.0, np.float32)
    true[20:44, 20:44] = 0.9
    noise = np.random.default_rng(seed).normal(0.0, 0.003, true.shape)
    noisy = (true + noise).astype(np.float32)
    noisy[:5, :5] = 0.0
    result = smoothed(noisy, reach, 0.03)
    assert np.array_equal(result == 0.0, noisy == 0.0)
    error = (result - true)[result > 0.0]
    assert error.std() < 1.6 * 0.003 / (2 * reach + 1)  # at edges and corners there are fewer to take the mean of
    assert np.abs(error).max() < 0.02


@given(st.floats(-0.003, 0.003), st.floats(-0.003, 0.003))
def test_smoothing_leaves_planes_and_what_is_not_measured(across: float, down: float) -> None:
    rows, columns = np.mgrid[:32, :32]
    plane = (1.0 + across * columns + down * rows).astype(np.float32)
    plane[10, 10], plane[11, 20] = np.nan, np.inf
    result = smoothed(plane, 3, 0.05)
    assert np.isnan(result[10, 10])
    assert np.isinf(result[11, 20])
    inner = np.zeros_like(plane, bool)
    inner[3:-3, 3:-3] = True
    inner[7:15, 7:24] = False
    assert result[inner] == pytest.approx(plane[inner], abs=1e-5)


@given(st.integers(1, 8), st.integers(0, 100))
def test_only_points_in_company_stay(least: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    company = random.uniform(-0.003, 0.003, (least + 1, 3))
    fewer = random.uniform(-0.003, 0.003, (least, 3)) + np.array([0.5, 0.0, 0.0])
    alone = np.array([[0.0, 0.3, 0.0]])
    keep = keep_accompanied(np.concatenate([company, fewer, alone]), least, 0.012)
    assert np.array_equal(keep, np.arange(len(keep)) <= least)


def test_a_cloud_of_too_few_points_keeps_none() -> None:
    assert keep_accompanied(np.zeros((0, 3)), 3, 0.01).shape == (0,)
    assert not keep_accompanied(np.zeros((3, 3)), 3, 0.01).any()
