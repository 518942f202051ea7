"""The diffusion of positions: noise levels, training targets and DDIM sampling.

Ho et al. 2020 (DDPM), Song et al. 2021 (DDIM), Salimans and Ho 2022 (velocity prediction), Lin et al. 2024 (why the
last noise level should keep no signal).

A schedule is a path from the clean sample to the noise, ``x_k = signal_k x_0 + noise_k noise``, along a quarter of a
circle: ``signal_k^2 + noise_k^2 = 1``. DDIM moves along it by what the network says about both ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mini_diffuser_ros.policy.config import MiniDiffuserConfig


class Denoised(NamedTuple):
    """What a prediction says about a noised sample: clean sample and noise, of the sample's shape."""

    clean: Tensor
    noise: Tensor


class NoiseSchedule(nn.Module):
    """How signal and noise are mixed at each step k: ``x_k = signal[k] x_0 + noise[k] noise``.

    The velocity of a sample, its direction along the path, is ``signal[k] noise - noise[k] x_0``. All samples are in
    units of ``config.diffusion.position_scale``.
    """

    signal: Tensor
    noise: Tensor

    def __init__(self, config: MiniDiffuserConfig) -> None:
        super().__init__()
        self.clip = config.diffusion.clip_sample
        signal, noise = self._path(config.diffusion.steps)
        self.register_buffer("signal", signal, persistent=False)
        self.register_buffer("noise", noise, persistent=False)

    @property
    def steps(self) -> int:
        """Number of noise levels."""
        return len(self.signal)

    def draw_steps(self, shape: tuple[int, ...], generator: torch.Generator | None = None) -> Tensor:
        """Steps to train at, int64 on the CPU."""
        return torch.randint(self.steps, shape, generator=generator)

    def add_noise(self, clean: Tensor, noise: Tensor, steps: Tensor) -> Tensor:
        """Samples (..., 3) at steps (...,)."""
        return self.signal[steps][..., None] * clean + self.noise[steps][..., None] * noise

    def target(self, clean: Tensor, noise: Tensor, steps: Tensor) -> Tensor:
        """What the network should predict (..., 3) at steps (...,)."""
        return self.signal[steps][..., None] * noise - self.noise[steps][..., None] * clean

    def denoised(self, predicted: Tensor, sample: Tensor, steps: Tensor | int) -> Denoised:
        """Read a prediction (..., 3) for samples (..., 3) at steps (...,), or all at one step."""
        signal, noise = self.signal[steps][..., None], self.noise[steps][..., None]
        # Position and velocity are two equations for the two ends; on the circle their determinant is 1.
        return Denoised(signal * sample - noise * predicted, signal * predicted + noise * sample)

    def sampling_steps(self, count: int) -> list[int]:
        """Noise levels that ``count`` sampling steps visit, noisiest first.

        They visit both ends and lie closer together towards the clean one.
        """
        if not 1 <= count <= self.steps:
            raise ValueError(f"steps is {count}, expected 1 to {self.steps}")
        return [int(step) for step in self._visited(count)]

    def start(self, noise: Tensor, step: int) -> Tensor:
        """Where sampling begins: unit noise scaled to what a sample at the origin has at a step."""
        return noise * float(self.noise[step])

    def ddim(
        self,
        predict: Callable[[Tensor, int], Tensor],
        noise: Tensor,
        count: int,
        eta: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Sample by DDIM.

        Args:
            predict: the network's output for samples (..., 3) that are all at one step.
            noise: (..., 3) unit normal noise to start from.
            count: number of steps.
            eta: 0 for the deterministic sampler, 1 for as much fresh noise as ancestral sampling adds.
            generator: draws that fresh noise.

        Returns:
            Clean samples (..., 3).
        """
        if not 0 <= eta <= 1:
            raise ValueError(f"eta is {eta}, expected 0 to 1")
        visited = self.sampling_steps(count)
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
        clean, noise = self.denoised(predicted, sample, step)
        clean = clean.clamp(-self.clip, self.clip)
        if following is None:
            return clean
        signal, kept = self.signal[following], self.noise[following]
        if eta == 0:
            return signal * clean + kept * noise
        fresh = eta * self._ancestral_noise(step, following)
        drawn = torch.randn(sample.shape, generator=generator, dtype=sample.dtype).to(sample.device)
        return signal * clean + (kept**2 - fresh**2).clamp(min=0).sqrt() * noise + fresh * drawn

    def _path(self, count: int) -> tuple[Tensor, Tensor]:
        """Signal (K,) and noise (K,) of ``count`` levels, float32."""
        done = torch.arange(1, count + 1, dtype=torch.float64) / count
        variance = (torch.cos(done * (math.pi / 2)) ** 2).float()
        variance[-1] = 0.0
        return variance.sqrt(), (1 - variance).sqrt()

    def _visited(self, count: int) -> Tensor:
        visited = torch.round(torch.linspace(1, 0, count).square() * (self.steps - 1))
        # Rounding lets the cleanest levels coincide: each is at least as noisy as its place from the end.
        return torch.maximum(visited, torch.arange(count).flip(0))

    def _ancestral_noise(self, step: int, following: int) -> Tensor:
        """Standard deviation of x_following given x_step and x_0, where x_step is x_following with noise added."""
        kept = self.noise[following]
        carried = self.signal[step] / self.signal[following] * kept
        return kept / self.noise[step] * (self.noise[step] ** 2 - carried**2).clamp(min=0).sqrt()
