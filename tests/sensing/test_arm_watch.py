"""An arm that does not do what its controller says is noticed while it moves, and one that does is left alone."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mini_diffuser_ros.robots import load_robot
from mini_diffuser_ros.sensing.arm_watch import ArmWatch, WatchConfig, nearest_miss, odd_joint
from mini_diffuser_ros.sensing.errors import (
    ContradictoryJointsError,
    DeviationError,
    FrozenJointsError,
    StaleJointsError,
)
from mini_diffuser_ros.sensing.joint_monitor import JointStateMonitor
from mini_diffuser_ros.sensing.rest import RestConfig
from mini_diffuser_ros.support.awake import AwakeClock

Array = NDArray[np.float64]
ROBOT = load_robot("fr3")
NAMES = list(ROBOT.arm_joint_names)
SPEED = np.array([0.5, -0.3, 0.0, 0.2, 0.0, 0.0, 0.8])  # rad/s
SECONDS = 2.0
EPOCH = 100.0  # of stamps, which are of another clock
DEFAULT = WatchConfig()
At = Callable[[float], "Array | None"]
Watched = Callable[..., float]


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Callable[..., float]:
    """Has an arm watched while its controller moves it, and returns the seconds; what the watch says is raised.

    Takes where the joint states and the controller's feedback say that the arm is, None for not at all, and the
    seconds between two of each, by how many the feedback is late, and whether it says of when it is.
    """
    shown = [time.monotonic()]
    monkeypatch.setattr(time, "monotonic", lambda: shown[0])

    def watch(
        published: At,
        actual: At,
        *,
        states: float = 0.01,
        words: float = 0.05,
        late: float = 0.0,
        stamped: bool = True,
        config: WatchConfig = DEFAULT,
        speed: Array = SPEED,
    ) -> float:
        joints = JointStateMonitor(ROBOT, 0.25, RestConfig(), 0.9, now=lambda: time.monotonic())
        watch = ArmWatch(joints, config)
        began, next_state, next_word = shown[0], 0.0, 0.0
        for moment in np.arange(0.0, SECONDS, 0.002):
            shown[0] = began + moment
            if moment >= next_state:
                next_state += states
                if (positions := published(moment)) is not None:
                    joints.take(NAMES, positions, [], EPOCH + moment, shown[0])
            if moment >= next_word:
                next_word += words
                when = moment - late  # of what is heard now
                if when < 0.0:
                    continue
                said = actual(when)
                place = [] if said is None else said[::-1]
                watch.hear(
                    NAMES[::-1], wanted(when)[::-1], speed[::-1], place, shown[0], EPOCH + when if stamped else 0.0
                )
            watch.check()
        return SECONDS

    return watch


def wanted(moment: float) -> Array:
    """Where the controller wants the joints."""
    return ROBOT.home + SPEED * moment


def lagging(lag: float) -> At:
    """An arm that follows this many seconds late, and trembles."""
    return lambda moment: wanted(max(0.0, moment - lag)) + 1e-5 * np.sin(900.0 * moment)


@pytest.mark.parametrize("lag", [0.0, 0.02, 0.2])
@pytest.mark.parametrize(("states", "words"), [(0.001, 0.05), (0.01, 0.05), (0.1, 0.05), (0.033, 0.1)])
def test_an_arm_that_follows_is_left_alone(watched: Watched, lag: float, states: float, words: float) -> None:
    assert watched(lagging(lag), lagging(lag), states=states, words=words) == SECONDS


def test_a_controller_that_does_not_say_where_the_arm_is_can_be_watched_as_well(watched: Watched) -> None:
    assert watched(lagging(0.05), lambda _: None) == SECONDS


@pytest.mark.parametrize("late", [0.05, 0.25, 0.45])
def test_a_controller_whose_words_wait_is_held_against_where_the_arm_was_then(watched: Watched, late: float) -> None:
    assert watched(lagging(0.02), lagging(0.02), late=late) == SECONDS


@pytest.mark.parametrize("late", [0.25, 0.45])
def test_an_arm_that_is_held_is_noticed_though_words_wait(watched: Watched, late: float) -> None:
    with pytest.raises(DeviationError, match="blocked"):
        watched(held(0.4), held(0.4), late=late)
    with pytest.raises(ContradictoryJointsError):
        watched(held(0.4), lagging(0.0), late=late)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, 1e9, -60.0])
@pytest.mark.parametrize("joints", [[0], [6], list(range(7))])
def test_velocities_that_are_none_do_not_end_the_supervision(watched: Watched, wrong: float, joints: list[int]) -> None:
    """A driver without velocities may send them as NaN; a huge one would make a path that passes everywhere."""
    speed = SPEED.copy()
    speed[joints] = wrong
    assert watched(lagging(0.05), lagging(0.05), speed=speed) == SECONDS
    with pytest.raises(DeviationError, match="blocked"):
        watched(held(0.4), held(0.4), speed=speed)
    with pytest.raises(ContradictoryJointsError):
        watched(held(0.4), lagging(0.0), speed=speed)
    with pytest.raises(DeviationError, match="blocked"):
        watched(held(0.4), lambda _: None, speed=speed)


def test_what_is_no_number_is_never_near() -> None:
    joint, miss = nearest_miss(np.array([[0.0, 0.0], [np.nan, 0.0]]), np.zeros(2))
    assert joint == 0
    assert not miss <= 1.0
    assert np.isnan(odd_joint(np.array([[np.nan, 0.0]]), np.zeros(2))[1])


def test_words_from_long_ago_are_too_late_but_contradict_nothing(watched: Watched) -> None:
    with pytest.raises(StaleJointsError, match=r"more than 0\.5 s later than joint states") as told:
        watched(lagging(0.0), lagging(0.0), late=0.8)
    assert not isinstance(told.value, ContradictoryJointsError)
    assert watched(lagging(0.0), lagging(0.0), late=0.8, config=WatchConfig(word_delay=1.0)) == SECONDS


@pytest.mark.parametrize("late", [0.8, 1.0])
def test_what_was_not_true_when_it_was_said_is_a_contradiction_however_late(watched: Watched, late: float) -> None:
    with pytest.raises(ContradictoryJointsError):
        watched(held(0.4), lagging(0.0), late=late, config=WatchConfig(word_delay=1.5))
    with pytest.raises(DeviationError, match="blocked"):
        watched(held(0.4), held(0.4), late=late, config=WatchConfig(word_delay=1.5))


def test_no_word_may_be_later_than_joint_states_are_kept() -> None:
    with pytest.raises(ValueError, match=r"word_delay.*3.*at most 2"):
        WatchConfig(word_delay=3.0)


def test_words_without_a_stamp_are_no_excuse(watched: Watched) -> None:
    with pytest.raises(ContradictoryJointsError):
        watched(lagging(0.0), lagging(0.0), late=0.8, stamped=False)


def test_a_controller_that_falls_silent_in_a_turn_is_not_contradicted(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the arm does after the last word, within its limits, nobody has said anything else about."""
    shown = began = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: shown)
    joints = JointStateMonitor(ROBOT, 0.25, RestConfig(), 0.9, now=lambda: time.monotonic())
    watch = ArmWatch(joints, WatchConfig())
    turn = 0.5 * ROBOT.acceleration_limits * np.array([1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 1.0])
    for moment in np.arange(0.0, 0.6, 0.01):
        shown = began + moment
        place = ROBOT.home + SPEED * moment + 0.5 * turn * max(0.0, moment - 0.1) ** 2
        joints.take(NAMES, place, [], moment, shown)
        if moment <= 0.1:
            watch.hear(NAMES, place, SPEED, place, shown)
        watch.check()
    assert watch.silence() > 0.45


