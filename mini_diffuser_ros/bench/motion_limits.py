"""Random and adversarial keyframes: is every accepted trajectory within the maker's limits, and free?

Accepted trajectories are sampled a thousand times a second, as a controller interpolates them, and held against
Franka's published numbers, written down here once more with kinematics and polynomials of their own: nothing is shared
with the planner. Contacts are MuJoCo's own between the shapes of the arm, and with the table and the boxes that stand
on it, a hundred times a second. The planner knows those boxes by a cloud alone, new for every keyframe and filtered as
on the arm; they keep the distances of a cloud from the start and from a pose that is known to be reachable, and from
the tool at both, where a grasp could touch them. Starts are the last goal, or random, a seventh of them a little
outside the limits. A pose is known to be reachable when it is that of joint positions with all clearances. Times are
those of planning, CPU seconds; that of filtering the cloud is a column of its own.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from mini_diffuser_ros.bench.benchmark import Benchmark, at_least
from mini_diffuser_ros.bench.cluttered_table import ClutteredTable
from mini_diffuser_ros.geometry import pose_from_matrix
from mini_diffuser_ros.motion import MotionConfig, MotionPlanner, MotionRefused
from mini_diffuser_ros.motion.collision import CollisionChecker
from mini_diffuser_ros.motion.model import planning_model
from mini_diffuser_ros.motion.profiles import load_profile
from mini_diffuser_ros.records import JointTrajectory
from mini_diffuser_ros.robots import RobotDescription, load_robot
from mini_diffuser_ros.support.workers import map_in_workers

Array = NDArray[np.float64]

PERIOD = 0.001  # seconds
CONTACT_EVERY = 10  # periods
LEAST_SEGMENT = 4  # samples that differences of third order take
GOAL_ERROR = 1e-4  # metres
ROUNDING = 1e-9
SHARE = 100  # keyframes that a process is given at a time
SEEN_WITHIN = 0.005  # metres, about, that points of a cloud miss surfaces by


@dataclass(frozen=True)
class _Maker:
    """Numbers of Franka's documentation for one arm; curves are (offset, 2 deceleration, lower, upper)."""

    lower: Array
    upper: Array
    velocity: Array
    acceleration: Array
    jerk: Array
    curves: tuple[tuple[Array, Array, Array, Array], ...] = ()
    tool: tuple[float, float, float] = (3.0, 9.0, 4500.0)


def _row(*numbers: float) -> Array:
    return np.array(numbers)


_DECELERATION = _row(12.0, 5.17, 7.0, 8.0, 34.0, 11.0, 34.0)
_FR3_UPPER = _row(2.7501, 1.7918, 2.9065, -0.1458, 2.8101, 4.5205, 3.0196)
_FR3_LOWER = _row(-2.7501, -1.7918, -2.9065, -3.0481, -2.8101, 0.54092, -3.0196)
_FR3_UPPER_2026 = _row(2.9007, 1.8361, 2.9007, -0.1169, 2.8763, 4.6216, 3.0508)
_FR3_LOWER_2026 = _row(-2.9007, -1.8361, -2.9007, -3.0481, -2.8763, 0.54092, -3.0508)
MAKERS = {
    "panda": _Maker(
        lower=_row(-2.8973, -1.7628, -2.8973, -3.0718, -2.8973, -0.0175, -2.8973),
        upper=_row(2.8973, 1.7628, 2.8973, -0.0698, 2.8973, 3.7525, 2.8973),
        velocity=_row(2.175, 2.175, 2.175, 2.175, 2.61, 2.61, 2.61),
        acceleration=_row(15.0, 7.5, 10.0, 12.5, 15.0, 20.0, 20.0),
        jerk=_row(7500.0, 3750.0, 5000.0, 6250.0, 7500.0, 10000.0, 10000.0),
    ),
    "fr3": _Maker(
        lower=np.maximum(_FR3_LOWER, _FR3_LOWER_2026),
        upper=np.minimum(_FR3_UPPER, _FR3_UPPER_2026),
        velocity=_row(2.62, 2.62, 2.62, 2.62, 5.26, 4.18, 5.26),
        acceleration=np.full(7, 10.0),
        jerk=np.full(7, 5000.0),
        curves=(
            (_row(0.3, 0.2, 0.2, 0.3, 0.35, 0.35, 0.35), _DECELERATION, _FR3_LOWER, _FR3_UPPER),
            (
                _row(0.6599, 0.2517, 0.2, 0.3533, 0.5757, 0.4878, 0.4628),
                _DECELERATION,
                _FR3_LOWER_2026,
                _FR3_UPPER_2026,
            ),
        ),
    ),
}

