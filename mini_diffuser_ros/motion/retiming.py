"""The same way at another speed: what replaces a trajectory under way when it is to go slower, faster, or to hold.

The nominal time of the planned trajectory runs at a rate from 0 to 1. A change of the rate is limited in its speed and
in the change of that, so that the joints keep their limits of acceleration and jerk; the arm stays on its path, which
was checked, and at every place of it is no faster than planned. A rate of 0 holds it there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import ruckig
from numpy.typing import NDArray

from mini_diffuser_ros.motion.limits import DynamicLimits
from mini_diffuser_ros.motion.timing import Profile, excess, interpolate
from mini_diffuser_ros.records import JointTrajectory

Array = NDArray[np.float64]

SLOWEST = 0.005
"""Rate below which the plan holds instead."""

_FASTER, _FASTER_JERK = 2.0, 20.0
"""Largest change of the rate upwards, 1/s, and least bound of the change of that, 1/s^2: people see it coming."""

_HORIZON = 0.5
"""Seconds of the plan from which the first guess of a change is taken."""

_GUESSES, _PATIENCE = 10, 1.2
"""Times that a change which passes a limit is made slower, and by what factor at least."""

_LONGEST_REST = 1.0
"""Seconds of a trajectory that has nothing left to do; controllers want one of some length."""


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
    """

    planned: JointTrajectory
    trajectory: JointTrajectory
    changing: JointTrajectory
    speed: float
    _change: Profile

    @classmethod
    def of(cls, planned: JointTrajectory) -> PacedTrajectory:
        """The whole plan at full speed."""
        zero = np.zeros(1)
        return cls(planned, planned, planned, 1.0, Profile(zero, zero, np.ones(1), zero, zero, 0.0))

    @property
    def holds(self) -> bool:
        """Whether it ends before the goal."""
        return self.pace(float(self.trajectory.times[-1])).nominal < self.planned.duration - 1e-6

    def pace(self, elapsed: float) -> Pace:
        """Where the plan is ``elapsed`` seconds after the moment of the change."""
        nominal, rate, change = _paces(self._change, np.array([max(elapsed, 0.0)]))
        if nominal[0] >= self.planned.duration:
            return Pace(self.planned.duration, 0.0, 0.0)
        return Pace(float(nominal[0]), float(rate[0]), float(change[0]))


def retimed(
    planned: JointTrajectory, pace: Pace, speed: float, limits: DynamicLimits, sample_period: float
) -> PacedTrajectory:
    """The rest of a plan, brought to another speed as fast as the limits allow.

    Args:
        planned: at full speed.
        pace: of the plan at the moment of the change.
        speed: rate from 0, hold, to 1, as planned.
        limits: that acceleration and jerk of the joints keep during the change; where the plan itself needs more, the
            slowest change is taken.
        sample_period: seconds.
    """
    speed = speed if speed >= SLOWEST else 0.0
    if pace.nominal >= planned.duration:
        return _at_the_end(planned, speed)
    start = planned.times[0] + pace.nominal
    ahead = np.linspace(start, min(start + _HORIZON, float(planned.times[-1])), 50)
    fastest = np.maximum(np.abs(interpolate(planned, ahead)[1]).max(axis=0), 1e-6)
    bounds = np.array([np.min(limits.acceleration / fastest), np.min(limits.jerk / fastest)])
    if speed > pace.rate:
        bounds = np.minimum(bounds, (_FASTER, max(_FASTER_JERK, pace.change**2)))
    for _ in range(_GUESSES):
        change = _change(pace, speed, bounds)
        during, rest = _sampled(planned, change, sample_period)
        if change.duration == 0.0 or (factor := excess(during, limits, sample_period)) <= 1.0:
            break
        factor = max(factor, _PATIENCE)
        bounds = bounds / np.array([factor**2, factor**3])
    return PacedTrajectory(planned, rest, during, speed, change)


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


def _at_the_end(planned: JointTrajectory, speed: float) -> PacedTrajectory:
    still = np.zeros((2, len(planned.joint_names)))
    rest = JointTrajectory(
        planned.joint_names, np.array([0.0, _LONGEST_REST]), np.tile(planned.positions[-1], (2, 1)), still, still
    )
    zero = np.zeros(1)
    return PacedTrajectory(
        planned, rest, rest, speed, Profile(zero, np.full(1, planned.duration), zero, zero, zero, 0.0)
    )
