"""What is read from tokens and scenes: noise, rotation, gripper, termination, heat-map."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from mini_diffuser_ros.policy.config import MiniDiffuserConfig
from mini_diffuser_ros.policy.network.dropout import Dropout
from mini_diffuser_ros.policy.network.rotation import BINS

_SLOPE = 0.02
_STATE_LOGITS = 2  # gripper and termination


class ActionLogits(NamedTuple):
    """Logits at Q positions.

    Attributes:
        rotation: (Q, 72, 3), bins of extrinsic x, y, z angles.
        gripper: (Q,), positive where the gripper should be open.
        termination: (Q,), positive where the task is done after the move.
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
        channels, map_width = config.neck.channels, config.backbone.decoder_channels[config.losses.heatmap_level]
        apart = not config.heads.head_text
        self.heatmap_mlp = head(map_width, hidden, 1, dropout)
        self.action_mlp = head(
            2 * channels if apart else channels, hidden, 3 * BINS + (0 if apart else _STATE_LOGITS), dropout
        )
        self.denoise_mlp = head(channels, hidden, 3, dropout)
        self.rotation_map_mlp = head(map_width, hidden, 3 * BINS, dropout)
        if apart:
            self.state_mlp = head(channels, hidden, _STATE_LOGITS, dropout)

    def heatmap(self, features: Tensor) -> Tensor:
        """Heat-map logits (P,) of points from their features (P, C)."""
        logits: Tensor = self.heatmap_mlp(features)
        return logits[:, 0]

    def rotation_map(self, features: Tensor) -> Tensor:
        """Rotation logits (P, 72, 3) that points near the target predict from their features (P, C)."""
        logits: Tensor = self.rotation_map_mlp(features)
        return logits.unflatten(1, (BINS, 3))

    def action(self, features: Tensor, state: Tensor | None) -> ActionLogits:
        """Logits from tokens (Q, C), and where the state is read apart from the sentence, text-free tokens (Q, C)."""
        if state is None:
            out = self.action_mlp(features)
            rotation, rest = out[:, : 3 * BINS], out[:, 3 * BINS :]
        else:
            rotation, rest = self.action_mlp(torch.cat([features, state], 1)), self.state_mlp(state)
        return ActionLogits(rotation.unflatten(1, (BINS, 3)), rest[:, 0], rest[:, 1])


def head(width: int, hidden: int, out: int, dropout: float) -> nn.Sequential:
    """Two linear layers, (..., width) to (..., out)."""
    return nn.Sequential(nn.Linear(width, hidden), nn.LeakyReLU(_SLOPE), Dropout(dropout), nn.Linear(hidden, out))
