"""Recording demonstrations in several processes: which seeds are wanted, and the workers that make them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from mini_diffuser_ros.data import EpisodeStore, open_episodes
from mini_diffuser_ros.motion import MotionConfig, MotionPlanner
from mini_diffuser_ros.records import Episode, Keyframe
from mini_diffuser_ros.robots import load_robot
from mini_diffuser_ros.running.task_world import DemonstrationFailed
from mini_diffuser_ros.simulation.cameras import cameras_named, tabletop_cameras
from mini_diffuser_ros.simulation.episode import demonstrate
from mini_diffuser_ros.simulation.sensor import sensor_of
from mini_diffuser_ros.simulation.world import TabletopWorld
from mini_diffuser_ros.support.errors import UserError
from mini_diffuser_ros.support.workers import WorkerDiedError, map_in_workers

ROBOT = "panda"
"""The robot of the table-top world."""


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
        sensor: what kind of cameras they are, a line as :func:`sensor_of` reads it.
        cameras: names of those that there are; all of the world's where none is named.
    """

    out: Path
    tasks: tuple[str, ...]
    episodes: int
    seed: int = 0
    workers: int = 2
    renderer: str = "rays"
    image_size: int = 256
    sensor: str = "perfect"
    cameras: tuple[str, ...] = ()


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
        RecordingError: if episodes that are there were seen by another sensor, or other cameras.
        SimulationError: if the world has no camera of a name.

    Attributes:
        plans: progress by task.
        already: episodes that were there before.
    """

    def __init__(self, settings: RecordSettings) -> None:
        store = EpisodeStore(settings.out, ROBOT)
        self._settings = settings
        _refuse_other_cameras(store, settings)
        wanted = range(settings.seed, settings.seed + settings.episodes)
        self.plans = {task: SeedPlan(settings.episodes, settings.seed, store.seeds(task)) for task in settings.tasks}
        self.already = sum(len(plan.present.intersection(wanted)) for plan in self.plans.values())

    def run(self) -> Iterator[Outcome]:
        """Make the missing demonstrations.

        Yields:
            one outcome a demonstration, as they end. Closing the iterator ends the workers.

        Raises:
            RecordingError: if a worker died, or if hardly any demonstration succeeds.
            DataError, SimulationError: if a worker cannot work.
        """
        try:
            while (job := self._next_job()) is not None:
                # What failed at the end of a round is replaced in the next.
                for outcome in map_in_workers(_demonstrate, self._jobs(job), self._settings.workers):
                    self.plans[outcome.task].finish(outcome.failure)
                    yield outcome
        except WorkerDiedError as error:
            raise RecordingError(f"{error}; run the same command again to go on from here") from error

    def _jobs(self, first: tuple[str, int]) -> Iterator[_Job]:
        job: tuple[str, int] | None = first
        while job is not None:
            yield _Job(self._settings, *job)
            job = self._next_job()

    def _next_job(self) -> tuple[str, int] | None:
        """Task and seed; the tasks advance together, so that an interrupted recording is balanced."""
        for task, plan in sorted(self.plans.items(), key=lambda item: item[1].recorded + item[1].running):
            seed = plan.take()
            if seed is not None:
                return task, seed
        return None


def _refuse_other_cameras(store: EpisodeStore, settings: RecordSettings) -> None:
    """Going on with other cameras would make one data set of two: one episode of each task tells which there were."""
    sensor = sensor_of(settings.sensor)
    wanted = () if sensor.exact else (str(sensor),)
    mounts = cameras_named(settings.cameras or None, tabletop_cameras(load_robot(ROBOT)))
    names = {mount.name for mount in mounts}
    for task in settings.tasks:
        for seed in sorted(store.seeds(task))[:1]:
            episode = open_episodes(store.file_of(task, seed))[0]
            seen_by = {view.name for view in episode.keyframes[0].views}
            for option, there, asked in (
                ("sensor", *(" ".join(sensors) or "perfect" for sensors in (episode.provenance.sensors, wanted))),
                ("cameras", *(",".join(sorted(each)) for each in (seen_by, names))),
            ):
                if there != asked:
                    raise RecordingError(
                        f"{settings.out} was recorded with --{option} {there}, not {asked}; choose another --out"
                    )


@dataclass(frozen=True)
class _Job:
    """One demonstration to be made."""

    settings: RecordSettings
    task: str
    seed: int


def _demonstrate(job: _Job) -> Outcome:
    world, planner, store = _bench(job.settings)
    try:
        episode = demonstrate(world, planner, job.task, job.seed)
    except DemonstrationFailed as failure:
        return Outcome(job.task, job.seed, str(failure))
    store.write(_from_time_zero(episode), job.seed)
    return Outcome(job.task, job.seed)


@cache
def _bench(settings: RecordSettings) -> tuple[TabletopWorld, MotionPlanner, EpisodeStore]:
    """What a process needs for all of its demonstrations, made once."""
    size = (settings.image_size, settings.image_size)
    sensor, cameras = sensor_of(settings.sensor), settings.cameras or None
    world = TabletopWorld(settings.renderer, size, sensor=sensor, cameras=cameras)
    return world, MotionPlanner(world.robot, MotionConfig()), EpisodeStore(settings.out, ROBOT)


def _from_time_zero(episode: Episode) -> Episode:
    """The episode with stamps that count from its first keyframe, not from the start of the worker's world.

    With them the file of a seed depends on the seed alone.
    """
    start = episode.keyframes[0].stamp

    def shifted(keyframe: Keyframe) -> Keyframe:
        views = tuple(replace(view, stamp=round(view.stamp - start, 6)) for view in keyframe.views)
        return replace(keyframe, stamp=round(keyframe.stamp - start, 6), load_views=lambda: views)

    return replace(episode, keyframes=tuple(map(shifted, episode.keyframes)))
