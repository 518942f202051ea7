"""From episodes to figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mini_diffuser_ros.evaluation.protocol import EvaluationProtocol
from mini_diffuser_ros.evaluation.rollout import EpisodeResult, JudgedDecision
from mini_diffuser_ros.support.settings import to_mapping

RIGHT_OBJECT = 0.03
"""Metres; a decision within this distance of the expert's keyframe has chosen the right object."""


def wilson_interval(successes: int, trials: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's score interval of a proportion, 95 % by default.

    Unlike the normal approximation it stays within [0, 1] and has a width at 0 and 100 %.
    """
    if trials == 0:
        return (0.0, 1.0)
    rate = successes / trials
    scale = 1.0 + z**2 / trials
    centre = (rate + z**2 / (2 * trials)) / scale
    half = z * np.sqrt(rate * (1.0 - rate) / trials + z**2 / (4 * trials**2)) / scale
    return (max(0.0, float(centre - half)), min(1.0, float(centre + half)))


def evaluation_report(
    checkpoint: str, protocol: EvaluationProtocol, results: Sequence[EpisodeResult]
) -> dict[str, Any]:
    """The JSON document that ``mini-diffuser eval`` writes; its keys are a public contract."""
    return report_of_records(checkpoint, protocol, [episode_record(result) for result in results])


def report_of_records(
    checkpoint: str,
    protocol: EvaluationProtocol,
    records: Sequence[Mapping[str, Any]],
    about: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """:func:`evaluation_report` of episodes of which records were kept, see :func:`episode_record`.

    Args:
        checkpoint, protocol: of the evaluation.
        records: of its episodes.
        about: by which it is known, see ``what_is_evaluated``; stands with the protocol.
    """
    tasks = {task: _task_figures([record for record in records if record["task"] == task]) for task in protocol.tasks}
    rates = [figures["success_rate"] for figures in tasks.values() if figures["success_rate"] is not None]
    return {
        "mean_success": float(np.mean(rates)) if rates else None,
        "tasks": tasks,
        "protocol": {"checkpoint": checkpoint, **(about or {}), **to_mapping(protocol)},
        "episodes": list(records),
    }


def episode_record(result: EpisodeResult) -> dict[str, Any]:
    """An episode as the report has it, in the values of JSON alone."""
    return {
        "task": result.task,
        "seed": result.seed,
        "sentence": result.sentence,
        "success": result.success,
        "outcome": result.outcome,
        "failure": result.failure,
        "unfamiliar": result.unfamiliar,
        "keyframes": result.keyframes,
        "decisions": [_decision(decision) for decision in result.decisions],
    }


def _task_figures(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Of the episodes in which nothing but the policy can have failed, and how many others there were."""
    judged = [record for record in records if not record["failure"]]
    successes = sum(record["success"] for record in judged)
    decisions = [decision for record in judged for decision in record["decisions"]]
    seconds = [decision["seconds"] for decision in decisions]
    return {
        "success_rate": successes / len(judged) if judged else None,
        "episodes": len(judged),
        "failures": len(records) - len(judged),
        "interval": list(wilson_interval(successes, len(judged))),
        "decision_frames": _decision_figures([decision for decision in decisions if decision["chooses_object"]]),
        "other_frames": _decision_figures([decision for decision in decisions if not decision["chooses_object"]]),
        "seconds_per_decision": float(np.median(seconds)) if seconds else None,
        "unfamiliar": _unfamiliar(judged),
    }


def _unfamiliar(records: Sequence[Mapping[str, Any]]) -> int | None:
    """Episodes whose sentence policy_node would have refused; None where the policy does not know."""
    known = [record["unfamiliar"] for record in records if record["unfamiliar"] is not None]
    return sum(known) if known else None


def _decision_figures(decisions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Distances to the expert's keyframe, over the decisions made while the episode ran as the expert's."""
    distances = np.array([decision["distance"] for decision in decisions if decision["distance"] is not None])
    if not len(distances):
        return {"frames": 0, "right_object": None, "interval": None, "median_mm": None}
    right = int((distances < RIGHT_OBJECT).sum())
    return {
        "frames": len(distances),
        "right_object": right / len(distances),
        "interval": list(wilson_interval(right, len(distances))),
        "median_mm": float(1000.0 * np.median(distances)),
    }


def _decision(judged: JudgedDecision) -> dict[str, Any]:
    """What was decided for a keyframe and what became of it, for whoever looks at an episode that failed."""
    decision = judged.made
    mode = decision.executed
    return {
        "keyframe": decision.keyframe,
        "seed": decision.seed,
        "seconds": round(decision.seconds, 3),
        "chooses_object": judged.chooses_object,
        "distance": None if judged.distance is None else round(judged.distance, 5),
        "modes": len(decision.modes),
        "chosen": decision.report.chosen,
        "pose": None if mode is None else [round(float(value), 4) for value in mode.pose],
        "gripper_open": None if mode is None else bool(mode.gripper_open),
        "terminate": None if mode is None else bool(mode.terminate),
        "share": None if mode is None else round(float(mode.share), 3),
        "message": decision.report.message,
        "refusals": list(decision.report.refusals),
    }
