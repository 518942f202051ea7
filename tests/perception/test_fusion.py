"""Fusion keeps the true surfaces of the workspace and nothing else, whatever the order of the cameras."""

import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mini_diffuser_ros.geometry import matrix_from_pose, transform_points
from mini_diffuser_ros.perception import (
    FusionConfig,
    InvalidViewError,
    PerceptionError,
    back_project,
    fuse_views,
)
from mini_diffuser_ros.records import CameraView, Workspace
from mini_diffuser_ros.robots import load_robot
from mini_diffuser_ros.support.settings import SettingsError

ViewMaker = Callable[..., CameraView]

EYES = {"front": (1.2, 0.1, 0.7), "left": (0.4, 0.9, 0.8), "above": (0.45, -0.1, 1.2)}
SPHERES = (((0.5, 0.1, 0.04), 0.04), ((0.6, -0.15, 0.06), 0.06), ((0.38, -0.05, 0.03), 0.03))
EVERYWHERE = FusionConfig(
    workspace=Workspace((-100, -100, -100), (100, 100, 100)),
    voxel_size=0,
    max_depth=90,
    drop_flying_points=False,
)

unit = st.floats(-1.0, 1.0)
fixture_is_pure = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)


@pytest.fixture
def views(make_view: ViewMaker) -> list[CameraView]:
    return [make_view(eye, SPHERES, name, stamp=10.0 + i) for i, (name, eye) in enumerate(EYES.items())]


def test_points_lie_on_the_surfaces_that_were_seen(views: list[CameraView]) -> None:
    cloud = fuse_views(views, replace(FusionConfig(), voxel_size=0.0))
    numbers = cloud.colors[:, 0]
    assert set(numbers) == {1, 2, 3}
    for number, (center, radius) in enumerate(SPHERES, start=1):
        distances = np.linalg.norm(cloud.points[numbers == number] - center, axis=1)
        np.testing.assert_allclose(distances, radius, atol=1e-5)


def test_the_early_crop_keeps_exactly_what_a_full_back_projection_has_in_the_workspace(views: list[CameraView]) -> None:
    config = replace(FusionConfig(), voxel_size=0.0, drop_flying_points=False)
    expected = []
    for view in views:
        points = transform_points(view.base_from_camera, back_project(view.depth, view.intrinsics).reshape(-1, 3))
        inside = np.all((points > config.workspace.lower) & (points < config.workspace.upper), axis=1)
        expected.append(points[inside])
    np.testing.assert_allclose(fuse_views(views, config).points, np.concatenate(expected), atol=1e-6)


@fixture_is_pure
@given(order=st.permutations(range(3)))
def test_the_order_of_the_cameras_does_not_matter(views: list[CameraView], order: list[int]) -> None:
    expected, cloud = fuse_views(views, FusionConfig()), fuse_views([views[i] for i in order], FusionConfig())
    np.testing.assert_allclose(cloud.points, expected.points, atol=1e-7)
    np.testing.assert_array_equal(cloud.colors, expected.colors)
    assert cloud.stamp == expected.stamp


@fixture_is_pure
@given(quaternion=st.tuples(unit, unit, unit, unit), position=st.tuples(unit, unit, unit))
def test_moving_the_cameras_moves_the_cloud(
    make_view: ViewMaker, quaternion: tuple[float, ...], position: tuple[float, ...]
) -> None:
    if np.linalg.norm(quaternion) < 0.1:
        return
    view = make_view(EYES["front"], SPHERES, size=(20, 30))
    new_from_base = matrix_from_pose([*position, *quaternion])
    moved = replace(view, base_from_camera=new_from_base @ view.base_from_camera)
    expected = transform_points(new_from_base, fuse_views([view], EVERYWHERE).points)
    np.testing.assert_allclose(fuse_views([moved], EVERYWHERE).points, expected, atol=2e-5)


def test_the_cloud_has_the_stamp_of_the_oldest_image(views: list[CameraView]) -> None:
    assert fuse_views(views[::-1], FusionConfig()).stamp == 10.0


def test_one_point_a_voxel_is_left_and_lies_in_it(views: list[CameraView]) -> None:
    config = FusionConfig()
    cloud = fuse_views(views, config)
    cells = np.floor(cloud.points / config.voxel_size)
    # A mean of points that touch a cell's face may be rounded across it.
    assert len(np.unique(cells, axis=0)) >= len(cloud) - 2
    assert len(cloud) < len(fuse_views(views, replace(config, voxel_size=0.0)))


def test_nothing_in_the_workspace_gives_an_empty_cloud(views: list[CameraView]) -> None:
    cloud = fuse_views(views, FusionConfig(workspace=Workspace((0.3, -0.3, 0.4), (0.6, 0.3, 0.5))))
    assert cloud.points.shape == cloud.colors.shape == (0, 3)


@pytest.mark.parametrize("nothing", [0.0, np.nan, np.inf, -np.inf])
def test_pixels_without_a_measurement_are_left_out(views: list[CameraView], nothing: float) -> None:
    depth = views[0].depth.copy()
    depth[::2] = nothing
    config = replace(FusionConfig(), voxel_size=0.0, drop_flying_points=False)
    cloud = fuse_views([replace(views[0], depth=depth)], config)
    assert 0 < len(cloud) < len(fuse_views(views[:1], config))
    assert np.all(np.isfinite(cloud.points))


