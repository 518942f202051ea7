"""What it costs to keep away from a cloud: ways to know distances to its points, and plans with and without it.

``cpu_s`` is the median of one call, ``cpu_p99_s`` its 99th percentile; ``refused`` counts plans that were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import mujoco
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree

from mini_diffuser_ros.bench.benchmark import Benchmark, at_least, several
from mini_diffuser_ros.bench.resources import Reading
from mini_diffuser_ros.geometry import top_down_quaternion
from mini_diffuser_ros.motion import MotionConfig, MotionPlanner, MotionRefused
from mini_diffuser_ros.motion.collision import NOTHING
from mini_diffuser_ros.motion.model import planning_model
from mini_diffuser_ros.motion.surroundings import ShapeDistances, Surroundings
from mini_diffuser_ros.records import JointTrajectory
from mini_diffuser_ros.robots import load_robot

Array = NDArray[np.float64]
LOWER, UPPER = np.array([0.15, -0.6, 0.02]), np.array([0.85, 0.6, 0.92])
SPHERES = 60  # that hold the shapes of an arm, for the ways that know points alone
CALLS = 30  # of each way


@dataclass(frozen=True, kw_only=True)
class SurroundingsSetting:
    """How much.

    Attributes:
        points: of the cloud.
        plans: with six objects on the table, each made with and without them; for the first number of points alone.
        seed: of everything.
    """

    points: int = several(500, 2000, 4000)
    plans: int = at_least(1, 200)
    seed: int = at_least(0, 0)


@dataclass(frozen=True)
class SurroundingsRow:
    """One line of output."""

    config: str
    points: int
    calls: int
    cpu_s: float
    cpu_p99_s: float
    refused: int = 0


def run(settings: Sequence[SurroundingsSetting]) -> Iterator[SurroundingsRow]:
    """The ways for each number of points, then the plans of both robots."""
    for setting in settings:
        yield from _ways(setting)
    for robot in ("panda", "fr3"):
        yield from _plans(robot, settings[0])


def _ways(setting: SurroundingsSetting) -> Iterator[SurroundingsRow]:
    generator = np.random.default_rng(setting.seed)
    points = generator.uniform(LOWER, UPPER, (setting.points, 3)).astype(np.float32)
    robot = load_robot("fr3")
    model = planning_model(robot, MotionConfig())
    data = mujoco.MjData(model)
    data.qpos[:] = robot.home
    mujoco.mj_kinematics(model, data)
    shapes = ShapeDistances(model, np.flatnonzero(model.geom_type != mujoco.mjtGeom.mjGEOM_PLANE))
    yield _timed("exact distances of all shapes", setting, lambda: shapes(data, points))
    for voxel in (0.01, 0.02):
        free = np.ones(np.ceil((UPPER - LOWER) / voxel).astype(int) + 1, dtype=bool)
        free[tuple(((points - LOWER) / voxel).astype(int).T)] = False
        build = f"distance field of {voxel * 100:.0f} cm voxels, built"
        yield _timed(build, setting, partial(distance_transform_edt, free, voxel))
    tree = cKDTree(points)
    centers = generator.uniform(LOWER, UPPER, (SPHERES, 3))
    yield _timed("k-d tree, built", setting, lambda: cKDTree(points))
    yield _timed(f"k-d tree, {SPHERES} spheres asked for", setting, lambda: tree.query(centers))


def _timed(config: str, setting: SurroundingsSetting, call: Callable[[], object]) -> SurroundingsRow:
    times = []
    for _ in range(CALLS):
        began = Reading.now()
        call()
        times.append((Reading.now() - began).cpu_s)
    return SurroundingsRow(config, setting.points, CALLS, *_percentiles(times))


def _plans(name: str, setting: SurroundingsSetting) -> Iterator[SurroundingsRow]:
    generator, robot = np.random.default_rng(setting.seed), load_robot(name)
    planner = MotionPlanner(robot)
    times: dict[str, list[float]] = {"without": [], "with": []}
    refused = dict.fromkeys(times, 0)
    start = np.array(robot.home)
    for _ in range(setting.plans):
        seen = planner.surroundings(_objects(generator), start)
        place = generator.uniform((0.35, -0.3, 0.08), (0.65, 0.3, 0.3))
        pose = np.concatenate([place, top_down_quaternion(generator.uniform(-1.5, 1.5))])
        for kind, surroundings in (("without", NOTHING), ("with", seen)):
            began = Reading.now()
            planned = _planned(planner, start, pose, surroundings)
            times[kind].append((Reading.now() - began).cpu_s)
            refused[kind] += planned is None
        if planned is not None:
            start = planned.positions[-1]
    for kind, values in times.items():
        config = f"{name}, plan {kind} six objects"
        yield SurroundingsRow(config, len(seen.points), setting.plans, *_percentiles(values), refused[kind])


def _planned(planner: MotionPlanner, start: Array, pose: Array, seen: Surroundings) -> JointTrajectory | None:
    try:
        return planner.plan(start, pose, surroundings=seen)
    except MotionRefused:
        return None


def _objects(generator: np.random.Generator) -> NDArray[np.float32]:
    """Points of six cubes of 5 cm on the table."""
    places = [np.append(generator.uniform((0.35, -0.3), (0.65, 0.3)), 0.025) for _ in range(6)]
    cubes = [place + generator.uniform(-0.025, 0.025, (150, 3)) for place in places]
    return np.concatenate(cubes).astype(np.float32)


def _percentiles(times: Sequence[float]) -> tuple[float, float]:
    middle, high = np.percentile(times, [50, 99])
    return float(middle), float(high)


BENCHMARK = Benchmark(SurroundingsSetting, run, __doc__)
