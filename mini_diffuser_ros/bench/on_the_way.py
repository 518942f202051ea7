"""Demonstrations that begin on the way to a keyframe: the table as it is seen while the arm moves, the action the same.

What a policy is asked at keyframes, it may be taught between them, too: more looks at few layouts.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mini_diffuser_ros.bench.errors import BenchError
from mini_diffuser_ros.data import EpisodeStore
from mini_diffuser_ros.motion import MotionConfig, MotionPlanner
from mini_diffuser_ros.records import Episode, JointTrajectory, Keyframe
from mini_diffuser_ros.running.task_world import DemonstrationFailed
from mini_diffuser_ros.simulation import TabletopWorld
from mini_diffuser_ros.simulation.episode import demonstrate, observe
from mini_diffuser_ros.simulation.recording import ROBOT, from_time_zero
from mini_diffuser_ros.training.frames import frame_kinds

log = logging.getLogger(__name__)

_SEEDS_APART = 100
"""Between the numbers of files of one seed and of the next."""


class LookingWorld(TabletopWorld):
    """The table, seen in the middle of each motion as well.

    Attributes:
        looks: what was seen there since they were last taken away.
    """

    def __init__(self, cameras: Sequence[str] = ()) -> None:
        super().__init__(cameras=cameras or None)
        self.looks: list[Keyframe] = []

    def execute(self, trajectory: JointTrajectory) -> float:
        """As ever, with a halt half-way."""
        super().execute(_half(trajectory, 0.0))
        self.looks.append(observe(self))
        return super().execute(_half(trajectory, 0.5))


def record_on_the_way(out: Path, sources: Sequence[str], cameras: Sequence[str] = ()) -> Path:
    """Demonstrations of the simulated table, and for each of their decisions one that begins on the way to it.

    What cannot be solved with halts on the way is left out.

    Args:
        out: directory of the episodes, of these sources alone; what is in it is not made again.
        sources: names of demonstrations that were recorded from seeds, with exact cameras.
        cameras: names of those; all of the table's where none is named.

    Raises:
        BenchError: a source tells no seed, or episodes of other sources are there.
    """
    store = EpisodeStore(out, ROBOT)
    asked = [_task_and_seed(source) for source in sources]
    for task in {task for task, _ in asked}:
        seeds = {seed for asked_task, seed in asked if asked_task == task}
        if others := {number // _SEEDS_APART for number in store.seeds(task)} - seeds:
            raise BenchError(f"{out} holds {task} of seed {min(others)}, which is not asked for; choose another --out")
    wanted = [(task, seed) for task, seed in asked if seed * _SEEDS_APART not in store.seeds(task)]
    if not wanted:
        return store.path
    world = LookingWorld(cameras)
    planner = MotionPlanner(world.robot, MotionConfig())
    for task, seed in wanted:
        world.looks.clear()
        try:
            episode = demonstrate(world, planner, task, seed)
        except DemonstrationFailed as failure:
            log.warning("%s; left out", failure)
            continue
        # After its shortened ones: where it is, they are.
        for number, begun in enumerate(_begun(episode, world.looks), 1):
            store.write(from_time_zero(begun), seed * _SEEDS_APART + number)
        store.write(from_time_zero(episode), seed * _SEEDS_APART)
    world.close()
    return store.path


def _task_and_seed(source: str) -> tuple[str, int]:
    task, separator, seed = source.rpartition("-seed")
    if not separator or not seed.isdecimal():
        raise BenchError(f"{source} is not made again from a seed; it takes recordings of `record --world tabletop`")
    return task, int(seed)


def _begun(episode: Episode, looks: list[Keyframe]) -> list[Episode]:
    """The episode from the middle of the motions on that carry out a decision."""
    keyframes = episode.keyframes
    kinds = frame_kinds(
        np.array([keyframe.pose for keyframe in keyframes]),
        np.array([keyframe.gripper_open for keyframe in keyframes]),
    )
    # Before the first keyframe there may have been a mishap, whose motions are nobody's.
    seen = looks[-len(kinds) :]
    return [
        replace(episode, keyframes=(seen[t], *keyframes[t + 1 :]), source=f"{episode.source}, on the way to {t + 1}")
        for t, kind in enumerate(kinds)
        if kind.decides_object
    ]


def _half(trajectory: JointTrajectory, start: float) -> JointTrajectory:
    """Half of a motion from a share of its duration on, at rest at both ends and no faster."""
    count = len(trajectory.times)
    lasts = 0.75 * trajectory.duration  # at its fastest it is as fast as the whole is there
    times = np.linspace(0.0, lasts, max(count, 3))
    passed = times / lasts
    shares = start + 0.5 * passed * passed * (3.0 - 2.0 * passed)
    asked = trajectory.times[0] + shares * trajectory.duration
    positions = np.stack([np.interp(asked, trajectory.times, column) for column in trajectory.positions.T], axis=1)
    velocities = np.gradient(positions, times, axis=0)
    velocities[[0, -1]] = 0.0
    return JointTrajectory(trajectory.joint_names, times, positions, velocities, np.gradient(velocities, times, axis=0))
