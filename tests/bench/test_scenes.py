"""Synthetic scenes: exactly the points asked for, in the order and form of real ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mini_diffuser_ros.bench.errors import BenchError
from mini_diffuser_ros.bench.scenes import box_cloud, training_batch
from mini_diffuser_ros.policy import MiniDiffuserConfig, scene_points

BASE = MiniDiffuserConfig.base()


@pytest.mark.parametrize("points", [1, 500, 4000])
def test_every_point_is_kept(points: int) -> None:
    cloud = box_cloud(points, BASE, seed=3)
    scene = scene_points(cloud, BASE)
    assert len(cloud) == len(scene.points) == points
    assert np.allclose(scene.points[:, :3] + scene.centre, cloud.points, atol=1e-6)
    cells = np.floor(cloud.points / BASE.scene.voxel_size).astype(int)
    assert len(np.unique(cells, axis=0)) == points


def test_points_lie_on_surfaces() -> None:
    cells = np.floor(box_cloud(4000, BASE, seed=0).points / BASE.scene.voxel_size).astype(int)
    occupied = set(map(tuple, cells.tolist()))
    steps = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]])
    neighbours = [sum(tuple(cell + step) in occupied for step in (*steps, *-steps)) for cell in cells]
    assert 2 <= np.mean(neighbours) <= 4.5  # a plane gives 4, a solid 6


def test_equal_seeds_give_equal_scenes() -> None:
    first, second, other = (box_cloud(200, BASE, seed) for seed in (1, 1, 2))
    assert np.array_equal(first.points, second.points)
    assert np.array_equal(first.colors, second.colors)
    assert not np.array_equal(first.points, other.points)


def test_too_many_points_are_refused() -> None:
    with pytest.raises(BenchError, match="points is 200000, expected at most"):
        box_cloud(200_000, BASE, seed=0)


def test_a_batch_has_the_scenes_in_their_order() -> None:
    clouds = [box_cloud(points, BASE, seed) for seed, points in enumerate((30, 50))]
    batch = training_batch(BASE, [clouds[0], clouds[1], clouds[1]], seed=0)
    assert torch.bincount(batch.batch).tolist() == [30, 50, 50]
    assert torch.equal(batch.points[30:80], batch.points[80:])
    assert len(batch.text_tokens) == int(batch.text_lengths.sum())
