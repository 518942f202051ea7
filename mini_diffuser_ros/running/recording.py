"""Recording demonstrations in several processes: which seeds are wanted, and the workers that make them."""

from __future__ import annotations

import atexit
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from multiprocessing import parent_process
from pathlib import Path
from typing import Any, Protocol

from mini_diffuser_ros.data import EpisodeStore, open_episodes
from mini_diffuser_ros.records import UNKNOWN, Episode
from mini_diffuser_ros.running.demonstrating import demonstrate_in
from mini_diffuser_ros.running.task_world import (
    HANGS_AFTER,
    DemonstrationFailed,
    ExpertWorld,
    HeavyWorld,
    LayoutError,
    TaskWorld,
    WorldError,
    WorldStartError,
)
from mini_diffuser_ros.running.world_names import SHORT_NAMES, in_full, make_world, world_settings
from mini_diffuser_ros.support.errors import UserError, one_line
from mini_diffuser_ros.support.files import write_whole
from mini_diffuser_ros.support.settings import to_mapping, unknown_name
from mini_diffuser_ros.support.workers import (
    ItemOutcome,
    WorkerDiedError,
    WorkerLimits,
    ended_if_hanging,
    outcomes_by_group,
    outcomes_in_workers,
)

Demonstrate = Callable[[str, int], Episode]
"""Takes task and seed, and raises DemonstrationFailed or LayoutError where nothing is to be recorded of that seed."""

GIVEN_UP_AFTER = 15
"""Demonstrations of a task that may fail in a row before no more of it are tried."""
STARTS = 3
"""Starts of a world for a task that may fail in a row before."""

_IN_VAIN_AT_START = GIVEN_UP_AFTER // STARTS
IN_TIME = WorkerLimits(HANGS_AFTER)

_MADE_IN = ".world"  # file beside the episodes: which world they are of


class RecordingError(UserError, RuntimeError):
    """Recording cannot go on; what was recorded so far is kept."""


class DemonstrationSource(Protocol):
    """Where demonstrations come from, as it is sent to a process."""

    @property
    def robot(self) -> str | None:
        """Name of the arm's description."""
        ...

    @property
    def tasks(self) -> Sequence[str]:
        """Names of all tasks."""
        ...

    @property
    def tasks_per_process(self) -> int:
        """As ``HeavyWorld`` says; 0 for any number, in any order."""
        ...

    def __hash__(self) -> int:
        """A process keeps what it demonstrates with."""
        ...

    def refuse_others(self, store: EpisodeStore, tasks: Sequence[str]) -> None:
        """Refuse to go on in a directory that holds episodes of another source, which would make one set of two.

        Raises:
            RecordingError: naming what they differ in.
        """
        ...

    def demonstrator(self) -> tuple[Demonstrate, Callable[[], None]]:
        """What makes demonstrations in this process, and what gives back what it holds."""
        ...


@dataclass(frozen=True)
class WorldSource:
    """The scripted expert of a world of tasks.

    Attributes:
        world: as ``world_class`` takes it.
        options: of the world's settings those that are not its defaults, as ``image_size=128``.
    """

    world: str
    options: tuple[str, ...] = ()

    @property
    def robot(self) -> str | None:
        """Name of the arm's description."""
        return self._made().robot

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of all tasks."""
        return tuple(self._made().tasks)

    @property
    def tasks_per_process(self) -> int:
        """Tasks after which a process is replaced, 0 for any number."""
        world = self._made()
        return max(1, world.tasks_per_process) if isinstance(world, HeavyWorld) else 0

    def refuse_others(self, store: EpisodeStore, tasks: Sequence[str]) -> None:
        """See :func:`refuse_another_world`."""
        refuse_another_world(store, made_in(self.world, self.options), self._made().name)

    def demonstrator(self) -> tuple[Demonstrate, Callable[[], None]]:
        """The world's expert."""
        world = self._made()
        return lambda task, seed: demonstrate_in(world, task, seed), world.close

    def _made(self) -> TaskWorld:
        """The world, of which nothing is started.

        Raises:
            WorldNameError, SettingsError: as ``make_world``.
            RecordingError: it has no expert.
        """
        world = make_world(self.world, self.options)
        if not isinstance(world, ExpertWorld):
            raise RecordingError(f"{self.world}: has no expert, whose demonstrations could be recorded")
        return world


def made_in(world: str, options: Sequence[str]) -> Mapping[str, Any]:
    """What a recording is known by: the class of a world and all its settings, whatever words they are named by."""
    return {"world": in_full(SHORT_NAMES.get(world, world)), "settings": to_mapping(world_settings(world, options))}


