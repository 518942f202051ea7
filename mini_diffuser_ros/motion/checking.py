"""The last look at what leaves the planner: every limit, at every instant, by formulas of its own.

Between its samples a trajectory is what a controller interpolates, quintics, and that is what is looked at. The control
points of a polynomial bound it, and those of its derivatives them; the tool is known at both ends of a stretch, and
between them up to what its higher derivatives are at most. Most stretches are decided so, without gaps. Others are cut,
down to a millisecond, the period of the robot's own, and what is measured once a millisecond about them decides. None
of it is shared with what times trajectories but the kinematics of the arm and the quintics.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import comb

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.motion.chain import ArmChain
from mini_diffuser_ros.motion.config import MotionConfig
from mini_diffuser_ros.motion.refusals import JointLimit, LimitExceeded, NotFinite
from mini_diffuser_ros.motion.timing import interpolate, quintics
from mini_diffuser_ros.motion.tool_motion import tool_bounds, tool_motion
from mini_diffuser_ros.records import JointTrajectory
from mini_diffuser_ros.robots import CartesianLimits, RobotDescription

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

PERIOD = 0.001
"""Seconds, the longest stretch that is decided by its ends: the period of the robot's own."""

_CUT = 4
"""Pieces of a stretch that its bounds do not decide."""

_SCALED = 1.02
"""What a limit scaled by the configuration may be passed by between samples; the robot's own may not at all."""

_SCALED_JERK = 1.25
"""The same of jerks, which quintics follow only nearly."""

_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class _Stretches:
    """S stretches of time, in each of which joints follow polynomials.

    Attributes:
        starts, spans: (S,) seconds.
        powers: (6, J, S) coefficients, with time from 0 to 1 in each stretch.
        row: stretches in a row that each begin where the one before ends.
    """

    starts: Array
    spans: Array
    powers: Array
    row: int

    @classmethod
    def of(cls, trajectory: JointTrajectory) -> _Stretches:
        """Those between its samples."""
        times = np.asarray(trajectory.times, dtype=np.float64)
        spans = np.diff(times)
        powers = quintics(trajectory) * (spans ** np.arange(6.0)[:, None])[:, None]
        return cls(times[:-1], spans, powers, len(spans))

    def cut(self, chosen: Mask) -> _Stretches:
        """Those that are chosen (S,), each as several."""
        spans = self.spans[chosen] / _CUT
        starts = self.starts[chosen][:, None] + np.arange(_CUT) * spans[:, None]
        powers = np.einsum("pkn,njs->kjsp", _PIECES, self.powers[..., chosen])
        return _Stretches(
            starts.ravel(), np.repeat(spans, _CUT), powers.reshape(*self.powers.shape[:2], starts.size), _CUT
        )

    @cached_property
    def derivatives(self) -> list[Array]:
        """Coefficients, as ``powers``, of positions and their first four derivatives, by seconds."""
        found = [self.powers]
        for order in range(5, 1, -1):
            found.append(found[-1][1:] * np.arange(1.0, order + 1.0)[:, None, None] / self.spans)
        return found

    @cached_property
    def ranges(self) -> list[tuple[Array, Array]]:
        """Bounds (J, S) from below and above of positions and their first four derivatives."""
        points = [np.tensordot(_BERNSTEIN[len(powers)], powers, 1) for powers in self.derivatives]
        return [(control.min(axis=0), control.max(axis=0)) for control in points]

    @property
    def ends(self) -> list[Array]:
        """Positions, velocities and accelerations (S + S / row, J) at all starts, then at the end of each row."""
        lasts = slice(self.row - 1, None, self.row)
        return [np.concatenate([p[0], p[..., lasts].sum(axis=0)], axis=1).T for p in self.derivatives[:3]]

    def larger(self, values: Array) -> Array:
        """(S,) the larger one at both ends of each stretch, of values at :attr:`ends`."""
        starts, lasts = np.split(values, [len(self.spans)])
        rows = np.concatenate([starts.reshape(-1, self.row), lasts[:, None]], axis=1)
        return np.maximum(rows[:, :-1], rows[:, 1:]).ravel()


_BERNSTEIN = {
    count: np.array([[comb(row, k) / comb(count - 1, k) for k in range(count)] for row in range(count)])
    for count in range(2, 7)
}
"""Control points of a polynomial of so many coefficients over [0, 1]."""

