"""The same way at another speed: what replaces a trajectory under way when it is to go slower, faster, or to hold.

The nominal time of the planned trajectory runs at a rate from 0 to 1. A change of the rate is limited in its speed and
in the change of that, so that the joints keep their limits of acceleration and jerk; the arm stays on its path, which
was checked, and at every place of it is no faster than planned. A rate of 0 holds it there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import ruckig
from numpy.typing import NDArray

from mini_diffuser_ros.motion.limits import DynamicLimits
from mini_diffuser_ros.motion.timing import Profile, excess, interpolate
from mini_diffuser_ros.records import JointTrajectory
from mini_diffuser_ros.support.errors import UserError

Array = NDArray[np.float64]

SLOWEST = 0.005
"""Rate below which the plan holds instead."""

_FASTER, _FASTER_JERK = 2.0, 20.0
"""Largest change of the rate upwards, 1/s, and bound of the change of that, 1/s^2: people see it coming."""

_RAMP = 0.04
"""Seconds at least in which a change builds up: a controller takes longer than that to pass over to it."""

_HORIZON = 0.5
"""Seconds of the plan from which the first guess of a change is taken."""

_GUESSES, _PATIENCE = 40, 1.2
"""Times that a change which passes a limit is made slower, and by what factor at least."""

_ROUNDING = 1e-6
"""By which a rate may leave [0, 1]."""

_LONGEST_REST = 1.0
"""Seconds of a trajectory that has nothing left to do; controllers want one of some length."""

Acceptable = Callable[[JointTrajectory], bool]
"""Whether the part of a trajectory in which the speed changes keeps every limit, by the last look at it."""


class UnchangeableError(UserError, ValueError):
    """No change of speed keeps the limits."""


@dataclass(frozen=True)
class Pace:
    """Where a plan is: its nominal time in seconds, the rate at which that runs, and the change of the rate, 1/s."""

    nominal: float
    rate: float = 1.0
    change: float = 0.0


@dataclass(frozen=True, eq=False)
class PacedTrajectory:
    """The rest of a planned trajectory at another speed.

    Attributes:
        planned: at full speed; its first sample is its nominal time 0.
        trajectory: what is to be followed, from the moment of the change; times start at 0.
        changing: its part in which the speed changes; the rest is the plan, slower.
        speed: the rate that it comes to.
        course: nominal time over the seconds since the moment of the change.
    """

    planned: JointTrajectory
    trajectory: JointTrajectory
    changing: JointTrajectory
    speed: float
    course: Profile

    @classmethod
    def of(cls, planned: JointTrajectory, speed: float = 1.0) -> PacedTrajectory:
        """The whole plan at a steady speed in (0, 1]."""
        if speed == 1.0:
            return cls(planned, planned, planned, 1.0, _steady(0.0, 1.0))
        slow = JointTrajectory(
            planned.joint_names,
            (planned.times - planned.times[0]) / speed,
            planned.positions,
            planned.velocities * speed,
            planned.accelerations * speed**2,
        )
        return cls(planned, slow, slow, speed, _steady(0.0, speed))

    @classmethod
    def held(cls, planned: JointTrajectory, nominal: float) -> PacedTrajectory:
        """A plan that rests ``nominal`` seconds after its start."""
        place, still = interpolate(planned, planned.times[0] + nominal)[0], np.zeros((2, len(planned.joint_names)))
        rest = JointTrajectory(
            planned.joint_names, np.array([0.0, _LONGEST_REST]), np.tile(place, (2, 1)), still, still
        )
        return cls(planned, rest, rest, 0.0, _steady(nominal, 0.0))

    @property
    def holds(self) -> bool:
        """Whether it ends before the goal."""
        return self.pace(float(self.trajectory.times[-1])).nominal < self.planned.duration - 1e-6

    def pace(self, elapsed: float) -> Pace:
        """Where the plan is ``elapsed`` seconds after the moment of the change."""
        nominal, rate, change = _paces(self.course, np.array([max(elapsed, 0.0)]))
        if nominal[0] >= self.planned.duration:
            return Pace(self.planned.duration, 0.0, 0.0)
        return Pace(float(nominal[0]), float(rate[0]), float(change[0]))


def retimed(
    paced: PacedTrajectory,
    elapsed: float,
    speed: float,
    limits: DynamicLimits,
    sample_period: float,
    acceptable: Acceptable,
) -> PacedTrajectory:
    """The rest of a plan, brought to another speed as fast as the limits allow.

    Whoever is braking hard may have no room left to turn to another speed: then the change under way, which keeps the
    limits, is finished first. From a steady speed there is always one to another that is slow enough.

    Args:
        paced: that is followed.
        elapsed: seconds of it that are over at the moment of the change.
        speed: rate from 0, hold, to 1, as planned.
        limits: that joints and tool keep during the change.
        sample_period: seconds.
        acceptable: the last look.

    Raises:
        UnchangeableError: if no change keeps the limits.
    """
    speed = speed if speed >= SLOWEST else 0.0
    planned, pace = paced.planned, paced.pace(elapsed)
    if pace.nominal >= planned.duration:
        return PacedTrajectory.held(planned, planned.duration)
    for course in _courses(paced, elapsed, pace, speed, limits, sample_period):
        during, rest = _sampled(planned, course, sample_period)
        if acceptable(during):
            return PacedTrajectory(planned, rest, during, speed, course)
    raise UnchangeableError(f"no change of the speed from {pace.rate:.0%} to {speed:.0%} keeps the limits")


def _courses(
    paced: PacedTrajectory, elapsed: float, pace: Pace, speed: float, limits: DynamicLimits, sample_period: float
) -> Iterator[Profile]:
    """Ways to another speed that keep the limits of joints and tool: at once, then at the end of the change under
    way; slower and slower."""
    yield from _changes(paced.planned, pace, speed, limits, sample_period)
    left = paced.course.duration - elapsed
    if left > 0.0:
        before = paced.course.after(elapsed)
        later = _changes(paced.planned, paced.pace(paced.course.duration), speed, limits, sample_period)
        yield from (before.followed_by(change) for change in later)


def _changes(
    planned: JointTrajectory, pace: Pace, speed: float, limits: DynamicLimits, sample_period: float
) -> Iterator[Profile]:
    """Nominal time while its rate goes to ``speed``, slower and slower, as long as the rate stays in [0, 1]."""
    bounds = _first_bounds(planned, pace, speed, limits)
    for _ in range(_GUESSES):
        change = _change(pace, speed, bounds)
        lowest, highest = change.velocity_range()
        if lowest < -_ROUNDING or highest > 1.0 + _ROUNDING:
            return
        factor = excess(_sampled(planned, change, sample_period)[0], limits) if change.duration else 0.0
        if factor <= 1.0:
            yield change
        factor = max(factor, _PATIENCE)
        bounds = bounds / np.array([factor**2, factor**3])


def _first_bounds(planned: JointTrajectory, pace: Pace, speed: float, limits: DynamicLimits) -> Array:
    """(2,) bounds of the rate's first two derivatives that the joints' limits leave in the next moments."""
    start = planned.times[0] + pace.nominal
    ahead = np.linspace(start, min(start + _HORIZON, float(planned.times[-1])), 50)
    fastest = np.maximum(np.abs(interpolate(planned, ahead)[1]).max(axis=0), 1e-6)
    bounds = np.array([np.min(limits.acceleration / fastest), np.min(limits.jerk / fastest)])
    bounds[1] = min(bounds[1], bounds[0] / _RAMP)
    if speed > pace.rate:
        bounds = np.minimum(bounds, (_FASTER, _FASTER_JERK))
    # What it takes not to run backwards, or faster than planned, before a change under way has ended.
    room = pace.rate if pace.change < 0.0 else 1.0 - pace.rate
    bounds[1] = max(bounds[1], pace.change**2 / (2.0 * max(room, 1e-9)))
    return bounds


def _change(pace: Pace, speed: float, bounds: Array) -> Profile:
    """The nominal time while its rate goes to ``speed``, within (2,) bounds of the rate's first two derivatives."""
    problem = ruckig.InputParameter(1)
    problem.control_interface = ruckig.ControlInterface.Velocity
    problem.current_position = [pace.nominal]
    problem.current_velocity = [pace.rate]
    problem.current_acceleration = [pace.change]
    problem.target_velocity, problem.target_acceleration = [speed], [0.0]
    problem.max_velocity = [2.0]  # ignored by this interface, which insists on its being there
    problem.max_acceleration = [float(max(bounds[0], abs(pace.change), 1e-3))]
    problem.max_jerk = [float(max(bounds[1], 1e-2))]
    trajectory = ruckig.Trajectory(1)
    ruckig.Ruckig(1).calculate(problem, trajectory)
    return Profile.of(trajectory)


