"""Evaluations side by side: success with intervals, failed episodes first, and in what they differ."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mini_diffuser_ros.evaluation.report import wilson_interval
from mini_diffuser_ros.viewing.report_page import Block, MeasuredEvaluation, differences, table, text

_MOST_CURVE = 300  # points
_MOST_FAILED = 300  # episodes that can be stepped through
_DECISION_HEAD = ("keyframe", "share", "place (m)", "gripper", "end", "from the expert's", "what became of it")


def evaluation_blocks(evaluations: Sequence[MeasuredEvaluation]) -> list[Block]:
    """What is to be seen of some evaluations; the first is what the others are compared with."""
    names = [each.name for each in evaluations]
    several = len(evaluations) > 1
    return [
        _success(evaluations),
        *([_paired(evaluations)] if several else []),
        *(_failed(each) for each in evaluations),
        table("How failed episodes ended", ["outcome", *names], _outcomes(evaluations), "none failed"),
        _curve(evaluations),
        _decisions(evaluations),
        differences("Settings", names, [each.report["protocol"] for each in evaluations]),
        *(_episodes(each) for each in evaluations),
    ]


def mean_success(report: Mapping[str, Any]) -> str:
    """In percent, with how many episodes it is made of."""
    mean = report.get("mean_success")
    judged = sum(figures["episodes"] for figures in report["tasks"].values())
    return "nothing was measured" if mean is None else f"{100.0 * mean:.1f} % mean success in {judged} episodes"


def difference_interval(first: tuple[int, int], second: tuple[int, int]) -> tuple[float, float]:
    """Newcombe's 95 % interval of the second proportion less the first, each (successes, trials)."""
    rates = [successes / trials if trials else 0.5 for successes, trials in (first, second)]
    (low, high), (lower, upper) = wilson_interval(*first), wilson_interval(*second)
    middle = rates[1] - rates[0]
    below = math.hypot(rates[1] - lower, high - rates[0])
    above = math.hypot(upper - rates[1], rates[0] - low)
    return middle - below, middle + above


def _success(evaluations: Sequence[MeasuredEvaluation]) -> Block:
    tasks = list(dict.fromkeys(task for each in evaluations for task in each.report["tasks"]))
    rows = [{"label": task, "bars": [_bar(each.report["tasks"].get(task)) for each in evaluations]} for task in tasks]
    if len(tasks) > 1:
        rows.append({"label": "all episodes", "bars": [_bar(_pooled(each.report)) for each in evaluations]})
    names = [f"{each.name}: {mean_success(each.report)}" for each in evaluations]
    return {"kind": "bars", "title": "Success, with 95 % intervals", "names": names, "rows": rows}


