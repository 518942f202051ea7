"""The published voxel levels: one grid for a batch, and the coarsest voxels asked for at every level."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from mini_diffuser_ros.policy.config import MiniDiffuserConfig
from mini_diffuser_ros.policy.network.pyramid import Level, Pyramid, draw_curves, stack_levels


@dataclass(frozen=True, eq=False, kw_only=True)
class OfficialLevel(Level):
    """A level that looks positions up by their voxel of the coarsest level.

    Attributes:
        coarsest_low: (3,) metres, lowest coordinates of the coarsest level's points, of all scenes.
        coarsest_size: metres, edge of its voxels.
    """

    coarsest_low: Tensor
    coarsest_size: float

    def voxels(self, xyz: Tensor) -> Tensor:
        """Voxels (B, M, 3) of positions (B, M, 3)."""
        return torch.trunc((xyz - self.coarsest_low) / self.coarsest_size).long()


def official_pyramid(
    coordinates: Tensor,
    batch: Tensor,
    scenes: int,
    config: MiniDiffuserConfig,
    curve_shuffle: bool,
    generator: torch.Generator | None,
) -> Pyramid:
    """Voxel levels of scenes in one grid, whose corner is the lowest of all their points.

    Args:
        coordinates: (N, 3) metres, centred frame.
        batch: (N,) int64, non-decreasing.
        scenes: number of scenes B, each with at least one point.
        config: sizes.
        curve_shuffle: draw a curve for each level at random.
        generator: draws them; torch's own where None.
    """
    corner = coordinates.amin(0).expand(scenes, 3)
    grid = torch.div(coordinates - corner[0], config.scene.voxel_size, rounding_mode="trunc").long()
    depth = max(1, int(grid.max()).bit_length())
    curves = draw_curves(config, curve_shuffle, generator)
    levels, source = stack_levels(coordinates, grid, batch, corner, curves, config, depth)
    low, size = levels[-1].coordinates.amin(0), levels[-1].size
    return Pyramid(tuple(_official(level, low, size) for level in levels), source)


def _official(level: Level, low: Tensor, size: float) -> OfficialLevel:
    values = {field.name: getattr(level, field.name) for field in fields(level)}
    return OfficialLevel(**values, coarsest_low=low, coarsest_size=size)
