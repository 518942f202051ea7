"""Runs of a running stack are kept as they end, and none is made twice."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="evaluation imports it")

from mini_diffuser_ros.bench.ros_endings import RosEndingsRow, made_runs
from mini_diffuser_ros.evaluation.episode_log import episode_log
from mini_diffuser_ros.evaluation.tabletop import TabletopProtocol, TabletopTrial, tabletop_trials
from mini_diffuser_ros.support.errors import UserError

TRIALS = tabletop_trials("", TabletopProtocol(episodes=2, seed=5))


class Stack:
    """One that is taken away before it has obeyed so many sentences."""

    def __init__(self, obeys: int) -> None:
        self.obeyed: list[tuple[str, int]] = []
        self._obeys = obeys

    def run(self, trial: TabletopTrial) -> RosEndingsRow:
        if len(self.obeyed) == self._obeys:
            raise TimeoutError("nobody serves mini_diffuser/execute")
        self.obeyed.append((trial.task, trial.seed))
        return RosEndingsRow(trial.task, trial.seed, "TERMINATED", True, 3, 7.5, "done")


def test_a_measurement_goes_on_where_it_was_interrupted(tmp_path: Path) -> None:
    first, second = Stack(4), Stack(10)
    file, about = tmp_path / "runs", {"benchmark": "ros-endings"}
    with episode_log(file, about) as log, pytest.raises(TimeoutError):
        list(made_runs(TRIALS, first.run, log))
    with episode_log(file, about) as log:
        rows = list(made_runs(TRIALS, second.run, log))
    assert first.obeyed + second.obeyed == [(trial.task, trial.seed) for trial in TRIALS]
    assert [(row.task, row.seed) for row in rows] == first.obeyed + second.obeyed
    assert {(row.outcome, row.success, row.seconds) for row in rows} == {("TERMINATED", True, 7.5)}


def test_a_stack_that_is_stopped_is_asked_nothing_more(tmp_path: Path) -> None:
    asked: list[TabletopTrial] = []

    def stopped_in_the_second(trial: TabletopTrial) -> RosEndingsRow:
        asked.append(trial)
        held = "the arm is stopped; call mini_diffuser/resume first"
        keyframes, message = ((0, "done"), (2, held), (0, held))[len(asked) - 1]  # the second in mid-run
        return RosEndingsRow(trial.task, trial.seed, "STOPPED", False, keyframes, 1.0, message)

    with episode_log(tmp_path / "runs", {"benchmark": "ros-endings"}) as log:
        with pytest.raises(UserError, match=f"{TRIALS[2].task}, seed {TRIALS[2].seed}: the arm is stopped"):
            list(made_runs(TRIALS, stopped_in_the_second, log))
        assert len(log.records) == 2
    assert len(asked) == 3