def _bar(figures: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if figures is None or figures["success_rate"] is None:
        return None
    low, high = figures["interval"]
    rate, episodes = figures["success_rate"], figures["episodes"]
    said = f"{100 * rate:.1f} % ({100 * low:.0f} to {100 * high:.0f}), {episodes} episodes"
    return {"rate": rate, "low": low, "high": high, "text": said}


def _counts(figures: Mapping[str, Any]) -> tuple[int, int]:
    return round((figures["success_rate"] or 0.0) * figures["episodes"]), figures["episodes"]


def _pooled(report: Mapping[str, Any]) -> dict[str, Any]:
    """Of all tasks together, each episode counting once."""
    successes, episodes = (sum(column) for column in zip(*map(_counts, report["tasks"].values()), strict=True))
    rate = successes / episodes if episodes else None
    return {"success_rate": rate, "episodes": episodes, "interval": wilson_interval(successes, episodes)}


def _paired(evaluations: Sequence[MeasuredEvaluation]) -> Block:
    """Each against the first: in all, and on the episodes that both had."""
    first, *others = evaluations
    rows = []
    for other in others:
        ours, theirs = (_counts(_pooled(each.report)) for each in (first, other))
        low, high = difference_interval(ours, theirs)
        points = 100.0 * (theirs[1] and theirs[0] / theirs[1]) - 100.0 * (ours[1] and ours[0] / ours[1])
        mine, its = _verdicts(first), _verdicts(other)
        shared = [key for key in mine if key in its]
        better = sum(its[key] and not mine[key] for key in shared)
        worse = sum(mine[key] and not its[key] for key in shared)
        said = f"{len(shared)} in common: {better} better, {worse} worse" if shared else "none in common"
        clear = "" if low <= 0.0 <= high else "executed"
        row = [other.name, f"{points:+.1f} points", f"{100 * low:+.1f} to {100 * high:+.1f}", said]
        rows.append({"row": row, "became": clear})
    head = ["", "success", "95 % interval", "episodes of the same task, seed and sentence"]
    return table(f"Against {first.name} (bold where the interval leaves zero out)", head, rows)


def _verdicts(evaluation: MeasuredEvaluation) -> dict[tuple[Any, ...], bool]:
    judged = [record for record in evaluation.report["episodes"] if not record.get("failure")]
    return {(record["task"], record["seed"], record["sentence"]): bool(record["success"]) for record in judged}


def _failed(evaluation: MeasuredEvaluation) -> Block:
    failed = [(k, record) for k, record in enumerate(evaluation.report["episodes"]) if _is_failed(record)]
    title = f"{evaluation.name}: failed episodes"
    if not failed:
        return table(title, [], [], "none")
    failed.sort(key=lambda entry: (entry[1]["task"], not evaluation.scenes.get(entry[0])))
    return {
        "kind": "episodes",
        "title": f"{title} ({len(failed)})",
        "more": f"the first {_MOST_FAILED} are shown" if len(failed) > _MOST_FAILED else "",
        "head": list(_DECISION_HEAD),
        "episodes": [_episode(record, evaluation.scenes.get(k, ())) for k, record in failed[:_MOST_FAILED]],
    }


def _is_failed(record: Mapping[str, Any]) -> bool:
    return not record["success"] and not record.get("failure")


def _episode(record: Mapping[str, Any], scenes: Sequence[Block]) -> dict[str, Any]:
    return {
        "label": f"{record['task']}, seed {record['seed']}",
        "title": record["sentence"],
        "about": f"{record['outcome']}, {record['keyframes']} keyframes",
        "rows": [_decision_row(decision) for decision in record.get("decisions", ())],
        "scenes": list(scenes),
    }


def _decision_row(decision: Mapping[str, Any]) -> dict[str, Any]:
    executed, distance = decision["pose"] is not None, decision["distance"]
    pose = " ".join(f"{value:.3f}" for value in decision["pose"][:3]) if executed else "-"
    row = [
        str(decision["keyframe"]),
        f"{100.0 * decision['share']:.0f} %" if executed else "-",
        pose,
        {None: "-", True: "open", False: "closed"}[decision["gripper_open"]],
        "ends" if decision["terminate"] else "",
        "-" if distance is None else f"{1000.0 * distance:.0f} mm",
        "; ".join(filter(None, [*decision["refusals"], "" if executed else decision["message"]])),
    ]
    return {"row": row, "became": "" if executed else "troubled"}


def _outcomes(evaluations: Sequence[MeasuredEvaluation]) -> list[list[str]]:
    counts = [Counter(map(_outcome, filter(_is_failed, each.report["episodes"]))) for each in evaluations]
    outcomes = sorted(set().union(*counts), key=lambda outcome: -sum(count[outcome] for count in counts))
    return [[outcome, *(str(count[outcome]) for count in counts)] for outcome in outcomes]


def _outcome(record: Mapping[str, Any]) -> str:
    return str(record["outcome"])[:200]


def _curve(evaluations: Sequence[MeasuredEvaluation]) -> Block:
    """Success over the episodes so far: whether it had settled."""
    curves = {}
    for each in evaluations:
        judged = [bool(record["success"]) for record in each.report["episodes"] if not record.get("failure")]
        curves[each.name] = [100.0 * sum(judged[: k + 1]) / (k + 1) for k in range(len(judged))]
    longest = max(map(len, curves.values()))
    if longest < 2:
        return text("")
    at = sorted({round(k * (longest - 1) / (_MOST_CURVE - 1)) for k in range(_MOST_CURVE)})
    chart = {
        "times": at,
        "curves": [
            {"name": name, "values": [round(values[k], 2) if k < len(values) else None for k in at]}
            for name, values in curves.items()
        ],
        "unit": "% success so far",
        "range": [0.0, 100.0],
        "ends": ["episode 1", f"episode {longest}"],
    }
    return {"kind": "chart", "title": "Success over the episodes", "chart": chart}


def _decisions(evaluations: Sequence[MeasuredEvaluation]) -> Block:
    rows = []
    for each in evaluations:
        for task, figures in each.report["tasks"].items():
            choice, others = figures.get("decision_frames") or {}, figures.get("other_frames") or {}
            rows.append(
                [
                    each.name,
                    task,
                    _shown(choice.get("right_object"), 100.0, " %"),
                    _shown(choice.get("median_mm"), 1.0, " mm"),
                    _shown(others.get("median_mm"), 1.0, " mm"),
                    _shown(figures.get("seconds_per_decision"), 1000.0, " ms"),
                    str(figures.get("failures", 0)),
                ]
            )
    head = ["", "task", "right object", "where it chooses", "elsewhere", "a decision", "not counted"]
    return table("Decisions against the expert's", head, rows)


def _shown(value: float | None, factor: float, unit: str) -> str:
    return "-" if value is None or not math.isfinite(value) else f"{factor * value:.1f}{unit}"


def _episodes(evaluation: MeasuredEvaluation) -> Block:
    """All of them, the failed first."""
    order: Iterable[Mapping[str, Any]] = sorted(
        evaluation.report["episodes"], key=lambda record: bool(record["success"])
    )
    rows = [
        {
            "row": [
                record["task"],
                str(record["seed"]),
                record["sentence"],
                "success" if record["success"] else record.get("failure") or str(record["outcome"]),
                str(record["keyframes"]),
            ],
            "became": "" if record["success"] else "troubled",
        }
        for record in order
    ]
    return table(f"{evaluation.name}: all episodes", ["task", "seed", "sentence", "outcome", "keyframes"], rows)
