"""Encoder and decoder over the voxel levels: a U-Net in the manner of Point Transformer V3, with text.

Attribute names follow the published state_dict; single-entry ModuleLists stand where it has a list.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mini_diffuser_ros.policy.config import MiniDiffuserConfig
from mini_diffuser_ros.policy.network.attention import (
    Mlp,
    TextCrossAttention,
    WindowAttention,
    fourier_features,
)
from mini_diffuser_ros.policy.network.pyramid import Level
from mini_diffuser_ros.policy.network.sparse import SubmanifoldConv

POINT_CHANNELS = 7
_COLOUR_WAVELENGTHS = (2.0, 1.0)  # colour channels span [-1, 1]


@dataclass(frozen=True, eq=False)
class Words:
    """The sentences of a batch: states (B, L, text_hidden), and which of them are words (B, L)."""

    states: Tensor
    valid: Tensor


def input_width(config: MiniDiffuserConfig) -> int:
    """Channels that :func:`input_features` gives."""
    colour, height = 3 * 2 * len(_COLOUR_WAVELENGTHS), 2 * len(config.layers.wavelengths)
    return POINT_CHANNELS + 3 + colour + height


def input_features(points: Tensor, level: Level, config: MiniDiffuserConfig) -> Tensor:
    """What the stem reads of points (N, 7) of level 0."""
    xyz, colour, height = points.split((3, 3, 1), 1)
    corner = level.corner[level.batch] + level.grid * level.size
    return torch.cat(
        [
            xyz / config.diffusion.position_scale,
            colour,
            height / config.diffusion.position_scale,
            (xyz - corner) / level.size - 0.5,
            fourier_features(colour, _COLOUR_WAVELENGTHS),
            fourier_features(height, config.layers.wavelengths),
        ],
        1,
    )


class Stem(nn.Module):
    """First sparse convolution, normalisation, GELU."""

    def __init__(self, config: MiniDiffuserConfig) -> None:
        super().__init__()
        channels = config.backbone.encoder_channels[0]
        self.config, self.kernel = config, config.backbone.stem_kernel
        self.conv = SubmanifoldConv(input_width(config), channels, config.backbone.stem_kernel, bias=False)
        self.norm: nn.Module = nn.LayerNorm(channels)

    def features(self, points: Tensor, level: Level) -> Tensor:
        """What the convolution reads (N, F) of points (N, 7) of level 0."""
        return input_features(points, level, self.config)

    def forward(self, points: Tensor, level: Level) -> Tensor:
        """(N, 7) to (N, C)."""
        return F.gelu(self.norm(self.conv(self.features(points, level), level.rulebook(self.kernel))))


class Block(nn.Module):
    """Convolution as position encoding, window attention, MLP; each added to the stream."""

    def __init__(self, channels: int, heads: int, config: MiniDiffuserConfig) -> None:
        super().__init__()
        self.cpe = nn.ModuleList(
            [SubmanifoldConv(channels, channels, 3), nn.Linear(channels, channels), nn.LayerNorm(channels)]
        )
        self.norm1 = nn.ModuleList([nn.LayerNorm(channels)])
        self.attn = WindowAttention(channels, heads, config)
        self.norm2 = nn.ModuleList([nn.LayerNorm(channels)])
        self.mlp = nn.ModuleList(
            [Mlp(channels, int(channels * config.layers.mlp_ratio), dropout=config.layers.dropout)]
        )

    def forward(self, x: Tensor, level: Level) -> Tensor:
        """(N, C) to (N, C)."""
        return self.related(x + self.position(x, level), level)

    def position(self, x: Tensor, level: Level) -> Tensor:
        """Position encoding (N, C): what x (N, C) is around each point."""
        conv, linear, norm = self.cpe
        encoding: Tensor = norm(linear(conv(x, level.rulebook(3))))
        return encoding

    def related(self, x: Tensor, level: Level) -> Tensor:
        """(N, C) to (N, C): window attention and MLP."""
        x = x + self.attn(self.norm1[0](x), level.windows, level.coordinates)
        related: Tensor = x + self.mlp[0](self.norm2[0](x))
        return related


class TextBlock(nn.Module):
    """Cross-attention to the sentence and MLP, each added to the stream."""

    def __init__(self, channels: int, heads: int, config: MiniDiffuserConfig) -> None:
        super().__init__()
        self.norm1 = nn.ModuleList([nn.LayerNorm(channels)])
        self.attn = TextCrossAttention(channels, heads, config)
        self.norm2 = nn.ModuleList([nn.LayerNorm(channels)])
        self.mlp = nn.ModuleList(
            [Mlp(channels, int(channels * config.layers.mlp_ratio), dropout=config.layers.dropout)]
        )

    def forward(self, x: Tensor, level: Level, words: Words) -> Tensor:
        """(N, C) to (N, C)."""
        x = x + self.attn(self.norm1[0](x), level.padded, words.states, words.valid)
        return x + self.mlp[0](self.norm2[0](x))


class Pool(nn.Module):
    """Maximum over the points of each coarser voxel, after a linear layer."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.proj = nn.Linear(channels_in, channels_out)
        self.norm = nn.ModuleList([nn.LayerNorm(channels_out)])

    def forward(self, x: Tensor, coarse: Level) -> Tensor:
        """Points of the finer level (N, C_in) to the coarser one (P, C_out)."""
        if coarse.children is None:
            raise ValueError("Pool leads to a coarser level, got level 0")
        pooled = torch.segment_reduce(self.proj(x), "max", lengths=coarse.children.sizes)
        if coarse.children.order is not None:
            pooled = pooled.index_select(0, coarse.children.order)
        return F.gelu(self.norm[0](pooled))


