"""A hand-sized box is put into the way of motions, where the cameras can see it: does the arm touch it?

Simulated time, three rendered cameras, the same fusion, watch and braking as on the arm. The arm follows its
trajectories exactly; a cloud arrives ``latency`` seconds after its images. In a third of the motions the box stands in
the way before the motion is planned, in the others it appears while the arm moves, on what is left of its path and at
least ``gap`` from the arm: nothing can keep away from what appears closer than it can stop. After a stop the arm looks
and plans again. Distances are MuJoCo's own between shapes of the arm and the box, every 5 ms.

With ``silence`` all cameras that show the box but the one that shows the least of it fall silent before the arm plans
with the box in its way, and it plans only when no cloud in which they had a part is young any more.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from xml.etree import ElementTree

import mujoco
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from mini_diffuser_ros.bench.benchmark import Benchmark, at_least
from mini_diffuser_ros.geometry import top_down_quaternion
from mini_diffuser_ros.motion import MotionConfig, MotionPlanner, MotionRefused, interpolate
from mini_diffuser_ros.motion.braking import braking_trajectory
from mini_diffuser_ros.motion.retiming import PacedTrajectory
from mini_diffuser_ros.perception import FusionConfig, fuse_views
from mini_diffuser_ros.perception.seen_places import SeenPlaces
from mini_diffuser_ros.records import CameraView, Cloud, JointTrajectory
from mini_diffuser_ros.robots import load_robot, robot_mjcf
from mini_diffuser_ros.running.obstacle_watch import REMEMBERED, ObstacleWatch
from mini_diffuser_ros.sensing.camera_monitor import SyncConfig
from mini_diffuser_ros.simulation.cameras import tabletop_cameras
from mini_diffuser_ros.simulation.rendering import RayRenderer
from mini_diffuser_ros.simulation.scene import compile_scene
from mini_diffuser_ros.support.cancellation import CancellationToken, InterruptionError

Array = NDArray[np.float64]

HALF = (0.04, 0.05, 0.09)  # metres, of a hand
FAR_AWAY = (3.0, 0.0, -2.0)
STEP = 0.005  # seconds
IMAGE = (128, 128)
ATTEMPTS = 3  # looks and plans a keyframe
LOWER, UPPER = (0.35, -0.3, 0.12), (0.65, 0.3, 0.35)  # of the tool at the ends of a motion
APART = 0.4  # metres between them
FREE_GOAL = 0.05  # metres that the box leaves the arm at its goal
BLOCKED, STALE = 1, 2


@dataclass(frozen=True, kw_only=True)
class BoxInTheWaySetting:
    """How often, how fast, how late.

    Attributes:
        motions: number of motions.
        tool_speed: m/s.
        rate: clouds a second.
        latency: seconds from images to cloud.
        gap: metres from the arm at which the box appears at least.
        silence: whether the cameras that see the box fall silent.
        seed: of everything.
    """

    motions: int = at_least(1, 200)
    tool_speed: float = 0.25
    rate: float = 15.0
    latency: float = 0.08
    gap: float = 0.1
    silence: bool = False
    seed: int = at_least(0, 0)


@dataclass(frozen=True)
class BoxInTheWayRow:
    """What became of the motions; distances in metres, times in seconds."""

    motions: int
    contacts: int
    silenced: int
    nearest: float
    nearest_p50: float
    braked: int
    reached: int
    refused: int
    plan_p50_s: float
    plan_p99_s: float
    passed: bool


@dataclass(eq=False)
class _Cell:
    """Arm, cameras and a box that can be put anywhere, in simulated time."""

    rate: float
    latency: float
    time: float = 0.0
    positions: dict[float, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.robot = load_robot("panda")
        body = ElementTree.Element("body", name="box", mocap="true", pos=" ".join(map(str, FAR_AWAY)))
        ElementTree.SubElement(
            body, "geom", name="box", type="box", size=" ".join(map(str, HALF)), rgba="0.8 0.5 0.4 1"
        )
        self.cameras = tabletop_cameras(self.robot)
        self.model = compile_scene(robot_mjcf(self.robot), self.cameras, [body])
        self.data = mujoco.MjData(self.model)
        self.renderer = RayRenderer()
        links = {link.name for link in self.robot.links if link.name != self.robot.base_frame}
        names = [self.model.body(index).name for index in self.model.geom_bodyid]
        self.shapes = [geom for geom, name in enumerate(names) if name in links]
        self.box = self.model.geom("box").id
        self.fusion = FusionConfig()
        self.memory = SeenPlaces([camera.name for camera in self.cameras])
        self.silent: set[str] = set()
        self.awaited = 0.0  # time until which clouds wait for cameras that have fallen silent
        self.due: list[Cloud] = []
        self.next_image = 0.0
        self.place(self.robot.home)

    def place(self, positions: Array) -> None:
        """Put the arm at (J,) radians, fingers open."""
        self.at = np.asarray(positions)
        for name, position in zip(self.robot.arm_joint_names, positions, strict=True):
            self.data.joint(name).qpos = position
        for name in self.robot.finger_joint_names:
            self.data.joint(name).qpos = self.robot.finger_position_limits[1]
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_comPos(self.model, self.data)

    def put_box(self, center: Sequence[float] | Array) -> None:
        """Put the box there."""
        self.data.mocap_pos[0] = center
        mujoco.mj_kinematics(self.model, self.data)

    def distance(self) -> float:
        """Metres between arm and box."""
        return min(mujoco.mj_geomDistance(self.model, self.data, shape, self.box, 1.0, None) for shape in self.shapes)

    def advance(self, watch: ObstacleWatch) -> None:
        """One step of time; images are taken and clouds arrive as they are due."""
        self.time += STEP
        if self.time >= self.next_image:
            self.next_image += 1.0 / self.rate
            if self.time >= self.awaited:
                self.due.append(self.look())
        while self.due and self.time >= self.due[0].stamp + self.latency:
            watch.take(self.due.pop(0))

    def look(self) -> Cloud:
        """What the cameras see now and have seen where they cannot look any more, the robot taken out."""
        self.positions[self.time] = self.at
        views = self._views()
        joints = {name: float(self.data.joint(name).qpos[0]) for name in self._joint_names()}
        cloud = fuse_views(views, self.fusion, self.robot, joints)
        remembered = self.memory.update(cloud.points, views, self.robot.tcp_pose(self.at)[:3, 3])
        points = np.concatenate([cloud.points, remembered])
        return Cloud(points, np.zeros((len(points), 3), np.uint8), cloud.frame, cloud.stamp)

    def silence(self) -> bool:
        """Have the cameras that show the box fall silent but the one that shows the least of it; whether any does."""
        lower, upper = (self.data.mocap_pos[0] + sign * (np.array(HALF) + 0.01) for sign in (-1.0, 1.0))
        shown = {}
        for view in self._views():
            points = fuse_views([view], self.fusion).points
            shown[view.name] = int(np.all((points > lower) & (points < upper), axis=1).sum())
        least = min(shown, key=shown.__getitem__)
        self.silent = {name for name, count in shown.items() if count and name != least}
        if self.silent:
            self.awaited = self.time + SyncConfig().stale_after
        return bool(self.silent)

    def _views(self) -> list[CameraView]:
        """Of the cameras that deliver."""
        mujoco.mj_camlight(self.model, self.data)
        views = []
        for mount in self.cameras:
            if mount.name in self.silent:
                continue
            color, depth = self.renderer.render(self.model, self.data, mount.name, *IMAGE)
            parent = self.data.body(mount.parent)
            base_from_parent = np.eye(4)
            base_from_parent[:3, :3], base_from_parent[:3, 3] = parent.xmat.reshape(3, 3), parent.xpos
            pose = base_from_parent @ mount.parent_from_camera
            views.append(CameraView(mount.name, color, depth, mount.intrinsics(*IMAGE), pose, self.time))
        return views

    def positions_at(self, stamp: float) -> Mapping[str, float]:
        """As an ObstacleWatch asks for it."""
        return dict(zip(self.robot.arm_joint_names, map(float, self.positions[stamp]), strict=True))

    def _joint_names(self) -> tuple[str, ...]:
        return (*self.robot.arm_joint_names, *self.robot.finger_joint_names)


class _Joints:
    """The cell's arm, as an ObstacleWatch asks for it."""

    def __init__(self, cell: _Cell) -> None:
        self._cell = cell
        self.positions_at = cell.positions_at

    def positions(self) -> Array:
        return self._cell.at


