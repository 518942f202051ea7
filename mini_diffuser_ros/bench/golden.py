"""Values of the published network, and the weights it had when they were recorded.

``official_inference.npz`` holds one scene (693 points) through the published network at inference in float32: inputs,
every eighth row of the features of all levels (coarsest first), the pooled text, predicted noise at 24 positions, head
logits, and two DDIM runs of ten steps. Its weights follow from each tensor's name and need not be stored.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

ROW_STRIDE = 8
"""Of the features of each level, every eighth row is kept."""


def golden_values() -> dict[str, Tensor]:
    """The recorded arrays by name."""
    with np.load(Path(__file__).with_name("official_inference.npz")) as file:
        return {name: torch.from_numpy(file[name]) for name in file.files}


def golden_weights(like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of the recording for tensors of these names and shapes."""
    return {name: _weight(name, value) for name, value in like.items()}


def _weight(name: str, like: Tensor) -> Tensor:
    """Normal numbers seeded by the tensor's name, scaled by its kind; zeros where it counts something."""
    if not like.is_floating_point():
        return torch.zeros_like(like)
    shape = tuple(like.shape)
    random = np.random.RandomState(zlib.crc32(name.encode()))
    z = torch.from_numpy(random.standard_normal(math.prod(shape)).reshape(shape).astype(np.float32))
    if name.endswith("running_var"):
        return 0.5 + z.abs()
    if len(shape) == 1:
        return 1 + 0.1 * z if name.endswith("weight") else 0.1 * z
    if len(shape) == 2:
        return z / math.sqrt(shape[1])
    return z / math.sqrt(9 * shape[-1])
