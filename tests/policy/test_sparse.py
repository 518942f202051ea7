"""Sparse convolution against PyTorch's dense one."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from mini_diffuser_ros.policy.network.sparse import (
    Rulebook,
    SubmanifoldConv,
    VoxelIndex,
    convolve_by_columns,
    convolve_by_taps,
)


def _scenes(scale: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    batch = torch.arange(2).repeat_interleave(60)
    grid = torch.cat([torch.randperm(6**3, generator=generator)[:60] for _ in range(2)])
    return batch, torch.stack([grid // 36, grid // 6 % 6, grid % 6], 1) * scale


def _rulebook(batch: torch.Tensor, grid: torch.Tensor, kernel: int) -> Rulebook:
    return Rulebook(VoxelIndex(batch, grid, 2).neighbours(batch, grid, kernel), mirrored=True)


@pytest.mark.parametrize("kernel", [3, 5])
def test_it_is_the_dense_convolution_at_active_voxels(kernel: int) -> None:
    torch.manual_seed(0)
    batch, grid = _scenes()
    conv = SubmanifoldConv(4, 5, kernel)
    features = torch.randn(len(grid), 4)
    dense = torch.zeros(2, 4, 6, 6, 6)
    dense[batch, :, grid[:, 0], grid[:, 1], grid[:, 2]] = features
    expected = F.conv3d(dense, conv.weight.permute(0, 4, 1, 2, 3), conv.bias, padding=kernel // 2)
    expected = expected[batch, :, grid[:, 0], grid[:, 1], grid[:, 2]]
    rulebook = _rulebook(batch, grid, kernel)
    torch.testing.assert_close(conv(features, rulebook), expected, atol=1e-5, rtol=1e-5)
    some = torch.tensor([3, 100, 57])
    torch.testing.assert_close(conv.at(features, rulebook, some), expected[some], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("mirrored", [True, False])
def test_its_gradients_are_right(mirrored: bool) -> None:
    torch.manual_seed(0)
    batch, grid = _scenes()
    conv = SubmanifoldConv(2, 3, 3).double()
    features = torch.randn(len(grid), 2, dtype=torch.float64, requires_grad=True)
    rulebook = Rulebook(_rulebook(batch, grid, 3).neighbours, mirrored)
    assert torch.autograd.gradcheck(lambda x: conv(x, rulebook), (features,))
    conv(features, rulebook).square().sum().backward()
    assert conv.weight.grad is not None
    analytic, step = conv.weight.grad[1, 0, 2, 1, 0].item(), 1e-6
    with torch.no_grad():
        before = conv(features, rulebook).square().sum()
        conv.weight[1, 0, 2, 1, 0] += step
        after = conv(features, rulebook).square().sum()
    assert (after - before).item() / step == pytest.approx(analytic, rel=1e-3)


def test_wide_grids_are_searched_like_narrow_ones() -> None:
    batch, grid = _scenes()
    spread = grid * 1000  # 6000 cells an axis: no dense table
    near, far = VoxelIndex(batch, grid, 2), VoxelIndex(batch, spread, 2)
    asked = grid.roll(1, 0)
    assert torch.equal(near.find(batch, asked), far.find(batch, asked * 1000))
    assert far.find(batch, spread).tolist() == list(range(len(grid)))
    assert (far.find(batch, spread + 1) == -1).all()


def test_positions_outside_the_grid_find_nothing() -> None:
    batch, grid = _scenes()
    index = VoxelIndex(batch, grid, 2)
    outside = torch.tensor([[-1, 0, 0], [0, 6, 0], [0, 0, 10**6]])
    assert (index.find(torch.zeros(3, dtype=torch.long), outside) == -1).all()


def test_columns_are_the_same_convolution_as_taps() -> None:
    torch.manual_seed(0)
    batch, grid = _scenes()
    rulebook = _rulebook(batch, grid, 3)
    inputs = []
    for convolve in (convolve_by_taps, convolve_by_columns):
        features = torch.randn(len(grid), 4, generator=torch.Generator().manual_seed(1)).requires_grad_()
        weight = torch.randn(5, 27, 4, generator=torch.Generator().manual_seed(2)).requires_grad_()
        out = convolve(features, weight, rulebook)
        out.square().sum().backward()
        inputs.append((out, features.grad, weight.grad))
    for by_taps, by_columns in zip(*inputs, strict=True):
        torch.testing.assert_close(by_taps, by_columns, atol=1e-4, rtol=1e-4)


def test_columns_need_one_point_a_voxel() -> None:
    batch, grid = _scenes()
    rulebook = Rulebook(_rulebook(batch, grid, 3).neighbours, mirrored=False)
    with pytest.raises(ValueError, match="not mirrored"):
        convolve_by_columns(torch.randn(len(grid), 2), torch.randn(3, 27, 2), rulebook)
