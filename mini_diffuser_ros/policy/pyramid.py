"""The voxel levels of a batch of scenes: everything about geometry that no weight touches.

Computed once per batch, without a loop over points or scenes; encoder, decoder and neck share it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from mini_diffuser_ros.policy.config import MiniDiffuserConfig
from mini_diffuser_ros.policy.serialization import MAX_DEPTH, Windows, curve_code, cut_windows
from mini_diffuser_ros.policy.sparse import Rulebook, VoxelIndex


@dataclass(frozen=True, eq=False)
class Level:
    """The points of one voxel level, of all scenes after one another.

    Attributes:
        coordinates: (N, 3) metres, centred frame; means of the voxels' points.
        grid: (N, 3) int64 voxel of each point, counted from ``corner``.
        batch: (N,) int64 scene of each point, non-decreasing.
        counts: (B,) int64 points of each scene.
        size: metres, edge of a voxel.
        corner: (B, 3) metres, where voxel (0, 0, 0) of each scene begins.
        windows: groups of points for self-attention.
        parents: (N,) int64 point of the next coarser level, None at the coarsest.
        children: for pooling from the next finer level: its points sorted by parent (N_finer,), and how many each
            point of this level has (N,); None at level 0.
    """

    coordinates: Tensor
    grid: Tensor
    batch: Tensor
    counts: Tensor
    size: float
    corner: Tensor
    windows: Windows
    parents: Tensor | None = None
    children: tuple[Tensor, Tensor] | None = None
    _rulebooks: dict[int, Rulebook] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.batch)

    @property
    def scenes(self) -> int:
        """Number of scenes B."""
        return len(self.counts)

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
        order = torch.arange(len(self), device=self.batch.device)
        return cut_windows(order, self.counts, int(self.counts.max()))


def build_pyramid(
    coordinates: Tensor,
    batch: Tensor,
    scenes: int,
    config: MiniDiffuserConfig,
    training: bool = False,
    generator: torch.Generator | None = None,
) -> tuple[Level, ...]:
    """Voxel levels from the finest to the coarsest.

    Args:
        coordinates: (N, 3) metres, centred frame.
        batch: (N,) int64, non-decreasing.
        scenes: number of scenes B, each with at least one point.
        config: sizes and behaviour.
        training: whether curves may be drawn at random under ``curve_shuffle == "training"``.
        generator: draws them; torch's own where None.
    """
    grid, corner = _first_grid(coordinates, batch, scenes, config)
    depth = MAX_DEPTH if config.grid_origin == "cloud" else max(1, int(grid.max()).bit_length())
    shuffled = config.curve_shuffle == "always" or (config.curve_shuffle == "training" and training)
    curves = _draw_curves(config, shuffled, generator)
    levels: list[Level] = []
    parents = children = None
    for number in range(config.levels):
        counts = torch.bincount(batch, minlength=scenes)
        code = curve_code(grid, curves[number], depth) | batch << 3 * depth
        order = torch.argsort(code, stable=True)
        is_coarsest = number == config.levels - 1
        if not is_coarsest:
            parents, sizes = _group_octants(code, order)
        levels.append(
            Level(
                coordinates,
                grid,
                batch,
                counts,
                config.voxel_size * 2**number,
                corner,
                cut_windows(order, counts, config.windows[number]),
                None if is_coarsest else parents,
                children,
            )
        )
        if is_coarsest or parents is None:
            break
        heads = order[torch.cumsum(sizes, 0) - sizes]
        children = (order, sizes)
        total = coordinates.new_zeros(len(sizes), 3).index_add_(0, parents, coordinates)
        coordinates = total / sizes[:, None]
        grid, batch = grid[heads] >> 1, batch[heads]
        depth = max(depth - 1, 1)
    return tuple(levels)


def _first_grid(coordinates: Tensor, batch: Tensor, scenes: int, config: MiniDiffuserConfig) -> tuple[Tensor, Tensor]:
    """Voxels (N, 3) of level 0 and the grid's corner (B, 3)."""
    if config.grid_origin == "batch":
        corner = coordinates.amin(0).expand(scenes, 3)
        return torch.div(coordinates - corner[0], config.voxel_size, rounding_mode="trunc").long(), corner
    index = batch[:, None].expand(-1, 3)
    low = coordinates.new_full((scenes, 3), torch.inf).scatter_reduce_(0, index, coordinates, "amin")
    per_coarse = 2 ** (config.levels - 1)
    cells = torch.floor(coordinates / config.voxel_size).long()
    first = torch.floor(low / config.voxel_size).long() // per_coarse * per_coarse
    return cells - first[batch], first * config.voxel_size


def _draw_curves(config: MiniDiffuserConfig, shuffled: bool, generator: torch.Generator | None) -> Sequence[str]:
    if not shuffled:
        return [config.curves[0]] * config.levels
    drawn = torch.randint(len(config.curves), (config.levels,), generator=generator)
    return [config.curves[number] for number in drawn.tolist()]


def _group_octants(code: Tensor, order: Tensor) -> tuple[Tensor, Tensor]:
    """Parent (N,) of each point, parents ordered by code, and the children (P,) of each parent."""
    coarse = code[order] >> 3
    is_first = torch.ones_like(coarse, dtype=torch.bool)
    is_first[1:] = coarse[1:] != coarse[:-1]
    parent_in_order = torch.cumsum(is_first, 0) - 1
    parents = torch.empty_like(order)
    parents[order] = parent_in_order
    return parents, torch.bincount(parent_in_order)