def test_points_in_the_air_behind_a_silhouette_are_dropped_and_surfaces_kept(make_view: ViewMaker) -> None:
    config = replace(FusionConfig(), voxel_size=0.0)
    view = make_view(EYES["front"], SPHERES)
    clean = fuse_views([view], replace(config, drop_flying_points=False))
    assert len(fuse_views([view], config)) > 0.95 * len(clean)
    # A camera that mixes near and far at a silhouette measures something between the two.
    red = view.color[..., 0] > 0
    rows, columns = np.nonzero(red[:, 1:-1] & ~red[:, 2:])
    depth = view.depth.copy()
    depth[rows, columns + 1] = (depth[rows, columns] + depth[rows, columns + 2]) / 2.0
    mixed = replace(view, depth=depth)
    kept = fuse_views([mixed], config)
    assert len(fuse_views([mixed], replace(config, drop_flying_points=False))) > len(kept)
    center, radius = np.array([s[0] for s in SPHERES]), np.array([s[1] for s in SPHERES])
    off_surface = np.abs(np.linalg.norm(kept.points[:, None] - center, axis=2) - radius).min(axis=1)
    # Steps below flying_point_jump stay: where a silhouette meets the table.
    assert np.all(off_surface < config.flying_point_jump)
    assert len(kept) > 0.95 * len(clean) - len(rows)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"color": np.zeros((3, 3, 3), np.uint8)},
            r"color is uint8 of shape \(3, 3, 3\), expected uint8 \(80, 100, 3\)",
        ),
        ({"depth": np.zeros((80, 100), np.uint16)}, "depth is uint16 of shape .*expected floating metres"),
        ({"depth": np.zeros((0, 0), np.float32)}, r"depth is float32 of shape \(0, 0\)"),
        ({"intrinsics": np.zeros((3, 3))}, "intrinsics .* pinhole matrix"),
        ({"base_from_camera": np.full((4, 4), np.nan)}, r"base_from_camera .* is not a finite \(4, 4\) matrix"),
        ({"base_from_camera": np.diag([2.0, 1.0, 1.0, 1.0])}, ".*not orthonormal"),
        (
            {"base_from_camera": np.diag([1.0, 1.0, 1.0, 2.0])},
            r"the last row of base_from_camera is \[0.0, 0.0, 0.0, 2.0",
        ),
    ],
)
def test_a_malformed_view_is_refused_by_its_cameras_name(
    views: list[CameraView], change: dict[str, np.ndarray], message: str
) -> None:
    with pytest.raises(InvalidViewError, match=f"'left': {message}") as caught:
        fuse_views([views[0], replace(views[1], **change)], FusionConfig())
    assert caught.value.camera == "left"
    assert "\n" not in str(caught.value)


def test_the_robot_is_taken_out_of_each_view_where_it_was_at_that_time(views: list[CameraView]) -> None:
    robot = load_robot("panda")
    # Margins so wide that the arm covers spheres, others when it has turned.
    config = replace(FusionConfig(), voxel_size=0.0, link_margin=0.25)
    before, after = (
        dict(zip(robot.arm_joint_names, (turn, 0.4, 0.0, -1.8, 0.0, 2.2, 0.8), strict=True))
        | dict.fromkeys(robot.finger_joint_names, 0.04)
        for turn in (-0.4, 0.5)
    )
    alone = [fuse_views([view], config, robot, at) for view, at in zip(views, (before, after, before), strict=True)]
    together = fuse_views(views, config, robot, [before, after, before])
    assert np.array_equal(together.points, np.concatenate([cloud.points for cloud in alone]))
    assert len(together) != len(fuse_views(views, config, robot, after))
    assert np.array_equal(
        fuse_views(views, config, robot, [after] * 3).points, fuse_views(views, config, robot, after).points
    )
    with pytest.raises(PerceptionError, match="2 joint_positions for 3 views"):
        fuse_views(views, config, robot, [before, after])


def test_colours_of_any_memory_layout_are_fused_alike(views: list[CameraView]) -> None:
    swapped = [replace(view, color=view.color[:, :, ::-1].copy()[:, :, ::-1]) for view in views]
    padded = [replace(view, color=np.pad(view.color, ((0, 0), (0, 5), (0, 1)))[:, :-5, :3]) for view in views]
    expected = fuse_views(views, FusionConfig())
    for other in (swapped, padded):
        assert np.array_equal(fuse_views(other, FusionConfig()).colors, expected.colors)


def test_no_views_are_refused() -> None:
    with pytest.raises(PerceptionError, match="no camera views"):
        fuse_views([], FusionConfig())


def test_outlier_removal_without_open3d_names_the_extra(
    views: list[CameraView], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "open3d", None)
    with pytest.raises(PerceptionError, match=r"pip install 'mini_diffuser_ros\[open3d\]'"):
        fuse_views(views, FusionConfig(outlier_neighbors=20))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("workspace", ((0.9, 0.0, 0.0), (0.8, 0.38, 0.55))),
        ("workspace", {"lower": (0.5, 0.5), "upper": (1, 1, 1)}),
        ("workspace", {"lower": (0.5, 0.5, float("nan")), "upper": (1, 1, 1)}),
        ("workspace", {"lower": (0.9, 0.0, 0.0), "upper": (0.8, 0.38, 0.55)}),
        ("voxel_size", -0.01),
        ("max_depth", 0.01),
        ("link_margin", float("nan")),
        ("flying_point_jump", 0.0),
    ],
)
def test_a_senseless_configuration_is_refused_by_its_field(field: str, value: object) -> None:
    with pytest.raises(SettingsError, match=f"^{field}"):
        FusionConfig(**{field: value})


def test_lists_from_yaml_become_tuples() -> None:
    workspace = Workspace([0, 0, 0], [1, 1, 1])  # type: ignore[arg-type]
    assert workspace == Workspace((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
