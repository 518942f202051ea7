"""The published network: ours with the published parts in the places of ours, trained as published."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mini_diffuser_ros.policy.batch import TrainingBatch
from mini_diffuser_ros.policy.config import MiniDiffuserConfig
from mini_diffuser_ros.policy.network.heads import ActionLogits
from mini_diffuser_ros.policy.network.losses import check_level2, noised_targets, weighted
from mini_diffuser_ros.policy.network.model import DiffuserNetwork
from mini_diffuser_ros.policy.network.neck import sentence_context
from mini_diffuser_ros.policy.network.pyramid import Pyramid
from mini_diffuser_ros.policy.network.rotation import rotation_labels
from mini_diffuser_ros.policy.network.scene_network import EncodedScene
from mini_diffuser_ros.policy.official.config import OfficialBehaviour
from mini_diffuser_ros.policy.official.diffusion import OfficialSchedule
from mini_diffuser_ros.policy.official.parts import OfficialActionHead, replace_parts
from mini_diffuser_ros.policy.official.pyramid import official_pyramid


class OfficialNetwork(DiffuserNetwork):
    """See :class:`OfficialBehaviour` for what differs.

    Args:
        config: with ``official_behaviour``.
    """

    def __init__(self, config: MiniDiffuserConfig) -> None:
        super().__init__(config)
        self.behaviour = config.official_behaviour or OfficialBehaviour()
        self.schedule = OfficialSchedule(config, self.behaviour)
        self.act_proj_head = OfficialActionHead(config)
        replace_parts(self.ptv3_model, config, self.behaviour.attention_dropout)

    def loss(
        self, batch: TrainingBatch, level2: int = 64, generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """Training losses as scalars, ``total`` first; arguments as of :meth:`DiffuserNetwork.loss`.

        As published, the sentences of a batch are dealt out to its noised positions in turn, whatever their scene.
        """
        check_level2(level2)
        scene = self.encode(batch.points, batch.batch, batch.text_tokens, batch.text_lengths, generator)
        drawn = noised_targets(self, batch, level2, generator)
        scenes = len(drawn.steps)
        dealt = torch.arange(drawn.steps.numel(), device=self.device).view_as(drawn.steps) % scenes
        predicted = self.act_proj_head.denoise_mlp(self._tokens(scene, drawn.xyz, drawn.steps, dealt))
        logits = self._action(scene, drawn.at_target)
        labels = rotation_labels(
            batch.target_quat, self.config.losses.rotation_sigma, self.config.heads.gripper_symmetry
        )
        losses = {
            "position": F.l1_loss(predicted, drawn.wanted),
            "rotation": F.cross_entropy(logits.rotation, labels),
            "gripper": F.binary_cross_entropy_with_logits(logits.gripper, batch.gripper_open),
        }
        return weighted(losses, self.config.losses)

    def _tokens(self, scene: EncodedScene, xyz: Tensor, steps: Tensor, sentence: Tensor) -> Tensor:
        """Tokens (B, M, C) of positions (B, M, 3) at steps (B, M) with any scene's sentence (B, M)."""
        if scene.text is None:
            raise ValueError("scene has no pooled sentences, expected one encoded by this network")
        context = sentence_context(scene.text, sentence, steps, self.config.diffusion.steps)
        return self.ptv3_model.tokens(scene, xyz, context)

    def _pyramid(self, coordinates: Tensor, batch: Tensor, scenes: int, generator: torch.Generator | None) -> Pyramid:
        return official_pyramid(coordinates, batch, scenes, self.config, self.behaviour.curve_shuffle, generator)

    def _words(self, tokens: Tensor) -> Tensor:
        return tokens

    def _action(self, scene: EncodedScene, xyz: Tensor) -> ActionLogits:
        """Head logits (B * M, ...) at positions (B, M, 3), from the maximum over each scene's finest features."""
        maximum = torch.segment_reduce(scene.features[0], "max", lengths=scene.levels[0].counts)
        seen = maximum[:, None].expand(-1, xyz.shape[1], -1)
        read = torch.cat([seen, xyz / self.config.diffusion.position_scale], -1)
        return self.act_proj_head.action(read.flatten(0, 1), None)
