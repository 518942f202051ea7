"""The speed that holds: the smaller of what people want and what their distance leaves; silence holds."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mini_diffuser_ros.motion.nearest_person import RECOVERY, DistanceError
from mini_diffuser_ros.motion.separation import SeparationConfig, distance_at, fraction_at, speed_at
from mini_diffuser_ros.motion.speed_override import SpeedError, SpeedOverride

TOOL = 0.25  # m/s
WORD = 0.05  # seconds between two words of a sensor
SEPARATION = SeparationConfig(topic="distance")


class Clock:
    """Seconds that stand still until they are moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def override(clock: Clock) -> SpeedOverride:
    return SpeedOverride(SEPARATION, TOOL, clock)


@pytest.fixture
def say(override: SpeedOverride, clock: Clock) -> Callable[..., None]:
    """A sensor says something for some seconds, word by word; what cannot be is refused."""

    def speak(*distances: float, seconds: float = WORD) -> None:
        for _ in range(round(seconds / WORD)):
            clock.now += WORD
            for distance in distances:
                with suppress(DistanceError):
                    override.hear_distance(distance)

    return speak


@given(distance=st.floats(0.0, 20.0), latency=st.floats(0.0, 1.0), max_age=st.floats(0.05, 1.0))
def test_the_distance_kept_is_what_the_formula_asks_for(distance: float, latency: float, max_age: float) -> None:
    config = SeparationConfig(topic="distance", latency=latency, max_age=max_age)
    speed = speed_at(distance, config)
    assume(speed > 0.0)
    human = 2.0 if distance <= 0.5 else 1.6
    reaction = latency + max_age + config.reaction  # for so long the arm goes on as if nobody had come

    kept = human * (reaction + config.stopping) + speed * reaction + speed * config.stopping
    kept += config.intrusion + config.uncertainty

    assert kept == pytest.approx(distance)
    assert distance_at(speed, config) == pytest.approx(distance)
    elbow = config.fastest_part * TOOL
    assert fraction_at(distance, config, TOOL) * elbow <= min(elbow, speed) + 1e-9


@given(nearer=st.floats(0.0, 10.0), farther=st.floats(0.0, 10.0))
def test_who_is_nearer_never_leaves_more_speed(nearer: float, farther: float) -> None:
    nearer, farther = sorted((nearer, farther))

    assert fraction_at(nearer, SEPARATION, TOOL) <= fraction_at(farther, SEPARATION, TOOL)


def test_the_distances_at_the_defaults_are_those_of_the_documentation() -> None:
    assert distance_at(0.0, SEPARATION) == pytest.approx(2.04)
    assert distance_at(TOOL * SEPARATION.fastest_part, SEPARATION) == pytest.approx(2.572, abs=1e-3)


def test_a_fresh_one_is_at_full_speed_and_the_last_word_holds() -> None:
    override = SpeedOverride(SeparationConfig(), TOOL)
    assert (override.speed(), override.state().reason) == (1.0, "")
    override.want(30.0)
    override.want(20.0)
    assert (override.speed(), override.state().reason) == (0.2, "20 % are wanted")
    assert override.state().answer == "20 %"
    override.want(0.0)
    assert override.state().answer == "0 %: the arm holds"


def test_what_was_wanted_of_a_node_that_ended_holds_until_somebody_says() -> None:
    override = SpeedOverride(SeparationConfig(), TOOL)
    override.recall(20.0)
    override.recall(30.0)
    state = override.state()
    assert (state.speed, state.is_recalled) == (0.2, True)
    assert state.reason == "20 % are wanted, as before motion_node was started again"
    override.want(100.0)
    override.recall(0.0)
    assert (override.state().speed, override.state().is_recalled) == (1.0, False)


def test_the_smaller_holds(override: SpeedOverride) -> None:
    override.hear_distance(math.inf)
    assert override.speed() == 1.0
    override.want(50.0)
    assert override.speed() == 0.5
    override.hear_distance(0.3)
    assert override.speed() == 0.0
    assert override.state().reason == "somebody was 0.30 m away"
    assert override.state().wanted == 0.5


def test_without_distances_and_when_they_cease_it_holds(override: SpeedOverride, clock: Clock) -> None:
    assert override.speed() == 0.0
    assert "no distance to people on distance yet" in override.state().reason
    override.hear_distance(9.0)
    clock.now += SEPARATION.max_age
    assert override.speed() == 1.0
    clock.now += 0.01
    assert override.speed() == 0.0
    clock.now += 60.0
    override.hear_distance(9.1)
    assert override.speed() == 1.0


