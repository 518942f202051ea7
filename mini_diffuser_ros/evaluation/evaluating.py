"""All episodes of an evaluation, whatever becomes of its worlds and its processes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from mini_diffuser_ros.evaluation.episode_log import EpisodeLog, Record
from mini_diffuser_ros.evaluation.protocol import EvaluationError, EvaluationProtocol
from mini_diffuser_ros.evaluation.report import episode_record
from mini_diffuser_ros.evaluation.rollout import EpisodeResult
from mini_diffuser_ros.policy.checkpoint import CONFIG_FILE
from mini_diffuser_ros.running.task_world import (
    HANGS_AFTER,
    DistributedWorld,
    LayoutError,
    TaskWorld,
    WorldError,
    WorldStartError,
)
from mini_diffuser_ros.running.world_names import source_digest
from mini_diffuser_ros.support.errors import one_line
from mini_diffuser_ros.support.sealing import file_digest
from mini_diffuser_ros.support.settings import to_mapping
from mini_diffuser_ros.support.versions import installed_version
from mini_diffuser_ros.support.workers import (
    GroupQueue,
    TurnQueue,
    WorkerDiedError,
    WorkerLimits,
    outcomes_by_group,
    outcomes_in_workers,
)

STARTS = 3
"""Starts of a world for a task that may fail in a row before the task is given up."""
STARTS_AGAIN = 10
"""The same for a task that has been seen to work."""
IN_TIME = WorkerLimits(HANGS_AFTER)


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


SOFTWARE = ("mini_diffuser_ros", "mujoco")
"""Distributions that results in any world may depend on; others are said by the world."""


def policy_digest(checkpoint: str) -> str:
    """SHA-256 of what lies in a policy's folder now; that of its weights is part of it.

    Raises:
        OSError: it cannot be read.
    """
    return file_digest(Path(checkpoint) / CONFIG_FILE)


def what_is_evaluated(checkpoint: str, protocol: EvaluationProtocol, world: TaskWorld) -> Mapping[str, Any]:
    """By which the episodes of an earlier call are known to be of the same evaluation: by content, not by names.

    Args:
        checkpoint: directory of the policy.
        protocol: of the evaluation.
        world: that it makes.
    """
    own = tuple(world.distributions) if isinstance(world, DistributedWorld) else ()
    return {
        "policy": policy_digest(checkpoint),
        "source": source_digest(type(world)),
        "software": {name: installed_version(name) for name in (*SOFTWARE, *own)},
        **to_mapping(protocol),
    }


def evaluate(
    run: Callable[[AnyTrial], EpisodeResult],
    trials: Sequence[AnyTrial],
    workers: int,
    log: EpisodeLog,
    remedy: str = "",
    tasks_per_process: int = 0,
    watch: Callable[[AnyTrial, EpisodeResult], None] = lambda trial, result: None,
    limits: WorkerLimits = IN_TIME,
) -> Iterator[Record]:
    """Run the episodes that the log lacks; yields the record of each once it is in the log.

    What fails that is not the policy, as a world or a worker's process, fails one episode and is counted apart. A task
    that does not start is put off, and given up if it never does: the rest of its episodes are counted apart as well.

    Args:
        run: of a module, so that it can be sent to a process.
        trials: all episodes.
        workers: processes; 1 works in this one, unless tasks wear out a process.
        log: of those that were run.
        remedy: what to say of a world that does not start.
        tasks_per_process: as ``HeavyWorld`` says; 0 for any number, in any order.
        watch: is shown each episode as it ends.
        limits: of the processes.

    Raises:
        EvaluationError: the world starts for no task at all.
        UserError: a mistake of the user's.
    """
    missing = [trial for trial in trials if trial.digest not in log.records]
    queue: GroupQueue[AnyTrial] | TurnQueue[AnyTrial]
    if tasks_per_process:
        queue = GroupQueue(missing, _task_of)
        outcomes = outcomes_by_group(run, queue.take, workers, _task_of, tasks_per_process, limits)
    else:
        queue = TurnQueue(missing, _task_of)
        outcomes = outcomes_in_workers(run, iter(partial(queue.take, 0), None), workers, limits)
    starts = _Starts({trial.task for trial in missing}, STARTS * workers, _judged_tasks(log))

    def keep(trial: AnyTrial, result: EpisodeResult) -> Record:
        watch(trial, result)
        log.add(trial.digest, episode_record(result))
        return log.records[trial.digest]

    def refusal(error: Exception) -> EvaluationError:
        times = starts.in_vain.total()
        return EvaluationError(f"{one_line(error)} ({times} times in a row). {remedy}".rstrip())

    last = Exception()
    for outcome in outcomes:
        trial, error = outcome.item, outcome.error
        if error is None:
            assert outcome.result is not None
            starts.succeed(trial.task)
            yield keep(trial, outcome.result)
            continue
        if not isinstance(error, (WorldError, LayoutError, WorkerDiedError)):
            raise error
        given_up = starts.fail(trial.task, error)
        yield keep(trial, _failed(trial, one_line(error)))
        if starts.is_hopeless:
            raise refusal(error) from error
        last = error
        if starts.in_vain[trial.task]:
            queue.put_off(trial.task)
        if given_up:
            for other in queue.drop(trial.task):
                yield keep(
                    other,
                    _failed(other, f"{trial.task} is given up, {starts.why_given_up(trial.task)}: {one_line(error)}"),
                )
    if starts.nothing_starts:
        raise refusal(last) from last


class _Starts:
    """How often a world has failed to start, task by task.

    Args:
        tasks: that are to be run.
        limit: starts in vain of all tasks together after which none is expected any more.
        known: tasks that have been seen to work in earlier calls.
    """

    def __init__(self, tasks: set[str], limit: int, known: set[str]) -> None:
        self._tasks, self._limit, self._known = tasks, limit, known
        self._works: set[str] = set()
        self.in_vain = Counter[str]()

    @property
    def nothing_starts(self) -> bool:
        """Whether no start has succeeded, neither now nor before."""
        return not self._known and not self._works and self.in_vain.total() > 0

    @property
    def is_hopeless(self) -> bool:
        """Whether that is so after enough starts of every task."""
        tried = all(self.in_vain[task] for task in self._tasks)
        enough = self.in_vain.total() >= self._limit or all(map(self._is_given_up, self._tasks))
        return self.nothing_starts and tried and enough

    def succeed(self, task: str) -> None:
        """An episode of a task came to its end."""
        self._works.add(task)
        self.in_vain[task] = 0

    def fail(self, task: str, error: Exception) -> bool:
        """Something failed in an episode that was not the policy; returns whether its task is to be given up."""
        # A simulator without a display, say, ends its process as soon as it is started.
        died_first = isinstance(error, WorkerDiedError) and task not in self._works
        if isinstance(error, WorldStartError) or died_first:
            self.in_vain[task] += 1
        else:
            self.succeed(task)
        return self._is_given_up(task)

    def why_given_up(self, task: str) -> str:
        """What is said of a task that is given up."""
        if self._has_worked(task):
            return f"as its last {self.in_vain[task]} starts failed"
        return "as it never starts"

    def _is_given_up(self, task: str) -> bool:
        return self.in_vain[task] >= (STARTS_AGAIN if self._has_worked(task) else STARTS)

    def _has_worked(self, task: str) -> bool:
        return task in self._works or task in self._known


def _judged_tasks(log: EpisodeLog) -> set[str]:
    return {str(record["task"]) for record in log.records.values() if not record["failure"]}


def records_of(trials: Sequence[Trial], log: EpisodeLog) -> list[Record]:
    """Those in the log, in the order of the trials."""
    return [log.records[trial.digest] for trial in trials if trial.digest in log.records]


def _task_of(trial: Trial) -> str:
    return trial.task


def _failed(trial: Trial, why: str) -> EpisodeResult:
    return EpisodeResult(trial.task, trial.seed, "", False, why, (), failure=why)
