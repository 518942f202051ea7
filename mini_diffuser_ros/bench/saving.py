"""``mini-diffuser bench saving``: what two-level minibatches save at equal noised actions a step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import groupby
from typing import Any

from mini_diffuser_ros.bench.benchmark import Benchmark, at_least, several
from mini_diffuser_ros.bench.errors import BenchError
from mini_diffuser_ros.bench.isolation import in_fresh_process, measure_each
from mini_diffuser_ros.bench.setting import Setting
from mini_diffuser_ros.bench.step import ONE_LEVEL, StepRow, StepSetting, measure_step

DESCRIPTION = """Training steps that all train on the same number of noised actions: once with a scene of its own for
each action (one-level, level2 1), then with M actions a scene and so M times fewer scenes. time_ratio and memory_ratio
say how many times cheaper than the first line a line is: in CPU seconds (wall seconds on a GPU), and in memory beyond
what the process held before the network was built. Scenes are synthetic."""


@dataclass(frozen=True, kw_only=True)
class SavingSetting(Setting):
    """A step to compare with the one-level step of equally many actions.

    Attributes:
        actions: noised actions a step.
        level2: noised actions a scene; each divides the actions.
        at_once: scenes in one pass; gradients are added up, for what does not fit into memory at once. 0 takes all.
        repeats: measured steps, after one that does not count.
    """

    actions: int = at_least(1, 256)
    level2: int = several(4, 16, 64, 256)
    at_once: int = at_least(0, 0)
    repeats: int = at_least(1, 3)

    def __post_init__(self) -> None:
        if self.actions % self.level2:
            raise BenchError(f"argument --level2: {self.level2} does not divide the {self.actions} actions")

    def one_level(self) -> StepSetting:
        """A scene for each action."""
        return StepSetting(**self._common(), batch=self.actions, level2=1, scheme=ONE_LEVEL)

    def two_level(self) -> StepSetting:
        """``level2`` actions a scene."""
        return StepSetting(**self._common(), batch=self.actions // self.level2, level2=self.level2)

    def _common(self) -> dict[str, Any]:
        names = [entry.name for entry in fields(Setting)]
        return {name: getattr(self, name) for name in [*names, "at_once"]}


@dataclass(frozen=True)
class SavingRow:
    """A line of output; seconds, MiB and ratios to the one-level step."""

    config: str
    device: str
    threads: int
    dtype: str
    points: int
    actions: int
    scheme: str
    batch: int
    level2: int
    at_once: int
    repeats: int
    cpu_s: float
    wall_s: float
    peak_mb: float
    base_mb: float
    time_ratio: float
    memory_ratio: float


def measure_savings(settings: Sequence[SavingSetting]) -> Iterator[SavingRow]:
    """The one-level step first, then the others, of each number of points."""
    for one, group in groupby(settings, SavingSetting.one_level):
        yield from _compare(one, [each.two_level() for each in dict.fromkeys(group) if each.level2 > 1])


def _compare(one: StepSetting, two: Sequence[StepSetting]) -> Iterator[SavingRow]:
    baseline = in_fresh_process(measure_step, one)
    yield _row(baseline, baseline)
    for row in measure_each(measure_step, two):
        yield _row(row, baseline)


def _row(row: StepRow, baseline: StepRow) -> SavingRow:
    on_cpu = row.device == "cpu"
    times = [step.cpu_s if on_cpu else step.wall_s for step in (baseline, row)]
    return SavingRow(
        config=row.config,
        device=row.device,
        threads=row.threads,
        dtype=row.dtype,
        points=row.points,
        actions=row.batch * row.level2,
        scheme=row.scheme,
        batch=row.batch,
        level2=row.level2,
        at_once=row.at_once,
        repeats=row.repeats,
        cpu_s=row.cpu_s,
        wall_s=row.wall_s,
        peak_mb=row.peak_mb,
        base_mb=row.base_mb,
        time_ratio=times[0] / times[1],
        memory_ratio=(baseline.peak_mb - baseline.base_mb) / (row.peak_mb - row.base_mb),
    )


BENCHMARK = Benchmark(SavingSetting, measure_savings, DESCRIPTION)
