"""When to be where: jerk-limited timing of joint paths.

First a path is given a nominal time: at every place of it the slowness, seconds per unit of its parameter, is the
least that the velocity limits of joints and tool leave there. Then one scalar, the nominal time, is driven by ruckig
from rest to rest at a rate of at most 1, and the joints follow along the path. Where the limits are the same along a
straight segment, the motion is exactly straight and exactly within limits. (Timing the joints separately and
synchronising them leaves the straight line in a third of the cases.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import ruckig
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import BSpline

from mini_diffuser_ros.motion.limits import DynamicLimits
from mini_diffuser_ros.motion.tool_motion import tool_motion
from mini_diffuser_ros.records import JointTrajectory

Array = NDArray[np.float64]

_DENSE_PER_SPAN = 30
"""Samples a polynomial of a curved piece at which its limits are looked at."""

_STATIONS = 96
"""Least number of places of a piece at which the slowness is computed."""

_ATTEMPTS = 5
"""Times that a motion is stretched because what lies between its samples passes a limit; one or two are enough."""

_STRETCH_MARGIN = 1.002
"""Factor of time that each of them adds."""

_SHORTEST = 1e-4
"""Seconds; in shorter spans third derivatives are rounding."""

_JERK_SLACK = 1.1
"""Factor by which the jerk between samples may pass its scaled limit: quintics follow it only nearly."""

_HEADROOM = 1.0 - 1e-5
"""Rounding must not carry a trajectory over a limit."""

_SLOPE = 0.5
"""Of the acceleration limits that changes of the nominal velocity may use; the rest is for starting and stopping."""

_BEND = 0.6
"""Of the acceleration limits that bends of a path may use at the nominal velocity."""

_BETWEEN = 1.0005
"""Factor of the tool's slowness: between the places of a piece it needs a little more than is interpolated."""

_KERNELS = 48
"""Into how many lengths a bent piece is cut over which its slowness is smoothed."""

_SLOWEST = 1e-4
"""Rad/s; where a joint may move no faster than this, a path that moves it is impassable."""


class ImpassableError(ValueError):
    """A path moves a joint where it may not move in that direction."""

    def __init__(self, joint: str, position: float) -> None:
        self.joint, self.position = joint, position
        super().__init__(f"{joint} may move no farther out at {position:.4f} rad")


