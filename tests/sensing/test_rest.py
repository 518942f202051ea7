"""An arm rests only while every joint is known to stand still."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.sensing.joint_history import JointHistory
from mini_diffuser_ros.sensing.rest import Rest, RestConfig, RestDetector
from mini_diffuser_ros.support.settings import with_values

ARM, FINGERS = ("j1", "j2"), ("f1",)
CONFIG = RestConfig(speed=0.04, finger_speed=0.004, settle_time=0.3)


class Watched(RestDetector):
    """A detector with the history that it looks at."""

    def __init__(self) -> None:
        self.history = JointHistory(longest_gap=0.5)
        super().__init__(self.history, ARM, FINGERS, CONFIG)

    def take(self, names: Sequence[str], positions: Sequence[float], velocities: Sequence[float], stamp: float) -> None:
        self.history.add(names, positions, velocities, stamp, received=stamp)
        self.update(names)


def feed(rest: Watched, stamps: np.ndarray, speed: float = 0.0, start: float = 0.0, known: bool = True) -> float:
    """Both joints move at a speed; returns where they are at the end."""
    position = start
    for before, now in pairwise(stamps):
        position += speed * (now - before)
        rest.take(ARM, (position, position), (speed, speed) if known else (), now)
    return position


def times(first: float, last: float) -> np.ndarray:
    return np.arange(first, last + 1e-9, 0.02)


@pytest.mark.parametrize("known", [True, False])
def test_a_motion_ends_one_rest_and_begins_another(known: bool) -> None:
    rest = Watched()
    feed(rest, times(0.0, 1.0), known=known)
    [first] = rest.rests()
    assert first.since == pytest.approx(0.02)
    assert first.until == pytest.approx(1.0)
    end = feed(rest, times(1.0, 2.0), speed=0.5, known=known)
    assert rest.present() is None
    assert "moves at 0.5" in rest.motion()
    feed(rest, times(2.0, 3.0), start=end, known=known)
    before, now = rest.rests()
    assert before.until == pytest.approx(1.0)
    assert 2.0 <= now.since <= 2.2
    assert now.until == pytest.approx(3.0)
    assert rest.motion() == ""
    assert rest.history.known_positions() == {"j1": pytest.approx(end), "j2": pytest.approx(end)}


def test_a_finger_whose_driver_always_says_zero_speed_moves_all_the_same() -> None:
    rest = Watched()
    for stamp in times(0.0, 1.0):
        rest.take((*ARM, *FINGERS), (0.0, 0.0, 0.04 - 0.02 * stamp), (0.0, 0.0, 0.0), stamp)
    assert rest.present() is None
    assert rest.motion().startswith("f1 moves at 0.02")
    assert "m/s" in rest.motion()


def test_the_slowest_publisher_tells_until_when_the_arm_is_known_to_rest() -> None:
    rest = Watched()
    for stamp in times(0.0, 1.0):
        rest.take(ARM, (0.0, 0.0), (0.0, 0.0), stamp)
        if stamp < 0.7:
            rest.take(FINGERS, (0.04,), (), stamp)
    [now] = rest.rests()
    assert now.until == pytest.approx(0.68)


def test_a_gap_in_which_the_arm_could_have_moved_begins_a_new_rest() -> None:
    rest = Watched()
    feed(rest, times(0.0, 1.0))
    feed(rest, times(2.0, 2.4))
    assert [round(one.since, 2) for one in rest.rests()] == [0.02, 2.02]


def test_a_jump_is_a_motion_whatever_the_velocities_say() -> None:
    rest = Watched()
    feed(rest, times(0.0, 1.0))
    rest.take(ARM, (1.0, 0.0), (0.0, 0.0), 1.02)
    assert rest.present() is None


def test_an_arm_of_which_a_joint_is_unknown_does_not_rest() -> None:
    rest = Watched()
    rest.take(("j1", "stranger"), (0.0, 1.0), (0.0, 9.0), 1.0)
    assert rest.present() is None
    assert rest.motion() == "no joint state of j2"


@given(st.floats(0.0, 10.0), st.floats(0.0, 5.0), st.floats(0.0, 20.0), st.floats(0.0, 1.0))
def test_only_stamps_after_the_settling_and_before_the_end_are_covered(
    since: float, length: float, stamp: float, settle: float
) -> None:
    rest = Rest(since, since + length)
    assert rest.covers(stamp, settle) == (stamp - since >= settle and stamp <= since + length) or np.isclose(
        stamp - since, settle
    )


def test_speeds_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match=r"rest.speed is 0.0"):
        with_values(RestConfig(), {"speed": 0.0}, "parameters", "rest")


@pytest.mark.parametrize("velocities", [(), (np.nan, np.nan)])
def test_an_arm_whose_driver_has_no_velocities_is_judged_by_its_positions(velocities: tuple[float, ...]) -> None:
    rest = Watched()
    for stamp in times(0.0, 1.0):
        rest.take(ARM, (0.2 * stamp, 0.0), velocities, stamp)
    assert rest.present() is None
    assert rest.motion().startswith("j1 moves at 0.200 rad/s")
    for stamp in times(1.02, 1.5):
        rest.take(ARM, (0.2, 0.0), velocities, stamp)
    assert rest.present() is not None


def test_a_joint_that_turns_round_does_not_rest() -> None:
    rest = Watched()
    for stamp in times(0.0, 2.0):
        rest.take(ARM, (3.0 * (stamp - 1.0) ** 2, 0.0), (), stamp)
        assert rest.present() is None


@given(st.floats(0.0, 2.0), st.floats(0.002, 0.1), st.booleans())
def test_an_arm_at_constant_speed_rests_only_below_the_limit(speed: float, period: float, known: bool) -> None:
    rest = Watched()
    for number in range(60):
        stamp = period * number
        rest.take(ARM, (speed * stamp, 0.0), (speed, 0.0) if known else (), stamp)
    if abs(speed - CONFIG.speed) > 1e-6:
        assert (rest.present() is not None) == (speed < CONFIG.speed)
