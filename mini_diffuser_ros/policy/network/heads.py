"""What is read from tokens and scenes: noise, rotation, gripper, termination, heat-map."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from mini_diffuser_ros.policy.config import MiniDiffuserConfig
from mini_diffuser_ros.policy.network.dropout import Dropout
from mini_diffuser_ros.policy.network.rotation import BINS

_SLOPE = 0.02
_PUBLISHED_HEATMAP_CHANNELS = 4


class ActionLogits(NamedTuple):
    """Logits at Q positions.

    Attributes:
        rotation: (Q, 72, 3), bins of extrinsic x, y, z angles.
        gripper: (Q,), positive where the gripper should be open.
        termination: (Q,), positive where the task is done after the move; -inf without a termination head.
    """

    rotation: Tensor
    gripper: Tensor
    termination: Tensor


class ActionHead(nn.Module):
    """The heads; names follow the published state_dict.

    The rotation is read from ``action_mlp``. So are gripper and termination where they may depend on the sentence;
    else they come from ``state_mlp``, which sees the scene alone.
    """

    def __init__(self, config: MiniDiffuserConfig) -> None:
        super().__init__()
        hidden, dropout = config.heads.hidden, 2 * config.layers.dropout
        self.on_scene, self.state_only = config.official_behaviour is not None, not config.heads.head_text
        self.termination = config.official_behaviour is None
        if self.on_scene:
            width = config.backbone.decoder_channels[0] + 3
        else:
            width = config.neck.channels * (2 if self.state_only else 1)
        logits = 3 * BINS + (0 if self.state_only else self._state_logits)
        heat_width = config.backbone.decoder_channels[0 if self.on_scene else config.losses.heatmap_level]
        self.heatmap_mlp = _head(heat_width, hidden, _PUBLISHED_HEATMAP_CHANNELS if self.on_scene else 1, dropout)
        self.action_mlp = _head(width, hidden, logits, dropout)
        self.denoise_mlp = _head(config.neck.channels, hidden, 3, dropout)
        if not self.on_scene:
            map_width = config.backbone.decoder_channels[config.losses.heatmap_level]
            self.rotation_map_mlp = _head(map_width, hidden, 3 * BINS, dropout)
        if self.state_only:
            self.state_mlp = _head(config.neck.channels, hidden, self._state_logits, dropout)

    @property
    def _state_logits(self) -> int:
        return 2 if self.termination else 1

    def rotation_map(self, features: Tensor) -> Tensor:
        """Rotation logits (P, 72, 3) that points near the target predict from their features (P, C)."""
        logits: Tensor = self.rotation_map_mlp(features)
        return logits.unflatten(1, (BINS, 3))

    def action(self, features: Tensor, state: Tensor | None) -> ActionLogits:
        """Logits from tokens, or as published scenes and positions, (Q, F), and where used text-free tokens (Q, C)."""
        if state is None:
            out = self.action_mlp(features)
            rotation, rest = out[:, : 3 * BINS], out[:, 3 * BINS :]
        else:
            rotation = self.action_mlp(torch.cat([features, state], 1) if not self.on_scene else features)
            rest = self.state_mlp(state)
        termination = rest[:, 1] if self.termination else torch.full_like(rest[:, 0], -torch.inf)
        return ActionLogits(rotation.unflatten(1, (BINS, 3)), rest[:, 0], termination)


def _head(width: int, hidden: int, out: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, hidden), nn.LeakyReLU(_SLOPE), Dropout(dropout), nn.Linear(hidden, out))