def _steady(nominal: float, rate: float) -> Profile:
    zero = np.zeros(1)
    return Profile(zero, np.full(1, nominal), np.full(1, rate), zero, zero, 0.0)


def _paces(change: Profile, times: Array) -> tuple[Array, Array, Array]:
    """Nominal time, rate and its change (N,) at times (N,) after the moment of a change, also when it is over."""
    nominal, rate, slope = change.at(np.minimum(times, change.duration))
    over = np.maximum(times - change.duration, 0.0)
    return nominal + rate * over, np.maximum(rate, 0.0), np.where(over > 0.0, 0.0, slope)


def _sampled(planned: JointTrajectory, change: Profile, period: float) -> tuple[JointTrajectory, JointTrajectory]:
    """What is followed while the rate changes, and all of it with what comes after."""
    last = np.array([change.duration])
    nominal, rate, _ = (float(values[0]) for values in _paces(change, last))
    left = planned.duration - nominal
    end = change.duration + (max(left, 0.0) / rate if rate > 1e-9 else 0.0)
    dense = np.unique(np.concatenate([np.arange(0.0, change.duration, period / 10.0), last, [end]]))
    along = np.maximum.accumulate(_paces(change, dense)[0])
    if left <= 0.0:  # the goal is reached while the rate changes
        end = float(np.interp(planned.duration, along, dense))
    knots = planned.times - planned.times[0]
    knots = knots[(knots > along[0] + 1e-6) & (knots < along[-1] - 1e-6)]
    times = np.concatenate(
        [
            np.arange(0.0, min(change.duration, end), period),
            change.breaks[change.breaks < end],
            np.interp(knots, along, dense),
            [0.0, max(end, period)],
        ]
    )
    times = np.unique(times[times <= max(end, period)])
    times = times[np.append(np.diff(times) > 1e-4, True)]
    times[0] = 0.0
    whole = _states(planned, change, times)
    count = max(2, int(np.searchsorted(times, min(change.duration, end), side="right")))
    during = JointTrajectory(
        whole.joint_names,
        whole.times[:count],
        whole.positions[:count],
        whole.velocities[:count],
        whole.accelerations[:count],
    )
    return during, whole


def _states(planned: JointTrajectory, change: Profile, times: Array) -> JointTrajectory:
    nominal, rate, slope = _paces(change, times)
    positions, velocities, accelerations = interpolate(planned, planned.times[0] + nominal)
    over = nominal >= planned.duration
    rate, slope = np.where(over, 0.0, rate)[:, None], np.where(over, 0.0, slope)[:, None]
    return JointTrajectory(
        planned.joint_names,
        times,
        positions,
        velocities * rate,
        accelerations * rate**2 + velocities * slope,
    )
