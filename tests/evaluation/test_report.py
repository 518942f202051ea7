"""Figures of an evaluation: intervals, decision frames apart from the rest, the JSON contract."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.evaluation import (
    EpisodeResult,
    EvaluationProtocol,
    JudgedDecision,
    evaluation_report,
    wilson_interval,
)
from mini_diffuser_ros.records import KeyframeMode
from mini_diffuser_ros.running import Decision, MotionReport

MODE = KeyframeMode(np.array([0.5, 0.0, 0.1, 1.0, 0.0, 0.0, 0.0]), True, False, 0.75, 0.004)


@given(st.integers(0, 200).flatmap(lambda trials: st.tuples(st.integers(0, trials), st.just(trials))))
def test_interval_holds_the_rate_and_stays_within_zero_and_one(counts: tuple[int, int]) -> None:
    successes, trials = counts
    low, high = wilson_interval(successes, trials)
    assert 0.0 <= low < high <= 1.0
    if trials:
        assert low - 1e-9 <= successes / trials <= high + 1e-9


def test_interval_agrees_with_published_values() -> None:
    # Newcombe (1998), Statistics in Medicine 17, table I: 81 of 263, and 0 of 20.
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)


def _decision(seconds: float, chooses_object: bool, distance: float | None) -> JudgedDecision:
    made = Decision(1, 7, seconds, (MODE,), MotionReport(0, "reached candidate 1 of 1"))
    return JudgedDecision(made, chooses_object, distance)


def _episode(task: str, seed: int, success: bool, decisions: tuple[JudgedDecision, ...]) -> EpisodeResult:
    return EpisodeResult(task, seed, "a sentence", success, "terminated", decisions)


def test_report_keeps_decision_frames_apart_and_its_keys_survive_json() -> None:
    right, wrong = _decision(0.1, True, 0.004), _decision(0.1, True, 0.2)
    motion, astray = _decision(0.2, False, 0.008), _decision(0.3, False, None)
    protocol = EvaluationProtocol(tasks=("push_buttons", "stack_blocks"), episodes=2, seed=7)
    results = [
        _episode("push_buttons", 7, True, (right, motion)),
        _episode("push_buttons", 8, True, (right, motion)),
        _episode("stack_blocks", 7, False, (wrong, astray)),
        _episode("stack_blocks", 8, True, (right, motion)),
    ]
    report = json.loads(json.dumps(evaluation_report("models/x", protocol, results)))
    assert report["mean_success"] == pytest.approx(0.75)
    stack = report["tasks"]["stack_blocks"]
    assert stack["success_rate"] == pytest.approx(0.5)
    assert stack["episodes"] == 2
    assert stack["interval"] == pytest.approx(wilson_interval(1, 2))
    assert stack["decision_frames"]["right_object"] == pytest.approx(0.5)
    assert stack["other_frames"]["frames"] == 1
    assert report["protocol"]["seed"] == 7
    assert report["protocol"]["checkpoint"] == "models/x"
    assert report["protocol"]["loop"]["decisions_per_keyframe"] == 2
    assert stack["seconds_per_decision"] == pytest.approx(0.15)


def test_an_episode_shows_what_was_refused_and_what_was_executed() -> None:
    refused = JudgedDecision(Decision(1, 7, 0.5, (MODE, MODE), MotionReport(None, "all refused", ("tilt", "reach"))))
    reached = JudgedDecision(Decision(1, 22, 0.5, (MODE, MODE), MotionReport(1, "reached candidate 2 of 2", ("tilt",))))
    protocol = EvaluationProtocol(tasks=("t",), episodes=1)
    report = evaluation_report("c", protocol, [_episode("t", 7, False, (refused, reached))])
    (episode,) = json.loads(json.dumps(report))["episodes"]
    assert episode["keyframes"] == 1
    first, second = episode["decisions"]
    assert (first["seed"], first["chosen"], first["pose"], first["refusals"]) == (7, None, None, ["tilt", "reach"])
    assert (second["keyframe"], second["chosen"], second["message"]) == (1, 1, "reached candidate 2 of 2")
    assert second["pose"] == [0.5, 0.0, 0.1, 1.0, 0.0, 0.0, 0.0]
