"""The voxel levels of a batch of scenes: everything about geometry that no weight touches.

Computed once per batch, without a loop over points or scenes; encoder, decoder and neck share it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from mini_diffuser_ros.policy.config import MiniDiffuserConfig
from mini_diffuser_ros.policy.network.serialization import MAX_DEPTH, Windows, curve_code, cut_windows
from mini_diffuser_ros.policy.network.sparse import Rulebook, VoxelIndex


@dataclass(frozen=True, eq=False)
class Level:
    """The points of one voxel level, of all scenes after one another, each scene's along a space-filling curve.

    Points that are near in space are then near in memory: windows are runs of points, and neighbours lie in the cache.

    Attributes:
        coordinates: (N, 3) metres, centred frame; means of the voxels' points.
        grid: (N, 3) int64 voxel of each point, counted from ``corner``.
        batch: (N,) int64 scene of each point, non-decreasing.
        counts: (B,) int64 points of each scene.
        size: metres, edge of a voxel.
        corner: (B, 3) metres, where voxel (0, 0, 0) of each scene begins.
        windows: groups of points for self-attention.
        children: for pooling from the next finer level, None at level 0.
        parents: (N,) int64 point of the next coarser level, None at the coarsest.
    """

    coordinates: Tensor
    grid: Tensor
    batch: Tensor
    counts: Tensor
    size: float
    corner: Tensor
    windows: Windows
    children: Children | None
    parents: Tensor | None
    _rulebooks: dict[int, Rulebook] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.batch)

    @property
    def scenes(self) -> int:
        """Number of scenes B."""
        return len(self.counts)

    def voxels(self, xyz: Tensor) -> Tensor:
        """Voxels (B, M, 3) of positions (B, M, 3) in the grid of each scene."""
        return torch.floor((xyz - self.corner[:, None]) / self.size).long()

    @cached_property
    def index(self) -> VoxelIndex:
        """Finds points by voxel."""
        return VoxelIndex(self.batch, self.grid, self.scenes)

    def rulebook(self, kernel: int) -> Rulebook:
        """Neighbour pairs of a convolution, built on first use."""
        if kernel not in self._rulebooks:
            neighbours = self.index.neighbours(self.batch, self.grid, kernel)
            own = torch.arange(len(self), device=neighbours.device)
            centre = kernel**3 // 2
            mirrored = bool((neighbours[:, centre] == own).all())
            # Where several points share a voxel, each keeps its own feature at the centre tap.
            neighbours[:, centre] = own
            self._rulebooks[kernel] = Rulebook(neighbours, mirrored)
        return self._rulebooks[kernel]

    @cached_property
    def padded(self) -> Windows:
        """One window a scene, as wide as the largest scene: for cross-attention to whole scenes."""
        return cut_windows(self.counts, int(self.counts.max()))


@dataclass(frozen=True, eq=False)
class Children:
    """Which points of the finer level make a point of the coarser one.

    Attributes:
        sizes: (P,) int64, runs of consecutive points of the finer level that share a coarser voxel.
        order: (P,) int64, the run of each point of the coarser level; None where both levels follow the same curve.
    """

    sizes: Tensor
    order: Tensor | None


class Pyramid(NamedTuple):
    """Voxel levels of a batch.

    Attributes:
        levels: from the finest to the coarsest.
        source: (N,) int64, the row of the input that each point of level 0 was.
    """

    levels: tuple[Level, ...]
    source: Tensor


class _Points(NamedTuple):
    """Points of a level in the order of its curve: (N, 3), (N, 3), (N,), and their codes (N,)."""

    coordinates: Tensor
    grid: Tensor
    batch: Tensor
    code: Tensor

    def select(self, rows: Tensor) -> _Points:
        return _Points(*(values.index_select(0, rows) for values in self))


def build_pyramid(
    coordinates: Tensor,
    batch: Tensor,
    scenes: int,
    config: MiniDiffuserConfig,
    training: bool = False,
    generator: torch.Generator | None = None,
) -> Pyramid:
    """Voxel levels of scenes.

    Args:
        coordinates: (N, 3) metres, centred frame.
        batch: (N,) int64, non-decreasing.
        scenes: number of scenes B, each with at least one point.
        config: sizes and behaviour.
        training: draw a curve for each level at random.
        generator: draws them; torch's own where None.
    """
    grid, corner = _first_grid(coordinates, batch, scenes, config)
    curves = draw_curves(config, training, generator)
    return stack_levels(coordinates, grid, batch, corner, curves, config)


def stack_levels(
    coordinates: Tensor,
    grid: Tensor,
    batch: Tensor,
    corner: Tensor,
    curves: Sequence[str],
    config: MiniDiffuserConfig,
    depth: int = MAX_DEPTH,
) -> Pyramid:
    """Voxel levels of points whose voxels at level 0 are known.

    Args:
        coordinates: (N, 3) metres, centred frame.
        grid: (N, 3) int64 voxel of each point, counted from ``corner``.
        batch: (N,) int64, non-decreasing.
        corner: (B, 3) metres.
        curves: the one that each level is serialised by.
        config: sizes.
        depth: bits an axis of the curves at level 0.
    """
    scenes = len(corner)
    points = _Points(coordinates, grid, batch, _codes(grid, batch, curves[0], depth))
    source = torch.argsort(points.code, stable=True)
    points, children = points.select(source), None
    levels: list[Level] = []
    for number in range(config.levels):
        counts = torch.bincount(points.batch, minlength=scenes)
        coarser, parents, next_children = None, None, None
        if number < config.levels - 1:
            depth = max(depth - 1, 1)
            same_curve = curves[number + 1] == curves[number]
            coarser, parents, next_children = _coarsen(points, curves[number + 1], depth, same_curve)
        windows = cut_windows(counts, config.backbone.windows[number])
        size = config.scene.voxel_size * 2**number
        levels.append(
            Level(points.coordinates, points.grid, points.batch, counts, size, corner, windows, children, parents)
        )
        if coarser is None:
            break
        points, children = coarser, next_children
    return Pyramid(tuple(levels), source)


def _codes(grid: Tensor, batch: Tensor, curve: str, depth: int) -> Tensor:
    return curve_code(grid, curve, depth) | batch << 3 * depth


def _coarsen(points: _Points, curve: str, depth: int, same_curve: bool) -> tuple[_Points, Tensor, Children]:
    """The next coarser level along a curve, the parent (N,) of each point, and how to pool."""
    octant = points.code >> 3
    is_first = torch.ones_like(octant, dtype=torch.bool)
    is_first[1:] = octant[1:] != octant[:-1]
    parents = torch.cumsum(is_first, 0) - 1
    heads = is_first.nonzero()[:, 0]
    sizes = torch.diff(heads, append=heads.new_tensor([len(octant)]))
    total = points.coordinates.new_zeros(len(heads), 3).index_add_(0, parents, points.coordinates)
    grid, batch = points.grid[heads] >> 1, points.batch[heads]
    coarse = _Points(total / sizes[:, None], grid, batch, _codes(grid, batch, curve, depth))
    if same_curve:
        return coarse, parents, Children(sizes, None)
    order = torch.argsort(coarse.code, stable=True)
    place = torch.empty_like(order).index_copy_(0, order, torch.arange(len(order), device=order.device))
    return coarse.select(order), place[parents], Children(sizes, order)


def _first_grid(coordinates: Tensor, batch: Tensor, scenes: int, config: MiniDiffuserConfig) -> tuple[Tensor, Tensor]:
    """Voxels (N, 3) of level 0 and the grid's corner (B, 3)."""
    index = batch[:, None].expand(-1, 3)
    low = coordinates.new_full((scenes, 3), torch.inf).scatter_reduce_(0, index, coordinates, "amin")
    per_coarse = 2 ** (config.levels - 1)
    cells = torch.floor(coordinates / config.scene.voxel_size).long()
    first = torch.floor(low / config.scene.voxel_size).long() // per_coarse * per_coarse
    return cells - first[batch], first * config.scene.voxel_size


def draw_curves(config: MiniDiffuserConfig, shuffled: bool, generator: torch.Generator | None) -> Sequence[str]:
    """The curve of each level: drawn from the configured ones, or the first."""
    if not shuffled:
        return [config.backbone.curves[0]] * config.levels
    drawn = torch.randint(len(config.backbone.curves), (config.levels,), generator=generator)
    return [config.backbone.curves[number] for number in drawn.tolist()]
