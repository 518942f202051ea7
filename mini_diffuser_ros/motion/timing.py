"""When to be where: jerk-limited timing of joint paths.

One scalar, the path parameter, is timed by ruckig; the joints follow along the path. On a straight segment the limits
of the scalar are the smallest ``limit_i / |dq_i|``, so that the motion is exactly straight and exactly within limits.
(Timing the joints separately and synchronising them leaves the straight line in a third of the cases.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import ruckig
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import BSpline

from mini_diffuser_ros.motion.config import MotionConfig
from mini_diffuser_ros.records import JointTrajectory
from mini_diffuser_ros.robots import RobotDescription

Array = NDArray[np.float64]

_DENSE_PER_SPAN = 30
"""Samples a polynomial of a curved piece at which its limits are looked at."""

_CURVE_MARGIN = 1.005
"""Factor of time for what lies between those samples."""

_HEADROOM = 1.0 - 1e-6
"""Rounding must not carry a trajectory over a limit."""


@dataclass(frozen=True, eq=False)
class DynamicLimits:
    """Symmetric joint limits that trajectories keep: (J,) rad/s, rad/s^2 and rad/s^3."""

    velocity: Array
    acceleration: Array
    jerk: Array

    @classmethod
    def of(cls, robot: RobotDescription, config: MotionConfig) -> DynamicLimits:
        """The robot's limits, scaled."""
        return cls(
            robot.velocity_limits * config.velocity_scaling,
            robot.acceleration_limits * config.acceleration_scaling,
            robot.jerk_limits * config.jerk_scaling,
        )


@dataclass(frozen=True, eq=False)
class _Samples:
    """Times (T,) and joint values (T, J) of one piece, starting at time 0."""

    times: Array
    positions: Array
    velocities: Array
    accelerations: Array


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
    """
    timed = [_time_piece(piece, limits, sample_period) for piece in pieces]
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
    right = np.clip(np.searchsorted(trajectory.times, moments, side="right"), 1, len(trajectory.times) - 1)
    left = right - 1
    span = (trajectory.times[right] - trajectory.times[left])[..., None]
    u = (moments - trajectory.times[left])[..., None] / span
    p0, p1 = trajectory.positions[left], trajectory.positions[right]
    v0, v1 = trajectory.velocities[left] * span, trajectory.velocities[right] * span
    a0, a1 = trajectory.accelerations[left] * span**2, trajectory.accelerations[right] * span**2
    # The cubic and higher terms have to make up for what the start's Taylor polynomial misses at the end.
    missing, missing_velocity, missing_acceleration = p1 - p0 - v0 - 0.5 * a0, v1 - v0 - a0, a1 - a0
    c3 = 10.0 * missing - 4.0 * missing_velocity + 0.5 * missing_acceleration
    c4 = -15.0 * missing + 7.0 * missing_velocity - missing_acceleration
    c5 = 6.0 * missing - 3.0 * missing_velocity + 0.5 * missing_acceleration
    position = p0 + u * (v0 + u * (0.5 * a0 + u * (c3 + u * (c4 + u * c5))))
    velocity = v0 + u * (a0 + u * (3.0 * c3 + u * (4.0 * c4 + u * 5.0 * c5)))
    acceleration = a0 + u * (6.0 * c3 + u * (12.0 * c4 + u * 20.0 * c5))
    return position, velocity / span, acceleration / span**2


def _time_piece(piece: BSpline, limits: DynamicLimits, sample_period: float) -> _Samples:
    tangents = np.abs(piece.derivative()(np.linspace(0.0, 1.0, _DENSE_PER_SPAN * len(piece.c))))
    fastest = np.maximum(tangents.max(axis=0), 1e-12)
    bounds = np.array([np.min(limit / fastest) for limit in (limits.velocity, limits.acceleration, limits.jerk)])
    profile = _unit_profile(bounds)
    if piece.k > 1:
        # Curvature adds acceleration and jerk. Stretching time by c divides the three by c, c^2 and c^3.
        bounds = bounds / _stretch(piece, profile, limits) ** np.array([1.0, 2.0, 3.0])
        profile = _unit_profile(bounds)
    times = _sample_times(_breaks(profile), sample_period)
    return _follow(piece, profile, times)


def _unit_profile(bounds: Array) -> ruckig.Trajectory:
    """Rest-to-rest motion of one scalar from 0 to 1 within (3,) bounds of velocity, acceleration and jerk."""
    problem = ruckig.InputParameter(1)
    problem.current_position, problem.target_position = [0.0], [1.0]
    problem.max_velocity, problem.max_acceleration, problem.max_jerk = ([float(b * _HEADROOM)] for b in bounds)
    profile = ruckig.Trajectory(1)
    ruckig.Ruckig(1).calculate(problem, profile)
    return profile


def _stretch(piece: BSpline, profile: ruckig.Trajectory, limits: DynamicLimits) -> float:
    """Factor, at least 1, by which time must be stretched for the joints to keep their limits."""
    times = _sample_times(_breaks(profile), profile.duration / (_DENSE_PER_SPAN * len(piece.c)))
    samples = _follow(piece, profile, times)
    jerks = np.diff(samples.accelerations, axis=0) / np.diff(times)[:, None]
    return _CURVE_MARGIN * max(
        1.0,
        float((np.abs(samples.velocities) / limits.velocity).max()),
        float((np.abs(samples.accelerations) / limits.acceleration).max()) ** (1.0 / 2.0),
        float((np.abs(jerks) / limits.jerk).max()) ** (1.0 / 3.0),
    )


def _follow(piece: BSpline, profile: ruckig.Trajectory, times: Array) -> _Samples:
    states = np.array([profile.at_time(time) for time in times])[:, :, 0]  # (T, 3): parameter and its derivatives
    parameter = np.clip(states[:, 0], 0.0, 1.0)
    speed, change = states[:, 1:2], states[:, 2:3]
    tangent = piece.derivative()(parameter)
    velocities = tangent * speed
    accelerations = tangent * change
    if piece.k > 1:
        accelerations = accelerations + piece.derivative(2)(parameter) * speed**2
    positions = piece(parameter)
    positions[0], positions[-1] = piece.c[0], piece.c[-1]
    for ends in (velocities, accelerations):
        ends[[0, -1]] = 0.0
    return _Samples(times, positions, velocities, accelerations)


def _breaks(profile: ruckig.Trajectory) -> Array:
    """The seconds at which the jerk of a one-dimensional profile jumps; the last is its duration."""
    return np.cumsum(profile.profiles[0][0].t)


def _sample_times(breaks: Array, period: float) -> Array:
    """A regular grid up to the last break, joined by the breaks; grid points that crowd a break are left out."""
    end = float(breaks[-1])
    keep = breaks[np.diff(breaks, append=np.inf) > 1e-6]
    fixed = np.unique(np.concatenate([[0.0], keep[(keep > 1e-6) & (keep < end - 1e-6)], [end]]))
    grid = np.arange(0.0, end, period)
    nearest = np.abs(grid[:, None] - fixed[None, :]).min(axis=1)
    return np.sort(np.concatenate([fixed, grid[nearest > 0.2 * period]]))
