"""What the network refuses: each complaint names the argument, its shape or type, and what was expected."""

from __future__ import annotations

import torch
from torch import Tensor

from mini_diffuser_ros.policy.config import MiniDiffuserConfig
from mini_diffuser_ros.policy.network.backbone import POINT_CHANNELS
from mini_diffuser_ros.policy.network.serialization import MAX_DEPTH


def check_scene(points: Tensor, batch: Tensor, tokens: Tensor, lengths: Tensor, config: MiniDiffuserConfig) -> None:
    """Refuse what cannot be scenes with sentences; see :meth:`MiniDiffuser.encode` for the arguments.

    Raises:
        ValueError: a wrong shape or type, a value that is not finite or too far away, a scene without points or words.
    """
    _check("points", points, (None, POINT_CHANNELS), torch.float32)
    _check("batch", batch, (len(points),), torch.int64)
    _check("text_lengths", lengths, (None,), torch.int64)
    _check("text_tokens", tokens, (int(lengths.sum()), config.text.width), torch.float32)
    scenes = len(lengths)
    if scenes == 0 or int(lengths.min()) < 1:
        raise ValueError(f"text_lengths {tuple(lengths.shape)} must be positive, one a scene, got {lengths.tolist()}")
    if len(points) == 0:
        raise ValueError(f"points {tuple(points.shape)} is empty, expected at least one point a scene")
    if bool((batch[1:] < batch[:-1]).any()) or int(batch[0]) < 0 or int(batch[-1]) >= scenes:
        raise ValueError(f"batch {tuple(batch.shape)} must be non-decreasing from 0 to {scenes - 1}")
    empty = (torch.bincount(batch, minlength=scenes) == 0).nonzero()[:, 0].tolist()
    if empty:
        raise ValueError(f"batch {tuple(batch.shape)} leaves scene {empty[0]} of {scenes} without a point")
    _check_near("points", points[:, :3], config)


def check_queries(
    scenes: int, batch: Tensor, xyz: Tensor, config: MiniDiffuserConfig, steps: Tensor | None = None
) -> None:
    """Refuse what cannot be positions (Q, 3) of ``scenes`` scenes, at noise steps (Q,) where these are given.

    Raises:
        ValueError: a wrong shape or type, a value that is not finite or out of range.
    """
    _check("batch", batch, (None,), torch.int64)
    _check("xyz", xyz, (len(batch), 3), torch.float32)
    if len(batch) == 0 or int(batch.min()) < 0 or int(batch.max()) >= scenes:
        raise ValueError(f"batch {tuple(batch.shape)} must name scenes 0 to {scenes - 1}, at least one query")
    _check_near("xyz", xyz, config)
    if steps is None:
        return
    _check("steps", steps, (len(batch),), torch.int64)
    if int(steps.min()) < 0 or int(steps.max()) >= config.diffusion.steps:
        raise ValueError(f"steps {tuple(steps.shape)} must be 0 to {config.diffusion.steps - 1}")


def _check(name: str, value: Tensor, expected: tuple[int | None, ...], dtype: torch.dtype) -> None:
    shape = tuple(value.shape)
    fits = len(shape) == len(expected) and all(b is None or a == b for a, b in zip(shape, expected, strict=True))
    if not fits:
        words = ", ".join("any" if size is None else str(size) for size in expected)
        raise ValueError(f"{name} has shape {shape}, expected ({words})")
    if value.dtype != dtype:
        raise ValueError(f"{name} {shape} is of {value.dtype}, expected {dtype}")
    if value.is_floating_point() and not bool(torch.isfinite(value).all()):
        raise ValueError(f"{name} {shape} has values that are not finite, expected none")


def _check_near(name: str, xyz: Tensor, config: MiniDiffuserConfig) -> None:
    """Codes of voxels have ``MAX_DEPTH`` bits an axis, of which a quarter on either side of the origin is used."""
    reach = 2 ** (MAX_DEPTH - 2) * config.scene.voxel_size
    farthest = float(xyz.detach().abs().max())
    if farthest > reach:
        shape = tuple(xyz.shape)
        raise ValueError(f"{name} {shape} reaches {farthest:.4g} m from the origin, expected at most {reach:.4g} m")
