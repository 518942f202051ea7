"""Synthetic scenes for measurements: surfaces of boxes on and above a table, one point a voxel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mini_diffuser_ros.bench.errors import BenchError
from mini_diffuser_ros.policy import MiniDiffuserConfig, TrainingBatch, scene_points
from mini_diffuser_ros.records import Cloud

WORDS = 12
"""Tokens a sentence."""

_BOX_EDGES = (0.05, 0.25)  # metres
_JITTER = 0.3  # voxels, of a point around the middle of its voxel
_MOST_BOXES = 10_000
_FULLEST = 0.5  # share of the workspace's voxels that surfaces may take up


def box_cloud(points: int, config: MiniDiffuserConfig, seed: int) -> Cloud:
    """A cloud of which :func:`scene_points` keeps every point.

    Args:
        points: number of points, each in a voxel of its own.
        config: workspace and voxel size.
        seed: equal seeds give equal clouds.

    Raises:
        BenchError: more points than surfaces in the workspace can have.
    """
    random = np.random.default_rng(seed)
    workspace, voxel_size = config.scene.workspace, config.scene.voxel_size
    low, high = np.array([workspace.lower, workspace.upper]) / voxel_size
    first, last = np.ceil(low + 1e-6).astype(int), np.floor(high - 1e-6).astype(int)
    shape = last - first
    if points > _FULLEST * shape.prod():
        raise BenchError(
            f"points is {points}, expected at most {int(_FULLEST * shape.prod())}: half of the workspace's voxels"
        )
    surface, color = _boxes(points, shape, voxel_size, random)
    chosen = np.sort(random.choice(np.flatnonzero(surface), points, replace=False))
    cells = np.stack(np.unravel_index(chosen, surface.shape), 1) + first
    inner = 0.5 + random.uniform(-_JITTER, _JITTER, cells.shape)
    return Cloud(((cells + inner) * voxel_size).astype(np.float32), color.reshape(-1, 3)[chosen], "base")


def training_batch(config: MiniDiffuserConfig, clouds: Sequence[Cloud], seed: int) -> TrainingBatch:
    """Scenes with sentences and targets: of each scene one of its points, approached from above."""
    generator = torch.Generator().manual_seed(seed)
    scenes = [torch.from_numpy(scene_points(cloud, config).points) for cloud in clouds]
    tokens, lengths = token_states(config, len(scenes), generator)
    sizes = torch.tensor([len(scene) for scene in scenes])
    return TrainingBatch(
        points=torch.cat(scenes),
        batch=torch.repeat_interleave(sizes),
        text_tokens=tokens,
        text_lengths=lengths,
        target_xyz=torch.stack([scene[len(scene) // 2, :3] for scene in scenes]),
        target_quat=torch.tensor([[1.0, 0.0, 0.0, 0.0]]).repeat(len(scenes), 1),
        gripper_open=torch.ones(len(scenes)),
        terminate=torch.zeros(len(scenes)),
    )


def token_states(config: MiniDiffuserConfig, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Random token states (count * WORDS, text_width) of sentences, and their lengths (count,)."""
    tokens = torch.randn((count * WORDS, config.text.width), generator=generator)
    return tokens, torch.full((count,), WORDS)


def _boxes(
    points: int, shape: NDArray[np.int_], voxel_size: float, random: np.random.Generator
) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
    """Which voxels of a grid boxes' surfaces take up, at least ``points`` of them, and the voxels' colours."""
    surface = np.zeros(shape, np.bool_)
    color = np.zeros((*shape, 3), np.uint8)
    for _ in range(_MOST_BOXES):
        edges = np.minimum(np.ceil(random.uniform(*_BOX_EDGES, 3) / voxel_size).astype(int), shape)
        corner = random.integers(0, shape - edges + 1)
        inside = tuple(slice(a, a + edge) for a, edge in zip(corner, edges, strict=True))
        box = np.ones(edges, np.bool_)
        box[1:-1, 1:-1, 1:-1] = False
        color[inside][box] = random.integers(0, 256, 3)
        surface[inside] |= box
        if surface.sum() >= points:
            return surface, color
    raise BenchError(f"points is {points}, expected fewer: {_MOST_BOXES} boxes have not that much surface")
