"""The published diffusion: the noise predicted along a schedule whose last level keeps 48 % of the signal."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mini_diffuser_ros.policy.config import MiniDiffuserConfig
from mini_diffuser_ros.policy.network.diffusion import Denoised, NoiseSchedule
from mini_diffuser_ros.policy.official.config import OfficialBehaviour

_BETA_START, _BETA_END = 1e-4, 0.02


class OfficialSchedule(NoiseSchedule):
    """Scaled linear betas; short samplings visit the noise levels that the diffusers library visits."""

    def __init__(self, config: MiniDiffuserConfig, behaviour: OfficialBehaviour) -> None:
        super().__init__(config)
        self.leading = behaviour.step_spacing == "leading"

    def target(self, clean: Tensor, noise: Tensor, steps: Tensor) -> Tensor:
        """What the network should predict (..., 3): the noise."""
        return noise

    def denoised(self, predicted: Tensor, sample: Tensor, steps: Tensor | int) -> Denoised:
        """Read a prediction (..., 3) for samples (..., 3) at steps (...,), or all at one step."""
        signal, noise = self.signal[steps][..., None], self.noise[steps][..., None]
        return Denoised((sample - noise * predicted) / signal, predicted)

    def _path(self, count: int) -> tuple[Tensor, Tensor]:
        betas = torch.linspace(math.sqrt(_BETA_START), math.sqrt(_BETA_END), count) ** 2
        variance = torch.cumprod(1 - betas, 0)
        return variance.sqrt(), (1 - variance).sqrt()

    def _visited(self, count: int) -> Tensor:
        if self.leading:
            return torch.arange(count).flip(0) * (self.steps // count)
        return torch.round(torch.arange(count) * (-self.steps / count) + self.steps) - 1