# Denavit and Hartenberg's a, d and alpha after Craig, of seven joints; then flange, hand and tool.
_TABLE = (
    (0.0, 0.333, 0.0),
    (0.0, 0.0, -np.pi / 2.0),
    (0.0, 0.316, np.pi / 2.0),
    (0.0825, 0.0, np.pi / 2.0),
    (-0.0825, 0.384, -np.pi / 2.0),
    (0.0, 0.0, np.pi / 2.0),
    (0.088, 0.0, np.pi / 2.0),
)
_FLANGE, _TOOL, _HAND_TURN = 0.107, 0.1034, -np.pi / 4.0


@dataclass(frozen=True, kw_only=True)
class MotionLimitsSetting:
    """How many, of what.

    Attributes:
        keyframes: number of keyframes an arm.
        objects: boxes on the table, at most, that the planner knows by a cloud; 0 for none.
        workers: processes.
        seed: of everything.
    """

    keyframes: int = at_least(1, 1000)
    objects: int = at_least(0, 5)
    workers: int = at_least(1, 1)
    seed: int = at_least(0, 0)


@dataclass(frozen=True)
class MotionLimitsRow:
    """One arm and profile; times in seconds, speeds in m/s, the goal's error in metres."""

    arm: str
    profile: str
    keyframes: int
    accepted: int
    violations: int
    worst: str
    refusal: str
    contacts: int
    goal_error: float
    reachable: int
    reachable_refused: float
    plan_p50_cpu_s: float
    plan_p99_cpu_s: float
    cloud_p50_cpu_s: float
    tool_speed: float
    flange_speed: float
    elbow_speed: float
    passed: bool


@dataclass(frozen=True)
class _Share:
    """Some of the keyframes of one arm and profile."""

    arm: str
    profile: str
    count: int
    objects: int
    seed: tuple[int, ...]


