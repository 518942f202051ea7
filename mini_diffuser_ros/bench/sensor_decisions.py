"""Single decisions along the expert's course, seen by cameras with errors: a quick look before ``bench sensor``.

    mini-diffuser bench sensor-decisions models/tabletop --sensors "perfect,d435,d435 scale=2" \\
        --fusion "level_reach=0.06 table_spreads=3"

The expert solves each layout; what exact cameras saw before each of its keyframes gets the errors of each sensor, and
the policy decides once from it. A decision is right if it is within 15 mm of the expert's and has its gripper and end.
Held-out sentences, 32 hypotheses, 5 steps. Calibrations, brightness and offsets are those of the layout's seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from mini_diffuser_ros.bench.benchmark import Benchmark, at_least, positional
from mini_diffuser_ros.bench.errors import BenchError
from mini_diffuser_ros.evaluation import wilson_interval
from mini_diffuser_ros.motion import MotionConfig, MotionPlanner
from mini_diffuser_ros.perception import FusionConfig, fuse_views
from mini_diffuser_ros.policy import Policy, load_policy, tune_cpu
from mini_diffuser_ros.records import CameraView
from mini_diffuser_ros.robots import RobotDescription
from mini_diffuser_ros.simulation import TASKS, TabletopWorld, load_templates
from mini_diffuser_ros.simulation.episode import run_expert
from mini_diffuser_ros.simulation.sensor import SensorModel, Sensors, sensor_of
from mini_diffuser_ros.simulation.sentences import fill
from mini_diffuser_ros.support.settings import unknown_name, with_words

RIGHT = 0.015
"""Metres from the expert's keyframe within which a decision is right."""
SAMPLES, STEPS = 32, 5


@dataclass(frozen=True, kw_only=True)
class DecisionsSetting:
    """What is decided with which errors.

    Attributes:
        checkpoint: directory of the policy.
        sensors: errors of the cameras, each as 'd435 scale=2'.
        cameras: names of those that there are, with + between them; empty is all.
        fusion: changes of the fusion that the policy was trained with, as 'level_reach=0.06 table_spreads=3'.
        layouts: of each task.
        seed: of the first layout.
    """

    checkpoint: str = positional()
    sensors: tuple[str, ...] = ("perfect", "d435")
    cameras: str = ""
    fusion: str = ""
    layouts: int = at_least(1, 3)
    seed: int = at_least(0, 310000)


@dataclass(frozen=True, eq=False)
class ExpertInstant:
    """What exact cameras see before a keyframe of the expert, and the keyframe.

    Attributes:
        task: its task.
        seed: of the layout.
        number: of the keyframe.
        sentence: a held-out one.
        views: of all cameras.
        joints: joint name to position.
        pose: (7,) of the keyframe.
        gripper_open: after it.
        ends: whether it is the last.
    """

    task: str
    seed: int
    number: int
    sentence: str
    views: tuple[CameraView, ...]
    joints: Mapping[str, float]
    pose: NDArray[np.floating]
    gripper_open: bool
    ends: bool


@dataclass(frozen=True)
class DecisionsRow:
    """How many decisions are right.

    Attributes:
        sensor, cameras: of the row.
        decisions: how many were made.
        right: share of them.
        low, high: 95 % interval of the share, Wilson's.
        median_mm: distance from the expert's keyframes.
    """

    sensor: str
    cameras: int
    decisions: int
    right: float
    low: float
    high: float
    median_mm: float


def instants(layouts: int, seed: int) -> tuple[list[ExpertInstant], RobotDescription]:
    """The expert's course on each layout of each task, and the robot."""
    templates = load_templates()
    found = []
    with closing(TabletopWorld()) as world:
        planner = MotionPlanner(world.robot, MotionConfig())
        for task in TASKS:
            for each in range(seed, seed + layouts):
                goal = world.reset(task, each)
                held_out = templates[task].held_out
                sentence = fill(held_out[each % len(held_out)], goal.slots)
                views = world.views()
                joints: Mapping[str, float] = world.joint_positions()
                keyframes = run_expert(world, planner)
                for number, reached in enumerate(keyframes):
                    ends = number == len(keyframes) - 1
                    what = (task, each, number, sentence, views, joints)
                    found.append(ExpertInstant(*what, reached.pose, reached.gripper_open, ends))
                    views, joints = reached.views, reached.joint_positions
        return found, world.robot


def measure_decisions(settings: Sequence[DecisionsSetting]) -> Iterator[DecisionsRow]:
    """One row a sensor."""
    tune_cpu(threads=1)
    for setting in settings:
        models = [sensor_of(line, "command line") for line in setting.sensors]
        policy = load_policy(setting.checkpoint)
        fusion = with_words(policy.fusion or FusionConfig(), setting.fusion.split(), "command line", "fusion")
        seen, robot = instants(setting.layouts, setting.seed)
        known = [view.name for view in seen[0].views]
        names = setting.cameras.split("+") if setting.cameras else known
        if unknown := [name for name in names if name not in known]:
            raise BenchError(unknown_name(unknown[0], known, "camera"))
        for model in models:
            bar = tqdm(seen, desc=str(model), unit="decision")
            judged = [_judged(policy, one, model, names, fusion, robot) for one in bar]
            right = sum(good for good, _ in judged)
            middle = float(np.median([1e3 * distance for _, distance in judged]))
            interval = wilson_interval(right, len(judged))
            yield DecisionsRow(str(model), len(names), len(judged), right / len(judged), *interval, middle)


def _judged(
    policy: Policy,
    one: ExpertInstant,
    model: SensorModel,
    names: Sequence[str],
    fusion: FusionConfig,
    robot: RobotDescription,
) -> tuple[bool, float]:
    """Whether the most probable mode is right, and its distance in metres."""
    drawn, noise = np.random.default_rng(one.seed), np.random.default_rng([one.seed, one.number])
    sensors = Sensors(model, [view.name for view in one.views], drawn, noise)
    views = [sensors.measured(view) for view in one.views if view.name in names and view.name not in sensors.missing]
    cloud = fuse_views(views, fusion, robot, one.joints)
    mode = policy.decide(cloud, one.sentence, samples=SAMPLES, steps=STEPS, seed=0)[0]
    distance = float(np.linalg.norm(mode.pose[:3] - one.pose[:3]))
    return distance < RIGHT and (mode.gripper_open, mode.terminate) == (one.gripper_open, one.ends), distance


BENCHMARK = Benchmark(DecisionsSetting, measure_decisions, __doc__)
