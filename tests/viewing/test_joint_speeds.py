"""How fast joints were, whatever drivers publish of that."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.robots import load_robot
from mini_diffuser_ros.viewing.joint_speeds import JointSpeeds

ROBOT = load_robot("panda")
UNKNOWN = np.full(7, np.nan)


def _moved(rate: float, published: np.ndarray, period: float = 0.02, seconds: float = 0.6) -> JointSpeeds:
    """All joints at one rate, rad/s."""
    speeds = JointSpeeds(ROBOT)
    for time in np.arange(0.0, seconds, period):
        speeds.add(time, time, ROBOT.home + rate * time, published)
    return speeds


def test_without_measured_velocities_they_are_made_of_positions() -> None:
    speeds = JointSpeeds(ROBOT)
    for time in (0.0, 0.001, 0.1, 0.2):
        speeds.add(time, time, ROBOT.home + 0.3 * time, UNKNOWN)
    assert [peak.speed for peak in speeds.peaks()] == pytest.approx([0.3] * 7)


@pytest.mark.parametrize("published", [UNKNOWN, np.zeros(7), np.full(7, math.inf), np.full(7, 0.01)])
@given(rate=st.floats(-1.5, 1.5), period=st.sampled_from([0.001, 0.01, 0.033, 0.5, 1.0]))
def test_what_positions_say_counts_where_more_than_is_published(
    published: np.ndarray, rate: float, period: float
) -> None:
    speeds = _moved(rate, published, period, seconds=max(0.2, 3.0 * period))
    least = 0.01 if published[0] == 0.01 else 0.0
    assert [peak.speed for peak in speeds.peaks()] == pytest.approx([max(abs(rate), least)] * 7, abs=1e-3)


def test_what_is_published_counts_where_it_is_more() -> None:
    assert [peak.speed for peak in _moved(0.1, np.full(7, -0.4)).peaks()] == pytest.approx([0.4] * 7)


def test_of_states_that_come_often_each_counts_though_few_are_evaluated() -> None:
    speeds, told = JointSpeeds(ROBOT), 0
    for step in range(400):
        time = 0.001 * step
        published = np.full(7, -0.7 if step == 203 else 0.1)
        told += speeds.add(time, time, ROBOT.home + 0.1 * time, published) is not None
    assert told <= 41
    assert [peak.speed for peak in speeds.peaks()] == pytest.approx([0.7] * 7)


def test_how_fast_joints_are_is_told_with_each_state() -> None:
    speeds = JointSpeeds(ROBOT)
    assert speeds.add(0.0, 0.0, ROBOT.home, UNKNOWN) is None
    assert speeds.add(0.1, 0.1, ROBOT.home - 0.05, UNKNOWN) == pytest.approx([0.5] * 7)


def test_a_driver_that_tells_of_one_half_of_the_arm_at_a_time_is_measured() -> None:
    speeds = JointSpeeds(ROBOT)
    for step in range(20):
        time = 0.02 * step
        place = ROBOT.home + 0.3 * time
        for half in (slice(3, 7), slice(0, 3)):
            told = UNKNOWN.copy()
            told[half] = place[half]
            speeds.add(time, time, told, np.zeros(7))
    assert [peak.speed for peak in speeds.peaks()] == pytest.approx([0.3] * 7)


def test_states_that_come_in_a_bunch_are_no_fast_motion() -> None:
    """A receiver that stood still for a moment gets all at once what was stamped one after another."""
    speeds = JointSpeeds(ROBOT)
    for step in range(60):
        stamp = 0.01 * step
        received = stamp if not 20 <= step < 40 else 0.4 + 1e-5 * step
        speeds.add(received, stamp, ROBOT.home + 0.3 * stamp, np.zeros(7))
    assert max(peak.speed for peak in speeds.peaks()) < 0.4


def test_no_joint_states_are_no_speeds() -> None:
    speeds = JointSpeeds(ROBOT)
    speeds.add(0.0, 0.0, UNKNOWN, UNKNOWN)  # of the gripper's driver alone
    assert speeds.peaks() == []
    assert speeds.shares(10) == ([], {})
