"""The one preprocessing of training and decisions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mini_diffuser_ros.policy import MiniDiffuserConfig, scene_points, workspace_centre
from mini_diffuser_ros.records import Cloud

MakeCloud = Callable[..., Cloud]
CONFIG = MiniDiffuserConfig.small()


def test_points_are_centred_voxels_with_colour_and_height(block_cloud: MakeCloud) -> None:
    points, centre = scene_points(block_cloud(), CONFIG)
    assert points.dtype == np.float32
    base = points[:, :3] + centre
    np.testing.assert_allclose(points[:, 6], base[:, 2], atol=1e-6)
    assert np.abs(points[:, 3:6]).max() <= 1.0
    cells = np.floor(base / CONFIG.scene.voxel_size + 1e-4)
    assert len(np.unique(cells, axis=0)) == len(points)


def test_voxelising_twice_changes_nothing(block_cloud: MakeCloud) -> None:
    once, centre = scene_points(block_cloud(), CONFIG)
    colors = np.rint((once[:, 3:6] + 1) * 127.5).astype(np.uint8)
    twice, _ = scene_points(Cloud(once[:, :3] + centre, colors, "panda_link0"), CONFIG)
    np.testing.assert_allclose(np.sort(once, axis=0), np.sort(twice, axis=0), atol=1e-5)


def test_the_centre_is_a_corner_of_the_grid() -> None:
    cells = workspace_centre(CONFIG).astype(np.float64) / CONFIG.scene.voxel_size
    np.testing.assert_allclose(cells, np.round(cells), atol=1e-4)


def test_the_cap_keeps_points_all_over_the_cloud(block_cloud: MakeCloud) -> None:
    config = MiniDiffuserConfig.small(scene={"max_points": 50})
    full, capped = scene_points(block_cloud(), CONFIG).points, scene_points(block_cloud(), config).points
    assert len(capped) == 50
    assert np.ptp(capped[:, :2], axis=0) == pytest.approx(np.ptp(full[:, :2], axis=0), abs=0.05)


def test_nothing_in_the_workspace_is_refused() -> None:
    far = Cloud(np.full((3, 3), 9.0, np.float32), np.zeros((3, 3), np.uint8), "panda_link0")
    with pytest.raises(ValueError, match=r"cloud.points \(3, 3\) has no point inside the workspace"):
        scene_points(far, CONFIG)


def test_values_that_are_not_finite_are_refused(block_cloud: MakeCloud) -> None:
    cloud = block_cloud()
    cloud.points[4, 1] = np.nan
    with pytest.raises(ValueError, match="1 points that are not finite"):
        scene_points(cloud, CONFIG)