@dataclass(eq=False)
class _Tally:
    """What is counted of keyframes."""

    accepted: int = 0
    violations: int = 0
    worst: str = ""
    refusal: str = ""
    contacts: int = 0
    goal_error: float = 0.0
    reachable: int = 0
    refused: int = 0
    times: list[float] = field(default_factory=list)
    cloud_times: list[float] = field(default_factory=list)
    speeds: Array = field(default_factory=lambda: np.zeros(3))

    def add(self, other: _Tally) -> None:
        """Count what the other has counted too."""
        for name in ("accepted", "violations", "contacts", "reachable", "refused", "times", "cloud_times"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.worst, self.refusal = self.worst or other.worst, self.refusal or other.refusal
        self.goal_error = max(self.goal_error, other.goal_error)
        self.speeds = np.maximum(self.speeds, other.speeds)


def run(settings: Sequence[MotionLimitsSetting]) -> Iterator[MotionLimitsRow]:
    """A row for each arm and profile; an arm's keyframes are shared out among its profiles."""
    for setting in settings:
        shares = list(_shares(setting))
        progress = tqdm(total=sum(share.count for share in shares), desc="keyframes")
        tallies: dict[tuple[str, str], _Tally] = {}
        for share, counted in zip(shares, map_in_workers(_tally, shares, setting.workers), strict=True):
            tallies.setdefault((share.arm, share.profile), _Tally()).add(counted)
            progress.update(share.count)
        for (arm, profile), tally in tallies.items():
            yield _row_of(arm, profile, tally)


def _shares(setting: MotionLimitsSetting) -> Iterator[_Share]:
    for arm in MAKERS:
        for number, profile in enumerate(("collaborative", "simulation", "fast")):
            left = (setting.keyframes + 2 - number) // 3
            for part, count in enumerate([SHARE] * (left // SHARE) + [left % SHARE]):
                if count:
                    yield _Share(arm, profile, count, setting.objects, (setting.seed, number, len(arm), part))


def _tally(share: _Share) -> _Tally:
    """Plans to the keyframes of a share, and judges what is accepted."""
    generator = np.random.default_rng(share.seed)
    robot, config = load_robot(share.arm), load_profile(share.profile)
    planner, draw = MotionPlanner(robot, config), _Draw(robot, config, generator)
    table, tally = ClutteredTable(robot, share.objects), _Tally()
    obstacles = config.obstacles
    gap = max(obstacles.clearance, obstacles.robot_margin) + SEEN_WITHIN
    start = robot.home
    for _ in range(share.count):
        if generator.random() < 0.3:
            start = draw.start()
        pose, joints = draw.pose()
        known = [start] if joints is None else [start, joints]
        table.clutter(generator, known, [robot.tcp_pose(start)[:3, 3], pose[:3]], gap, obstacles.grasp_radius + gap)
        cloud = table.cloud(generator)
        began = time.process_time()
        seen = planner.surroundings(cloud, start)
        ready = time.process_time()
        tally.cloud_times.append(ready - began)
        try:
            trajectory = planner.plan(start, pose, surroundings=seen)
        except MotionRefused as refusal:
            trajectory = None
            if joints is not None:
                tally.refusal = str(refusal)
        tally.times.append(time.process_time() - ready)
        tally.reachable += joints is not None
        tally.refused += joints is not None and trajectory is None
        if trajectory is not None:
            tally.accepted += 1
            _judge(trajectory, pose, MAKERS[share.arm], config, table, tally)
            start = trajectory.positions[-1]
    return tally


def _row_of(arm: str, profile: str, tally: _Tally) -> MotionLimitsRow:
    refused = tally.refused / max(tally.reachable, 1)
    p50, p99 = np.percentile(tally.times, (50, 99))
    good = tally.violations == 0 and tally.contacts == 0 and tally.goal_error <= GOAL_ERROR
    return MotionLimitsRow(
        arm=arm,
        profile=profile,
        keyframes=len(tally.times),
        accepted=tally.accepted,
        violations=tally.violations,
        worst=tally.worst,
        refusal=tally.refusal,
        contacts=tally.contacts,
        goal_error=tally.goal_error,
        reachable=tally.reachable,
        reachable_refused=refused,
        plan_p50_cpu_s=float(p50),
        plan_p99_cpu_s=float(p99),
        cloud_p50_cpu_s=float(np.median(tally.cloud_times)),
        tool_speed=float(tally.speeds[0]),
        flange_speed=float(tally.speeds[1]),
        elbow_speed=float(tally.speeds[2]),
        passed=good and refused <= 0.005,
    )


class _Draw:
    """Random and adversarial starts and poses."""

    def __init__(self, robot: RobotDescription, config: MotionConfig, generator: np.random.Generator) -> None:
        self._robot, self._generator = robot, generator
        self._checker = CollisionChecker(robot, config, planning_model(robot, config))
        self._box = np.array([config.workspace.lower, config.workspace.upper])
        self._lower, self._upper = robot.usable_range(0.2).T + np.array([[0.025], [-0.025]])

    def start(self) -> Array:
        """(J,) free, often near the ends of ranges, a seventh of them with a joint outside."""
        while True:
            start = self._joints()
            if self._generator.random() < 1.0 / 7.0:
                joint, end = self._generator.integers(len(start)), self._generator.integers(2)
                start[joint] = self._robot.position_limits[joint, end] + (2 * end - 1) * self._generator.uniform(0, 0.1)
            if self._checker.violation(start) is None:
                return start

    def pose(self) -> tuple[Array, Array | None]:
        """(7,), and joint positions (J,) with all clearances that reach it, if they are known."""
        kind = self._generator.random()
        if kind < 0.7:
            for _ in range(1000):
                joints = self._joints()
                tool = self._robot.tcp_pose(joints)
                inside = bool(np.all((self._box[0] <= tool[:3, 3]) & (tool[:3, 3] <= self._box[1])))
                if inside and self._checker.violation(joints) is None:
                    return pose_from_matrix(tool), joints
        place = self._generator.uniform(self._box[0] - 0.05, self._box[1] + 0.05)
        if kind > 0.9:
            place[2] = self._generator.uniform(0.0, 0.03)
        turn = self._generator.normal(size=4)
        pose = np.concatenate([place, turn / np.linalg.norm(turn)])
        if kind > 0.97:
            pose[self._generator.integers(7)] = self._generator.choice([np.nan, np.inf, -1e300, 1e9, 0.0])
        return pose, None

    def _joints(self) -> Array:
        shape = 1.0 if self._generator.random() < 0.5 else 0.4  # the latter is mostly near the ends
        return self._lower + self._generator.beta(shape, shape, len(self._lower)) * (self._upper - self._lower)


def _judge(
    trajectory: JointTrajectory, pose: Array, maker: _Maker, config: MotionConfig, table: ClutteredTable, tally: _Tally
) -> None:
    q, v, a = _interpolated(trajectory)
    places = np.stack(_places(q), axis=1)  # (N, 3, 3): tool, flange, elbow
    speeds = np.linalg.norm(np.diff(places, axis=0), axis=2).max(axis=0) / PERIOD
    tally.speeds = np.maximum(tally.speeds, speeds)
    found = [*_broken(q, v, a, maker), *_tool_broken(places[:, 0], maker, config)]
    if found:
        tally.violations += 1
        tally.worst = found[0]
    touching = next((words for row in q[::CONTACT_EVERY] if (words := table.touch(row))), None)
    if touching and table.touch(q[0]) is None:
        tally.contacts += 1
        tally.worst = touching
    miss = float(np.linalg.norm(_places(np.asarray(trajectory.positions[-1:], dtype=np.float64))[0][0] - pose[:3]))
    tally.goal_error = max(tally.goal_error, miss)


def _broken(q: Array, v: Array, a: Array, maker: _Maker) -> Iterator[str]:
    lower, upper = np.minimum(maker.lower, q[0]), np.maximum(maker.upper, q[0])
    highest = np.broadcast_to(maker.velocity, q.shape)
    lowest = -highest
    for offset, twice, low, high in maker.curves:
        highest = np.minimum(highest, np.maximum(0.0, -offset + np.sqrt(np.maximum(0.0, twice * (high - q)))))
        lowest = np.maximum(lowest, np.minimum(0.0, offset - np.sqrt(np.maximum(0.0, twice * (q - low)))))
    for name, excess in (
        ("position", np.maximum(lower - q, q - upper)),
        ("velocity", np.maximum(lowest - v, v - highest)),
        ("acceleration", np.abs(a) - maker.acceleration),
        ("jerk", np.abs(np.diff(a, axis=0)) / PERIOD - maker.jerk),
    ):
        if excess.max() > ROUNDING:
            row, joint = np.unravel_index(int(excess.argmax()), excess.shape)
            yield f"{name} of joint {joint + 1} by {excess.max():.4g} after {row * PERIOD:.3f} s"


def _tool_broken(tool: Array, maker: _Maker, config: MotionConfig) -> Iterator[str]:
    values = np.diff(tool, axis=0) / PERIOD
    for name, limit in zip(("velocity", "acceleration", "jerk"), maker.tool, strict=True):
        most = min(limit, config.max_tool_speed) if name == "velocity" else limit
        norms = np.linalg.norm(values, axis=1)
        if norms.max() > most * (1.0 + 1e-6):
            yield f"{name} of the tool is {norms.max():.4g} after {norms.argmax() * PERIOD:.3f} s"
        values = np.diff(values, axis=0) / PERIOD


def _interpolated(trajectory: JointTrajectory) -> tuple[Array, Array, Array]:
    """Positions, velocities and accelerations (N, J): quintics through the samples, from their six conditions."""
    duration = float(trajectory.times[-1])
    times = np.arange(0.0, max(duration, LEAST_SEGMENT * PERIOD) + PERIOD, PERIOD).clip(max=duration)
    right = np.clip(np.searchsorted(trajectory.times, times, side="right"), 1, len(trajectory.times) - 1)
    t, h = times - trajectory.times[right - 1], trajectory.times[right] - trajectory.times[right - 1]
    ends = np.stack(
        [
            values[index]
            for index in (right - 1, right)
            for values in (trajectory.positions, trajectory.velocities, trajectory.accelerations)
        ],
        axis=1,
    )  # (N, 6, J)
    rows = np.stack([_powers(np.zeros_like(h), order) for order in range(3)], axis=1)
    conditions = np.concatenate([rows, np.stack([_powers(h, order) for order in range(3)], axis=1)], axis=1)
    coefficients = np.linalg.solve(conditions, ends)
    position, velocity, acceleration = (np.einsum("nk,nkj->nj", _powers(t, order), coefficients) for order in range(3))
    return position, velocity, acceleration


def _powers(times: NDArray[np.floating], order: int) -> Array:
    """(N, 6) derivatives of the powers 0 to 5 of times (N,)."""
    row = []
    for power in range(6):
        factor = float(np.prod([power - step for step in range(order)]))
        row.append(factor * times ** max(power - order, 0))
    return np.stack(row, axis=1)


def _places(q: Array) -> tuple[Array, Array, Array]:
    """(N, 3) metres of tool, flange and elbow at joint positions (N, 7)."""
    pose = np.broadcast_to(np.eye(4), (len(q), 4, 4))
    elbow = np.zeros((len(q), 3))
    for joint, (a, d, alpha) in enumerate(_TABLE):
        pose = pose @ _link(q[:, joint], a, d, alpha)
        if joint == 3:
            elbow = pose[:, :3, 3]
    flange = pose @ _link(np.zeros(len(q)), 0.0, _FLANGE, 0.0)
    tool = flange @ _link(np.full(len(q), _HAND_TURN), 0.0, _TOOL, 0.0)
    return tool[:, :3, 3], flange[:, :3, 3], elbow


def _link(theta: Array, a: float, d: float, alpha: float) -> Array:
    c, s, ca, sa = np.cos(theta), np.sin(theta), np.cos(alpha), np.sin(alpha)
    matrix = np.zeros((len(theta), 4, 4))
    matrix[:, 0, 0], matrix[:, 0, 1], matrix[:, 0, 3] = c, -s, a
    matrix[:, 1, 0], matrix[:, 1, 1], matrix[:, 1, 2], matrix[:, 1, 3] = s * ca, c * ca, -sa, -d * sa
    matrix[:, 2, 0], matrix[:, 2, 1], matrix[:, 2, 2], matrix[:, 2, 3] = s * sa, c * sa, ca, d * ca
    matrix[:, 3, 3] = 1.0
    return matrix


BENCHMARK = Benchmark(MotionLimitsSetting, run, __doc__, lambda row: row.passed)
