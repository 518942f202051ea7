"""Parts of the published network that take the place of ours; names follow the published state_dict."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mini_diffuser_ros.policy.config import MiniDiffuserConfig
from mini_diffuser_ros.policy.network.attention import (
    Mlp,
    TextCrossAttention,
    WindowAttention,
    attend,
    rotate,
    split_linear,
)
from mini_diffuser_ros.policy.network.backbone import POINT_CHANNELS, DecoderStage, Pool, Stem, Unpool, Words
from mini_diffuser_ros.policy.network.heads import ActionHead, ActionLogits, head
from mini_diffuser_ros.policy.network.neck import (
    AnchorEmbedding,
    AttentionMemory,
    NeckBlock,
    SceneCrossAttention,
    memory_of,
)
from mini_diffuser_ros.policy.network.pyramid import Level
from mini_diffuser_ros.policy.network.rotation import BINS
from mini_diffuser_ros.policy.network.scene_network import SceneNetwork
from mini_diffuser_ros.policy.network.sparse import SubmanifoldConv

_BATCH_NORM_EPS, _BATCH_NORM_MOMENTUM = 1e-3, 0.01
_ANCHOR_HIDDEN = 12
_ROTARY_BASE = 1e4
_HEATMAP_CHANNELS = 4


class OfficialStem(Stem):
    """First sparse convolution of a point's seven numbers as they are."""

    def __init__(self, config: MiniDiffuserConfig) -> None:
        super().__init__(config)
        self.conv = SubmanifoldConv(POINT_CHANNELS, len(self.conv.weight), self.kernel, bias=False)

    def features(self, points: Tensor, level: Level) -> Tensor:
        """Points (N, 7), unchanged."""
        return points


class OfficialDecoderStage(DecoderStage):
    """A stage whose position encoding reads the skip alone, without the coarser level's part."""

    def forward(self, coarse: Tensor, skip: Tensor, level: Level, words: Words) -> Tensor:
        """Features (P, C') of the coarser level and the encoder's (N, C'') of this one to (N, C)."""
        own = self.up.beside(skip)
        x = own + self.up.spread(coarse, level)
        x = self.block0.related(x + self.block0.position(own, level), level)
        features: Tensor = self.ca_block0(x, level, words)
        return features


class OfficialAnchorEmbedding(AnchorEmbedding):
    """Token of a position's three numbers as they are."""

    def __init__(self, config: MiniDiffuserConfig) -> None:
        super().__init__(config)
        self[0] = Mlp(3, _ANCHOR_HIDDEN, config.neck.channels)

    def forward(self, xyz: Tensor) -> Tensor:
        """Positions (..., 3) in metres to tokens (..., C)."""
        tokens: Tensor = self[0](xyz)
        return tokens


class OfficialSceneCrossAttention(SceneCrossAttention):
    """Attention in which queries alone carry a rotary encoding, before their normalisation; values no coordinates."""

    def __init__(self, scene_channels: int, config: MiniDiffuserConfig) -> None:
        super().__init__(scene_channels, config)
        self.kv = nn.Linear(scene_channels, 2 * config.neck.channels)
        axis = config.neck.head_width // 3
        # Wavelengths from 6 m to kilometres: they hardly turn over a table.
        self.rotary.frequencies = _ROTARY_BASE ** (-torch.arange(0, axis, 2) / axis)

    def remember(self, features: Tensor, level: Level) -> AttentionMemory:
        """Keys and values of a level's features (N, C)."""
        key, value = split_linear(features, self.kv, 2, self.heads)  # each (N, H, d)
        return memory_of(self.k_norm(key), value, level)

    def turned(self, query: Tensor, turn: Tensor) -> Tensor:
        """Queries (B, M, H, d) with the rotary encoding of their positions, then normalised."""
        normalised: Tensor = self.q_norm(rotate(query, turn))
        return normalised


class AttentionDropout(nn.Module):
    """Attention that zeroes a share of its weights in training."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, query: Tensor, key: Tensor, value: Tensor, valid: Tensor | None) -> Tensor:
        """As :func:`~mini_diffuser_ros.policy.network.attention.attend`."""
        if not self.training:
            return attend(query, key, value, valid)
        query, key, value = (rows.transpose(-3, -2) for rows in (query, key, value))
        out = F.scaled_dot_product_attention(query, key, value, attn_mask=valid, dropout_p=self.share)
        return out.transpose(-3, -2)


class OfficialActionHead(ActionHead):
    """Heads that read the maximum over a scene's points beside a position; neither termination nor maps.

    Published checkpoints hold a heat-map head that nothing reads.
    """

    def __init__(self, config: MiniDiffuserConfig) -> None:
        super().__init__(config)
        hidden, dropout = config.heads.hidden, 2 * config.layers.dropout
        width = config.backbone.decoder_channels[0]
        self.heatmap_mlp = head(width, hidden, _HEATMAP_CHANNELS, dropout)
        self.action_mlp = head(width + 3, hidden, 3 * BINS + 1, dropout)
        del self.rotation_map_mlp

    def action(self, features: Tensor, state: Tensor | None) -> ActionLogits:
        """Logits from maxima and positions (Q, C + 3); no task is ever done."""
        out = self.action_mlp(features)
        gripper = out[:, 3 * BINS]
        return ActionLogits(out[:, : 3 * BINS].unflatten(1, (BINS, 3)), gripper, torch.full_like(gripper, -torch.inf))


def replace_parts(network: SceneNetwork, config: MiniDiffuserConfig, key_dropout: float) -> None:
    """Put the published parts in the places of ours.

    Args:
        network: of ours, as it was made.
        config: its configuration.
        key_dropout: share of attention weights that are zeroed in training.
    """
    network.embedding["stem"] = OfficialStem(config)
    network.anchor_proj = OfficialAnchorEmbedding(config)
    for number in range(config.levels - 1):
        network.dec[f"dec{number}"] = OfficialDecoderStage(number, config)
    for block in network.nec.values():
        neck = cast(NeckBlock, block)
        neck.attn = OfficialSceneCrossAttention(neck.attn.kv.in_features - 3, config)
    for part in list(network.modules()):
        if isinstance(part, Stem):
            part.norm = _batch_norm(part.norm)
        elif isinstance(part, Pool):
            part.norm[0] = _batch_norm(part.norm[0])
        elif isinstance(part, Unpool):
            part.proj[1], part.proj_skip[1] = _batch_norm(part.proj[1]), _batch_norm(part.proj_skip[1])
        elif isinstance(part, WindowAttention | TextCrossAttention | SceneCrossAttention):
            part.attend = AttentionDropout(key_dropout)


def _batch_norm(replaced: nn.Module) -> nn.BatchNorm1d:
    channels = cast(nn.LayerNorm, replaced).normalized_shape[0]
    return nn.BatchNorm1d(channels, _BATCH_NORM_EPS, _BATCH_NORM_MOMENTUM)
