"""Scenes for the policy's tests: blocks on a table, as voxels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from mini_diffuser_ros.policy import MiniDiffuser, MiniDiffuserConfig, TrainingBatch
from mini_diffuser_ros.records import Cloud

MakeBatch = Callable[..., TrainingBatch]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def model() -> MiniDiffuser:
    torch.manual_seed(0)
    return MiniDiffuser(MiniDiffuserConfig.small()).eval()


@pytest.fixture
def block_cloud() -> Callable[..., Cloud]:
    return _block_cloud


@pytest.fixture
def network_points() -> Callable[[int, int], torch.Tensor]:
    return _network_points


def _block_cloud(seed: int = 0, blocks: int = 4) -> Cloud:
    """Coloured blocks of 4 cm on the table, sampled every 5 mm on their surfaces."""
    random = np.random.default_rng(seed)
    face = np.stack(np.meshgrid(np.arange(-0.02, 0.021, 0.005), np.arange(-0.02, 0.021, 0.005)), -1).reshape(-1, 2)
    top = np.insert(face, 2, 0.04, axis=1)
    sides = [np.insert(face + np.array([0, 0.02]), axis, offset, axis=1) for axis in (0, 1) for offset in (-0.02, 0.02)]
    shape = np.concatenate([top, *sides])
    centres = random.uniform([0.32, -0.3, 0.0], [0.72, 0.3, 0.0], (blocks, 3))
    colors = random.integers(0, 256, (blocks, 3))
    points = (shape[None] + centres[:, None] + [0, 0, 0.005]).reshape(-1, 3)
    return Cloud(points.astype(np.float32), np.repeat(colors, len(shape), axis=0).astype(np.uint8), "panda_link0")


def _network_points(seed: int, count: int) -> torch.Tensor:
    """(count, 7) points of distinct voxels around the origin."""
    random = np.random.default_rng(seed)
    cells = random.choice(20 * 20 * 8, count, replace=False)
    grid = np.stack([cells // 160, cells // 8 % 20, cells % 8], 1)
    xyz = (grid - [10, 10, 12]) * 0.01 + 0.005
    values = np.concatenate([xyz, random.uniform(-1, 1, (count, 3)), xyz[:, 2:] + 0.12], 1)
    return torch.from_numpy(values.astype(np.float32))


@pytest.fixture
def make_batch() -> MakeBatch:
    def make(counts: tuple[int, ...] = (150, 90, 220), width: int = 384, seed: int = 0) -> TrainingBatch:
        generator = torch.Generator().manual_seed(seed)
        scenes = len(counts)
        lengths = torch.randint(4, 9, (scenes,), generator=generator)
        points = [_network_points(seed * 100 + number, count) for number, count in enumerate(counts)]
        return TrainingBatch(
            points=torch.cat(points),
            batch=torch.repeat_interleave(torch.tensor(counts)),
            text_tokens=torch.randn((int(lengths.sum()), width), generator=generator),
            text_lengths=lengths,
            target_xyz=torch.stack([part[0, :3] for part in points]),
            target_quat=torch.tensor([[1.0, 0.0, 0.0, 0.0]]).expand(scenes, 4),
            gripper_open=torch.ones(scenes),
            terminate=torch.zeros(scenes),
        )

    return make
