"""All episodes of an evaluation, whatever becomes of its worlds and its processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from mini_diffuser_ros.evaluation.episode_log import EpisodeLog, Record
from mini_diffuser_ros.evaluation.protocol import EvaluationError, EvaluationProtocol
from mini_diffuser_ros.evaluation.report import episode_record
from mini_diffuser_ros.evaluation.rollout import EpisodeResult
from mini_diffuser_ros.running.task_world import LayoutError, WorldError, WorldStartError
from mini_diffuser_ros.support.errors import one_line
from mini_diffuser_ros.support.sealing import file_digest
from mini_diffuser_ros.support.settings import to_mapping
from mini_diffuser_ros.support.workers import GroupQueue, WorkerDiedError, outcomes_by_group, outcomes_in_workers

STARTS = 3
"""Starts of a world for each worker that may fail in a row before the evaluation ends."""


class Trial(Protocol):
    """One episode to be run, as it is sent to a process."""

    @property
    def task(self) -> str:
        """Its task."""
        ...

    @property
    def seed(self) -> int:
        """Of layout and noise."""
        ...

    @property
    def digest(self) -> str:
        """Of all that is the episode's own; no two of an evaluation have the same."""
        ...


AnyTrial = TypeVar("AnyTrial", bound=Trial)


def what_is_evaluated(checkpoint: str, protocol: EvaluationProtocol) -> Mapping[str, Any]:
    """By which the episodes of an earlier call are known to be of the same evaluation."""
    return {"policy": file_digest(Path(checkpoint) / "config.json"), **to_mapping(protocol)}


def evaluate(
    run: Callable[[AnyTrial], EpisodeResult],
    trials: Sequence[AnyTrial],
    workers: int,
    log: EpisodeLog,
    remedy: str = "",
    tasks_per_process: int = 0,
    watch: Callable[[AnyTrial, EpisodeResult], None] = lambda trial, result: None,
) -> Iterator[Record]:
    """Run the episodes that the log lacks; yields the record of each once it is in the log.

    What fails that is not the policy, as a world or a worker's process, fails one episode and is counted apart.

    Args:
        run: of a module, so that it can be sent to a process.
        trials: all episodes.
        workers: processes; 1 works in this one, unless tasks wear out a process.
        log: of those that were run.
        remedy: what to say of a world that does not start.
        tasks_per_process: as ``HeavyWorld`` says; 0 for any number, in any order.
        watch: is shown each episode as it ends.

    Raises:
        EvaluationError: a world does not start at all.
        UserError: a mistake of the user's.
    """
    missing = [trial for trial in trials if trial.digest not in log.records]
    if tasks_per_process:
        queue = GroupQueue(missing, _task_of)
        outcomes = outcomes_by_group(run, queue.take, workers, _task_of, tasks_per_process)
    else:
        outcomes = outcomes_in_workers(run, missing, workers)
    in_vain, works = 0, False
    for outcome in outcomes:
        trial, error = outcome.item, outcome.error
        if error is not None and not isinstance(error, (WorldError, LayoutError, WorkerDiedError)):
            raise error
        # A simulator without a display, say, ends its process as soon as it is started.
        starts = isinstance(error, WorldStartError) or (isinstance(error, WorkerDiedError) and not works)
        in_vain, works = (in_vain + 1, works) if starts else (0, True)
        result = outcome.result if error is None else _failed(trial, error)
        assert result is not None
        watch(trial, result)
        log.add(trial.digest, episode_record(result))
        yield log.records[trial.digest]
        judged = any(not record["failure"] for record in log.records.values())
        if error is not None and (in_vain >= STARTS * workers or (in_vain == len(missing) and not judged)):
            raise EvaluationError(f"{one_line(error)} ({in_vain} times in a row). {remedy}".rstrip()) from error


def records_of(trials: Sequence[Trial], log: EpisodeLog) -> list[Record]:
    """Those in the log, in the order of the trials."""
    return [log.records[trial.digest] for trial in trials if trial.digest in log.records]


def _task_of(trial: Trial) -> str:
    return trial.task


def _failed(trial: Trial, error: Exception) -> EpisodeResult:
    message = one_line(error)
    return EpisodeResult(trial.task, trial.seed, "", False, message, (), failure=message)
