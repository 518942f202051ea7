"""Where the joints are, and where they were at the time of an image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.sensing.errors import StaleJointsError
from mini_diffuser_ros.sensing.joint_history import SPAN, JointHistory


def add(history: JointHistory, names: list[str], positions: list[float], stamp: float) -> None:
    history.add(names, positions, [], stamp, received=stamp)


def test_positions_between_two_states_are_interpolated_and_publishers_are_merged() -> None:
    history = JointHistory()
    add(history, ["a", "b"], [0.0, 1.0], 10.0)
    add(history, ["finger"], [0.04], 10.05)
    add(history, ["a", "b"], [1.0, 3.0], 10.1)
    assert history.positions_at(10.025, ["a"], 0.05) == pytest.approx({"a": 0.25, "b": 1.5, "finger": 0.04})


def test_of_several_times_there_is_one_answer_while_the_arm_rests_and_one_for_each_while_it_moves() -> None:
    history = JointHistory()
    for stamp, position in ((0.0, 1.0), (0.1, 1.0), (0.2, 2.0)):
        history.add(["joint"], [position], [], stamp, stamp)
    assert history.positions_at_each([0.02, 0.08], ["joint"], 0.1) == {"joint": 1.0}
    assert history.positions_at_each([0.0, 0.2], ["joint"], 0.1) == [{"joint": 1.0}, {"joint": 2.0}]


def test_the_nearest_state_counts_a_little_beyond_what_is_known_and_no_further() -> None:
    history = JointHistory()
    add(history, ["a"], [1.0], 10.0)
    add(history, ["a"], [2.0], 10.1)
    assert history.positions_at(10.2, ["a"], 0.15) == {"a": 2.0}
    assert history.positions_at(9.9, ["a"], 0.15) == {"a": 1.0}
    with pytest.raises(StaleJointsError, match=r"0\.30 s away from the images, allowed are 0\.15 s"):
        history.positions_at(10.4, ["a"], 0.15)
    with pytest.raises(StaleJointsError, match="no joint_states of b, c"):
        history.positions_at(10.0, ["a", "b", "c"], 0.15)


def test_what_happened_while_states_were_lost_is_not_made_up() -> None:
    history = JointHistory()
    add(history, ["a"], [1.0], 10.0)
    add(history, ["a"], [2.0], 11.0)
    assert history.positions_at(10.1, ["a"], 0.15) == {"a": 1.0}
    assert history.positions_at(10.9, ["a"], 0.15) == {"a": 2.0}
    with pytest.raises(StaleJointsError, match=r"0\.50 s away from the images, allowed are 0\.15 s"):
        history.positions_at(10.5, ["a"], 0.15)


def test_time_that_runs_back_begins_a_new_history() -> None:
    history = JointHistory()
    add(history, ["a"], [1.0], 100.0)
    add(history, ["a"], [2.0], 10.0)
    assert history.positions_at(10.0, ["a"], 0.1) == {"a": 2.0}


def test_positions_that_are_no_numbers_are_no_state_of_their_joints() -> None:
    history = JointHistory()
    add(history, ["a", "b"], [1.0, float("nan")], 10.0)
    assert history.known_positions() == {"a": 1.0}
    with pytest.raises(ValueError, match="without a position that is finite"):
        add(history, ["a", "b"], [float("inf"), float("nan")], 10.1)


def test_a_joint_that_is_named_twice_is_no_state() -> None:
    with pytest.raises(ValueError, match="twice"):
        add(JointHistory(), ["a", "b", "a"], [1.0, 2.0, 3.0], 10.0)


def test_the_order_of_the_names_does_not_matter() -> None:
    history = JointHistory()
    for number in range(10):
        names = ["a", "b", "c"][:: (-1) ** number]
        add(history, names, [0.1 * number * "abc".index(name) for name in names], 10.0 + 0.05 * number)
    assert history.motions(["b"])["b"].since == pytest.approx(10.35)
    assert history.motions(["b"])["b"].speed == pytest.approx(2.0)


def test_a_stamp_that_stands_still_is_nothing_heard() -> None:
    history = JointHistory()
    for received in np.arange(10.0, 11.0, 0.1):
        history.add(["a"], [received], [], 10.0, received)
    with pytest.raises(StaleJointsError, match=r"0\.90 s old.*a stamp that stands still"):
        history.positions(["a"], 10.9, 0.25)


Said = tuple[float, float, float]  # position, stamp, received


def two_publishers(offset: float, delay: float, period: float, speed: float, other: str) -> JointHistory:
    """Two seconds of a moving joint, told at 100 Hz by one publisher and, in another way, by a second one."""
    history = JointHistory()
    said = [("a", speed * stamp, stamp, stamp) for stamp in np.arange(0.0, 2.0, 0.01)]
    said += [(other, speed * stamp + offset, stamp + delay, stamp) for stamp in np.arange(0.003, 2.0, period)]
    for name, position, stamp, received in sorted(said, key=lambda one: one[3]):
        history.add([name, "b"] if other != "a" else [name], [position, 0.0][: 1 + (other != "a")], [], stamp, received)
    return history


@pytest.mark.parametrize("speed", [0.0, 1.0])
@pytest.mark.parametrize("period", [0.01, 0.1, 0.4])
@pytest.mark.parametrize(
    ("offset", "delay"), [(0.3, 0.0), (-0.1, 0.0), (0.3, -5.0), (0.3, 5.0), (0.2, -0.03), (0.0, -1.0)]
)
def test_two_publishers_that_disagree_are_told_from_what_they_say(
    offset: float, delay: float, period: float, speed: float
) -> None:
    told = two_publishers(offset, delay, period, speed, "a").contradiction(["a"], 2.0)
    assert "at once" in told or "back and forth" in told


@pytest.mark.parametrize("speed", [0.0, 2.0])
def test_two_publishers_that_agree_are_no_contradiction(speed: float) -> None:
    assert two_publishers(0.0, 0.0, 0.02, speed, "a").contradiction(["a"], 2.0) == ""


def test_what_is_said_of_other_joints_is_no_contradiction_about_these() -> None:
    history = two_publishers(0.3, 0.0, 0.01, 0.0, "a")
    assert history.contradiction(["b"], 2.0) == ""
    assert history.contradiction(["a"], 6.0) == ""  # it is over


def test_neither_a_world_laid_anew_nor_a_clock_that_is_set_is_a_contradiction() -> None:
    history = JointHistory()
    for number in range(300):
        after = number > 150
        stamp = 0.01 * number - 30.0 * after
        add(history, ["a"], [1.5 if after else 0.0], stamp)
    assert history.contradiction(["a"], 0.0) == ""


def test_changes_are_counted_to_the_last_bit() -> None:
    history = JointHistory()
    for number, position in enumerate([1.0, 1.0, np.nextafter(1.0, 2.0), 1.0, 1.0, 1.0]):
        add(history, ["a"], [position], 10.0 + number)
    assert history.changes(["a"]) == (6, 3)


@given(st.lists(st.floats(0.0, 10.0), min_size=1, max_size=50), st.floats(0.0, 10.0))
def test_an_arm_at_constant_speed_is_where_it_was(stamps: list[float], stamp: float) -> None:
    history = JointHistory()
    for one in sorted(stamps):
        add(history, ["a"], [3.0 * one], one)
    known = [one for one in stamps if max(stamps) - one <= SPAN]
    nearest = min(max(stamp, min(known)), max(known))
    assert history.positions_at(stamp, ["a"], 20.0)["a"] == pytest.approx(3.0 * nearest)


def test_the_newest_states_of_all_publishers_are_merged() -> None:
    history = JointHistory()
    history.add(["a", "b"], [1.0, 2.0], [0.1, 0.2], 10.0, received=10.0)
    history.add(["finger"], [0.04], [], 10.1, received=10.1)
    assert history.positions(["b", "finger"], 10.1, 0.5) == pytest.approx([2.0, 0.04])
    assert np.isnan(history.velocities(["finger"], 10.1, 0.5)[0])
    assert history.known_positions() == {"a": 1.0, "b": 2.0, "finger": 0.04}


def test_the_oldest_joint_decides_whether_a_state_is_stale() -> None:
    history = JointHistory()
    history.add(["a"], [1.0], [], 10.0, received=10.0)
    history.add(["b"], [1.0], [], 10.3, received=10.3)
    with pytest.raises(StaleJointsError, match=r"0\.30 s old, allowed are 0\.25 s"):
        history.positions(["a", "b"], 10.3, 0.25)


def test_joints_never_heard_of_are_named() -> None:
    history = JointHistory()
    history.add(["a"], [1.0], [], 10.0, received=10.0)
    with pytest.raises(StaleJointsError, match="panda_joint7"):
        history.positions(["a", "panda_joint7"], 10.0, 1.0)


@pytest.mark.parametrize(
    ("names", "positions", "velocities"),
    [(["a"], [1.0, 2.0], []), (["a", "b"], [1.0, 2.0], [0.0]), (["a"], [float("nan")], [0.0])],
)
def test_malformed_messages_are_refused(names: list[str], positions: list[float], velocities: list[float]) -> None:
    with pytest.raises(ValueError, match="joint state"):
        JointHistory().add(names, positions, velocities, 0.0, 0.0)


def test_velocities_that_are_left_out_or_nan_are_taken_from_the_positions() -> None:
    history = JointHistory()
    for stamp, position in ((10.0, 0.0), (10.05, 0.1)):
        history.add(["a", "b"], [position, position], [np.nan, 7.0], stamp, received=stamp)
    assert history.velocities(["a", "b"], 10.05, 1.0) == pytest.approx([2.0, 7.0])


def test_a_state_that_another_has_overtaken_changes_nothing_and_a_clock_that_was_set_back_does() -> None:
    history = JointHistory()
    add(history, ["a"], [1.0], 10.0)
    add(history, ["a"], [5.0], 9.9)
    assert history.positions(["a"], 10.0, 1.0) == pytest.approx([1.0])
    for number in range(5):
        add(history, ["a"], [5.0], 9.0 + 0.01 * number)
    assert history.positions(["a"], 9.04, 1.0) == pytest.approx([5.0])
    assert history.positions_at(9.04, ["a"], 0.1) == {"a": 5.0}


@pytest.mark.parametrize("every", [1, 4])
@pytest.mark.parametrize("offset", [0.002, -0.02])
def test_a_second_publisher_a_little_beside_the_first_is_told_while_the_arm_rests(every: int, offset: float) -> None:
    history, rng = JointHistory(), np.random.default_rng(0)
    for number in range(60):
        add(history, ["a"], [1.0 + 1e-5 * rng.standard_normal()], 0.01 * number)
        if number % every == 0:
            add(history, ["a"], [1.0 + offset], 0.01 * number + 0.004)
    assert "at once" in history.contradiction(["a"], 0.0)


@pytest.mark.parametrize(("rate", "noise"), [(100.0, 1e-4), (1000.0, 1e-4), (30.0, 2e-4)])
def test_the_noise_of_an_encoder_is_no_second_publisher(rate: float, noise: float) -> None:
    history, rng = JointHistory(), np.random.default_rng(1)
    for number in range(3000):
        add(history, ["a"], [1.0 + noise * rng.standard_normal()], number / rate)
    assert history.contradiction(["a"], 0.0) == ""


@pytest.mark.parametrize("hertz", [2.0, 8.0])
def test_an_arm_that_trembles_is_no_second_publisher(hertz: float) -> None:
    history = JointHistory()
    for number in range(300):
        add(history, ["a"], [0.01 * np.sin(2.0 * np.pi * hertz * 0.033 * number)], 0.033 * number)
    assert history.contradiction(["a"], 0.0) == ""