class _Outcome(NamedTuple):
    nearest: float
    braked: bool
    reached: bool
    silenced: bool


def run(settings: Sequence[BoxInTheWaySetting]) -> Iterator[BoxInTheWayRow]:
    """One row for each setting."""
    for setting in settings:
        yield _run(setting)


def _run(setting: BoxInTheWaySetting) -> BoxInTheWayRow:
    config = MotionConfig(max_tool_speed=setting.tool_speed, velocity_scaling=1.0)
    cell = _Cell(setting.rate, setting.latency)
    planner, looking = MotionPlanner(cell.robot, config), MotionPlanner(cell.robot, config)
    watch = ObstacleWatch(looking, _Joints(cell), 1.0, BLOCKED, STALE, now=lambda: cell.time)
    generator = np.random.default_rng(setting.seed)
    plan_times: list[float] = []
    outcomes = [
        _motion(cell, planner, watch, generator, setting, early=number % 3 == 0, plan_times=plan_times)
        for number in tqdm(range(setting.motions), desc="motions")
    ]
    nearest = np.array([outcome.nearest for outcome in outcomes])
    contacts = int((nearest <= 0.0).sum())
    reached = sum(outcome.reached for outcome in outcomes)
    return BoxInTheWayRow(
        motions=len(outcomes),
        contacts=contacts,
        silenced=sum(outcome.silenced for outcome in outcomes),
        nearest=float(nearest.min()),
        nearest_p50=float(np.median(nearest)),
        braked=sum(outcome.braked for outcome in outcomes),
        reached=reached,
        refused=len(outcomes) - reached,
        plan_p50_s=float(np.percentile(plan_times, 50)),
        plan_p99_s=float(np.percentile(plan_times, 99)),
        passed=contacts == 0,
    )