@dataclass(frozen=True, eq=False)
class Profile:
    """Piecewise cubic motion of one scalar: starts (P,) seconds of its phases and the state and jerk in each."""

    starts: Array
    position: Array
    velocity: Array
    acceleration: Array
    jerk: Array
    duration: float

    @classmethod
    def of(cls, trajectory: ruckig.Trajectory) -> Profile:
        """Of ruckig's one-dimensional result, with the phase that brings a start back into limits."""
        profile = trajectory.profiles[0][0]
        brake = profile.brake
        spans = np.concatenate([brake.t, profile.t])
        rows = np.concatenate(
            [
                np.stack([brake.p, brake.v, brake.a, brake.j]),
                np.stack([profile.p[:-1], profile.v[:-1], profile.a[:-1], profile.j]),
            ],
            axis=1,
        )
        keep = spans > 0.0
        starts = np.concatenate([[0.0], np.cumsum(spans)])[:-1]
        if not keep.any():
            keep[-1] = True
        position, velocity, acceleration, jerk = rows[:, keep]
        return cls(starts[keep], position, velocity, acceleration, jerk, float(trajectory.duration))

    def at(self, times: Array) -> tuple[Array, Array, Array]:
        """Position, velocity and acceleration (N,) at times (N,) from 0 to the duration."""
        phase = np.clip(np.searchsorted(self.starts, times, side="right") - 1, 0, len(self.starts) - 1)
        dt = times - self.starts[phase]
        p, v, a, j = (values[phase] for values in (self.position, self.velocity, self.acceleration, self.jerk))
        return p + dt * (v + dt * (a / 2.0 + dt * j / 6.0)), v + dt * (a + dt * j / 2.0), a + dt * j

    @property
    def breaks(self) -> Array:
        """The seconds at which the jerk jumps; the last is the duration."""
        return np.append(self.starts[1:], self.duration)

    def velocity_range(self) -> tuple[float, float]:
        """The lowest and the highest velocity on the way."""
        turns = np.where(self.jerk == 0.0, 0.0, -self.acceleration / np.where(self.jerk == 0.0, 1.0, self.jerk))
        spans = np.diff(np.append(self.starts, self.duration))
        velocities = self.at(np.concatenate([self.starts, self.breaks, self.starts + np.clip(turns, 0.0, spans)]))[1]
        return float(velocities.min()), float(velocities.max())

    def after(self, elapsed: float) -> Profile:
        """What is left of it after some seconds."""
        phase = max(int(np.searchsorted(self.starts, elapsed, side="right")) - 1, 0)
        position, velocity, acceleration = (
            np.append(now, later[phase + 1 :])
            for now, later in zip(
                self.at(np.array([elapsed])), (self.position, self.velocity, self.acceleration), strict=True
            )
        )
        starts = np.append(0.0, self.starts[phase + 1 :] - elapsed)
        return Profile(starts, position, velocity, acceleration, self.jerk[phase:], self.duration - elapsed)

    def followed_by(self, other: Profile) -> Profile:
        """The two one after another; the second begins where the first one ends."""
        return Profile(
            np.append(self.starts, self.duration + other.starts),
            np.append(self.position, other.position),
            np.append(self.velocity, other.velocity),
            np.append(self.acceleration, other.acceleration),
            np.append(self.jerk, other.jerk),
            self.duration + other.duration,
        )


def time_path(
    pieces: Sequence[BSpline], joint_names: Sequence[str], limits: DynamicLimits, sample_period: float
) -> JointTrajectory:
    """The fastest jerk-limited motion along a path that rests at both ends of every piece.

    Args:
        pieces: curves over [0, 1] with values (J,) radians, each starting where the one before ends.
        joint_names: J names for the record.
        limits: of every joint.
        sample_period: seconds; samples are added where the jerk jumps, so that quintic interpolation between the
            samples of a straight piece is the planned motion itself.

    Raises:
        ImpassableError: if the path moves a joint outwards where it may not.
    """
    timed = [_time_piece(piece, joint_names, limits, sample_period) for piece in pieces]
    offsets = np.cumsum([0.0] + [samples.times[-1] for samples in timed[:-1]])
    # A piece's first sample repeats the last one of the piece before.
    skips = [0] + [1] * (len(timed) - 1)
    return JointTrajectory(
        joint_names=tuple(joint_names),
        times=np.concatenate([s.times[k:] + t for s, k, t in zip(timed, skips, offsets, strict=True)]),
        positions=np.concatenate([s.positions[k:] for s, k in zip(timed, skips, strict=True)]),
        velocities=np.concatenate([s.velocities[k:] for s, k in zip(timed, skips, strict=True)]),
        accelerations=np.concatenate([s.accelerations[k:] for s, k in zip(timed, skips, strict=True)]),
    )


def check_passable(pieces: Sequence[BSpline], joint_names: Sequence[str], limits: DynamicLimits) -> None:
    """Raise :class:`ImpassableError` if a path moves a joint outwards where it may not; else it can be timed."""
    for piece in pieces:
        stations = _stations(piece)
        _joint_slowness(piece(stations), piece.derivative()(stations), joint_names, limits)


