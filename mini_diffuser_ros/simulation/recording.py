"""Recording demonstrations in several processes: which seeds are wanted, and the workers that make them."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from mini_diffuser_ros.data import DataError, EpisodeStore
from mini_diffuser_ros.motion import MotionConfig, MotionPlanner
from mini_diffuser_ros.records import Episode, Keyframe
from mini_diffuser_ros.simulation.episode import demonstrate
from mini_diffuser_ros.simulation.errors import DemonstrationFailed, SimulationError
from mini_diffuser_ros.simulation.world import TabletopWorld
from mini_diffuser_ros.support.errors import UserError

ROBOT = "panda"
"""The robot of the table-top world."""

_LEAVE_S = 5.0  # How long a worker may take to finish its demonstration after it was told to leave.


class RecordingError(UserError, RuntimeError):
    """Recording cannot go on; what was recorded so far is kept."""


@dataclass(frozen=True)
class RecordSettings:
    """What to record.

    Attributes:
        out: directory of the episodes.
        tasks: names of tasks.
        episodes: how many of each task.
        seed: of the first layout; each next episode takes the next seed, as does a replacement for a failed one.
        workers: processes.
        renderer: of the cameras' images, see :class:`TabletopWorld`.
        image_size: height and width of the images, pixels.
    """

    out: Path
    tasks: tuple[str, ...]
    episodes: int
    seed: int = 0
    workers: int = 2
    renderer: str = "rays"
    image_size: int = 256


@dataclass(frozen=True)
class Outcome:
    """How a demonstration ended.

    Attributes:
        task, seed: which one.
        failure: why it was not recorded; None if it was.
    """

    task: str
    seed: int
    failure: str | None = None


@dataclass
class SeedPlan:
    """Which seeds of one task are still to be demonstrated.

    The seeds are tried in order, one more for each that fails, so that the recorded ones are always the first that
    succeed, however many processes run and however often recording is interrupted.

    Attributes:
        wanted: how many episodes.
        next_seed: the first seed not yet looked at.
        present: seeds that are recorded already.
        recorded: episodes there are.
        running: demonstrations being made.
        failures: reasons, one a failed demonstration.
    """

    wanted: int
    next_seed: int
    present: frozenset[int] = frozenset()
    recorded: int = 0
    running: int = 0
    failures: list[str] = field(default_factory=list)

    def take(self) -> int | None:
        """A seed to demonstrate now, or None if no more are needed as far as one can tell."""
        while self.recorded + self.running < self.wanted:
            seed = self.next_seed
            self.next_seed += 1
            if seed not in self.present:
                self.running += 1
                return seed
            self.recorded += 1
        return None

    def finish(self, failure: str | None) -> None:
        """Take note of a demonstration's end.

        Raises:
            RecordingError: if so many failed that something must be wrong.
        """
        self.running -= 1
        if failure is None:
            self.recorded += 1
            return
        self.failures.append(failure)
        if len(self.failures) > 10 + self.wanted // 2:
            raise RecordingError(f"{len(self.failures)} demonstrations failed, {self.recorded} worked; last: {failure}")


class Recorder:
    """Records until every task has its episodes; those that are there already are counted and kept.

    Args:
        settings: what to record.

    Raises:
        DataError: if the directory cannot be made.

    Attributes:
        plans: progress by task.
        already: episodes that were there before.
    """

    def __init__(self, settings: RecordSettings) -> None:
        store = EpisodeStore(settings.out, ROBOT)
        self._settings = settings
        wanted = range(settings.seed, settings.seed + settings.episodes)
        self.plans = {task: SeedPlan(settings.episodes, settings.seed, store.seeds(task)) for task in settings.tasks}
        self.already = sum(len(plan.present.intersection(wanted)) for plan in self.plans.values())

    def run(self) -> Iterator[Outcome]:
        """Make the missing demonstrations.

        Yields:
            one outcome a demonstration, as they end. Closing the iterator ends the workers.

        Raises:
            RecordingError: if a worker cannot work or died, or if hardly any demonstration succeeds.
        """
        job = self._next_job()
        if job is None:
            return
        with _Workers(self._settings) as workers:
            idle, busy = set(workers.connections), set[Connection]()
            while job is not None or busy:
                if job is not None and idle:
                    connection = idle.pop()
                    connection.send(job)
                    busy.add(connection)
                    job = self._next_job()
                    continue
                ready = wait(busy)
                for connection in [connection for connection in busy if connection in ready]:
                    outcome = _receive(connection)
                    busy.remove(connection)
                    idle.add(connection)
                    self.plans[outcome.task].finish(outcome.failure)
                    yield outcome
                job = job or self._next_job()

    def _next_job(self) -> tuple[str, int] | None:
        """Task and seed; the tasks advance together, so that an interrupted recording is balanced."""
        for task, plan in sorted(self.plans.items(), key=lambda item: item[1].recorded + item[1].running):
            seed = plan.take()
            if seed is not None:
                return task, seed
        return None


class _Workers:
    """Processes that demonstrate; leaving the block ends them.

    A worker that loses its connection ends by itself, so that none survives a recorder that was killed.
    """

    def __init__(self, settings: RecordSettings) -> None:
        self.connections: list[Connection] = []
        self._processes: list[BaseProcess] = []
        self._settings = settings

    def __enter__(self) -> _Workers:
        context = multiprocessing.get_context("spawn")
        with _environment_for_workers():
            for _ in range(self._settings.workers):
                ours, theirs = context.Pipe()
                process = context.Process(target=_work, args=(theirs, self._settings), daemon=True)
                process.start()
                theirs.close()
                self.connections.append(ours)
                self._processes.append(process)
        return self

    def __exit__(self, *exception: object) -> None:
        for connection in self.connections:
            connection.close()
        for process in self._processes:
            process.join(_LEAVE_S)
            if process.is_alive():
                process.terminate()
                process.join()


@contextmanager
def _environment_for_workers() -> Iterator[None]:
    """What processes started in this block inherit: they leave Ctrl-C to their parent, and use one thread each."""
    threads = {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.update(dict.fromkeys(threads, "1"))
    try:
        yield
    finally:
        for name, value in threads.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value
        signal.signal(signal.SIGINT, handler)


@dataclass(frozen=True)
class _Fault:
    """Why a worker cannot go on."""

    message: str


def _receive(connection: Connection) -> Outcome:
    try:
        answer = connection.recv()
    except (EOFError, ConnectionError) as error:
        raise RecordingError("a worker process died; run the same command again to go on from here") from error
    if isinstance(answer, _Fault):
        raise RecordingError(answer.message)
    return answer


def _work(connection: Connection, settings: RecordSettings) -> None:
    """A worker process: demonstrate what the connection asks for until it closes."""
    try:
        try:
            world = TabletopWorld(settings.renderer, (settings.image_size, settings.image_size))
            planner = MotionPlanner(world.robot, MotionConfig())
            store = EpisodeStore(settings.out, ROBOT)
            while True:
                task, seed = connection.recv()
                connection.send(_demonstrate(world, planner, store, task, seed))
        except (DataError, SimulationError) as error:
            connection.send(_Fault(str(error)))
    except (EOFError, ConnectionError):
        return  # The recorder has no more work, or is gone.


def _demonstrate(world: TabletopWorld, planner: MotionPlanner, store: EpisodeStore, task: str, seed: int) -> Outcome:
    try:
        episode = demonstrate(world, planner, task, seed)
    except DemonstrationFailed as failure:
        return Outcome(task, seed, str(failure))
    store.write(_from_time_zero(episode), seed)
    return Outcome(task, seed)


def _from_time_zero(episode: Episode) -> Episode:
    """The episode with stamps that count from its first keyframe, not from the start of the worker's world.

    With them the file of a seed depends on the seed alone.
    """
    start = episode.keyframes[0].stamp

    def shifted(keyframe: Keyframe) -> Keyframe:
        views = tuple(replace(view, stamp=round(view.stamp - start, 6)) for view in keyframe.views)
        return replace(keyframe, stamp=round(keyframe.stamp - start, 6), load_views=lambda: views)

    return replace(episode, keyframes=tuple(map(shifted, episode.keyframes)))