def refuse_another_world(
    store: EpisodeStore, made_in_it: Mapping[str, Any], name: str, *, unmarked: bool = False
) -> None:
    """Refuse to record into a folder that holds episodes of another world, or of the same with other settings.

    It is known by a file beside the episodes, which is written where there are none yet, and by what episodes say.

    Args:
        store: of the episodes.
        made_in_it: see :func:`made_in`.
        name: of the world, as episodes say it.
        unmarked: take episodes of that name without the file as well, which it then gets.

    Raises:
        RecordingError: naming what they differ in.
        DataError: an episode cannot be read.
    """
    file, own = store.path / _MADE_IN, json.loads(json.dumps(made_in_it))
    there = _read_made_in(file)
    if file.exists() and there != own:
        raise RecordingError(f"{store.path} was recorded with {there}, not {own}; choose another --out")
    worlds = {world for episode in _one_of_each_task(store.path) for world in episode.provenance.worlds or (UNKNOWN,)}
    if worlds - {name}:
        raise RecordingError(
            f"{store.path} holds episodes of {', '.join(sorted(worlds))}, not of {name} alone; choose another --out"
        )
    if not file.exists():
        if worlds and not unmarked:
            raise RecordingError(
                f"{store.path} holds episodes, and no {_MADE_IN} that says with which settings they were recorded; "
                "choose another --out"
            )
        write_whole(file, json.dumps(own) + "\n")


def _read_made_in(file: Path) -> Any:
    """What a file says, that of a former version as the same is said now; None if nothing that is known."""
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
        return made_in(said["world"], said["options"]) if "options" in said else said
    except (OSError, ValueError, TypeError, KeyError, UserError):
        return None


def _one_of_each_task(folder: Path) -> list[Episode]:
    """As they say where they were made; all of a task were made in one world."""
    first: dict[str, Path] = {}
    for file in sorted(folder.glob("*.zip")):
        first.setdefault(file.name.rpartition("-")[0], file)
    return [episode for file in first.values() for episode in open_episodes(file)]


@dataclass(frozen=True)
class Outcome:
    """How a demonstration ended.

    Attributes:
        task, seed: which one.
        failure: why it was not recorded; None if it was.
        at_start: whether the world could not even be started.
        is_mistake: whether it is one that a user may mend; it is the task's, unless no task goes without.
    """

    task: str
    seed: int
    failure: str | None = None
    at_start: bool = False
    is_mistake: bool = False


@dataclass
class SeedPlan:
    """Which seeds of one task are still to be demonstrated.

    The seeds are tried in order, one more for each that fails, so that the recorded ones are always the first that
    succeed, however many processes run and however often recording is interrupted. A task of which none succeeds any
    more is given up.

    Attributes:
        wanted: how many episodes.
        next_seed: the first seed not yet looked at.
        present: seeds that are recorded already.
        recorded: episodes there are.
        running: demonstrations being made.
        failures: reasons, one a failed demonstration.
        in_vain: how many failed since one was recorded; a start that failed, or a mistake, counts as several.
    """

    wanted: int
    next_seed: int
    present: frozenset[int] = frozenset()
    recorded: int = 0
    running: int = 0
    failures: list[str] = field(default_factory=list)
    in_vain: int = 0

    @property
    def given_up(self) -> bool:
        """Whether so many failed in a row that something must be wrong."""
        return self.in_vain >= GIVEN_UP_AFTER

    def take(self) -> int | None:
        """A seed to demonstrate now, or None if no more are needed as far as one can tell."""
        while self.recorded + self.running < self.wanted and not self.given_up:
            seed = self.next_seed
            self.next_seed += 1
            if seed not in self.present:
                self.running += 1
                return seed
            self.recorded += 1
        return None

    def finish(self, failure: str | None, at_start: bool = False) -> None:
        """Take note of a demonstration's end; ``failure`` says why nothing was recorded of it."""
        self.running -= 1
        if failure is None:
            self.recorded, self.in_vain = self.recorded + 1, 0
            return
        self.failures.append(failure)
        self.in_vain += _IN_VAIN_AT_START if at_start else 1


