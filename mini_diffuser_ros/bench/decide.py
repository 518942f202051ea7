"""``mini-diffuser bench decide``: what a decision costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from mini_diffuser_ros.bench.benchmark import Benchmark, several
from mini_diffuser_ros.bench.isolation import measure_each
from mini_diffuser_ros.bench.measure import held_mb, peak_mb, prepare, repeated
from mini_diffuser_ros.bench.scenes import box_cloud, token_states
from mini_diffuser_ros.bench.setting import Setting
from mini_diffuser_ros.policy import MiniDiffuser, Policy

DESCRIPTION = """Medians of Policy.decide for one scene whose sentence has been read before: cropping and voxelising the
cloud, encoding it, sampling all hypotheses by DDIM, reading the heads, ranking the modes. The sentence encoder is left
out, its states are remembered from one decision to the next. peak_mb is the most memory the process held (on a GPU: the
most it allocated there), base_mb what it held before the network was built. Scenes are synthetic."""


@dataclass(frozen=True, kw_only=True)
class DecideSetting(Setting):
    """A decision.

    Attributes:
        samples: hypotheses.
        steps: DDIM steps.
    """

    samples: int = several(64)
    steps: int = several(10)


@dataclass(frozen=True)
class DecideRow:
    """A line of output; seconds and MiB."""

    config: str
    device: str
    threads: int
    dtype: str
    batch: int
    points: int
    samples: int
    steps: int
    repeats: int
    cpu_s: float
    wall_s: float
    peak_mb: float
    base_mb: float


class _ReadBefore:
    """A sentence encoder that remembers one sentence."""

    def __init__(self, states: Tensor) -> None:
        self._states = states

    @property
    def width(self) -> int:
        return self._states.shape[1]

    def __call__(self, sentence: str) -> Tensor:
        return self._states

    def many(self, sentences: Sequence[str], threads: int = 1) -> Iterator[tuple[str, Tensor]]:
        return ((sentence, self._states) for sentence in sentences)


def measure_decide(setting: DecideSetting) -> DecideRow:
    """Measure in this process.

    Raises:
        BenchError: too many points.
        ValueError: more steps than the network has noise levels.
    """
    device = prepare(setting)
    base = held_mb(device)
    config = setting.network()
    words, _ = token_states(config, 1, torch.Generator().manual_seed(setting.seed))
    policy = Policy(MiniDiffuser(config), device, _ReadBefore(words))
    cloud = box_cloud(setting.points, config, setting.seed)

    def decide() -> None:
        with setting.precision():
            policy.decide(cloud, "read before", setting.samples, setting.steps, setting.seed)

    reading = repeated(decide, setting)
    return DecideRow(
        **setting.columns(),
        batch=1,
        samples=setting.samples,
        steps=setting.steps,
        cpu_s=reading.cpu_s,
        wall_s=reading.wall_s,
        peak_mb=peak_mb(device),
        base_mb=base,
    )


BENCHMARK = Benchmark(DecideSetting, partial(measure_each, measure_decide), DESCRIPTION)
