"""How often a world's scripted expert succeeds, and how far from its keyframes the arm comes to rest."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mini_diffuser_ros.bench.benchmark import Benchmark, at_least
from mini_diffuser_ros.bench.errors import BenchError
from mini_diffuser_ros.geometry import quaternion_angle
from mini_diffuser_ros.records import KeyframeMode
from mini_diffuser_ros.running.task_world import DemonstrationFailed, ExpertWorld, LayoutError, TaskWorld
from mini_diffuser_ros.running.world_names import make_world
from mini_diffuser_ros.support.errors import one_line
from mini_diffuser_ros.support.settings import unknown_name


@dataclass(frozen=True)
class Settings:
    """What is asked.

    Attributes:
        world: as ``record --world`` takes it.
        options: settings of the world, as ``suite=libero_goal layouts=sampled``.
        tasks: names, or numbers from 0; all where none is named.
        episodes: layouts of each task.
        seed: of the first layout; those that cannot be laid out are left out.
    """

    world: str = "libero"
    options: str = "layouts=sampled"
    tasks: tuple[str, ...] = ()
    episodes: int = at_least(1, 10)
    seed: int = at_least(0, 10000)


@dataclass(frozen=True)
class ExpertRow:
    """One task.

    Attributes:
        task: its name.
        solved: layouts on which the world says at the end that the task is done.
        layouts: that could be laid out.
        begun_anew: times that a grasp in vain, or a mishap, preceded what is recorded.
        keyframes: carried out, in all.
        mean_mm, worst_mm: distance of the arm at rest from a keyframe.
        worst_deg: of its direction.
        seconds: processor time of one demonstration, layouts included, images not.
        failure: how the first failed.
    """

    task: str
    solved: int
    layouts: int
    begun_anew: int
    keyframes: int
    mean_mm: float
    worst_mm: float
    worst_deg: float
    seconds: float
    failure: str


@dataclass
class _Tally:
    """What came of the layouts of a task so far."""

    solved: int = 0
    layouts: int = 0
    begun_anew: int = 0
    failure: str = ""


def measure(all_settings: Sequence[Settings]) -> Iterator[ExpertRow]:
    """One row a task.

    Raises:
        BenchError: the world has no expert, or no such task.
    """
    for settings in all_settings:
        world = make_world(settings.world, settings.options.split())
        if not isinstance(world, ExpertWorld):
            raise BenchError(f"{settings.world}: has no expert")
        try:
            for task in _tasks(world, settings.tasks):
                yield _row(world, task, settings)
        finally:
            world.close()


def _tasks(world: TaskWorld, named: Sequence[str]) -> list[str]:
    known = list(world.tasks)
    chosen = [known[int(name)] if name.isdigit() and int(name) < len(known) else name for name in named]
    for name in chosen:
        if name not in known:
            raise BenchError(unknown_name(name, known, "task"))
    return chosen or known


def _row(world: TaskWorld, task: str, settings: Settings) -> ExpertRow:
    tally, started = _Tally(), time.process_time()
    errors: list[tuple[float, float]] = []
    for seed in range(settings.seed, settings.seed + settings.episodes):
        try:
            world.lay_out(task, seed)
        except LayoutError as error:
            tally.failure = tally.failure or f"seed {seed}: {one_line(error)}"
            continue
        tally.layouts += 1
        failure = _carry_out(world, tally, errors)
        tally.solved += not failure
        if failure and not tally.failure:
            tally.failure = f"seed {seed}: {failure}"
    far, turned = np.array(errors).reshape(-1, 2).T
    return ExpertRow(
        task,
        tally.solved,
        tally.layouts,
        tally.begun_anew,
        len(errors),
        float(1e3 * far.mean()) if len(far) else 0.0,
        float(1e3 * far.max(initial=0.0)),
        float(np.degrees(turned.max(initial=0.0))),
        (time.process_time() - started) / max(tally.layouts, 1),
        tally.failure,
    )


def _carry_out(world: TaskWorld, tally: _Tally, errors: list[tuple[float, float]]) -> str:
    """Have the expert work on what is laid out; returns why it failed, empty if it did not."""
    assert isinstance(world, ExpertWorld)
    try:
        for action in world.expert():
            tally.begun_anew += action.begins
            report = world.move([KeyframeMode(action.pose, action.gripper_open, False, 1.0, 0.0)])
            if report.chosen is None or report.reached is None:
                return report.message
            if report.missed:
                return "the arm ended short of where it was sent"
            far = float(np.linalg.norm(report.reached[:3] - action.pose[:3]))
            errors.append((far, quaternion_angle(report.reached[3:], action.pose[3:])))
    except DemonstrationFailed as failure:
        return one_line(failure)
    return "" if world.success() else "the task is not done at the end"


BENCHMARK = Benchmark(Settings, measure, __doc__)