def stop_trajectory(
    position: Array,
    velocity: Array,
    acceleration: Array,
    joint_names: Sequence[str],
    limits: DynamicLimits,
    sample_period: float,
) -> JointTrajectory:
    """The fastest jerk-limited stop from a moving state, each joint by itself.

    Args:
        position, velocity, acceleration: (J,) of the moment the stop begins; rad, rad/s, rad/s^2.
        joint_names, limits, sample_period: as for :func:`time_path`; samples are added where any joint's jerk jumps.
    """
    joints = len(joint_names)
    problem = ruckig.InputParameter(joints)
    problem.control_interface = ruckig.ControlInterface.Velocity
    problem.synchronization = ruckig.Synchronization.No
    problem.current_position = position.tolist()
    problem.current_velocity = velocity.tolist()
    problem.current_acceleration = acceleration.tolist()
    problem.target_velocity = problem.target_acceleration = [0.0] * joints
    # The velocity interface ignores this bound but insists on its being there.
    problem.max_velocity = np.maximum(limits.velocity, np.abs(velocity)).tolist()
    problem.max_acceleration = np.maximum(limits.acceleration, np.abs(acceleration)).tolist()
    problem.max_jerk = limits.jerk.tolist()
    profile = ruckig.Trajectory(joints)
    ruckig.Ruckig(joints).calculate(problem, profile)
    breaks = np.concatenate([np.cumsum(joint.t) for joint in profile.profiles[0]] + [[profile.duration]])
    times = _sample_times(np.sort(np.append(breaks, max(profile.duration, sample_period))), sample_period)
    states = np.array([profile.at_time(time) for time in times])  # (T, 3, J)
    return JointTrajectory(tuple(joint_names), times, states[:, 0], states[:, 1], states[:, 2])


def interpolate(trajectory: JointTrajectory, times: ArrayLike) -> tuple[Array, Array, Array]:
    """Positions, velocities and accelerations (..., J) at times (...) in seconds, held at both ends.

    Between samples it is the quintic through both samples' position, velocity and acceleration, which is also what
    ros2_control's joint_trajectory_controller follows.
    """
    moments = np.clip(np.asarray(times, dtype=np.float64), trajectory.times[0], trajectory.times[-1])
    left = np.clip(np.searchsorted(trajectory.times, moments, side="right") - 1, 0, len(trajectory.times) - 2)
    states = _evaluated(np.take(quintics(trajectory), left, axis=-1), moments - trajectory.times[left])
    position, velocity, acceleration = (np.moveaxis(values, 0, -1) for values in states)
    return position, velocity, acceleration


def _evaluated(powers: Array, t: Array) -> tuple[Array, Array, Array]:
    """Values and their first two derivatives (J, ...) of polynomials (6, J, ...) at times (...): joint by joint, as
    rows of many moments are what NumPy is fast with."""
    c0, c1, c2, c3, c4, c5 = powers
    position = c0 + t * (c1 + t * (c2 + t * (c3 + t * (c4 + t * c5))))
    velocity = c1 + t * (2.0 * c2 + t * (3.0 * c3 + t * (4.0 * c4 + t * (5.0 * c5))))
    acceleration = 2.0 * c2 + t * (6.0 * c3 + t * (12.0 * c4 + t * (20.0 * c5)))
    return position, velocity, acceleration


def quintics(trajectory: JointTrajectory) -> Array:
    """(6, J, S) coefficients of the polynomials, in seconds, between a trajectory's samples."""
    span = np.diff(trajectory.times)
    p, v, a = trajectory.positions.T, trajectory.velocities.T, trajectory.accelerations.T
    p0, v0, a0 = p[:, :-1], v[:, :-1] * span, a[:, :-1] * span**2
    # The cubic and higher terms have to make up for what the start's Taylor polynomial misses at the end.
    missing = p[:, 1:] - p0 - v0 - 0.5 * a0
    missing_velocity = v[:, 1:] * span - v0 - a0
    missing_acceleration = a[:, 1:] * span**2 - a0
    c3 = 10.0 * missing - 4.0 * missing_velocity + 0.5 * missing_acceleration
    c4 = -15.0 * missing + 7.0 * missing_velocity - missing_acceleration
    c5 = 6.0 * missing - 3.0 * missing_velocity + 0.5 * missing_acceleration
    return np.stack([p0, v0, 0.5 * a0, c3, c4, c5]) / (span ** np.arange(6.0)[:, None])[:, None]


