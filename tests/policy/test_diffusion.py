"""The noise schedule and DDIM, with an oracle in the network's place."""

from __future__ import annotations

import pytest
import torch

from mini_diffuser_ros.policy import MiniDiffuserConfig
from mini_diffuser_ros.policy.diffusion import NoiseSchedule

SCHEDULES = [NoiseSchedule(MiniDiffuserConfig.small()), NoiseSchedule(MiniDiffuserConfig.official())]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_perfect_prediction_gives_sample_and_noise_back(schedule: NoiseSchedule) -> None:
    clean, noise = torch.randn(2, 50, 3, dtype=torch.float64)
    steps = torch.arange(50)
    noised = schedule.add_noise(clean, noise, steps)
    found = schedule.denoised(schedule.target(clean, noise, steps), noised, steps)
    torch.testing.assert_close(found.clean, clean, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.noise, noise, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace"])
@pytest.mark.parametrize("count", [1, 2, 5, 100])
def test_ddim_with_a_perfect_network_ends_at_the_target(schedule: NoiseSchedule, spacing: str, count: int) -> None:
    target = torch.tensor([0.3, -0.5, 0.1])

    def oracle(sample: torch.Tensor, step: int) -> torch.Tensor:
        signal = schedule.signal[step]
        noise = (sample - signal.sqrt() * target) / (1 - signal).sqrt()
        return schedule.target(target.expand_as(sample), noise, torch.full(sample.shape[:-1], step))

    noise = torch.randn((4, 3), generator=torch.Generator().manual_seed(0))
    out = schedule.ddim(oracle, noise, count, spacing)  # type: ignore[arg-type]
    torch.testing.assert_close(out, target.expand(4, 3), atol=1e-3, rtol=0)


def test_the_corrected_schedule_keeps_no_signal_and_the_published_one_half() -> None:
    assert SCHEDULES[0].signal[-1] == 0
    assert SCHEDULES[1].signal[[0, 9, 49, 99]].tolist() == pytest.approx([0.9999, 0.99731, 0.89678, 0.48459], abs=1e-5)


@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace"])
def test_visited_steps_fall(spacing: str) -> None:
    visited = SCHEDULES[0].sampling_steps(10, spacing)  # type: ignore[arg-type]
    assert visited == sorted(set(visited), reverse=True)
    assert len(visited) == 10


def test_eta_draws_from_the_generator() -> None:
    def run(eta: float, seed: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        return SCHEDULES[0].ddim(lambda x, _: 0.1 * x, torch.ones(4, 3), 5, "linspace", eta, generator)

    assert torch.equal(run(1.0, 0), run(1.0, 0))
    assert not torch.equal(run(1.0, 0), run(1.0, 1))
    assert torch.equal(run(0.0, 0), run(0.0, 1))


@pytest.mark.parametrize("count", [0, 101])
def test_impossible_step_counts_are_refused(count: int) -> None:
    with pytest.raises(ValueError, match="expected 1 to 100"):
        SCHEDULES[0].sampling_steps(count, "linspace")