def held(stops: float) -> At:
    """Where an arm is that cannot go on."""
    return lambda moment: lagging(0.02)(min(moment, stops)) + 1e-5 * np.sin(900.0 * moment)


def test_an_arm_that_is_held_is_noticed_with_its_joint_and_by_how_much(watched: Watched) -> None:
    with pytest.raises(DeviationError, match=r"fr3_joint7 is 0\.1\d\d rad away from where its controller wants it"):
        watched(held(0.5), held(0.5))


def test_joint_states_that_stay_the_same_are_noticed_before_they_deviate(watched: Watched) -> None:
    with pytest.raises(FrozenJointsError, match=r"do not change while the controller moves fr3_joint7 by 0\.\d+ rad"):
        watched(lambda _: ROBOT.home, lagging(0.02))


def test_a_publisher_that_says_something_else_than_the_controller_is_noticed(watched: Watched) -> None:
    with pytest.raises(ContradictoryJointsError, match=r"fr3_joint1 is at .* away from what its controller says"):
        watched(lambda moment: lagging(0.0)(moment) + 0.3 * np.eye(7)[0], lagging(0.02))


def test_joint_states_that_stop_are_noticed(watched: Watched) -> None:
    with pytest.raises(StaleJointsError, match=r"joint states are 0\.2\d s old"):
        watched(lambda moment: lagging(0.02)(moment) if moment < 0.5 else None, lagging(0.02))