def test_it_slows_down_at_once_and_goes_on_when_they_stay_away(
    override: SpeedOverride, say: Callable[..., None]
) -> None:
    say(9.0)
    say(0.5)
    assert override.speed() == 0.0
    say(9.0, seconds=0.5 * RECOVERY)
    assert override.speed() == 0.0
    say(9.0, seconds=4.0)
    assert override.speed() == 1.0


@given(nearest=st.floats(0.0, 1.5), words=st.lists(st.one_of(st.floats(0.0, 10.0), st.just(math.inf)), min_size=1))
def test_nobody_goes_away_faster_than_people_walk(nearest: float, words: list[float]) -> None:
    clock = Clock()
    override = SpeedOverride(SEPARATION, TOOL, clock)
    override.hear_distance(nearest)
    for count, word in enumerate(words, start=1):
        clock.now += WORD
        override.hear_distance(word)
        # At most so far, whatever was said meanwhile: somebody who walks as fast as people do.
        reached = nearest + SEPARATION.human_speed * WORD * count
        assert override.state().allowed <= fraction_at(reached, SEPARATION, TOOL)


def test_of_two_sensors_that_disagree_the_nearer_person_counts(
    override: SpeedOverride, say: Callable[..., None]
) -> None:
    say(math.inf, 0.4, seconds=10.0)
    assert override.speed() == 0.0
    say(0.4, math.inf, seconds=10.0)
    assert override.speed() == 0.0
    override.doubt_distances("distance has 2 publishers")
    say(math.inf, seconds=0.5)
    assert override.state().is_fault
    assert override.state().reason == "distance has 2 publishers"


def test_nobody_in_range_is_believed_as_far_as_the_sensor_sees(clock: Clock) -> None:
    short = SpeedOverride(SeparationConfig(topic="distance", max_range=2.3), TOOL, clock)
    short.hear_distance(math.inf)
    assert 0.0 < short.speed() == fraction_at(2.3, SEPARATION, TOOL) < 1.0


@pytest.mark.parametrize(
    "percent",
    [math.nan, -1.0, 100.5, math.inf, 0.5, 1e-9, 0.99],
    ids=["nan", "-1", "100.5", "inf", "half", "tiny", "0.99"],
)
def test_a_speed_that_cannot_be_is_refused_and_changes_nothing(override: SpeedOverride, percent: float) -> None:
    with pytest.raises(SpeedError, match=r"expected are 0 \(hold\) or 1 to 100 \(as planned\): percent"):
        override.want(percent)
    assert override.state().wanted == 1.0


@pytest.mark.parametrize("distance", [math.nan, -0.01, 400.0, 10.001, 3.4e38])
def test_a_distance_that_nothing_can_have_measured_holds_until_others_follow(
    override: SpeedOverride, say: Callable[..., None], distance: float
) -> None:
    say(9.0)
    with pytest.raises(DistanceError, match=r"distance says .* m, expected are 0 to 10 \(separation.max_range\)"):
        override.hear_distance(distance)
    assert override.state().is_fault
    say(9.0, distance, seconds=10.0)
    assert override.speed() == 0.0
    say(9.0, seconds=SEPARATION.trust_after)
    assert override.speed() == 0.0
    say(9.0, seconds=2 * WORD)
    assert override.speed() == 1.0


def test_a_distance_that_never_changes_is_not_measured(override: SpeedOverride, say: Callable[..., None]) -> None:
    say(9.0, seconds=SEPARATION.max_same)
    assert override.speed() == 1.0
    say(9.0, seconds=3 * WORD)
    assert (override.speed(), override.state().is_fault) == (0.0, True)
    assert "distance has said 9 m, bit for bit, for more than 10 s" in override.state().reason
    say(8.99)
    assert override.speed() == 1.0
    say(math.inf, seconds=3 * SEPARATION.max_same)
    assert override.speed() == 1.0


def test_too_near_to_be_measured_is_near(override: SpeedOverride, say: Callable[..., None]) -> None:
    say(9.0)
    override.hear_distance(-math.inf)
    assert (override.speed(), override.state().is_fault) == (0.0, False)
