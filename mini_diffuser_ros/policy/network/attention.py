"""Attention with normalised queries and keys, Fourier features and rotary encodings of positions in metres."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mini_diffuser_ros.policy.config import MiniDiffuserConfig
from mini_diffuser_ros.policy.network.dropout import dropout
from mini_diffuser_ros.policy.network.serialization import Windows

Attention = Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]
"""As :func:`attend`."""

_NORM_EPS = 1e-6
_LOW = -1e4  # after scaling still far below any logit of normalised queries and keys


class Rotary(nn.Module):
    """Rotary encoding of 3-D positions (Su et al. 2021), a third of the channels for each axis.

    Args:
        wavelengths: metres, a sixth as many as an attention head has channels.
    """

    frequencies: Tensor

    def __init__(self, wavelengths: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("frequencies", 2 * math.pi / torch.tensor(wavelengths), persistent=False)

    def forward(self, xyz: Tensor) -> Tensor:
        """Complex numbers (..., width / 2) on the unit circle for positions (..., 3) in metres."""
        angles = (xyz[..., None] * self.frequencies).flatten(-2)
        return torch.polar(torch.ones_like(angles), angles)


def rotate(heads: Tensor, turn: Tensor) -> Tensor:
    """Turn neighbouring pairs of channels of heads (..., H, d) by the angles of their points (..., d / 2)."""
    pairs = torch.view_as_complex(heads.float().unflatten(-1, (-1, 2)))
    return torch.view_as_real(pairs * turn[..., None, :]).flatten(-2).to(heads.dtype)


def fourier_features(values: Tensor, wavelengths: Sequence[float]) -> Tensor:
    """Sines and cosines (..., 2 * D * F) of values (..., D) at F wavelengths in the values' own unit."""
    angles = torch.stack([values * (2 * math.pi / wavelength) for wavelength in wavelengths], -1).flatten(-2)
    return torch.cat([angles.sin(), angles.cos()], -1)


class WindowAttention(nn.Module):
    """Self-attention of points within their windows."""

    def __init__(self, channels: int, heads: int, config: MiniDiffuserConfig) -> None:
        super().__init__()
        width = channels // heads
        self.heads, self.dropout = heads, config.layers.dropout
        self.attend: Attention = attend
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        self.q_norm = nn.LayerNorm(width, eps=_NORM_EPS)
        self.k_norm = nn.LayerNorm(width, eps=_NORM_EPS)
        self.rotary = Rotary(config.layers.wavelengths) if config.backbone.scene_rotary else None

    def forward(self, x: Tensor, windows: Windows, xyz: Tensor) -> Tensor:
        """Points (N, C) at (N, 3) metres to (N, C)."""
        query, key, value = split_linear(windows.take(x), self.qkv, 3, self.heads)  # each (W, K, H, d)
        query, key = self.q_norm(query), self.k_norm(key)
        if self.rotary is not None:
            turn = self.rotary(windows.take(xyz))
            query, key = rotate(query, turn), rotate(key, turn)
        out = self.attend(query, key, value, windows.key_mask)
        return dropout(self.proj(windows.put_back(out.flatten(2))), self.dropout, self.training)


class TextCrossAttention(nn.Module):
    """Cross-attention of points to the words of their own scene's sentence."""

    def __init__(self, channels: int, heads: int, config: MiniDiffuserConfig) -> None:
        super().__init__()
        width = channels // heads
        self.heads, self.dropout = heads, config.layers.dropout
        self.attend: Attention = attend
        self.q = nn.Linear(channels, channels)
        self.kv = nn.Linear(config.text.hidden, 2 * channels)
        self.proj = nn.Linear(channels, channels)
        self.q_norm = nn.LayerNorm(width, eps=_NORM_EPS)
        self.k_norm = nn.LayerNorm(width, eps=_NORM_EPS)

    def forward(self, x: Tensor, scenes: Windows, words: Tensor, is_word: Tensor) -> Tensor:
        """Points (N, C) to (N, C).

        Args:
            x: (N, C).
            scenes: one window a scene.
            words: (B, L, text_width).
            is_word: (B, L) bool, False at padding.
        """
        query = self.q_norm(self.q(x).unflatten(-1, (self.heads, -1))).flatten(1)
        key, value = split_linear(words, self.kv, 2, self.heads)  # each (B, L, H, d)
        query = scenes.take(query).unflatten(-1, (self.heads, -1))
        out = self.attend(query, self.k_norm(key), value, is_word[:, None, None])
        return dropout(self.proj(scenes.put_back(out.flatten(2))), self.dropout, self.training)


def split_linear(x: Tensor, linear: nn.Linear, parts: int, heads: int) -> list[Tensor]:
    """The outputs of a linear layer in equal parts, each (..., H, d).

    One product a part: views of a common one would be copied by every layer that follows.
    """
    weights, biases = linear.weight.chunk(parts), linear.bias.chunk(parts)
    return [F.linear(x, w, b).unflatten(-1, (heads, -1)) for w, b in zip(weights, biases, strict=True)]


class Mlp(nn.Module):
    """Two linear layers with a GELU between them."""

    def __init__(self, channels: int, hidden: int, out: int | None = None, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = dropout
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, channels if out is None else out)

    def forward(self, x: Tensor) -> Tensor:
        """(..., C) to (..., out)."""
        hidden = dropout(F.gelu(self.fc1(x)), self.dropout, self.training)
        return dropout(self.fc2(hidden), self.dropout, self.training)


def attend(query: Tensor, key: Tensor, value: Tensor, valid: Tensor | None) -> Tensor:
    """Softmax attention of queries (..., Q, H, d) to (..., K, H, d); keys not ``valid`` (..., 1, 1, K) are left out."""
    query, key, value = (rows.transpose(-3, -2) for rows in (query, key, value))
    if valid is not None and query.is_cuda and torch.is_autocast_enabled("cuda"):
        return attend_masked_by_channel(query, key, value, valid).transpose(-3, -2)
    return F.scaled_dot_product_attention(query, key, value, attn_mask=valid).transpose(-3, -2)


def attend_masked_by_channel(query: Tensor, key: Tensor, value: Tensor, valid: Tensor) -> Tensor:
    """Attention (..., H, Q, d) whose mask (..., 1, 1, K) is one more channel: 1 in queries, very low in masked keys.

    CUDA's flash kernel takes no mask, and every other one keeps all weights in memory. It wants a multiple of eight
    channels, so that one is to spare anyway.
    """
    width = query.shape[-1]
    spare = 8 - width % 8
    low = torch.where(valid, 0.0, _LOW).to(key.dtype).transpose(-1, -2).expand(*key.shape[:-1], 1)
    query = torch.cat([query, torch.ones_like(query[..., :1])], -1)
    key = torch.cat([key, low], -1)
    query, key = F.pad(query, (0, spare - 1)), F.pad(key, (0, spare - 1))
    out = F.scaled_dot_product_attention(query, key, F.pad(value, (0, spare)), scale=width**-0.5)
    return out[..., :width]
