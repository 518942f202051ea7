"""What a policy's network makes of the end of a run: the numbers by which it is judged whether the task is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mini_diffuser_ros.geometry import matrix_from_quaternion
from mini_diffuser_ros.policy.model import MiniDiffuser
from mini_diffuser_ros.policy.network.scene_network import EncodedScene
from mini_diffuser_ros.policy.scene import scene_points
from mini_diffuser_ros.records import Cloud, SeenEnd

_COLUMN = 0.022  # metres around the vertical through a place that belong to what lies there
_AROUND = 0.05
_HAND, _TIP = 0.15, 0.012  # metres around the axis of the tool, and along it from its centre point
_BANDS = (0.0, 0.02, 0.04, 0.06, 0.08, 0.10, 0.14)  # metres above the table
_DEPTH = 0.02  # metres; the unit of heights


@torch.no_grad()
def end_features(model: MiniDiffuser, ends: Sequence[SeenEnd], tokens: Sequence[Tensor]) -> Tensor:
    """Numbers (B, F) on the CPU, of ends with the token states (L, D) of what was asked for.

    They are what the frozen network knows of the scene in the light of the sentence: at the place of the deed, at the
    hand, and where it would go next; and how high the deed was above what lies there.

    Args:
        model: in evaluation mode; one with maps of where to go, which published ones lack.
        ends: at least one.
        tokens: of the sentence of each.

    Raises:
        ValueError: a cloud without a finite point in the workspace.
    """
    device = model.device
    scenes = [scene_points(without_hand(end), model.config) for end in ends]
    counts = torch.tensor([len(scene.points) for scene in scenes])
    points = torch.from_numpy(np.concatenate([scene.points for scene in scenes])).to(device)
    batch = torch.repeat_interleave(torch.arange(len(ends)), counts).to(device)
    lengths = torch.tensor([len(states) for states in tokens], device=device)
    encoded = model.encode(points, batch, torch.cat(list(tokens)).to(device), lengths)
    hands = [np.stack([end.deed[:3], end.rest[:3]]) - scene.centre for end, scene in zip(ends, scenes, strict=True)]
    places = torch.from_numpy(np.stack(hands).astype(np.float32)).to(device)  # (B, 2, 3)
    number = model.config.losses.heatmap_level
    level = encoded.levels[number]
    members, there = level.padded.members, level.padded.valid
    heat = model.act_proj_head.heatmap(encoded.features[number])
    shares = heat[members].masked_fill(~there, -torch.inf).softmax(1)  # (B, P)
    xyz = level.coordinates[members]  # (B, P, 3)
    peak = xyz.gather(1, shares.argmax(1)[:, None, None].expand(-1, 1, 3))
    mean = (shares[..., None] * xyz).sum(1, keepdim=True)
    local = encoded.features[number][members]  # (B, P, C)
    asked = torch.cat([places, peak], 1)
    found = [
        (shares[..., None] * local).sum(1),
        *_read(model, encoded, asked),
        _heights(places, asked, points, counts),
        _where(places, peak, mean, shares, xyz),
        torch.tensor([[end.deed_open, end.rest_open] for end in ends], device=device, dtype=torch.float32),
    ]
    return torch.cat([part.flatten(1) for part in found], 1).float().cpu()


def without_hand(end: SeenEnd) -> Cloud:
    """What is seen but the hand and what is above it, which look other with every robot, driver and camera.

    Where the hand is has been measured; a cloud that shows nothing else stays as it is.
    """
    local = (end.cloud.points - end.rest[:3]) @ matrix_from_quaternion(end.rest[3:])
    kept = (local[:, 2] > _TIP) | (np.linalg.norm(local[:, :2], axis=1) > _HAND)
    if not kept.any():
        return end.cloud
    return replace(end.cloud, points=end.cloud.points[kept], colors=end.cloud.colors[kept])


def _read(model: MiniDiffuser, encoded: EncodedScene, asked: Tensor) -> list[Tensor]:
    """What the network knows at places (B, K, 3): tokens, what the heads read from them, and text-free tokens."""
    steps = torch.zeros(asked.shape[:2], dtype=torch.long, device=asked.device)
    tokens = model.token_features(encoded, asked, steps)
    logits = model.action_logits(encoded, asked, tokens)
    count = len(asked)
    read = [tokens, logits.gripper.view(count, -1), logits.termination.view(count, -1)]
    if not model.config.heads.head_text:
        read.append(model.ptv3_model.state_tokens(encoded, asked))
    return read


def _heights(hands: Tensor, asked: Tensor, points: Tensor, counts: Tensor) -> Tensor:
    """How high hands (B, 2, 3) are above what lies below them, and how many points each band of height has around
    places (B, K, 3)."""
    rows = [scene[:, :3] for scene in points.split(counts.tolist())]
    heights = [scene[:, 6] for scene in points.split(counts.tolist())]
    found = []
    bounds = torch.tensor(_BANDS, device=points.device)
    for scene, height, own_hands, own in zip(rows, heights, hands, asked, strict=True):
        across = torch.cdist(own[:, :2], scene[:, :2])  # (K, N)
        under = torch.where(across < _COLUMN, scene[:, 2], -torch.inf)[: len(own_hands)]
        under = torch.where(under < own_hands[:, 2:] + _DEPTH, under, -torch.inf)  # not the fingers
        above = (own_hands[:, 2] - under.amax(1)).clamp(-2 * _DEPTH, 4 * _DEPTH) / _DEPTH
        band = torch.bucketize(height.contiguous(), bounds)
        counted = F.one_hot(band, len(_BANDS) + 1).float()
        around = (across < _AROUND).float() @ counted
        found.append(torch.cat([above, above * (above.abs() < 2), around.log1p().flatten()]))
    return torch.stack(found)


def _where(places: Tensor, peak: Tensor, mean: Tensor, shares: Tensor, xyz: Tensor) -> Tensor:
    """Where the network would go next, from where the hand was (B, 2, 3)."""
    deed, rest = places[:, :1], places[:, 1:]
    near = (xyz[..., :2] - deed[..., :2]).norm(dim=2)
    masses = [(shares * (near < radius)).sum(1, keepdim=True) for radius in (0.03, 0.06, 0.1)]
    spread = (shares * (xyz[..., :2] - mean[..., :2]).norm(dim=2)).sum(1, keepdim=True)
    lengths = [
        (one[..., :2] - other[..., :2]).norm(dim=2).clamp(max=0.3) * 10
        for one, other in ((peak, deed), (mean, deed), (peak, rest), (deed, rest))
    ]
    climbs = [(one - other)[..., 2].clamp(-0.2, 0.2) * 10 for one, other in ((peak, deed), (rest, deed))]
    return torch.cat([*masses, spread * 10, shares.amax(1, keepdim=True), *lengths, *climbs], 1)
