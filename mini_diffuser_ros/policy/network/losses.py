"""The training objective: one encoded scene, M noised positions, the heads and the heat-map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from mini_diffuser_ros.policy.batch import TrainingBatch
from mini_diffuser_ros.policy.network.heads import ActionLogits
from mini_diffuser_ros.policy.network.pyramid import Level
from mini_diffuser_ros.policy.network.rotation import rotation_labels
from mini_diffuser_ros.policy.network.scene_network import EncodedScene

if TYPE_CHECKING:
    from mini_diffuser_ros.policy.network.model import MiniDiffuser

_ROTATION_MAP_POINTS = 8  # about one face of a block at 2 cm


def training_losses(
    model: MiniDiffuser, batch: TrainingBatch, level2: int, generator: torch.Generator | None
) -> dict[str, Tensor]:
    """See :meth:`MiniDiffuser.loss`."""
    if level2 < 1:
        raise ValueError(f"level2 is {level2}, expected at least 1 noised position a scene")
    config, schedule = model.config, model.schedule
    scene = model.encode(batch.points, batch.batch, batch.text_tokens, batch.text_lengths, generator)
    scenes, device = len(batch.target_xyz), batch.points.device
    clean = (batch.target_xyz / config.diffusion.position_scale)[:, None].expand(-1, level2, -1)
    noise = torch.randn((scenes, level2, 3), generator=generator).to(device)
    steps = schedule.draw_steps((scenes, level2), generator).to(device)
    noised = schedule.add_noise(clean, noise, steps) * config.diffusion.position_scale
    jitter = torch.randn((scenes, 1, 3), generator=generator).to(device) * config.losses.head_position_noise
    at_target = batch.target_xyz[:, None] + jitter

    predicted, logits = _predict(model, scene, noised, steps, at_target)
    losses = {"position": F.l1_loss(predicted, schedule.target(clean, noise, steps))}
    labels = rotation_labels(batch.target_quat, config.losses.rotation_sigma, config.heads.gripper_symmetry)
    losses |= _action_losses(model, logits, labels, batch)
    if scene.heatmap is not None:
        losses["heatmap"] = heatmap_loss(
            scene, batch.target_xyz, config.losses.heatmap_level, config.losses.heatmap_sigma
        )
        losses["rotation_map"] = _rotation_map_loss(model, scene, labels, batch.target_xyz)
    total = torch.stack([getattr(config.losses, f"{name}_weight") * value for name, value in losses.items()]).sum()
    return {"total": total} | losses


def _predict(
    model: MiniDiffuser, scene: EncodedScene, noised: Tensor, steps: Tensor, at_target: Tensor
) -> tuple[Tensor, ActionLogits]:
    """Predictions (B, M, 3) and head logits (B, ...).

    The heads' position rides along as one more token of each scene, at noise step 0.
    """
    text_of = _text_of(model, steps)
    if model.config.official_behaviour is not None:
        return model.denoise(scene, noised, steps, text_of), model.action_logits(scene, at_target, None)
    xyz = torch.cat([noised, at_target], 1)
    all_steps = torch.cat([steps, torch.zeros_like(steps[:, :1])], 1)
    own = torch.arange(len(steps), device=steps.device)[:, None]
    all_text_of = torch.cat([text_of, own], 1)
    tokens = model.token_features(scene, xyz, all_steps, all_text_of)
    predicted = model.act_proj_head.denoise_mlp(tokens[:, :-1])
    return predicted, model.action_logits(scene, at_target, tokens[:, -1:])


def _text_of(model: MiniDiffuser, steps: Tensor) -> Tensor:
    """Which scene's sentence each of the actions (B, M) gets in its FiLM context."""
    scenes, level2 = steps.shape
    if model.config.official_behaviour is None:
        return torch.arange(scenes, device=steps.device)[:, None].expand_as(steps)
    # As published: actions run through m first, their texts through b first.
    return (torch.arange(scenes * level2, device=steps.device) % scenes).view(scenes, level2)


def _action_losses(
    model: MiniDiffuser, logits: ActionLogits, labels: Tensor, batch: TrainingBatch
) -> dict[str, Tensor]:
    losses = {
        "rotation": F.cross_entropy(logits.rotation, labels),
        "gripper": F.binary_cross_entropy_with_logits(logits.gripper, batch.gripper_open),
    }
    if model.config.official_behaviour is None:
        losses["termination"] = F.binary_cross_entropy_with_logits(logits.termination, batch.terminate)
    return losses


def heatmap_loss(scene: EncodedScene, target_xyz: Tensor, level: int, sigma: float) -> Tensor:
    """Cross-entropy between the heat-map over a level's points and a Gaussian around the target in the table plane.

    Args:
        scene: with heat-map logits (N_l,).
        target_xyz: (B, 3) metres.
        level: level of the logits.
        sigma: metres.
    """
    if scene.heatmap is None:
        raise ValueError("scene has no heat-map, as its model is in official behaviour")
    padded = scene.levels[level].padded
    wanted = -_squared_distances(scene.levels[level], target_xyz) / (2 * sigma**2)
    given = scene.heatmap[padded.members].masked_fill(~padded.valid, -1e4)
    return F.cross_entropy(given, wanted.softmax(1))


def _rotation_map_loss(model: MiniDiffuser, scene: EncodedScene, labels: Tensor, target_xyz: Tensor) -> Tensor:
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
