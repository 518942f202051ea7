"""The noise schedules and DDIM, with an oracle in the network's place."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.policy import MiniDiffuserConfig
from mini_diffuser_ros.policy.network.diffusion import NoiseSchedule
from mini_diffuser_ros.policy.official.config import OfficialBehaviour
from mini_diffuser_ros.policy.official.diffusion import OfficialSchedule

SCHEDULES = {
    "cosine": NoiseSchedule(MiniDiffuserConfig.small()),
    "short": NoiseSchedule(MiniDiffuserConfig.small(diffusion={"steps": 7})),
    "published": OfficialSchedule(MiniDiffuserConfig.official(), OfficialBehaviour()),
    "leading": OfficialSchedule(MiniDiffuserConfig.official(), OfficialBehaviour(step_spacing="leading")),
}

schedules = st.sampled_from(list(SCHEDULES.values()))
seeds = st.integers(0, 2**32)


def _normal(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@given(schedules, seeds)
def test_a_perfect_prediction_gives_sample_and_noise_back(schedule: NoiseSchedule, seed: int) -> None:
    clean, noise = _normal(seed, 2, schedule.steps, 3)
    steps = torch.arange(schedule.steps)
    noised = schedule.add_noise(clean, noise, steps)
    found = schedule.denoised(schedule.target(clean, noise, steps), noised, steps)
    torch.testing.assert_close(found.clean, clean, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.noise, noise, atol=1e-5, rtol=1e-5)


@given(schedules, st.floats(0.0, 1.0), st.data())
def test_sampling_with_a_perfect_network_ends_at_the_target(
    schedule: NoiseSchedule, eta: float, data: st.DataObject
) -> None:
    count = data.draw(st.integers(1, schedule.steps))
    target = torch.tensor([0.3, -0.5, 0.1], dtype=torch.float64)

    def oracle(sample: torch.Tensor, step: int) -> torch.Tensor:
        noise = (sample - schedule.signal[step] * target) / schedule.noise[step]
        return schedule.target(target.expand_as(sample), noise, torch.full(sample.shape[:-1], step))

    generator = torch.Generator().manual_seed(count)
    out = schedule.ddim(oracle, _normal(count, 4, 3), count, eta, generator)
    torch.testing.assert_close(out, target.expand(4, 3), atol=1e-4, rtol=0)


def test_velocity_is_the_direction_of_the_path() -> None:
    clean, noise = _normal(0, 2, 99, 3)
    here = torch.arange(99)
    schedule = SCHEDULES["cosine"]
    ends = [schedule.add_noise(clean, noise, here + offset) for offset in (0, 1)]
    midway = (schedule.target(clean, noise, here) + schedule.target(clean, noise, here + 1)) / 2
    torch.testing.assert_close((ends[1] - ends[0]) / (math.pi / 200), midway, atol=2e-3, rtol=0)


def test_fresh_noise_keeps_the_spread_of_a_level() -> None:
    noise = _normal(0, 200_000, 3)
    for name in ("cosine", "published"):
        schedule = SCHEDULES[name]
        step = torch.full(noise.shape[:1], 60)
        predicted = schedule.target(torch.zeros_like(noise), noise, step)
        sample = schedule.add_noise(torch.zeros_like(noise), noise, step)
        for eta in (0.0, 0.5, 1.0):
            then = schedule.ddim_step(predicted, sample, 60, 30, eta, torch.Generator().manual_seed(1))
            assert float(then.std()) == pytest.approx(float(schedule.noise[30]), rel=0.01)


def test_the_corrected_schedule_keeps_no_signal_and_the_published_one_half() -> None:
    assert SCHEDULES["cosine"].signal[-1] == 0
    kept = SCHEDULES["published"].signal.square()[[0, 9, 49, 99]].tolist()
    assert kept == pytest.approx([0.9999, 0.99731, 0.89678, 0.48459], abs=1e-5)


@given(st.sampled_from(["cosine", "published", "leading"]), st.integers(1, 100))
def test_visited_steps_fall(name: str, count: int) -> None:
    visited = SCHEDULES[name].sampling_steps(count)
    assert visited == sorted(set(visited), reverse=True)
    assert len(visited) == count
    assert 0 <= visited[-1] <= visited[0] < 100
    assert visited[0] == 99 or name == "leading"


def test_quadratic_steps_crowd_towards_the_clean_end() -> None:
    assert SCHEDULES["cosine"].sampling_steps(4) == [99, 44, 11, 0]
    assert SCHEDULES["cosine"].sampling_steps(100) == list(range(99, -1, -1))


def test_training_draws_every_noise_level_equally_often() -> None:
    drawn = SCHEDULES["cosine"].draw_steps((400, 50), torch.Generator().manual_seed(0))
    assert drawn.shape == (400, 50)
    assert drawn.dtype == torch.int64
    assert 0 <= drawn.min() <= drawn.max() < 100
    assert float(((drawn >= 25) & (drawn < 75)).float().mean()) == pytest.approx(0.5, abs=0.02)


def test_eta_draws_from_the_generator() -> None:
    def run(eta: float, seed: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        return SCHEDULES["cosine"].ddim(lambda x, _: 0.1 * x, torch.ones(4, 3), 5, eta, generator)

    assert torch.equal(run(1.0, 0), run(1.0, 0))
    assert not torch.equal(run(1.0, 0), run(1.0, 1))
    assert torch.equal(run(0.0, 0), run(0.0, 1))


@pytest.mark.parametrize("count", [0, 101])
def test_impossible_step_counts_are_refused(count: int) -> None:
    with pytest.raises(ValueError, match="expected 1 to 100"):
        SCHEDULES["cosine"].sampling_steps(count)
