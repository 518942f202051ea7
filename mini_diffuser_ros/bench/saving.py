"""``mini-diffuser bench saving``: what two-level minibatches save at equal noised actions a step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mini_diffuser_ros.bench.errors import BenchError
from mini_diffuser_ros.bench.isolation import in_fresh_process, measure_each
from mini_diffuser_ros.bench.output import write_rows
from mini_diffuser_ros.bench.setting import add_numbers, add_repeats, common, count, make_parser
from mini_diffuser_ros.bench.step import ONE_LEVEL, StepRow, StepSetting, measure_step

DESCRIPTION = """Training steps that all train on the same number of noised actions: once with a scene of its own for
each action (one-level, level2 1), then with M actions a scene and so M times fewer scenes. time_ratio and memory_ratio
say how many times cheaper than the first line a line is: in CPU seconds (wall seconds on a GPU), and in memory beyond
what the process held before the network was built. Scenes are synthetic."""


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


def main(arguments: list[str]) -> int:
    """Run the command; returns 0."""
    parser = make_parser("saving", DESCRIPTION)
    parser.add_argument("--actions", type=count, default=256, help="noised actions a step (default: %(default)s)")
    add_numbers(parser, "--level2", "4,16,64,256", "noised actions a scene; each divides the actions")
    parser.add_argument(
        "--at-once",
        type=count,
        default=0,
        help="scenes in one pass; gradients are added up. For what does not fit into memory in one piece (all)",
    )
    add_repeats(parser, 3)
    values = parser.parse_args(arguments)
    odd = [level2 for level2 in values.level2 if values.actions % level2]
    if odd:
        raise BenchError(f"argument --level2: {odd[0]} does not divide the {values.actions} actions")
    for points in values.points:
        fields = {**common(values, points), "at_once": values.at_once}
        one = StepSetting(**fields, batch=values.actions, level2=1, scheme=ONE_LEVEL)
        two = [
            StepSetting(**fields, batch=values.actions // level2, level2=level2)
            for level2 in dict.fromkeys(values.level2)
            if level2 > 1
        ]
        write_rows(_compare(one, two), values.json)
    return 0


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