def _motion(
    cell: _Cell,
    planner: MotionPlanner,
    watch: ObstacleWatch,
    generator: np.random.Generator,
    setting: BoxInTheWaySetting,
    early: bool,
    plan_times: list[float],
) -> _Outcome:
    """One motion between two places, with the box put into its way."""
    cell.put_box(FAR_AWAY)
    # Another scene: what was seen of the last one is nothing to remember.
    watch.released()
    cell.memory.forget()
    cell.silent = set()
    goal, direct, box, appears = _obstructed(cell, planner, generator, setting.gap, early)
    cell.place(direct.positions[0])
    nearest, braked = np.inf, False
    if early:
        cell.put_box(box)
    for attempt in range(ATTEMPTS):
        _rest(cell, watch, cell.latency + 2.0 / cell.rate)
        if setting.silence and not cell.silent and (early or attempt) and cell.silence():
            _rest(cell, watch, SyncConfig().stale_after + cell.latency + REMEMBERED + 2.0 / cell.rate)
        began = time.perf_counter()
        try:
            trajectory = planner.plan(cell.at, goal, surroundings=watch.surroundings())
        except MotionRefused:
            plan_times.append(time.perf_counter() - began)
            return _Outcome(nearest, braked, reached=False, silenced=bool(cell.silent))
        plan_times.append(time.perf_counter() - began)
        token = CancellationToken()
        with watch.ahead_of(trajectory, token):
            closest, stopped = _follow(cell, planner, watch, trajectory, token, box, appears)
        appears = np.inf
        nearest, braked = min(nearest, closest), braked or stopped
        if not stopped:
            return _Outcome(nearest, braked, reached=True, silenced=bool(cell.silent))
    return _Outcome(nearest, braked, reached=False, silenced=bool(cell.silent))