class Recorder:
    """Records until every task has its episodes; those that are there already are counted and kept.

    Args:
        source: of the demonstrations.
        out: directory of the episodes.
        tasks: names of tasks.
        episodes: how many of each task.
        seed: of the first layout; each next episode takes the next seed, as does a replacement for a failed one.
        workers: processes; 1 works in this one, unless tasks wear out a process.
        limits: of the processes.

    Raises:
        DataError: if the directory cannot be made.
        RecordingError: if it holds episodes of another source, or there is no such task.

    Attributes:
        plans: progress by task.
        already: episodes that were there before.
    """

    def __init__(
        self,
        source: DemonstrationSource,
        out: Path,
        tasks: Sequence[str],
        episodes: int,
        seed: int,
        workers: int,
        limits: WorkerLimits = IN_TIME,
    ) -> None:
        known = list(source.tasks)
        for task in tasks:
            if task not in known:
                raise RecordingError(unknown_name(task, known, "task"))
        store = EpisodeStore(out, source.robot)
        source.refuse_others(store, tasks)
        self._source, self._out, self._workers, self._limits = source, out, workers, limits
        self._mistaken: set[str] = set()
        wanted = range(seed, seed + episodes)
        self.plans = {task: SeedPlan(episodes, seed, store.seeds(task)) for task in tasks}
        self.already = sum(len(plan.present.intersection(wanted)) for plan in self.plans.values())

    def run(self) -> Iterator[Outcome]:
        """Make the missing demonstrations.

        What fails that is not the expert, as a world or a worker's process, costs its seed as well. A task that is
        given up keeps no other from its episodes, nor does a mistake that a user may mend: as long as it is not that
        of every task.

        Yields:
            one outcome a demonstration, as they end. Closing the iterator ends the workers.

        Raises:
            UserError: a mistake of the user's that lets no task be recorded, or an episode be stored.
        """
        while (first := self._next_job()) is not None:
            # What failed at the end of a round is replaced in the next.
            for result in self._round(first):
                outcome = _outcome_of(result)
                self.plans[outcome.task].finish(outcome.failure, outcome.at_start or outcome.is_mistake)
                yield outcome
                self._refuse_all(outcome)

    def _refuse_all(self, outcome: Outcome) -> None:
        """End the recording with a mistake that every task has, before any has an episode."""
        if outcome.is_mistake:
            self._mistaken.add(outcome.task)
            if len(self._mistaken) == len(self.plans) and not any(plan.recorded for plan in self.plans.values()):
                raise RecordingError(outcome.failure)

    def _round(self, first: _Job) -> Iterator[ItemOutcome[_Job, Outcome]]:
        most = self._source.tasks_per_process
        if not most:
            return outcomes_in_workers(_demonstrate, self._jobs(first), self._workers, self._limits)
        at: dict[int, str] = {}
        waiting = [first]

        def take(worker: int) -> _Job | None:
            job = waiting.pop() if waiting else self._next_job(at.get(worker), at.values())
            if job is not None:
                at[worker] = job.task
            return job

        return outcomes_by_group(_demonstrate, take, self._workers, _task_of, most, self._limits)

    def _jobs(self, first: _Job) -> Iterator[_Job]:
        job: _Job | None = first
        while job is not None:
            yield job
            job = self._next_job()

    def _next_job(self, own: str | None = None, others: Collection[str] = ()) -> _Job | None:
        """The next demonstration.

        Args:
            own: task that a worker is at, which it is to go on with.
            others: tasks that workers are at, which it is to keep away from as long as there are more.
        """

        def rank(item: tuple[str, SeedPlan]) -> tuple[bool, bool, int, int]:
            """The tasks advance together, so that an interrupted recording is balanced, those that fail last."""
            task, plan = item
            is_own = task == own and plan.in_vain < _IN_VAIN_AT_START
            return (not is_own, task in others, plan.recorded + plan.running, plan.in_vain)

        for task, plan in sorted(self.plans.items(), key=rank):
            seed = plan.take()
            if seed is not None:
                return _Job(self._source, self._out, task, seed)
        return None


@dataclass(frozen=True)
class _Job:
    """One demonstration to be made."""

    source: DemonstrationSource
    out: Path
    task: str
    seed: int

    def __repr__(self) -> str:
        return f"{self.task}, seed {self.seed}"


def _task_of(job: _Job) -> str:
    return job.task


def _outcome_of(result: ItemOutcome[_Job, Outcome]) -> Outcome:
    """How a demonstration ended whose process may have ended with it."""
    if result.error is None:
        assert result.result is not None
        return result.result
    if isinstance(result.error, (WorldError, WorkerDiedError)):
        at_start = isinstance(result.error, WorldStartError)
        return Outcome(result.item.task, result.item.seed, one_line(result.error), at_start)
    raise result.error


def _demonstrate(job: _Job) -> Outcome:
    """Make one, with what this process keeps for all of its demonstrations.

    Raises:
        WorldError: the world failed; the next demonstration of this process has another.
        UserError: what makes demonstrations cannot be had, or an episode not be stored.
    """
    demonstrate, store, close = _bench(job.source, job.out)
    try:
        episode = demonstrate(job.task, job.seed)
    except (DemonstrationFailed, LayoutError) as failure:
        return Outcome(job.task, job.seed, one_line(failure))
    except UserError as mistake:
        return Outcome(job.task, job.seed, one_line(mistake), is_mistake=True)
    except Exception as error:
        _bench.cache_clear()
        if parent_process() is None:
            close()  # else this process ends now, which closes it and cannot hang: it is ended then
        if isinstance(error, WorldError):
            raise
        raise WorldError(f"{job}: {type(error).__name__}: {one_line(error)}") from error
    store.write(episode, job.seed)
    return Outcome(job.task, job.seed)


@cache
def _bench(source: DemonstrationSource, out: Path) -> tuple[Demonstrate, EpisodeStore, Callable[[], None]]:
    """What a process needs for all of its demonstrations, made once."""
    demonstrate, give_back = source.demonstrator()

    def close() -> None:
        atexit.unregister(close)
        # Of a world that may have failed; nothing is wanted of it any more.
        with suppress(Exception), ended_if_hanging(IN_TIME.close, "close() of the world"):
            give_back()

    atexit.register(close)
    return demonstrate, EpisodeStore(out, source.robot), close
