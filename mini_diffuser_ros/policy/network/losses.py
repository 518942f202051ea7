"""The training objective: one encoded scene, M noised positions, the heads and the heat-map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from mini_diffuser_ros.policy.batch import TrainingBatch
from mini_diffuser_ros.policy.config import LossConfig
from mini_diffuser_ros.policy.network.heads import ActionLogits
from mini_diffuser_ros.policy.network.pyramid import Level
from mini_diffuser_ros.policy.network.rotation import rotation_labels
from mini_diffuser_ros.policy.network.scene_network import EncodedScene

if TYPE_CHECKING:
    from mini_diffuser_ros.policy.network.model import DiffuserNetwork

_ROTATION_MAP_POINTS = 8  # about one face of a block at 2 cm


@dataclass(frozen=True, eq=False)
class NoisedTargets:
    """What a training step asks the network about.

    Attributes:
        xyz: (B, M, 3) metres, noised positions.
        steps: (B, M) int64, noise step of each.
        wanted: (B, M, 3), what the network should predict there.
        at_target: (B, 1, 3) metres, where the heads are trained.
    """

    xyz: Tensor
    steps: Tensor
    wanted: Tensor
    at_target: Tensor


def training_losses(
    model: DiffuserNetwork, batch: TrainingBatch, level2: int, generator: torch.Generator | None
) -> dict[str, Tensor]:
    """See :meth:`DiffuserNetwork.loss`."""
    check_level2(level2)
    config = model.config
    scene = model.encode(batch.points, batch.batch, batch.text_tokens, batch.text_lengths, generator)
    heatmap = model.act_proj_head.heatmap(scene.features[config.losses.heatmap_level])
    drawn = noised_targets(model, batch, level2, generator)
    predicted, logits = _predict(model, scene, drawn)
    labels = rotation_labels(batch.target_quat, config.losses.rotation_sigma, config.heads.gripper_symmetry)
    level = scene.levels[config.losses.heatmap_level]
    return weighted(
        {
            "position": F.l1_loss(predicted, drawn.wanted),
            "rotation": F.cross_entropy(logits.rotation, labels),
            "gripper": F.binary_cross_entropy_with_logits(logits.gripper, batch.gripper_open),
            "termination": F.binary_cross_entropy_with_logits(logits.termination, batch.terminate),
            "heatmap": heatmap_loss(heatmap, level, batch.target_xyz, config.losses.heatmap_sigma),
            "rotation_map": _rotation_map_loss(model, scene, labels, batch.target_xyz),
        },
        config.losses,
    )


def check_level2(level2: int) -> None:
    """Refuse a step without noised positions.

    Raises:
        ValueError: ``level2`` is below 1.
    """
    if level2 < 1:
        raise ValueError(f"level2 is {level2}, expected at least 1 noised position a scene")


def noised_targets(
    model: DiffuserNetwork, batch: TrainingBatch, level2: int, generator: torch.Generator | None
) -> NoisedTargets:
    """Draw ``level2`` noised positions a scene, and where the heads are trained."""
    config, schedule = model.config, model.schedule
    scenes, device = len(batch.target_xyz), batch.points.device
    clean = (batch.target_xyz / config.diffusion.position_scale)[:, None].expand(-1, level2, -1)
    noise = torch.randn((scenes, level2, 3), generator=generator).to(device)
    steps = schedule.draw_steps((scenes, level2), generator).to(device)
    noised = schedule.add_noise(clean, noise, steps) * config.diffusion.position_scale
    jitter = torch.randn((scenes, 1, 3), generator=generator).to(device) * config.losses.head_position_noise
    return NoisedTargets(noised, steps, schedule.target(clean, noise, steps), batch.target_xyz[:, None] + jitter)


def weighted(losses: dict[str, Tensor], weights: LossConfig) -> dict[str, Tensor]:
    """The losses with their weighted sum, ``total``, before them."""
    total = torch.stack([getattr(weights, f"{name}_weight") * value for name, value in losses.items()]).sum()
    return {"total": total} | losses


def _predict(model: DiffuserNetwork, scene: EncodedScene, drawn: NoisedTargets) -> tuple[Tensor, ActionLogits]:
    """Predictions (B, M, 3) and head logits (B, ...).

    The heads' position rides along as one more token of each scene, at noise step 0.
    """
    xyz = torch.cat([drawn.xyz, drawn.at_target], 1)
    steps = torch.cat([drawn.steps, torch.zeros_like(drawn.steps[:, :1])], 1)
    tokens = model.token_features(scene, xyz, steps)
    predicted = model.act_proj_head.denoise_mlp(tokens[:, :-1])
    return predicted, model.action_logits(scene, drawn.at_target, tokens[:, -1:])


def heatmap_loss(logits: Tensor, level: Level, target_xyz: Tensor, sigma: float) -> Tensor:
    """Cross-entropy between a heat-map over a level's points and a Gaussian around the target in the table plane.

    Args:
        logits: (N_l,).
        level: whose points carry them.
        target_xyz: (B, 3) metres.
        sigma: metres.
    """
    padded = level.padded
    wanted = -_squared_distances(level, target_xyz) / (2 * sigma**2)
    given = logits[padded.members].masked_fill(~padded.valid, -1e4)
    return F.cross_entropy(given, wanted.softmax(1))


def _rotation_map_loss(model: DiffuserNetwork, scene: EncodedScene, labels: Tensor, target_xyz: Tensor) -> Tensor:
    """Cross-entropy of the rotations (B, 72, 3) that the points around each target predict."""
    number = model.config.losses.heatmap_level
    level = scene.levels[number]
    distance = _squared_distances(level, target_xyz)
    nearest = distance.topk(min(_ROTATION_MAP_POINTS, distance.shape[1]), dim=1, largest=False)
    points = level.padded.members.gather(1, nearest.indices)
    logits = model.act_proj_head.rotation_map(scene.features[number].index_select(0, points.flatten()))
    losses = F.cross_entropy(logits, labels.repeat_interleave(points.shape[1], 0), reduction="none").mean(1)
    counts = nearest.values.isfinite().flatten()
    return losses[counts].mean()


def _squared_distances(level: Level, target_xyz: Tensor) -> Tensor:
    """(B, P) squared distances in the table plane between targets (B, 3) and their scenes' points; inf at padding."""
    distance = (level.coordinates[:, :2] - target_xyz[level.batch, :2]).square().sum(1)
    return distance[level.padded.members].masked_fill(~level.padded.valid, torch.inf)
