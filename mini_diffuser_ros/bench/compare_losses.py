"""How far the losses of two training runs are apart, step by step, from their metrics.jsonl.

    mini-diffuser bench compare-losses training_runs/one training_runs/other --first 20

``largest`` is the largest relative difference of any loss or gradient norm at a common step.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mini_diffuser_ros.bench.benchmark import POSITIONAL, Benchmark, at_least


@dataclass(frozen=True, kw_only=True)
class ComparisonSetting:
    """Which runs, and which of their steps.

    Attributes:
        one: output directory of a run.
        other: output directory of another run.
        first: only the first common steps, this many; 0 for all.
        last: only the last common steps, this many; 0 for all.
    """

    one: Path = field(metadata={POSITIONAL: True})
    other: Path = field(metadata={POSITIONAL: True})
    first: int = at_least(0, 0)
    last: int = at_least(0, 0)


def losses(run: Path) -> dict[int, dict[str, float]]:
    """Step to what was measured in it: losses, norm of the gradient, learning rate."""
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    records = [record for record in map(json.loads, lines) if "total" in record]
    return {
        record["step"]: {name: value for name, value in record.items() if name not in ("step", "seconds", "rate")}
        for record in records
    }


def difference(one: float, other: float) -> float:
    """Relative difference of two numbers, 0 where they are equal."""
    return 0.0 if one == other else abs(one - other) / max(abs(one), abs(other))


def compare(settings: Sequence[ComparisonSetting]) -> Iterator[dict[str, object]]:
    """How far the two runs are apart."""
    for setting in settings:
        one, other = losses(setting.one), losses(setting.other)
        steps = sorted(one.keys() & other.keys())
        steps = steps[: setting.first or None]
        steps = steps[-setting.last :] if setting.last else steps
        apart = [difference(one[step][name], other[step][name]) for step in steps for name in one[step]]
        yield {
            "steps": [steps[0], steps[-1]] if steps else [],
            "numbers": len(apart),
            "equal": sum(value == 0.0 for value in apart),
            "largest": max(apart, default=None),
        }


BENCHMARK = Benchmark(ComparisonSetting, compare, __doc__)
