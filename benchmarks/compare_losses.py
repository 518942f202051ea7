"""How far the losses of two training runs are apart, step by step, from their metrics.jsonl.

    python benchmarks/compare_losses.py training_runs/one training_runs/other --first 20

Prints one JSON object; ``largest`` is the largest relative difference of any loss or gradient norm at a common step.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path


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


def main() -> int:
    """Compare the two runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("one", type=Path, help="output directory of a run")
    parser.add_argument("other", type=Path, help="output directory of another run")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="only the first N common steps")
    parser.add_argument("--last", type=int, default=0, metavar="N", help="only the last N common steps")
    options = parser.parse_args()
    one, other = losses(options.one), losses(options.other)
    steps = sorted(one.keys() & other.keys())
    steps = steps[: options.first or None]
    steps = steps[-options.last :] if options.last else steps
    apart = [difference(one[step][name], other[step][name]) for step in steps for name in one[step]]
    report = {
        "steps": [steps[0], steps[-1]] if steps else [],
        "numbers": len(apart),
        "equal": sum(value == 0.0 for value in apart),
        "largest": max(apart, default=None),
    }
    sys.stdout.write(json.dumps(report) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