@dataclass(frozen=True, eq=False)
class _Course:
    """A piece with its nominal time.

    Attributes:
        piece: curve over [0, 1].
        slowness: seconds per unit of the piece's parameter, over [0, 1].
        time: its antiderivative, zero at the start.
    """

    piece: BSpline
    slowness: BSpline
    time: BSpline

    @cached_property
    def slope(self) -> BSpline:
        """How the slowness changes along the piece."""
        return self.slowness.derivative()

    @cached_property
    def tangent(self) -> BSpline:
        """First derivative of the piece."""
        return self.piece.derivative()

    @cached_property
    def bend(self) -> BSpline:
        """Its second derivative."""
        return self.piece.derivative(2)

    @property
    def duration(self) -> float:
        """Nominal seconds."""
        return float(self.time(1.0))

    def at(self, nominal: Array, rate: Array, change: Array) -> tuple[Array, Array, Array]:
        """Joint positions, velocities and accelerations (N, J) of nominal times (N,), their rate and its change."""
        parameter = self._parameter(nominal)
        slowness = self.slowness(parameter)
        speed = rate / slowness
        acceleration = (change - self.slope(parameter) * speed**2) / slowness
        tangent = self.tangent(parameter)
        accelerations = tangent * acceleration[:, None]
        if self.piece.k > 1:
            accelerations = accelerations + self.bend(parameter) * speed[:, None] ** 2
        return self.piece(parameter), tangent * speed[:, None], accelerations

    def _parameter(self, nominal: Array) -> Array:
        stations = np.linspace(0.0, 1.0, len(self.slowness.c))
        parameter = np.interp(nominal, self.time(stations), stations)
        for _ in range(2):  # Newton's steps: the time is smooth and rises
            parameter = np.clip(parameter - (self.time(parameter) - nominal) / self.slowness(parameter), 0.0, 1.0)
        return parameter


def _time_piece(
    piece: BSpline, joint_names: Sequence[str], limits: DynamicLimits, sample_period: float
) -> JointTrajectory:
    course, bounds = _course(piece, joint_names, limits)
    stretch = 1.0
    for _ in range(_ATTEMPTS):
        # Curvature and changes of slowness add acceleration and jerk, and so do the quintics between the samples.
        # Stretching time by c divides the three of the scalar by c, c^2 and c^3.
        profile = _rest_to_rest(course.duration, bounds / stretch ** np.array([1.0, 2.0, 3.0]))
        trajectory = _follow(course, profile, joint_names, _sample_times(profile.breaks, sample_period))
        factor = excess(trajectory, limits)
        if factor <= 1.0:
            break
        stretch *= factor * _STRETCH_MARGIN
    return trajectory


