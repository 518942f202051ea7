"""Decisions of a network on held-out frames, compared with the demonstrator's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mini_diffuser_ros.policy import MiniDiffuser, TrainingBatch
from mini_diffuser_ros.policy.network.rotation import decode_rotation
from mini_diffuser_ros.training.config import ValidateConfig
from mini_diffuser_ros.training.dataset import Frame, TokenStates, collate, make_sample
from mini_diffuser_ros.training.processes import Processes
from mini_diffuser_ros.training.report import FrameError, rotation_error

SCENES = 16
"""Scenes decided at once."""

MODE_RADIUS = 0.02
"""Metres; hypotheses nearer than this to a hypothesis support it."""


@torch.no_grad()
def validate(
    model: MiniDiffuser,
    frames: Sequence[Frame],
    tokens: TokenStates,
    config: ValidateConfig,
    seed: int,
    processes: Processes,
) -> list[FrameError]:
    """The error of one decision per frame, in the order of the frames; the processes share the work.

    Each frame is asked with one of its sentences; which one and the noise depend on the seed alone.

    Args:
        model: in evaluation mode.
        frames: held-out frames.
        tokens: token states of their sentences.
        config: hypotheses and steps per decision.
        seed: of sentences and noise.
        processes: this process among those of the run.
    """
    measured = torch.zeros(len(frames), 4)
    starts = range(0, len(frames), SCENES)[processes.rank :: processes.size]
    for start in starts:
        chunk = frames[start : start + SCENES]
        random = np.random.default_rng([seed, start])
        sentences = [frame.sentences[random.integers(len(frame.sentences))] for frame in chunk]
        samples = [
            make_sample(frame, tokens[sentence], model.config) for frame, sentence in zip(chunk, sentences, strict=True)
        ]
        generator = torch.Generator().manual_seed(int(random.integers(2**62)))
        batch = collate(samples)
        measured[start : start + len(chunk)] = _errors(model, batch.to(model.device), config, generator).cpu()
    return [
        FrameError(frame.task, frame.kind, float(position), float(rotation), bool(gripper), bool(terminate))
        for frame, (position, rotation, gripper, terminate) in zip(
            frames, processes.total(measured).tolist(), strict=True
        )
    ]


def densest(positions: Tensor) -> Tensor:
    """Of each scene's hypotheses (B, K, 3) the middle of the densest group (B, 3), metres."""
    near = torch.cdist(positions, positions) < MODE_RADIUS
    group = near[torch.arange(len(positions)), near.sum(2).argmax(1)].to(positions.dtype)  # (B, K)
    return (group[..., None] * positions).sum(1) / group.sum(1, keepdim=True)


def _errors(model: MiniDiffuser, batch: TrainingBatch, config: ValidateConfig, generator: torch.Generator) -> Tensor:
    """(B, 4): position error in metres, rotation error in radians, gripper and termination right (1) or wrong (0)."""
    scene = model.encode(batch.points, batch.batch, batch.text_tokens, batch.text_lengths)
    position = densest(model.sample(scene, config.samples, config.steps, generator=generator))
    logits = model.predict_action(scene, position, torch.arange(len(position), device=position.device))
    rotation = decode_rotation(logits.rotation, refine=model.config.losses.rotation_sigma > 0).cpu().numpy()
    turned = [rotation_error(a, b) for a, b in zip(batch.target_quat.cpu().numpy(), rotation, strict=True)]
    return torch.stack(
        [
            torch.linalg.norm(position - batch.target_xyz, dim=1),
            torch.tensor(turned, dtype=torch.float32, device=position.device),
            ((logits.gripper > 0) == (batch.gripper_open > 0.5)).float(),
            ((logits.termination > 0) == (batch.terminate > 0.5)).float(),
        ],
        1,
    )
