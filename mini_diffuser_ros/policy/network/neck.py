"""Noised positions as tokens that query an encoded scene.

A token attends to points only, never to another token, and no point attends to a token: the level-2 samples of a
scene are independent, and the scene is encoded once for all of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mini_diffuser_ros.policy.config import MiniDiffuserConfig
from mini_diffuser_ros.policy.network.attention import (
    Attention,
    Mlp,
    Rotary,
    attend,
    fourier_features,
    rotate,
    split_linear,
)
from mini_diffuser_ros.policy.network.dropout import dropout
from mini_diffuser_ros.policy.network.pyramid import Level

_NORM_EPS = 1e-6


@dataclass(frozen=True, eq=False)
class TokenContext:
    """FiLM contexts of tokens, each distinct one once.

    Attributes:
        distinct: (R, D).
        which: (B, M) int64, the context of each token.
    """

    distinct: Tensor
    which: Tensor


@dataclass(frozen=True, eq=False)
class AttentionMemory:
    """What tokens read of one level, computed once per scene.

    Attributes:
        keys: (B, P, H, d), padded to the largest scene.
        values: (B, P, H, d).
        valid: (B, 1, 1, P) bool, False at padding; None without any.
    """

    keys: Tensor
    values: Tensor
    valid: Tensor | None


def step_embedding(steps: Tensor, width: int) -> Tensor:
    """Sines and cosines (..., width) of noise steps (...,), as in Ho et al. 2020."""
    half = width // 2
    frequencies = torch.exp(torch.arange(half, device=steps.device) * (-math.log(1e4) / half))
    angles = steps[..., None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], -1)


def sentence_context(text: Tensor, sentence: Tensor, steps: Tensor, levels: int) -> TokenContext:
    """FiLM contexts of sentences and noise steps.

    Args:
        text: (B, D) pooled sentences.
        sentence: (B, M) int64, which of them each token gets.
        steps: (B, M) int64.
        levels: number of noise levels.
    """
    distinct, which = torch.unique(sentence * levels + steps, return_inverse=True)
    return TokenContext(text[distinct // levels] + step_embedding(distinct % levels, text.shape[1]), which)


class AnchorEmbedding(nn.ModuleList):
    """Token of a position."""

    def __init__(self, config: MiniDiffuserConfig) -> None:
        width, channels = 3 + 6 * len(config.layers.wavelengths), config.neck.channels
        super().__init__([Mlp(width, channels, channels)])
        self.wavelengths, self.scale = config.layers.wavelengths, config.diffusion.position_scale

    def forward(self, xyz: Tensor) -> Tensor:
        """Positions (..., 3) in metres to tokens (..., C)."""
        tokens: Tensor = self[0](torch.cat([xyz / self.scale, fourier_features(xyz, self.wavelengths)], -1))
        return tokens


class AdaptiveNorm(nn.Module):
    """LayerNorm whose shift and scale follow the context (FiLM)."""

    def __init__(self, channels: int, context_width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.modulation = nn.Sequential(nn.SiLU(), nn.Linear(context_width, 2 * channels))

    def forward(self, tokens: Tensor, context: TokenContext) -> Tensor:
        """(B, M, C) to (B, M, C)."""
        modulation = self.modulation(context.distinct)
        if len(modulation) == 1:  # a sampling step of one scene
            modulation = modulation[None]
        else:
            modulation = modulation.index_select(0, context.which.flatten()).unflatten(0, context.which.shape)
        shift, scale = modulation.chunk(2, -1)
        return self.norm(tokens) * (1 + scale) + shift


class PlainNorm(nn.Module):
    """LayerNorm where no context is wanted."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)

    def forward(self, tokens: Tensor, _: TokenContext | None) -> Tensor:
        """(B, M, C) to (B, M, C)."""
        return self.norm(tokens)


class SceneCrossAttention(nn.Module):
    """Attention of tokens to all points of their own scene at one level."""

    def __init__(self, scene_channels: int, config: MiniDiffuserConfig) -> None:
        super().__init__()
        channels, width = config.neck.channels, config.neck.head_width
        self.heads, self.scale = config.neck.heads, config.diffusion.position_scale
        self.dropout = config.layers.dropout
        self.attend: Attention = attend
        self.q = nn.Linear(channels, channels)
        self.kv = nn.Linear(scene_channels + 3, 2 * channels)
        self.proj = nn.Linear(channels, channels)
        self.q_norm = nn.LayerNorm(width, eps=_NORM_EPS)
        self.k_norm = nn.LayerNorm(width, eps=_NORM_EPS)
        self.rotary = Rotary(config.layers.wavelengths)

    def remember(self, features: Tensor, level: Level) -> AttentionMemory:
        """Keys and values of a level's features (N, C)."""
        features = torch.cat([features, level.coordinates / self.scale], 1)
        key, value = split_linear(features, self.kv, 2, self.heads)  # each (N, H, d)
        return memory_of(rotate(self.k_norm(key), self.rotary(level.coordinates)), value, level)

    def forward(self, tokens: Tensor, turn: Tensor, memory: AttentionMemory) -> Tensor:
        """Tokens (B, M, C), whose positions' rotary encoding is ``turn`` (B, M, d / 2), to (B, M, C)."""
        query = self.turned(self.q(tokens).unflatten(-1, (self.heads, -1)), turn)
        out = self.attend(query, memory.keys, memory.values, memory.valid)
        return dropout(self.proj(out.flatten(2)), self.dropout, self.training)

    def turned(self, query: Tensor, turn: Tensor) -> Tensor:
        """Queries (B, M, H, d) normalised, with the rotary encoding of their positions."""
        return rotate(self.q_norm(query), turn)


def memory_of(key: Tensor, value: Tensor, level: Level) -> AttentionMemory:
    """Keys and values (N, H, d) of a level's points, scene by scene."""
    padded, heads = level.padded, key.shape[1]
    keys, values = (
        # Heads apart in memory: every step of a sampling reads them in that order.
        padded.take(rows.flatten(1)).unflatten(-1, (heads, -1)).transpose(1, 2).contiguous().transpose(1, 2)
        for rows in (key, value)
    )
    return AttentionMemory(keys, values, padded.key_mask)


class NeckBlock(nn.Module):
    """Cross-attention to one level and MLP, each added to the tokens.

    Args:
        scene_channels: width of the level's features.
        context_width: width of the FiLM context, 0 for none.
        config: sizes and behaviour.
    """

    def __init__(self, scene_channels: int, context_width: int, config: MiniDiffuserConfig) -> None:
        super().__init__()
        channels = config.neck.channels
        hidden = int(channels * config.layers.mlp_ratio)
        self.norm1 = nn.ModuleList([_token_norm(channels, context_width)])
        self.attn = SceneCrossAttention(scene_channels, config)
        self.norm2 = nn.ModuleList([_token_norm(channels, context_width)])
        self.mlp = nn.ModuleList([Mlp(channels, hidden, dropout=config.layers.dropout)])

    def forward(self, tokens: Tensor, turn: Tensor, memory: AttentionMemory, context: TokenContext | None) -> Tensor:
        """Tokens (B, M, C), whose positions' rotary encoding is ``turn`` (B, M, d / 2), to (B, M, C)."""
        tokens = tokens + self.attn(self.norm1[0](tokens, context), turn, memory)
        return tokens + self.mlp[0](self.norm2[0](tokens, context))


def _token_norm(channels: int, context_width: int) -> nn.Module:
    return AdaptiveNorm(channels, context_width) if context_width else PlainNorm(channels)