def test_who_stood_still_blames_nobody_before_it_could_hear_of_the_arm(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = AwakeClock()
    joints = JointStateMonitor(ROBOT, 0.25, RestConfig(), 0.9, now=lambda: time.monotonic())
    watch = ArmWatch(joints, WatchConfig(), clock)
    shown = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: shown)
    joints.take(NAMES, ROBOT.home, [], 1.0, shown)
    watch.hear(NAMES, ROBOT.home, SPEED, ROBOT.home, shown)
    watch.check()
    shown += 5.0
    watch.check()
    assert watch.silence() < 0.2
    with pytest.raises(StaleJointsError, match=r"joint states are 5\.00 s old"):  # whoever acts has to know
        joints.positions()
    for _ in range(7):
        shown += 0.02
        watch.check()
    shown += 0.02
    with pytest.raises(StaleJointsError, match=r"joint states are 5\.16 s old"):
        watch.check()


def test_frozen_joint_states_are_not_believed_until_they_change() -> None:
    joints = JointStateMonitor(ROBOT, 60.0, RestConfig(), 0.9, now=lambda: time.monotonic())
    now = time.monotonic()
    joints.take(NAMES, ROBOT.home, [], 1.0, now)
    joints.disbelieve()
    joints.take(NAMES, ROBOT.home, [], 1.1, now)
    with pytest.raises(FrozenJointsError):
        joints.positions()
    assert not joints.rests()
    joints.take(NAMES, ROBOT.home + np.eye(7)[3] * 1e-9, [], 1.2, now)
    assert joints.positions() == pytest.approx(ROBOT.home)


LIES = {
    "stands still": lambda place, before: before,
    "runs the other way": lambda place, before: 2.0 * before - place,
    "is off": lambda place, before: place + 0.2,
    "is half as far": lambda place, before: before + 0.5 * (place - before),
}


@given(
    st.sampled_from(sorted(LIES)),
    st.integers(0, 6),
    st.lists(st.floats(0.2, 1.5) | st.floats(-1.5, -0.2), min_size=7, max_size=7),
    st.floats(0.0, 0.2),
)
def test_the_joint_that_explains_a_contradiction_is_named(
    lie: str, joint: int, velocities: list[float], lag: float
) -> None:
    speeds = np.array(velocities)
    path = ROBOT.home + np.linspace(0.0, 1.0, 40)[:, None] * speeds
    measured = ROBOT.home + (1.0 - lag) * speeds
    truth = measured[joint]
    measured[joint] = LIES[lie](measured[joint], ROBOT.home[joint])
    found, off = odd_joint(path, measured)
    assert found == joint
    assert off == pytest.approx(abs(measured[joint] - truth), abs=0.05)


def test_an_arm_that_lags_with_all_joints_is_named_by_the_farthest() -> None:
    path = ROBOT.home + np.linspace(0.5, 1.0, 20)[:, None] * SPEED
    assert odd_joint(path, ROBOT.home) == (6, pytest.approx(0.4))
