"""Trainings side by side: losses, validation, and in what their recipes differ."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mini_diffuser_ros.viewing.report_page import (
    Block,
    MeasuredTraining,
    differences,
    table,
)

_POINTS = 300  # of a curve
_LAST = 50  # steps that a loss is told of: single ones jump
_NOT_LOSSES = ("step", "seconds", "rate", "validation", "score")


def training_blocks(trainings: Sequence[MeasuredTraining]) -> list[Block]:
    """What is to be seen of some trainings."""
    names = [each.name for each in trainings]
    return [
        table(
            "Trainings",
            ["", "steps", "minutes", "scenes/s", "loss", "score of validation", "best"],
            [_row(each) for each in trainings],
        ),
        *_curves(trainings),
        *(_validation(each) for each in trainings),
        differences("Recipe", names, [each.recipe for each in trainings]),
    ]


def last_step(training: MeasuredTraining) -> int:
    """Steps that are in the metrics."""
    return max((int(line["step"]) for line in training.metrics), default=0)


def _row(training: MeasuredTraining) -> list[str]:
    losses, scores = _series(training, "total"), _series(training, "score")
    seconds, rates = _series(training, "seconds"), _series(training, "rate")
    return [
        training.name,
        str(last_step(training)),
        f"{seconds[-1][1] / 60.0:.1f}" if seconds else "-",
        f"{np.median([value for _, value in rates]):.0f}" if rates else "-",
        f"{np.mean([value for _, value in losses[-_LAST:]]):.4g}" if losses else "-",
        f"{scores[-1][1]:.3f}" if scores else "-",
        f"{max(value for _, value in scores):.3f} at step {max(scores, key=lambda pair: pair[1])[0]}"
        if scores
        else "-",
    ]


def _series(training: MeasuredTraining, name: str) -> list[tuple[int, float]]:
    """Steps and finite values of a metric."""
    values = [(int(line["step"]), line.get(name)) for line in training.metrics]
    return [(step, float(v)) for step, v in values if isinstance(v, (int, float)) and math.isfinite(v)]


def _curves(trainings: Sequence[MeasuredTraining]) -> list[Block]:
    names = dict.fromkeys(name for each in trainings for line in each.metrics[:1] for name in line)
    losses = [name for name in names if name not in _NOT_LOSSES]
    blocks = [
        _chart(f"{'Loss' if name == 'total' else name}, mean of each stretch of steps", "", trainings, _of(name))
        for name in losses
    ]
    tasks = dict.fromkeys(task for each in trainings for line in each.metrics for task in line.get("validation", {}))
    blocks.insert(
        1, _chart("Score of validation: share within 1 cm, frames of all kinds alike", "", trainings, _of("score"))
    )
    for task in tasks:
        blocks.append(_chart(f"{task}: decisions within 3 cm of the demonstration", "%", trainings, _within(task)))
    return [block for block in blocks if block["chart"]["curves"]]


def _of(name: str) -> Callable[[MeasuredTraining], list[tuple[int, float]]]:
    return lambda training: _series(training, name)


def _within(task: str) -> Callable[[MeasuredTraining], list[tuple[int, float]]]:
    """Of the frames that choose an object; where there are none, of all."""

    def series(training: MeasuredTraining) -> list[tuple[int, float]]:
        pairs = []
        for line in training.metrics:
            groups = line.get("validation", {}).get(task, {})
            named = [groups[name] for name in ("first", "later") if name in groups]
            shares = [group["within_3cm"] for group in named or groups.values()]
            shares = [share for share in shares if math.isfinite(share)]  # of no frames there is none
            if shares:
                pairs.append((int(line["step"]), 100.0 * float(np.mean(shares))))
        return pairs

    return series


def _chart(
    title: str,
    unit: str,
    trainings: Sequence[MeasuredTraining],
    series: Callable[[MeasuredTraining], list[tuple[int, float]]],
) -> Block:
    known = {each.name: pairs for each in trainings if (pairs := series(each))}
    most = max((pairs[-1][0] for pairs in known.values()), default=1)
    edges = np.linspace(0, most, min(most, _POINTS) + 1)
    chart: dict[str, Any] = {
        "times": edges[1:].tolist(),
        "curves": [{"name": name, "values": _stretches(pairs, edges)} for name, pairs in known.items()],
        "unit": unit,
        "until": most,
        "ends": ["step 0", f"step {most}"],
    }
    return {"kind": "chart", "title": title, "chart": chart}


def _stretches(pairs: Sequence[tuple[int, float]], edges: np.ndarray[Any, Any]) -> list[float | None]:
    """Mean of each stretch between edges, None where there is nothing."""
    place = np.searchsorted(edges, [step for step, _ in pairs], side="left") - 1
    values = np.array([value for _, value in pairs])
    counts = np.bincount(np.maximum(place, 0), minlength=len(edges) - 1)
    sums = np.bincount(np.maximum(place, 0), weights=values, minlength=len(edges) - 1)
    return [round(float(total / count), 6) if count else None for total, count in zip(sums, counts, strict=True)]


def _validation(training: MeasuredTraining) -> Block:
    last: Mapping[str, Any] = next(
        (line["validation"] for line in reversed(training.metrics) if line.get("validation")), {}
    )
    rows = [
        [
            task,
            group,
            _figure(figures["frames"], "{:.0f}"),
            _figure(figures["median_mm"], "{:.1f} mm"),
            *(
                _figure(100.0 * figures[name], "{:.0f} %")
                for name in ("within_1cm", "within_3cm", "gripper", "terminate")
            ),
        ]
        for task, groups in last.items()
        for group, figures in groups.items()
    ]
    head = ["task", "frames", "n", "median", "< 1 cm", "< 3 cm", "gripper", "end"]
    return table(f"{training.name}: held-out demonstrations", head, rows, "nothing was validated")


def _figure(value: float, shape: str) -> str:
    return shape.format(value) if math.isfinite(value) else "-"
