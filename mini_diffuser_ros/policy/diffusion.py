"""The diffusion of positions: noise levels, training targets and DDIM sampling.

Ho et al. 2020 (DDPM), Song et al. 2021 (DDIM), Salimans and Ho 2022 (velocity prediction), Lin et al. 2024 (why the
last noise level should keep no signal).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from mini_diffuser_ros.policy.config import MiniDiffuserConfig

_BETA_START, _BETA_END = 1e-4, 0.02

Spacing = Literal["leading", "trailing", "linspace"]


class Denoised(NamedTuple):
    """What a prediction says about a noised sample: clean sample and noise, of the sample's shape."""

    clean: Tensor
    noise: Tensor


class NoiseSchedule(nn.Module):
    """Mixing of signal and noise at each step k: ``x_k = sqrt(signal[k]) x_0 + sqrt(1 - signal[k]) noise``.

    All samples are in units of ``config.position_scale``.
    """

    signal: Tensor

    def __init__(self, config: MiniDiffuserConfig) -> None:
        super().__init__()
        steps = config.diffusion_steps
        self.prediction = config.prediction
        self.clip = config.clip_sample
        if config.schedule == "scaled_linear":
            betas = torch.linspace(math.sqrt(_BETA_START), math.sqrt(_BETA_END), steps) ** 2
            signal = torch.cumprod(1 - betas, 0)
        else:
            done = torch.arange(1, steps + 1, dtype=torch.float64) / steps
            signal = (torch.cos(done * (math.pi / 2)) ** 2).float()
            signal[-1] = 0.0
        self.register_buffer("signal", signal, persistent=False)

    @property
    def steps(self) -> int:
        """Number of noise levels."""
        return len(self.signal)

    def add_noise(self, clean: Tensor, noise: Tensor, steps: Tensor) -> Tensor:
        """Samples (..., 3) at steps (...,)."""
        signal = self.signal[steps][..., None]
        return signal.sqrt() * clean + (1 - signal).sqrt() * noise

    def target(self, clean: Tensor, noise: Tensor, steps: Tensor) -> Tensor:
        """What the network should predict (..., 3) at steps (...,)."""
        if self.prediction == "epsilon":
            return noise
        signal = self.signal[steps][..., None]
        return signal.sqrt() * noise - (1 - signal).sqrt() * clean

    def denoised(self, predicted: Tensor, sample: Tensor, steps: Tensor) -> Denoised:
        """Read a prediction (..., 3) for samples (..., 3) at steps (...,)."""
        signal = self.signal[steps][..., None]
        if self.prediction == "epsilon":
            return Denoised((sample - (1 - signal).sqrt() * predicted) / signal.sqrt(), predicted)
        clean = signal.sqrt() * sample - (1 - signal).sqrt() * predicted
        return Denoised(clean, signal.sqrt() * predicted + (1 - signal).sqrt() * sample)

    def sampling_steps(self, count: int, spacing: Spacing) -> list[int]:
        """Noise levels that ``count`` sampling steps visit, noisiest first.

        ``leading`` and ``trailing`` are those of the diffusers library; ``linspace`` visits both ends.
        """
        if not 1 <= count <= self.steps:
            raise ValueError(f"steps is {count}, expected 1 to {self.steps}")
        if spacing == "leading":
            visited = torch.arange(count).flip(0) * (self.steps // count)
        elif spacing == "trailing":
            visited = torch.round(torch.arange(count) * (-self.steps / count) + self.steps) - 1
        else:
            visited = torch.round(torch.linspace(self.steps - 1, 0, count))
        return [int(step) for step in visited]

    def start(self, noise: Tensor, step: int) -> Tensor:
        """Where sampling begins: unit noise scaled to what a sample at the origin has at a step."""
        return noise * float((1 - self.signal[step]).sqrt())

    def ddim(
        self,
        predict: Callable[[Tensor, int], Tensor],
        noise: Tensor,
        count: int,
        spacing: Spacing,
        eta: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Sample by DDIM.

        Args:
            predict: the network's output for samples (..., 3) that are all at one step.
            noise: (..., 3) unit normal noise to start from.
            count: number of steps.
            spacing: which noise levels they visit.
            eta: 0 for the deterministic sampler, 1 for as much fresh noise as ancestral sampling adds.
            generator: draws that fresh noise.

        Returns:
            Clean samples (..., 3).
        """
        if not 0 <= eta <= 1:
            raise ValueError(f"eta is {eta}, expected 0 to 1")
        visited = self.sampling_steps(count, spacing)
        sample = self.start(noise, visited[0])
        for step, following in zip(visited, [*visited[1:], None], strict=True):
            sample = self.ddim_step(predict(sample, step), sample, step, following, eta, generator)
        return sample

    def ddim_step(
        self,
        predicted: Tensor,
        sample: Tensor,
        step: int,
        following: int | None,
        eta: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """From samples (..., 3) at one step to those at the ``following`` one; None stands for clean samples."""
        here = self.signal[step]
        then = torch.ones_like(here) if following is None else self.signal[following]
        clean, noise = self.denoised(predicted, sample, torch.as_tensor(step, device=sample.device))
        clean = clean.clamp(-self.clip, self.clip)
        fresh = eta * ((1 - then) / (1 - here)).sqrt() * (1 - here / then.clamp(min=1e-12)).clamp(min=0).sqrt()
        moved = then.sqrt() * clean + (1 - then - fresh**2).clamp(min=0).sqrt() * noise
        if eta == 0 or following is None:
            return moved
        drawn = torch.randn(sample.shape, generator=generator, dtype=sample.dtype).to(sample.device)
        return moved + fresh * drawn