_PIECES = np.array(
    [
        [[comb(n, k) * (piece / _CUT) ** max(n - k, 0) / _CUT**k for n in range(6)] for k in range(6)]
        for piece in range(_CUT)
    ]
)
"""(pieces, 6, 6) coefficients of the pieces of a polynomial over [0, 1], each over [0, 1] itself."""


class TrajectoryCheck:
    """The last check of trajectories.

    Args:
        robot: with the maker's limits of joints and tool.
        config: scaling of the limits, ``max_tool_speed``.
    """

    def __init__(self, robot: RobotDescription, config: MotionConfig) -> None:
        self._robot, self._chain = robot, ArmChain(robot)
        self._joints = {
            "velocity": robot.velocity_limits * min(1.0, config.velocity_scaling * _SCALED),
            "acceleration": robot.acceleration_limits * min(1.0, config.acceleration_scaling * _SCALED),
            "jerk": robot.jerk_limits * min(1.0, config.jerk_scaling * _SCALED_JERK),
        }
        maker = robot.cartesian_limits or CartesianLimits(*[np.inf] * 6)
        self._tool = vars(maker) | {"velocity": min(maker.velocity, config.max_tool_speed)}

    def __call__(self, trajectory: JointTrajectory, target: str) -> None:
        """Refuse a trajectory that breaks a limit anywhere.

        Args:
            trajectory: whose first state may lie outside the joint ranges, but leads inwards.
            target: what a refusal calls the goal.

        Raises:
            NotFinite, JointLimit, LimitExceeded: naming quantity, joint, value and limit.
        """
        numbers = np.concatenate([trajectory.positions, trajectory.velocities, trajectory.accelerations])
        if not np.all(np.isfinite(numbers)) or not np.all(np.diff(trajectory.times) > 0.0):
            raise NotFinite(target, "the trajectory", "not finite or not in order of time")
        start, limits = trajectory.positions[0], self._robot.position_limits
        allowed = np.stack([np.minimum(limits[:, 0], start), np.maximum(limits[:, 1], start)])
        stretches = _Stretches.of(trajectory)
        while len(stretches.spans):
            undecided = ~(self._joints_hold(stretches, allowed) & self._tool_holds(stretches))
            short = stretches.spans <= PERIOD
            self._look(trajectory, stretches.starts[undecided & short], allowed, target)
            stretches = stretches.cut(undecided & ~short)

    def _joints_hold(self, stretches: _Stretches, allowed: Array) -> Mask:
        """(S,) whether the joints keep their limits for certain, and positions those that are allowed (2, J)."""
        (lowest, highest), *derivatives, _ = stretches.ranges
        lower, upper = allowed[..., None]
        held = (lowest >= lower - _ROUNDING) & (highest <= upper + _ROUNDING)
        for (low, high), limit in zip(derivatives, self._joints.values(), strict=True):
            held &= np.maximum(-low, high) <= limit[:, None] * (1.0 + _ROUNDING)
        slowest, fastest = derivatives[0]
        for curve in self._robot.velocity_curves:
            offset, twice = curve.offset[:, None], 2.0 * curve.deceleration[:, None]
            for speed, distance in (
                (fastest, curve.upper[:, None] - highest),
                (-slowest, lowest - curve.lower[:, None]),
            ):
                held &= (speed < _ROUNDING) | ((speed + offset) ** 2 <= twice * distance + _ROUNDING)
        return np.asarray(held.all(axis=0))

    def _tool_holds(self, stretches: _Stretches) -> Mask:
        """(S,) whether the tool keeps its limits for certain: between instants a function is above what joins them by
        at most an eighth of the squared time between times the most of its second derivative."""
        most = (np.maximum(-low, high) for low, high in stretches.ranges[1:])
        bounds, ends = tool_bounds(self._chain, *most), tool_motion(self._chain, *stretches.ends)
        measured = {name: stretches.larger(_norms(values)) for name, values in vars(ends).items()}
        between = stretches.spans**2 / 8.0
        held = np.ones(len(between), bool)
        for name, value in (
            ("velocity", measured["velocity"] + between * bounds.third),
            ("acceleration", measured["acceleration"] + between * bounds.fourth),
            ("jerk", bounds.third),
            ("turning_velocity", measured["turning_velocity"] + between * bounds.turning_third),
            ("turning_acceleration", measured["turning_acceleration"] + between * bounds.turning_fourth),
            ("turning_jerk", bounds.turning_third),
        ):
            held &= value <= self._tool[name] * (1.0 + _ROUNDING)
        return held

    def _look(self, trajectory: JointTrajectory, starts: Array, allowed: Array, target: str) -> None:
        """Refuse what breaks a limit once a millisecond, about short stretches that begin at (S,) seconds."""
        ticks = _ticks(trajectory, starts)
        if not len(ticks):
            return
        times = np.minimum(ticks * PERIOD, trajectory.duration)
        positions, velocities, accelerations = interpolate(trajectory, trajectory.times[0] + times)
        self._look_at_positions(positions, allowed, target)
        self._look_at_curves(positions, velocities, times, target)
        jerks = _changes(accelerations.T, ticks)
        for (quantity, limit), values in zip(self._joints.items(), (velocities, accelerations, jerks.T), strict=True):
            excess = np.abs(values) / limit
            if excess.max() > 1.0 + _ROUNDING:
                row, joint = np.unravel_index(int(excess.argmax()), excess.shape)
                value, name = float(abs(values[row, joint])), self._robot.arm_joint_names[joint]
                raise LimitExceeded(target, quantity, name, value, float(limit[joint]), float(times[row]))
        tool = vars(tool_motion(self._chain, positions, velocities, accelerations))
        for kind in ("", "turning_"):
            tool[f"{kind}jerk"] = _changes(tool[f"{kind}acceleration"], ticks)
        for quantity, vectors in tool.items():
            norms, limit = _norms(vectors), self._tool[quantity]
            if norms.max() > limit * (1.0 + _ROUNDING):
                tick, words = int(norms.argmax()), quantity.replace("_", " ")
                raise LimitExceeded(target, words, "the tool", float(norms[tick]), limit, float(times[tick]))

    def _look_at_positions(self, positions: Array, allowed: Array, target: str) -> None:
        outside = np.maximum(allowed[0] - positions, positions - allowed[1])
        if outside.max() > _ROUNDING:
            row, joint = np.unravel_index(int(outside.argmax()), outside.shape)
            value, limits = float(positions[row, joint]), self._robot.position_limits[joint]
            raise JointLimit(target, self._robot.arm_joint_names[joint], value, float(limits[0]), float(limits[1]))

    def _look_at_curves(self, positions: Array, velocities: Array, times: Array, target: str) -> None:
        """Velocities towards the ends of the ranges: ``(|v| + offset)^2`` may be ``2 d`` times the distance."""
        for curve in self._robot.velocity_curves:
            distance = np.where(velocities > 0.0, curve.upper - positions, positions - curve.lower)
            excess = (np.abs(velocities) + curve.offset) ** 2 - 2.0 * curve.deceleration * distance
            excess[np.abs(velocities) < _ROUNDING] = -1.0
            if excess.max() > _ROUNDING:
                row, joint = np.unravel_index(int(excess.argmax()), excess.shape)
                room = max(2.0 * float(curve.deceleration[joint]) * float(distance[row, joint]), 0.0)
                allowed = max(float(np.sqrt(room)) - float(curve.offset[joint]), 0.0)
                name, place = self._robot.arm_joint_names[joint], float(positions[row, joint])
                value = abs(float(velocities[row, joint]))
                where = f"{name} at {place:.4f} rad"
                raise LimitExceeded(target, "velocity", where, value, allowed, float(times[row]))


def _ticks(trajectory: JointTrajectory, starts: Array) -> NDArray[np.intp]:
    """Numbers of the milliseconds about stretches of at most one, given their (S,) starts, in order."""
    first = np.floor((starts - trajectory.times[0]) / PERIOD).astype(np.intp)
    last = int(np.ceil(trajectory.duration / PERIOD))
    about = np.unique(first[:, None] + np.arange(-1, 4))
    return np.asarray(about[(about >= 0) & (about <= last)])


def _changes(values: Array, ticks: NDArray[np.intp]) -> Array:
    """(..., N - 1) by how much values (..., N) change in a second, 0 where ticks (N,) do not follow each other."""
    return np.where(np.diff(ticks) == 1, np.diff(values), 0.0) / PERIOD


def _norms(vectors: Array) -> Array:
    """(N,) of (3, N)."""
    return np.asarray(np.sqrt(np.einsum("cn,cn->n", vectors, vectors)))
