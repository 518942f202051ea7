"""A controller that plays a trajectory too fast is told by the clock; one in time, late or slowed is left alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mini_diffuser_ros.motion import interpolate
from mini_diffuser_ros.motion.retiming import PacedTrajectory
from mini_diffuser_ros.nodes.motion.paced_goal import PASSING, PacedGoal
from mini_diffuser_ros.records import JointTrajectory

NAMES = ("waist", "shoulder", "elbow")
BEGAN = 5000.0  # monotonic


def swing(travel: tuple[float, float, float], duration: float) -> JointTrajectory:
    """A minimum-jerk motion between two rests."""
    times = np.linspace(0.0, duration, round(duration / 0.02) + 1)
    part = (times / duration)[:, None]
    reach = np.array(travel)
    return JointTrajectory(
        NAMES,
        times,
        reach * (10 * part**3 - 15 * part**4 + 6 * part**5),
        reach * (30 * part**2 - 60 * part**3 + 30 * part**4) / duration,
        reach * (60 * part - 180 * part**2 + 120 * part**3) / duration**2,
    )


def first_seen(goal: PacedGoal, plan: JointTrajectory, rate: float, late: float = 0.0) -> float | None:
    """Part of the plan at which the goal is found to be ahead when its controller plays it at a rate, None if never."""
    for elapsed in np.arange(0.0, plan.duration / rate, 0.01):
        place = interpolate(plan, rate * max(0.0, elapsed - late))[0]
        if goal.ahead(place, BEGAN + elapsed):
            return float(rate * elapsed / plan.duration)
    return None


travels = st.tuples(st.floats(0.4, 2.5), st.floats(-1.5, 1.5), st.floats(-0.3, 0.3))


@settings(max_examples=12, deadline=None)
@given(travels, st.floats(1.5, 6.0), st.floats(1.4, 8.0))
def test_what_is_played_too_fast_is_found_on_the_way(
    travel: tuple[float, float, float], duration: float, rate: float
) -> None:
    plan = swing(travel, duration)
    seen = first_seen(PacedGoal(PacedTrajectory.of(plan), BEGAN), plan, rate)
    assert seen is not None
    assert seen < 0.9


@settings(max_examples=12, deadline=None)
@given(travels, st.floats(0.5, 8.0), st.floats(0.2, 1.0), st.floats(-0.1, 1.0))
def test_what_is_in_time_late_or_slow_is_left_alone(
    travel: tuple[float, float, float], duration: float, rate: float, late: float
) -> None:
    plan = swing(travel, duration)
    assert first_seen(PacedGoal(PacedTrajectory.of(plan), BEGAN), plan, rate, late) is None


@pytest.mark.parametrize(("rate", "is_seen"), [(0.5, False), (1.0, True)])
def test_a_motion_that_was_slowed_is_measured_by_the_speed_that_holds(rate: float, is_seen: bool) -> None:
    plan = swing((1.2, -0.5, 0.1), 4.0)
    goal = PacedGoal(PacedTrajectory.of(plan, 0.5), BEGAN)
    assert (first_seen(goal, plan, rate) is not None) == is_seen


def test_a_goal_that_is_replaced_may_lead_until_the_other_has_taken_over() -> None:
    plan = swing((1.2, 0.4, 0.0), 4.0)
    fast = PacedGoal(PacedTrajectory.of(plan), BEGAN)
    held = PacedGoal(PacedTrajectory.held(plan, 1.5), BEGAN + 1.5, before=fast)
    place = interpolate(plan, 2.2)[0]
    assert not held.ahead(place, BEGAN + 2.2)  # nobody has accepted it yet
    held.taken_over_at = BEGAN + 2.2
    assert not held.ahead(place, BEGAN + 2.2)
    assert "waist is 0." in held.ahead(place, BEGAN + 2.3 + PASSING)


def test_what_a_controller_does_not_say_is_not_held_against_it() -> None:
    goal = PacedGoal(PacedTrajectory.of(swing((1.0, 0.0, 0.0), 2.0)), BEGAN)
    assert goal.ahead(np.full(3, np.nan), BEGAN + 0.1) == ""
