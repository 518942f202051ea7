"""``mini-diffuser bench step``: what a training step costs, with two-level minibatches and without."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch

from mini_diffuser_ros.bench.benchmark import Benchmark, at_least, several
from mini_diffuser_ros.bench.isolation import measure_each
from mini_diffuser_ros.bench.measure import Clock, cost, held_mb, peak_mb, prepare
from mini_diffuser_ros.bench.resources import Reading, median
from mini_diffuser_ros.bench.scenes import box_cloud, training_batch
from mini_diffuser_ros.bench.setting import Setting
from mini_diffuser_ros.policy import MiniDiffuser, MiniDiffuserConfig, TrainingBatch
from mini_diffuser_ros.training.config import OptimConfig
from mini_diffuser_ros.training.optimisation import make_optimizer

Scheme = Literal["two-level", "one-level"]
TWO_LEVEL: Scheme = "two-level"
ONE_LEVEL: Scheme = "one-level"

DESCRIPTION = """Medians of a whole training step: forward, losses, backward, AdamW's update as in training, and
clearing the gradients. forward_s, backward_s and optimizer_s are CPU seconds on a CPU and wall seconds on a GPU.
peak_mb is the most memory the process held (on a GPU: the most it allocated there), base_mb what it held before the
network was built. Scenes are synthetic."""


@dataclass(frozen=True, kw_only=True)
class StepSetting(Setting):
    """A training step.

    Attributes:
        batch: scenes B.
        level2: noised actions M a scene.
        scheme: two-level encodes a scene once for its M actions; one-level gives each of the B * M actions its own copy
            of the scene, as training without level-2 minibatches has to.
        at_once: scenes that go through the network together; the gradients of several passes are added up. 0 takes all.
        repeats: measured steps, after one that does not count.
    """

    batch: int = several(8)
    level2: int = several(1, 256)
    scheme: Scheme = TWO_LEVEL
    at_once: int = at_least(0, 0)
    repeats: int = at_least(1, 3)

    def passes(self) -> list[list[int]]:
        """Which of the B scenes each pass takes, copies included."""
        copies = self.level2 if self.scheme == ONE_LEVEL else 1
        scenes = [number for number in range(self.batch) for _ in range(copies)]
        size = self.at_once or len(scenes)
        return [scenes[start : start + size] for start in range(0, len(scenes), size)]


@dataclass(frozen=True)
class StepRow:
    """A line of output; seconds and MiB."""

    config: str
    device: str
    threads: int
    dtype: str
    scheme: str
    batch: int
    points: int
    level2: int
    scenes: int
    at_once: int
    repeats: int
    cpu_s: float
    wall_s: float
    forward_s: float
    backward_s: float
    optimizer_s: float
    peak_mb: float
    base_mb: float


@dataclass(frozen=True)
class _Phases:
    forward: Reading
    backward: Reading
    optimizer: Reading

    @property
    def total(self) -> Reading:
        return self.forward + self.backward + self.optimizer


def measure_step(setting: StepSetting) -> StepRow:
    """Measure in this process.

    Raises:
        BenchError: too many points.
    """
    device = prepare(setting)
    base = held_mb(device)
    config = setting.network()
    passes = setting.passes()
    batches = _batches(setting, config, passes, device)
    model = MiniDiffuser(config).to(device).train()
    optimizer = make_optimizer(model, OptimConfig())
    actions = setting.level2 if setting.scheme == TWO_LEVEL else 1
    runs = [_step(model, optimizer, batches, actions, setting) for _ in range(1 + setting.repeats)][1:]
    total = median([run.total for run in runs])
    return StepRow(
        **setting.columns(),
        scheme=setting.scheme,
        batch=setting.batch,
        level2=setting.level2,
        scenes=sum(map(len, passes)),
        at_once=max(map(len, passes)),
        cpu_s=total.cpu_s,
        wall_s=total.wall_s,
        forward_s=cost(median([run.forward for run in runs]), device),
        backward_s=cost(median([run.backward for run in runs]), device),
        optimizer_s=cost(median([run.optimizer for run in runs]), device),
        peak_mb=peak_mb(device),
        base_mb=base,
    )


def _batches(
    setting: StepSetting, config: MiniDiffuserConfig, passes: Sequence[Sequence[int]], device: torch.device
) -> list[TrainingBatch]:
    clouds = [box_cloud(setting.points, config, setting.seed + number) for number in range(setting.batch)]
    return [training_batch(config, [clouds[i] for i in scenes], setting.seed).to(device) for scenes in passes]


def _step(
    model: MiniDiffuser,
    optimizer: torch.optim.Optimizer,
    batches: Sequence[TrainingBatch],
    actions: int,
    setting: StepSetting,
) -> _Phases:
    forward = backward = Reading(0.0, 0.0)
    scenes = sum(len(batch.text_lengths) for batch in batches)
    clock = Clock(model.device)
    for batch in batches:
        with setting.precision():
            total = model.loss(batch, actions)["total"] * (len(batch.text_lengths) / scenes)
        forward += clock.lap()
        total.backward()
        backward += clock.lap()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return _Phases(forward, backward, clock.lap())


BENCHMARK = Benchmark(StepSetting, partial(measure_each, measure_step), DESCRIPTION)
