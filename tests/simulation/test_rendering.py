"""What the cameras measure is where things are."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mini_diffuser_ros.geometry import inverse_transform, transform_points
from mini_diffuser_ros.records import CameraView
from mini_diffuser_ros.simulation import TASKS, SimulationError, TabletopWorld
from mini_diffuser_ros.simulation.objects import BLOCK_SIZE
from mini_diffuser_ros.simulation.palette import COLORS


@pytest.fixture(scope="module")
def egl_world() -> TabletopWorld:
    try:
        return TabletopWorld(renderer="egl")
    except SimulationError as error:
        pytest.skip(str(error))


def back_project(view: CameraView) -> NDArray[np.float64]:
    """(H, W, 3) points in the base frame."""
    height, width = view.depth.shape
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    rays = np.stack([columns, rows, np.ones_like(rows)], axis=-1) @ np.linalg.inv(view.intrinsics).T
    points = (rays * view.depth[..., None]).reshape(-1, 3).astype(np.float64)
    return transform_points(view.base_from_camera, points).reshape(height, width, 3)


@pytest.mark.parametrize("camera", ["front", "left_shoulder", "wrist"])
def test_back_projected_pixels_lie_on_the_block_they_show(world: TabletopWorld, camera: str) -> None:
    goal = world.reset("stack_blocks", 11)
    view = world.view(camera)
    points = back_project(view).reshape(-1, 3)
    points = points[view.depth.reshape(-1) > 0.0]
    assert points[:, 2].min() > -1e-5
    shown = 0
    for color in goal.slots.values():
        local = transform_points(inverse_transform(world.body_pose(f"block_{color}")), points)
        near = np.abs(local).max(axis=1) < BLOCK_SIZE / 2.0 + 1e-4
        near &= points[:, 2] > 1e-3
        shown += int(near.sum())
        assert np.abs(local[near]).max(axis=1) == pytest.approx(BLOCK_SIZE / 2.0, abs=1e-5)
    assert shown > 20 or camera == "wrist"


def test_the_table_is_flat_at_height_zero(world: TabletopWorld) -> None:
    world.reset("push_buttons", 12)
    points = back_project(world.view("front"))
    corner = points[-60:-20, 100:150].reshape(-1, 3)
    assert np.abs(corner[:, 2]).max() < 1e-5


@pytest.mark.parametrize("task", TASKS)
def test_both_renderers_agree(world: TabletopWorld, egl_world: TabletopWorld, task: str) -> None:
    world.reset(task, 13)
    egl_world.reset(task, 13)
    for view, egl_view in zip(world.views(), egl_world.views(), strict=True):
        error = np.abs(view.depth - egl_view.depth)
        assert np.median(error) < 1e-5
        # Silhouettes differ by the rounding of a pixel.
        assert (error > 1e-3).mean() < 0.015
        assert (np.abs(view.color.astype(int) - egl_view.color).max(axis=-1) > 3).mean() < 0.01


def test_views_are_calibrated_images_of_the_asked_size(world: TabletopWorld) -> None:
    world.reset("stack_blocks", 14)
    views = world.views()
    assert [view.name for view in views] == ["front", "left_shoulder", "wrist"]
    for view in views:
        assert view.color.shape == (256, 256, 3)
        assert view.color.dtype == np.uint8
        assert view.depth.shape == (256, 256)
        assert view.depth.dtype == np.float32
        assert view.stamp == world.time
        assert np.linalg.det(view.base_from_camera[:3, :3]) == pytest.approx(1.0)


def test_images_of_other_sizes_show_the_same_scene() -> None:
    small = TabletopWorld(image_size=(48, 64))
    small.reset("stack_blocks", 15)
    view = small.view("front")
    assert view.depth.shape == (48, 64)
    assert back_project(view)[view.depth > 0.0][:, 2].min() > -1e-5


def test_the_colors_differ_even_in_the_shade() -> None:
    def directions(brightness: float) -> NDArray[np.float64]:
        return np.array(list(COLORS.values())) * brightness

    lit, shaded = directions(1.0), directions(0.5)
    for first in (lit, shaded):
        gaps = np.linalg.norm(first[:, None] - first[None], axis=-1)[np.triu_indices(len(COLORS), 1)]
        assert gaps.min() > 0.15


def test_an_unknown_renderer_is_refused_with_the_valid_names() -> None:
    with pytest.raises(SimulationError, match="rays"):
        TabletopWorld(renderer="vulkan")