class Unpool(nn.Module):
    """The coarser level's features spread to their points, beside the encoder's skip."""

    def __init__(self, coarse: int, skip: int, channels: int) -> None:
        super().__init__()
        self.proj = nn.ModuleList([nn.Linear(coarse, channels), nn.LayerNorm(channels)])
        self.proj_skip = nn.ModuleList([nn.Linear(skip, channels), nn.LayerNorm(channels)])

    def forward(self, coarse: Tensor, skip: Tensor, fine: Level) -> Tensor:
        """Features (P, C') of the coarser level and the encoder's (N, C'') of the finer one to (N, C)."""
        return self.beside(skip) + self.spread(coarse, fine)

    def spread(self, coarse: Tensor, fine: Level) -> Tensor:
        """The coarser level's part (N, C)."""
        if fine.parents is None:
            raise ValueError("Unpool leads to a finer level, got the coarsest")
        return F.gelu(self.proj[1](self.proj[0](coarse))).index_select(0, fine.parents)

    def beside(self, skip: Tensor) -> Tensor:
        """The encoder's part (N, C)."""
        return F.gelu(self.proj_skip[1](self.proj_skip[0](skip)))


class EncoderStage(nn.Module):
    """Pooling (from level 1 on), block and text block."""

    def __init__(self, number: int, config: MiniDiffuserConfig) -> None:
        super().__init__()
        channels, heads = config.backbone.encoder_channels[number], config.backbone.encoder_heads[number]
        self.down = Pool(config.backbone.encoder_channels[number - 1], channels) if number > 0 else None
        self.block0 = Block(channels, heads, config)
        self.ca_block0 = TextBlock(channels, heads, config)

    def forward(self, x: Tensor, level: Level, words: Words) -> tuple[Tensor, Tensor]:
        """Features (N, C) before and after the text block; x (N', C') are those of the finer level, or the stem's."""
        if self.down is not None:
            x = self.down(x, level)
        x = self.block0(x, level)
        return x, self.ca_block0(x, level, words)


class DecoderStage(nn.Module):
    """Unpooling, block, text block, and the convolution that the tokens look up."""

    def __init__(self, number: int, config: MiniDiffuserConfig) -> None:
        super().__init__()
        channels, heads = config.backbone.decoder_channels[number], config.backbone.decoder_heads[number]
        is_last = number == config.levels - 2
        coarse = config.backbone.encoder_channels[-1] if is_last else config.backbone.decoder_channels[number + 1]
        self.up = Unpool(coarse, config.backbone.encoder_channels[number], channels)
        self.block0 = Block(channels, heads, config)
        self.ca_block0 = TextBlock(channels, heads, config)
        self.conv0 = LocalQuery(channels, config.neck.channels)

    def forward(self, coarse: Tensor, skip: Tensor, level: Level, words: Words) -> Tensor:
        """Features (P, C') of the coarser level and the encoder's (N, C'') of this one to (N, C)."""
        x = self.block0(self.up(coarse, skip, level), level)
        features: Tensor = self.ca_block0(x, level, words)
        return features


class LocalQuery(nn.Module):
    """Scene features around the voxel a token falls in: convolution, linear layer, LayerNorm.

    On a level of many points it is evaluated at the voxels alone that are asked for.
    """

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.conv = nn.ModuleList([SubmanifoldConv(channels, out, 3), nn.Linear(out, out), nn.LayerNorm(out)])

    def forward(self, features: Tensor, level: Level, found: Tensor) -> Tensor:
        """Local features (Q, out) at points ``found`` (Q,) of the level; zero where -1."""
        if found.is_cuda:  # cheaper than waiting for the number of hits
            return self._at(features, level, found.clamp(min=0)) * (found >= 0)[:, None]
        hits = (found >= 0).nonzero()[:, 0]
        # Many tokens fall into one coarse voxel; it is evaluated once.
        points, which = torch.unique(found.index_select(0, hits), return_inverse=True)
        local = self._at(features, level, points)
        return local.new_zeros(len(found), local.shape[1]).index_copy(0, hits, local.index_select(0, which))

    def everywhere(self, features: Tensor, level: Level) -> Tensor:
        """Local features (N, out) at all points of the level."""
        return self._at(features, level, torch.arange(len(level), device=features.device))

    def _at(self, features: Tensor, level: Level, points: Tensor) -> Tensor:
        conv, linear, norm = cast(SubmanifoldConv, self.conv[0]), self.conv[1], self.conv[2]
        local: Tensor = norm(linear(conv.at(features, level.rulebook(3), points)))
        return local


class StateEncoder(nn.Module):
    """Text-free features of the level above the finest: what the hand holds and where it is.

    It branches off before the first text block, so that no sentence, however strange, can change them.
    """

    LEVEL = 1

    def __init__(self, config: MiniDiffuserConfig) -> None:
        super().__init__()
        channels, heads = config.backbone.encoder_channels[self.LEVEL], config.backbone.encoder_heads[self.LEVEL]
        self.down = Pool(config.backbone.encoder_channels[0], channels)
        self.block0 = Block(channels, heads, config)

    def forward(self, x: Tensor, level: Level) -> Tensor:
        """Features (N, C) of level 0 before its text block to (P, C') of ``level``."""
        features: Tensor = self.block0(self.down(x, level), level)
        return features


@dataclass(frozen=True, eq=False)
class SceneFeatures:
    """What the backbone makes of a batch of scenes.

    Attributes:
        decoder: features (N_l, C) of each level, finest first; the last is the bottleneck after its text block.
        state: features (N_1, C) that do not depend on the sentence, None where ``head_text`` is on.
    """

    decoder: tuple[Tensor, ...]
    state: Tensor | None