def _rest(cell: _Cell, watch: ObstacleWatch, seconds: float) -> None:
    """Let time pass."""
    for _ in range(int(seconds / STEP)):
        cell.place(cell.at)
        cell.advance(watch)


def _follow(
    cell: _Cell,
    planner: MotionPlanner,
    watch: ObstacleWatch,
    trajectory: JointTrajectory,
    token: CancellationToken,
    box: Array,
    appears: float,
) -> tuple[float, bool]:
    """Follow, and brake when interrupted: the least distance on the way, and whether it braked."""
    began, nearest, braking = cell.time, np.inf, False
    while cell.time - began < trajectory.duration + STEP:
        elapsed = cell.time - began
        if not braking and elapsed >= appears:
            cell.put_box(box)
            appears = np.inf
        cell.place(interpolate(trajectory, elapsed)[0])
        nearest = min(nearest, cell.distance())
        cell.advance(watch)
        if not braking and _interrupted(token):
            stop = braking_trajectory(planner, PacedTrajectory.of(trajectory), elapsed)
            trajectory, braking = _joined(trajectory, elapsed, stop), True
    return nearest, braking


def _joined(trajectory: JointTrajectory, elapsed: float, stop: JointTrajectory) -> JointTrajectory:
    """The trajectory up to where the stop begins, and the stop."""
    times = stop.times + elapsed
    before = trajectory.times < times[0] - 1e-6
    return JointTrajectory(
        trajectory.joint_names,
        np.concatenate([trajectory.times[before], times]),
        np.concatenate([trajectory.positions[before], stop.positions]),
        np.concatenate([trajectory.velocities[before], stop.velocities]),
        np.concatenate([trajectory.accelerations[before], stop.accelerations]),
    )


def _interrupted(token: CancellationToken) -> bool:
    try:
        token.check()
    except InterruptionError:
        return True
    return False


def _obstructed(
    cell: _Cell, planner: MotionPlanner, generator: np.random.Generator, gap: float, early: bool
) -> tuple[Array, JointTrajectory, Array, float]:
    """A goal (7,), the way there while nothing is in it, a place (3,) on that way, and when the box appears there."""
    while True:
        poses = [
            np.concatenate([generator.uniform(LOWER, UPPER), top_down_quaternion(generator.uniform(-1.0, 1.0))])
            for _ in range(2)
        ]
        if np.linalg.norm(poses[0][:3] - poses[1][:3]) < APART:
            continue
        try:
            start = planner.plan(cell.robot.home, poses[0]).positions[-1]
            direct = planner.plan(start, poses[1])
        except MotionRefused:
            continue
        fraction = generator.uniform(0.3, 0.7)
        center = cell.robot.tcp_pose(interpolate(direct, fraction * direct.duration)[0])[:3, 3]
        box = center + generator.normal(0.0, 0.03, 3)
        box[2] = max(box[2], HALF[2])
        appears = 0.0 if early else float(generator.uniform(0.0, fraction) * direct.duration)
        from_there = _distance_from(cell, interpolate(direct, appears)[0], box)
        if from_there >= gap and _distance_from(cell, direct.positions[-1], box) >= FREE_GOAL:
            return poses[1], direct, box, appears


def _distance_from(cell: _Cell, positions: Array, box: Array) -> float:
    """Metres between the arm at (J,) and the box there, which is put away again."""
    cell.put_box(box)
    cell.place(positions)
    distance = cell.distance()
    cell.put_box(FAR_AWAY)
    return distance


BENCHMARK = Benchmark(BoxInTheWaySetting, run, __doc__, passed=lambda row: row.passed)
