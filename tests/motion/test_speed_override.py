"""The speed that holds: the smaller of what people want and what their distance leaves; silence holds."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mini_diffuser_ros.motion.separation import SeparationConfig, fraction_at, speed_at
from mini_diffuser_ros.motion.speed_override import RECOVERY, SpeedError, SpeedOverride

FULL = 0.25  # m/s
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
    return SpeedOverride(SEPARATION, FULL, clock)


@given(distance=st.floats(0.0, 20.0))
def test_the_distance_kept_is_what_the_formula_asks_for(distance: float) -> None:
    speed, config = speed_at(distance, SEPARATION), SEPARATION
    assume(speed > 0.0)
    human = 2.0 if distance <= 0.5 else 1.6
    stopping_distance = speed * config.stopping

    kept = human * (config.reaction + config.stopping) + speed * config.reaction + stopping_distance
    kept += config.intrusion + config.uncertainty

    assert kept == pytest.approx(distance)
    assert fraction_at(distance, config, FULL) <= min(1.0, speed / FULL) + 1e-9


@given(nearer=st.floats(0.0, 10.0), farther=st.floats(0.0, 10.0))
def test_who_is_nearer_never_leaves_more_speed(nearer: float, farther: float) -> None:
    nearer, farther = sorted((nearer, farther))

    assert fraction_at(nearer, SEPARATION, FULL) <= fraction_at(farther, SEPARATION, FULL)


def test_a_fresh_one_is_at_full_speed_and_the_last_word_holds() -> None:
    override = SpeedOverride(SeparationConfig(), FULL)
    assert (override.speed(), override.state().reason) == (1.0, "")
    override.want(0.3)
    override.want(0.2)
    assert (override.speed(), override.state().reason) == (0.2, "20 % are wanted")


def test_the_smaller_holds(override: SpeedOverride) -> None:
    override.hear_distance(math.inf)
    assert override.speed() == 1.0
    override.want(0.5)
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
    override.hear_distance(9.0)
    assert override.speed() == 1.0


def test_it_slows_down_at_once_and_goes_on_when_they_stay_away(override: SpeedOverride, clock: Clock) -> None:
    override.hear_distance(9.0)
    override.hear_distance(0.5)
    assert override.speed() == 0.0
    clock.now += 0.5 * RECOVERY
    override.hear_distance(9.0)
    assert override.speed() == 0.0
    clock.now += 0.6 * RECOVERY
    override.hear_distance(9.0)
    assert override.speed() == 1.0


@pytest.mark.parametrize("fraction", [math.nan, -0.01, 1.01, math.inf])
def test_a_speed_that_cannot_be_is_refused_and_changes_nothing(override: SpeedOverride, fraction: float) -> None:
    with pytest.raises(SpeedError, match=r"expected are 0 \(hold\) to 100"):
        override.want(fraction)
    assert override.state().wanted == 1.0


@pytest.mark.parametrize("distance", [math.nan, -0.01, -math.inf])
def test_a_distance_that_cannot_be_counts_as_not_heard(override: SpeedOverride, distance: float) -> None:
    with pytest.raises(SpeedError, match="expected are metres of 0 or more"):
        override.hear_distance(distance)
    assert override.speed() == 0.0
