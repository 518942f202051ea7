"""The network without heads: scenes to features, positions to tokens.

Attribute names follow the published state_dict (its prefix ``ptv3_model``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from mini_diffuser_ros.policy.config import MiniDiffuserConfig
from mini_diffuser_ros.policy.network.backbone import (
    DecoderStage,
    EncoderStage,
    LocalQuery,
    SceneFeatures,
    StateEncoder,
    Stem,
    Words,
)
from mini_diffuser_ros.policy.network.neck import AnchorEmbedding, AttentionMemory, NeckBlock, TokenContext
from mini_diffuser_ros.policy.network.pyramid import Level

_FEW_POINTS = 128  # a scene at a level; what is local to each of them is then computed with the scene
_STATE_BLOCKS = 2  # one to find hand and objects, one to relate them


@dataclass(frozen=True, eq=False)
class EncodedScene:
    """Scenes as tokens read them: whatever a decision computes once.

    Attributes:
        levels: voxel levels, finest first.
        source: (N,) int64, which of the points given each point of level 0 was.
        features: decoder features (N_l, C) of each level, finest first, the bottleneck's last.
        memories: keys and values of each level, finest first.
        local: local features (N_l, C) at every point of a level of few points, None where tokens compute their own.
        state_memories: keys and values of the text-free features; empty where unused.
        text: (B, text_hidden) pooled sentences, None where FiLM leaves the sentence out.
    """

    levels: tuple[Level, ...]
    source: Tensor
    features: tuple[Tensor, ...]
    memories: tuple[AttentionMemory, ...]
    local: tuple[Tensor | None, ...]
    state_memories: tuple[AttentionMemory, ...]
    text: Tensor | None

    @property
    def scenes(self) -> int:
        """Number of scenes B."""
        return self.levels[0].scenes


class SceneNetwork(nn.Module):
    """Backbone and neck."""

    def __init__(self, config: MiniDiffuserConfig) -> None:
        super().__init__()
        self.config = config
        levels = config.levels
        self.embedding = nn.ModuleDict({"stem": Stem(config)})
        self.anchor_proj = AnchorEmbedding(config)
        self.enc = nn.ModuleDict({f"enc{number}": EncoderStage(number, config) for number in range(levels)})
        self.mid_conv = LocalQuery(config.backbone.encoder_channels[-1], config.neck.channels)
        self.dec = nn.ModuleDict(
            {f"dec{number}": DecoderStage(number, config) for number in reversed(range(levels - 1))}
        )
        widths = (*config.backbone.decoder_channels, config.backbone.encoder_channels[-1])
        self.nec = nn.ModuleDict(
            {_neck_name(n): NeckBlock(widths[n], config.text.hidden, config) for n in reversed(range(levels))}
        )
        if not config.heads.head_text:
            self.state_enc = StateEncoder(config)
            self.state_proj = AnchorEmbedding(config)
            width = config.backbone.encoder_channels[StateEncoder.LEVEL]
            self.state_neck = nn.ModuleList(NeckBlock(width, 0, config) for _ in range(_STATE_BLOCKS))

    def scene_features(self, points: Tensor, levels: tuple[Level, ...], words: Words) -> SceneFeatures:
        """Backbone: points (N, 7) and sentences to features of every level."""
        x = self.embedding["stem"](points, levels[0])
        skips, state = [], None
        for number, level in enumerate(levels):
            before, x = cast(EncoderStage, self.enc[f"enc{number}"])(x, level, words)
            if number == 0 and not self.config.heads.head_text:
                state = self.state_enc(before, levels[StateEncoder.LEVEL])
            skips.append(x)
        decoded = [x]
        for number in reversed(range(len(levels) - 1)):
            x = self._decoder(number)(x, skips[number], levels[number], words)
            decoded.append(x)
        return SceneFeatures(tuple(reversed(decoded)), state)

    def remember(self, features: SceneFeatures, levels: tuple[Level, ...]) -> tuple[AttentionMemory, ...]:
        """Keys and values of every level for the neck, finest first."""
        return tuple(
            self._neck(number).attn.remember(features.decoder[number], level) for number, level in enumerate(levels)
        )

    def local(self, features: SceneFeatures, levels: tuple[Level, ...]) -> tuple[Tensor | None, ...]:
        """Local features at every point of the levels of few points, None for the others, finest first."""
        return tuple(
            self._query(number).everywhere(features.decoder[number], level)
            if len(level) <= _FEW_POINTS * level.scenes
            else None
            for number, level in enumerate(levels)
        )

    def remember_state(self, features: SceneFeatures, levels: tuple[Level, ...]) -> tuple[AttentionMemory, ...]:
        """Keys and values of the text-free features, one for each block that reads them."""
        if features.state is None:
            return ()
        level = levels[StateEncoder.LEVEL]
        return tuple(cast(NeckBlock, block).attn.remember(features.state, level) for block in self.state_neck)

    def tokens(self, scene: EncodedScene, xyz: Tensor, context: TokenContext) -> Tensor:
        """Neck: positions (B, M, 3) in metres to tokens (B, M, C), from the coarsest level to the finest."""
        tokens: Tensor = self.anchor_proj(xyz)
        turn = self._turn(xyz)
        for number in reversed(range(len(scene.levels))):
            tokens = tokens + self._local(number, scene, scene.levels[number].voxels(xyz))
            tokens = self._neck(number)(tokens, turn, scene.memories[number], context)
        return tokens

    def state_tokens(self, scene: EncodedScene, xyz: Tensor) -> Tensor:
        """Tokens (B, M, C) of positions (B, M, 3) that have read the scene but no sentence."""
        tokens: Tensor = self.state_proj(xyz)
        turn = self._turn(xyz)
        for block, memory in zip(self.state_neck, scene.state_memories, strict=True):
            tokens = block(tokens, turn, memory, None)
        return tokens

    def _turn(self, xyz: Tensor) -> Tensor:
        """Rotary encoding (B, M, d / 2) of positions (B, M, 3), the same for every block that tokens pass."""
        return cast(Tensor, self._neck(0).attn.rotary(xyz))

    def _local(self, number: int, scene: EncodedScene, voxel: Tensor) -> Tensor:
        """Local features (B, M, C) of one level at voxels (B, M, 3)."""
        level = scene.levels[number]
        batch = torch.arange(scene.scenes, device=voxel.device)[:, None].expand(voxel.shape[:2])
        found = level.index.find(batch, voxel)
        rows, table = found.flatten(), scene.local[number]
        if table is None:
            local = cast(Tensor, self._query(number)(scene.features[number], level, rows))
        else:
            local = table.index_select(0, rows.clamp(min=0)) * (rows >= 0)[:, None]
        return local.unflatten(0, found.shape)

    def _query(self, number: int) -> LocalQuery:
        return self.mid_conv if number == self.config.levels - 1 else self._decoder(number).conv0

    def _decoder(self, number: int) -> DecoderStage:
        return cast(DecoderStage, self.dec[f"dec{number}"])

    def _neck(self, number: int) -> NeckBlock:
        return cast(NeckBlock, self.nec[_neck_name(number)])


def _neck_name(level: int) -> str:
    return f"neck{level - 1}" if level > 0 else "neck_final"
