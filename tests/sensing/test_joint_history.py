"""Where the joints were at the time of an image."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.sensing.errors import StaleJointsError
from mini_diffuser_ros.sensing.joint_history import SPAN, JointHistory


def test_positions_between_two_states_are_interpolated_and_publishers_are_merged() -> None:
    history = JointHistory()
    history.add(["a", "b"], [0.0, 1.0], 10.0)
    history.add(["finger"], [0.04], 10.05)
    history.add(["a", "b"], [1.0, 3.0], 10.1)
    assert history.positions_at(10.025, ["a"], 0.05) == pytest.approx({"a": 0.25, "b": 1.5, "finger": 0.04})


def test_the_nearest_state_counts_a_little_beyond_what_is_known_and_no_further() -> None:
    history = JointHistory()
    history.add(["a"], [1.0], 10.0)
    history.add(["a"], [2.0], 10.1)
    assert history.positions_at(10.2, ["a"], 0.15) == {"a": 2.0}
    assert history.positions_at(9.9, ["a"], 0.15) == {"a": 1.0}
    with pytest.raises(StaleJointsError, match=r"0\.30 s away from the images, allowed are 0\.15 s"):
        history.positions_at(10.4, ["a"], 0.15)
    with pytest.raises(StaleJointsError, match="no joint_states of b, c"):
        history.positions_at(10.0, ["a", "b", "c"], 0.15)


def test_what_happened_while_states_were_lost_is_not_made_up() -> None:
    history = JointHistory()
    history.add(["a"], [1.0], 10.0)
    history.add(["a"], [2.0], 11.0)
    assert history.positions_at(10.1, ["a"], 0.15) == {"a": 1.0}
    assert history.positions_at(10.9, ["a"], 0.15) == {"a": 2.0}
    with pytest.raises(StaleJointsError, match=r"0\.50 s away from the images, allowed are 0\.15 s"):
        history.positions_at(10.5, ["a"], 0.15)


def test_time_that_runs_back_begins_a_new_history() -> None:
    history = JointHistory()
    history.add(["a"], [1.0], 100.0)
    history.add(["a"], [2.0], 10.0)
    assert history.positions_at(10.0, ["a"], 0.1) == {"a": 2.0}


@pytest.mark.parametrize(("positions", "word"), [([1.0], "1 positions"), ([1.0, float("nan")], "not finite")])
def test_malformed_states_are_refused(positions: list[float], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        JointHistory().add(["a", "b"], positions, 10.0)


@given(st.lists(st.floats(0.0, 10.0), min_size=1, max_size=50), st.floats(0.0, 10.0))
def test_an_arm_at_constant_speed_is_where_it_was(stamps: list[float], stamp: float) -> None:
    history = JointHistory()
    for one in sorted(stamps):
        history.add(["a"], [3.0 * one], one)
    known = [one for one in stamps if max(stamps) - one <= SPAN]
    nearest = min(max(stamp, min(known)), max(known))
    assert history.positions_at(stamp, ["a"], 20.0)["a"] == pytest.approx(3.0 * nearest)
