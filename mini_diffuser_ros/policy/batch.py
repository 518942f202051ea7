"""What one training step gets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class TrainingBatch:
    """B scenes with their sentences and the action an expert took next.

    Positions are in the centred frame of :func:`scene_points`: base frame axes, origin at the scene's centre.

    Attributes:
        points: (N, 7) float32, the points of all scenes after one another, as :func:`scene_points` gives them.
        batch: (N,) int64, non-decreasing: which scene a point belongs to; every scene has a point.
        text_tokens: (sum L, D) float32, token states of all sentences after one another.
        text_lengths: (B,) int64, tokens of each sentence.
        target_xyz: (B, 3) float32, metres, position of the next keyframe.
        target_quat: (B, 4) float32, its orientation, xyzw.
        gripper_open: (B,) float32, 1 where the gripper is open after the move.
        terminate: (B,) float32, 1 where the task is done after the move.
    """

    points: Tensor
    batch: Tensor
    text_tokens: Tensor
    text_lengths: Tensor
    target_xyz: Tensor
    target_quat: Tensor
    gripper_open: Tensor
    terminate: Tensor

    def __post_init__(self) -> None:
        count = len(self.text_lengths)
        for name, shape in (
            ("target_xyz", (count, 3)),
            ("target_quat", (count, 4)),
            ("gripper_open", (count,)),
            ("terminate", (count,)),
        ):
            actual = tuple(getattr(self, name).shape)
            if actual != shape:
                raise ValueError(f"TrainingBatch.{name} has shape {actual}, expected {shape} like text_lengths")

    def to(self, device: torch.device | str) -> TrainingBatch:
        """The same batch on another device; a copy from pinned memory is awaited only by what uses it."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> TrainingBatch:
        """The same batch in page-locked memory, which a loader's pinning thread asks for."""
        return self._each(Tensor.pin_memory)

    def _each(self, change: Callable[[Tensor], Tensor]) -> TrainingBatch:
        return type(self)(**{field.name: change(getattr(self, field.name)) for field in fields(self)})