def _course(piece: BSpline, joint_names: Sequence[str], limits: DynamicLimits) -> tuple[_Course, Array]:
    """The piece with its nominal time, and bounds (3,) of the rate of nominal time and its two derivatives."""
    stations = _stations(piece)
    positions, tangents = piece(stations), piece.derivative()(stations)
    fastest = np.maximum(np.abs(tangents), 1e-12)
    acceleration = np.min(limits.acceleration / fastest, axis=1)  # of the parameter
    if np.abs(tangents).max() < 1e-12:
        slowness = np.full(len(stations), 1e-12)
    else:
        needed = [
            _joint_slowness(positions, tangents, joint_names, limits),
            _tool_slowness(positions, tangents, limits),
        ]
        if piece.k > 1:
            bends = np.abs(piece.derivative(2)(stations))
            needed.append(np.sqrt(np.max(bends / (_BEND * limits.acceleration), axis=1)))
        slowness = np.max(needed, axis=0)
        if slowness.max() > slowness.min() * (1.0 + 1e-9):
            slowness = _within_slopes(slowness, _SLOPE * float(acceleration.min()), stations[1])
        if piece.k > 1:
            slowness = _smoothed(slowness, len(stations) // _KERNELS)
    course = _nominal(piece, slowness)
    slowness = course.slowness(stations)
    change = float(np.min(acceleration * slowness))
    jerk = float(np.min(np.min(limits.jerk / fastest, axis=1) * slowness))
    return course, np.array([1.0, change, jerk]) * _HEADROOM


def _stations(piece: BSpline) -> Array:
    """Even places (N,) in [0, 1] at which a piece is looked at."""
    count = max(_STATIONS, _DENSE_PER_SPAN * (len(piece.c) - piece.k)) if piece.k > 1 else _STATIONS
    return np.linspace(0.0, 1.0, count + 1)


def _joint_slowness(positions: Array, tangents: Array, joint_names: Sequence[str], limits: DynamicLimits) -> Array:
    """(N,) seconds per unit of parameter that the joints need at places (N, J) of a path."""
    lowest, highest = limits.velocity_range(positions)
    allowed = np.where(tangents > 0.0, highest, -lowest)
    moves = np.abs(tangents) > 1e-9
    blocked = moves & (allowed < _SLOWEST)
    if blocked.any():
        where, joint = np.argwhere(blocked)[0]
        raise ImpassableError(joint_names[joint], float(positions[where, joint]))
    return np.max(np.where(moves, np.abs(tangents) / np.maximum(allowed, _SLOWEST), 1e-12), axis=1)


def _tool_slowness(positions: Array, tangents: Array, limits: DynamicLimits) -> Array:
    """(N,) seconds per unit of parameter that the tool needs at places (N, J) of a path."""
    if limits.chain is None or limits.tool is None:
        return np.zeros(len(positions))
    motion = tool_motion(limits.chain, positions, tangents, np.zeros_like(tangents))
    return _BETWEEN * np.maximum(
        np.linalg.norm(motion.velocity, axis=0) / limits.tool.velocity,
        np.linalg.norm(motion.turning_velocity, axis=0) / limits.tool.turning_velocity,
    )


def _within_slopes(slowness: Array, acceleration: float, spacing: float) -> Array:
    """The least slowness above ``slowness`` (N,) whose velocity never changes faster than by the acceleration."""
    squares = 1.0 / slowness**2
    step = 2.0 * acceleration * spacing
    ramp = step * np.arange(len(squares))
    # The lowest of all cones with this slope, from the left and from the right.
    squares = np.minimum.accumulate(squares - ramp) + ramp
    squares = (np.minimum.accumulate(squares[::-1] - ramp) + ramp)[::-1]
    return 1.0 / np.sqrt(squares)


def _smoothed(values: Array, width: int) -> Array:
    """Values (N,) averaged twice over ``width`` neighbours on either side: bends begin at once, motions must not."""
    kernel = np.full(2 * width + 1, 1.0 / (2 * width + 1))
    padded = np.pad(values, 2 * width, mode="edge")
    return np.convolve(np.convolve(padded, kernel, mode="valid"), kernel, mode="valid")


def _nominal(piece: BSpline, slowness: Array) -> _Course:
    """Nominal time from the slowness (N,) at even stations, by Schoenberg's cubic spline.

    It has two continuous derivatives, and where the slowness is convex, as it is before the end of a range, it lies
    above it.
    """
    count = len(slowness) - 1
    knots = np.concatenate([np.zeros(3), np.linspace(0.0, 1.0, count + 1), np.ones(3)])
    averages = (knots[1:-3] + knots[2:-2] + knots[3:-1]) / 3.0
    spline = BSpline(knots, np.interp(averages, np.linspace(0.0, 1.0, count + 1), slowness), 3)
    return _Course(piece, spline, spline.antiderivative())


def _rest_to_rest(distance: float, bounds: Array) -> Profile:
    """One scalar from rest at 0 to rest after a distance, within (3,) bounds of velocity, acceleration and jerk."""
    problem = ruckig.InputParameter(1)
    # In units of the distance: ruckig's tolerances are absolute.
    problem.current_position, problem.target_position = [0.0], [1.0]
    problem.max_velocity, problem.max_acceleration, problem.max_jerk = ([float(b / distance)] for b in bounds)
    trajectory = ruckig.Trajectory(1)
    ruckig.Ruckig(1).calculate(problem, trajectory)
    unit = Profile.of(trajectory)
    position, velocity, acceleration, jerk = (
        distance * values for values in (unit.position, unit.velocity, unit.acceleration, unit.jerk)
    )
    return Profile(unit.starts, position, velocity, acceleration, jerk, unit.duration)


def excess(trajectory: JointTrajectory, limits: DynamicLimits) -> float:
    """Factor by which time must be stretched for joints and tool to keep their limits; at most 1 if they do.

    Joints are looked at in the samples and half-way between, the tool in the samples: its speed is planned with more
    headroom than it can gain between two, and the last check does not leave out what lies there.
    """
    spans, powers = np.diff(np.asarray(trajectory.times, dtype=np.float64)), quintics(trajectory)
    # (N, J) of the samples, then of the places between; of joints one after another, as polynomials are.
    positions, velocities, accelerations = (
        np.concatenate([at_samples.T, between], axis=1).T
        for at_samples, between in zip(
            (trajectory.positions, trajectory.velocities, trajectory.accelerations),
            _evaluated(powers, spans / 2.0),
            strict=True,
        )
    )
    lowest, highest = limits.velocity_range(positions)
    allowed = np.maximum(np.where(velocities > 0.0, highest, -lowest), _SLOWEST)
    long = spans > _SHORTEST
    cubic, quartic, quintic = powers[3:, :, long]
    times = spans[long] * np.array([0.0, 0.5, 1.0])[:, None, None]
    jerks = np.abs(6.0 * cubic + times * (24.0 * quartic + times * 60.0 * quintic)).max(axis=(0, 2), initial=0.0)
    factors = [
        float((np.abs(velocities) / allowed).max()),
        float((np.abs(accelerations) / limits.acceleration).max()) ** (1.0 / 2.0),
        float((jerks / (_JERK_SLACK * limits.jerk)).max()) ** (1.0 / 3.0),
    ]
    if limits.chain is not None and limits.tool is not None:
        samples = slice(len(spans) + 1)
        tool = vars(tool_motion(limits.chain, positions[samples], velocities[samples], accelerations[samples]))
        for kind in ("", "turning_"):
            tool[f"{kind}jerk"] = (np.diff(tool[f"{kind}acceleration"]) / spans)[:, long]
        powers_of = {"velocity": 1.0, "acceleration": 1.0 / 2.0, "jerk": 1.0 / 3.0}
        for name, vectors in tool.items():
            most = float(np.sqrt((vectors**2).sum(axis=0).max(initial=0.0)))
            factors.append((most / getattr(limits.tool, name)) ** powers_of[name.removeprefix("turning_")])
    return max(factors) / (1.0 + 1e-6)


def _follow(course: _Course, profile: Profile, joint_names: Sequence[str], times: Array) -> JointTrajectory:
    nominal, rate, change = profile.at(times)
    rate[[0, -1]] = change[[0, -1]] = 0.0
    positions, velocities, accelerations = course.at(nominal, rate, change)
    positions[0], positions[-1] = course.piece.c[0], course.piece.c[-1]
    return JointTrajectory(tuple(joint_names), times, positions, velocities, accelerations)


def _sample_times(breaks: Array, period: float) -> Array:
    """A regular grid up to the last break, joined by the breaks; grid points that crowd a break are left out."""
    end = float(breaks[-1])
    keep = breaks[np.diff(breaks, append=np.inf) > 1e-6]
    fixed = np.unique(np.concatenate([[0.0], keep[(keep > 1e-6) & (keep < end - 1e-6)], [end]]))
    grid = np.arange(0.0, end, period)
    nearest = np.abs(grid[:, None] - fixed[None, :]).min(axis=1)
    return np.sort(np.concatenate([fixed, grid[nearest > 0.2 * period]]))
