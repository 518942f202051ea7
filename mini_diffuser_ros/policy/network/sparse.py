"""Sparse voxels in plain PyTorch: finding neighbours, and convolution on active voxels only."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_DENSE_CELLS = {"cpu": 1 << 25, "cuda": 1 << 28}  # up to so many cells a dense table beats binary search
_COLUMN_VALUES = 1 << 30  # gathered values at a time: 2 GiB in bfloat16
_MARGIN = 2  # empty cells around each scene: the reach of the widest kernel


class VoxelIndex:
    """Finds the point that represents a voxel of a scene, in time independent of the scene's size.

    Args:
        batch: (N,) int64, scene of each point.
        grid: (N, 3) int64, its voxel, not negative.
        scenes: number of scenes B.
    """

    def __init__(self, batch: Tensor, grid: Tensor, scenes: int) -> None:
        self._highest = grid.amax(0)
        # With a margin of empty cells, a neighbour's key is the voxel's own plus a constant, wherever it lies.
        self._extent = [int(size) + 1 + 2 * _MARGIN for size in self._highest.tolist()]
        key = self._key(batch, grid)
        cells = scenes * math.prod(self._extent)
        points = torch.arange(len(grid), device=grid.device, dtype=torch.int32)
        self._table: Tensor | None = None
        if cells <= _DENSE_CELLS[grid.device.type]:
            self._table = torch.full((cells,), -1, dtype=torch.int32, device=grid.device)
            # Reversed, so that the first of several points in a voxel stays.
            self._table[key.flip(0)] = points.flip(0)
        else:
            self._sorted, order = torch.sort(key, stable=True)
            self._points = points[order]

    def find(self, batch: Tensor, grid: Tensor) -> Tensor:
        """Point (...,) int32 in each voxel (..., 3) of scene ``batch`` (...,); -1 where the voxel is empty."""
        inside = ((grid >= 0) & (grid <= self._highest)).all(-1)
        key = torch.where(inside, self._key(batch, grid), self._key(batch, torch.full_like(grid, -1)))
        return self._lookup(key)

    def neighbours(self, batch: Tensor, grid: Tensor, kernel: int) -> Tensor:
        """(N, kernel ** 3) int32: for each voxel the point at every tap of a cube around it, -1 where empty.

        Taps run over x, then y, then z, z fastest.
        """
        reach = kernel // 2
        if reach > _MARGIN:
            raise ValueError(f"kernel is {kernel}, expected at most {2 * _MARGIN + 1}")
        steps = torch.arange(-reach, reach + 1, device=grid.device)
        taps = torch.cartesian_prod(steps, steps, steps)
        shift = (taps[:, 0] * self._extent[1] + taps[:, 1]) * self._extent[2] + taps[:, 2]
        return self._lookup(self._key(batch, grid)[:, None] + shift)

    def _key(self, batch: Tensor, grid: Tensor) -> Tensor:
        x, y, z = self._extent
        return ((batch * x + grid[..., 0] + _MARGIN) * y + grid[..., 1] + _MARGIN) * z + grid[..., 2] + _MARGIN

    def _lookup(self, key: Tensor) -> Tensor:
        if self._table is not None:
            return self._table.index_select(0, key.flatten()).view(key.shape)
        place = torch.searchsorted(self._sorted, key).clamp_(max=len(self._sorted) - 1)
        return torch.where(self._sorted[place] == key, self._points[place], -1)


@dataclass(frozen=True, eq=False)
class Rulebook:
    """Which active voxel feeds which through which tap of a kernel.

    A pair is an output point and a tap with an input point; pairs are numbered by tap, then by output point.

    Attributes:
        neighbours: (N, T) int64, input point of each output point and tap, -1 where empty.
        mirrored: whether each voxel holds one point, so that i feeds j through a tap exactly if j feeds i through
            the opposite one.
    """

    neighbours: Tensor
    mirrored: bool

    @cached_property
    def columns(self) -> Tensor:
        """(N, T) int32, like ``neighbours`` with N where there is none."""
        return torch.where(self.neighbours < 0, len(self.neighbours), self.neighbours)

    @cached_property
    def pairs(self) -> tuple[Tensor, Tensor]:
        """Inputs (P,) and outputs (P,)."""
        active = self._active.T.flatten().nonzero()[:, 0]
        return self.neighbours.T.flatten().index_select(0, active), active % len(self.neighbours)

    @cached_property
    def tap_counts(self) -> list[int]:
        """Pairs of each tap, T entries that sum to P."""
        counts: list[int] = self._active.sum(0, dtype=torch.int32).tolist()
        return counts

    @cached_property
    def by_output(self) -> tuple[Tensor, Tensor]:
        """Pairs sorted by output point, and where each point's pairs start: (P,) and (N,) int32."""
        return self._numbers.index_select(0, self._places), self._pair_starts

    @cached_property
    def by_input(self) -> tuple[Tensor, Tensor]:
        """Pairs sorted by input point, and where each point's pairs start: (P,) and (N,) int32."""
        if not self.mirrored:
            inputs = self.pairs[0]
            sizes = torch.bincount(inputs, minlength=len(self.neighbours))
            return torch.argsort(inputs, stable=True).int(), _starts(sizes)
        taps = self.neighbours.shape[1]
        opposite = taps - 1 - self._places % taps
        inputs = self.neighbours.flatten().index_select(0, self._places)
        # The pair seen from its output point
        return self._numbers.index_select(0, inputs * taps + opposite), self._pair_starts

    @cached_property
    def _active(self) -> Tensor:
        """(N, T) bool, whether there is a pair of an output point and a tap."""
        return self.neighbours >= 0

    @cached_property
    def _places(self) -> Tensor:
        """(P,) int64, where the pairs stand in the flat (N, T) table."""
        return self._active.flatten().nonzero()[:, 0]

    @cached_property
    def _numbers(self) -> Tensor:
        """(N * T,) int32, the pair's number at its place in the flat (N, T) table; meaningless where there is none."""
        active = self._active.T.contiguous()
        return (torch.cumsum(active.flatten(), 0, dtype=torch.int32) - 1).view_as(active).T.flatten()

    @cached_property
    def _pair_starts(self) -> Tensor:
        """(N,) int32, where each point's pairs start; the same by output and, mirrored, by input."""
        return _starts(self._active.sum(1, dtype=torch.int32))


