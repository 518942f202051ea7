"""All episodes of an evaluation in RLBench, whatever becomes of its simulators."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mini_diffuser_ros.evaluation.episode_log import EpisodeLog, Record
from mini_diffuser_ros.evaluation.protocol import EvaluationError
from mini_diffuser_ros.evaluation.report import episode_record
from mini_diffuser_ros.evaluation.rlbench import RlbenchProtocol, RlbenchTrial, run_rlbench_trial
from mini_diffuser_ros.evaluation.rlbench_install import INSTALL
from mini_diffuser_ros.evaluation.rlbench_world import LaunchError, SimulatorError
from mini_diffuser_ros.evaluation.rollout import EpisodeResult
from mini_diffuser_ros.support.errors import one_line
from mini_diffuser_ros.support.sealing import file_digest
from mini_diffuser_ros.support.settings import to_mapping
from mini_diffuser_ros.support.workers import WorkerDiedError, outcomes_in_workers

LAUNCHES = 3
"""Starts of a simulator for each worker that may fail in a row before the evaluation ends."""


def what_is_evaluated(checkpoint: str, protocol: RlbenchProtocol) -> Mapping[str, Any]:
    """By which the episodes of an earlier call are known to be of the same evaluation."""
    return {"policy": file_digest(Path(checkpoint) / "config.json"), **to_mapping(protocol)}


def evaluate_in_rlbench(trials: Sequence[RlbenchTrial], workers: int, log: EpisodeLog) -> Iterator[Record]:
    """Run the episodes that the log lacks; yields the record of each once it is in the log.

    What fails that is not the policy, as the simulator or a worker's process, fails one episode and is counted apart.

    Raises:
        EvaluationError: a mistake of the user's, or a simulator that does not start at all.
    """
    missing = [trial for trial in trials if trial.digest not in log.records]
    in_vain, works = 0, False
    for outcome in outcomes_in_workers(run_rlbench_trial, missing, workers):
        trial, error = outcome.item, outcome.error
        if error is not None and not isinstance(error, (SimulatorError, WorkerDiedError)):
            raise error
        # A simulator without a display, say, ends its process as soon as it is started.
        starts = isinstance(error, LaunchError) or (isinstance(error, WorkerDiedError) and not works)
        in_vain, works = (in_vain + 1, works) if starts else (0, True)
        result = outcome.result if error is None else _failed(trial, error)
        assert result is not None
        log.add(trial.digest, episode_record(result))
        yield log.records[trial.digest]
        judged = any(not record["failure"] for record in log.records.values())
        if error is not None and (in_vain >= LAUNCHES * workers or (in_vain == len(missing) and not judged)):
            raise EvaluationError(f"{one_line(error)} ({in_vain} times in a row). {INSTALL}") from error


def records_of(trials: Sequence[RlbenchTrial], log: EpisodeLog) -> list[Record]:
    """Those in the log, in the order of the trials."""
    return [log.records[trial.digest] for trial in trials if trial.digest in log.records]


def _failed(trial: RlbenchTrial, error: Exception) -> EpisodeResult:
    message = one_line(error)
    return EpisodeResult(trial.task, trial.seed, "", False, message, (), failure=message)