def _starts(sizes: Tensor) -> Tensor:
    return (torch.cumsum(sizes, 0) - sizes).int()


def convolve_by_taps(features: Tensor, weight: Tensor, rulebook: Rulebook) -> Tensor:
    """Submanifold convolution tap by tap: only pairs that exist are multiplied. For CPUs.

    Args:
        features: (N, in).
        weight: (out, T, in).
        rulebook: of N points and T taps.

    Returns:
        (N, out).
    """
    out: Tensor = _ConvolvePairs.apply(features, weight, rulebook)
    return out


def convolve_by_columns(features: Tensor, weight: Tensor, rulebook: Rulebook) -> Tensor:
    """The same as one product of (N, T * in) gathered values, zero where there is no neighbour. For GPUs.

    Three times the multiplications, but a handful of kernels instead of hundreds, and no atomic sums.

    Raises:
        ValueError: several points share a voxel, so that the gradient is no convolution.
    """
    if not rulebook.mirrored:
        raise ValueError("rulebook is not mirrored, expected one point a voxel; use convolve_by_taps")
    out: Tensor = _ConvolveColumns.apply(features, weight, rulebook.columns)
    return out


class _ConvolveColumns(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, columns: Tensor) -> Tensor:
        ctx.save_for_backward(features, weight, columns)
        matrix = weight.flatten(1).T
        return torch.cat([part @ matrix for part in _gather_columns(features, columns)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor, None]:
        features, weight, columns = ctx.saved_tensors
        gradient = gradients[0].contiguous()
        of_weight, start = torch.zeros_like(weight.flatten(1)), 0
        for part in _gather_columns(features, columns):
            of_weight += gradient[start : start + len(part)].T @ part
            start += len(part)
        of_features = None
        if ctx.needs_input_grad[0]:
            # What feeds j through a tap is fed by j through the opposite one.
            matrix = weight.flip(1).transpose(0, 1).flatten(0, 1)  # (T * out, in)
            of_features = torch.cat([part @ matrix for part in _gather_columns(gradient, columns)])
        return of_features, of_weight.view_as(weight), None


def _gather_columns(rows: Tensor, columns: Tensor) -> Iterator[Tensor]:
    """Parts of the rows (N, C) of each point's neighbours, (n, T * C)."""
    padded = torch.cat([rows, rows.new_zeros(1, rows.shape[1])])
    for part in columns.split(max(1, _COLUMN_VALUES // (columns.shape[1] * rows.shape[1]))):
        yield padded.index_select(0, part.flatten()).view(len(part), -1)


class _ConvolvePairs(torch.autograd.Function):
    """Multiply each pair's input by its tap's matrix and sum by output, without scattered writes."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, rulebook: Rulebook) -> Tensor:
        gathered = features.index_select(0, rulebook.pairs[0])
        # Gathering again is cheaper than eight times the features in memory.
        ctx.save_for_backward(features, weight)
        ctx.rulebook = rulebook
        messages = _multiply_by_tap(gathered, weight.transpose(0, 2), rulebook.tap_counts)
        return _sum_groups(messages, rulebook.by_output)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        features, weight = ctx.saved_tensors
        rulebook: Rulebook = ctx.rulebook
        gathered = features.index_select(0, rulebook.pairs[0])
        messages = gradients[0].index_select(0, rulebook.pairs[1])
        weight_gradient = torch.zeros_like(weight)
        for tap, part in enumerate(_parts(rulebook.tap_counts)):
            torch.mm(messages[part].T, gathered[part], out=weight_gradient[:, tap])
        del gathered  # its memory serves the next product
        if not ctx.needs_input_grad[0]:
            return None, weight_gradient, None
        back = _multiply_by_tap(messages, weight, rulebook.tap_counts)
        return _sum_groups(back, rulebook.by_input), weight_gradient, None


def _multiply_by_tap(rows: Tensor, weight: Tensor, counts: list[int]) -> Tensor:
    """Rows (P, C) times their tap's matrix, one of (C, T, D), rows being ordered by tap."""
    out = rows.new_empty(len(rows), weight.shape[2])
    for tap, part in enumerate(_parts(counts)):
        torch.mm(rows[part], weight[:, tap], out=out[part])
    return out


def _parts(counts: list[int]) -> Iterator[slice]:
    """Where each tap's pairs are."""
    start = 0
    for count in counts:
        yield slice(start, start + count)
        start += count


def _sum_groups(rows: Tensor, groups: tuple[Tensor, Tensor]) -> Tensor:
    order, starts = groups
    return F.embedding_bag(order, rows, starts, mode="sum")


class SubmanifoldConv(nn.Module):
    """Convolution whose outputs exist at active voxels only, like its inputs.

    ``weight`` is (out, kernel, kernel, kernel, in); the kernel axes are x, y, z (spconv's layout).
    """

    def __init__(self, channels_in: int, channels_out: int, kernel: int, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels_out, kernel, kernel, kernel, channels_in))
        self.bias = nn.Parameter(torch.zeros(channels_out)) if bias else None
        # About a third of a surface voxel's taps are active, so the fan-in is smaller than the kernel's volume.
        bound = math.sqrt(3.0 / (channels_in * max(1, kernel**3 // 3)))
        nn.init.uniform_(self.weight, -bound, bound)

    def forward(self, features: Tensor, rulebook: Rulebook) -> Tensor:
        """Features (N, in) to (N, out)."""
        weight: Tensor = self.weight
        if torch.is_autocast_enabled(features.device.type):
            reduced = torch.get_autocast_dtype(features.device.type)
            features, weight = features.to(reduced), weight.to(reduced)
        convolve = convolve_by_columns if features.is_cuda and rulebook.mirrored else convolve_by_taps
        out = convolve(features, weight.flatten(1, 3), rulebook)
        return out if self.bias is None else out + self.bias

    def at(self, features: Tensor, rulebook: Rulebook, points: Tensor) -> Tensor:
        """The output (Q, out) at some of the points (Q,) only."""
        rows = rulebook.neighbours.index_select(0, points)
        gathered = features.index_select(0, rows.clamp(min=0).flatten()).view(*rows.shape, features.shape[1])
        gathered = gathered * (rows >= 0)[..., None]
        return F.linear(gathered.flatten(1), self.weight.flatten(1), self.bias)
