"""An arm that is too fast is noticed, whichever half of its joint states lies; a good motion is left alone, however its
joint states tremble and arrive."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mini_diffuser_ros.robots import load_robot
from mini_diffuser_ros.sensing.speed_watch import SpeedWatch

Array = NDArray[np.float64]
ROBOT = load_robot("fr3")
NAMES = list(ROBOT.arm_joint_names)
SECONDS = 1.2
STAMPED = 1.7e9  # what the driver's clock shows when the steady one shows 0
SIDEWAYS = np.array([0.5, 0.1, -0.2, 0.1, 0.3, -0.1, 0.4])


def paced(tool_speed: float) -> Array:
    """(J,) rad/s at which the tool moves so fast from home."""
    step = 1e-4
    ends = ROBOT.tcp_motion(np.stack([ROBOT.home, ROBOT.home + step * SIDEWAYS]))[0]
    return SIDEWAYS * tool_speed * step / float(np.linalg.norm(ends[1] - ends[0]))


def watched(
    velocities: Array,
    *,
    rate: float = 100.0,
    noise: float = 0.0,
    held: Callable[[float], float] = lambda moment: moment,
    stamp: Callable[[float], float] = lambda moment: moment,
    positions: bool = True,
    published: str = "true",
    start: Array = ROBOT.home,
    limit: float = 0.25,
    seed: int = 0,
) -> str:
    """What is said of an arm that moves there and back within two seconds or less.

    Args:
        velocities: (J,) rad/s at most; they swell and fade, as in a planned motion.
        rate: joint states a second.
        noise: radians.
        held: when a state of a moment arrives.
        stamp: what is stamped on it.
        positions: whether they are told as they are, or stand still.
        published: velocities: true, none or zero.
    """
    rng = np.random.default_rng(seed)
    watch = SpeedWatch(ROBOT)
    watch.max_tool_speed = limit
    moments = np.arange(0.0, SECONDS, 1.0 / rate)
    arrivals = np.maximum.accumulate([held(float(moment)) for moment in moments])
    looked, said = 0.0, ""
    for moment, arrival in zip(moments, arrivals, strict=True):
        while looked < arrival:
            looked += 0.02
            said = said or watch.problem()
        swell = np.sin(np.pi * moment / SECONDS)
        travel = SECONDS / np.pi * (1.0 - np.cos(np.pi * moment / SECONDS))
        place = start + (velocities * travel if positions else 0.0) + noise * rng.standard_normal(7)
        speeds = {"true": velocities * swell + 10.0 * noise * rng.standard_normal(7), "zero": np.zeros(7)}
        watch.take(NAMES, place, speeds.get(published, []), STAMPED + stamp(float(moment)), float(arrival))
        looked = max(looked, arrival - 0.02)
    return said or watch.problem()


def bunched(size: float) -> Callable[[float], float]:
    """States wait for a receiver that reads them this many seconds apart, three times in five."""
    return lambda moment: size * np.ceil(moment / size) if int(moment / size) % 5 < 1 else moment


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([30.0, 100.0, 1000.0]), st.floats(0.0, 1e-4), st.integers(0, 10**6), st.floats(0.0, 0.25))
def test_noise_and_late_arrival_do_not_stop_a_motion_at_its_limit(
    rate: float, noise: float, seed: int, size: float
) -> None:
    held = bunched(size) if size > 0.01 else (lambda moment: moment)
    assert watched(paced(0.25), rate=rate, noise=noise, held=held, seed=seed) == ""


@settings(max_examples=15, deadline=None)
@given(st.floats(0.0, 0.02), st.floats(0.0, 0.25), st.integers(0, 10**6))
def test_stamps_that_tremble_at_a_kilohertz_neither_stop_a_good_motion_nor_hide_a_fast_one(
    jitter: float, size: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)

    def stamp(moment: float) -> float:
        return moment + rng.uniform(-jitter, jitter)

    held = bunched(size) if size > 0.01 else (lambda moment: moment)
    assert watched(paced(0.25), rate=1000.0, held=held, stamp=stamp) == ""
    assert "the tool moves at" in watched(paced(0.6), rate=1000.0, held=held, stamp=stamp)


@pytest.mark.parametrize("rate", [100.0, 1000.0])
@pytest.mark.parametrize("delay", [0.1, 0.3, 0.45])
def test_who_catches_up_with_what_waited_sees_no_faster_arm(rate: float, delay: float) -> None:
    """Most of what was seen came late, and what comes then comes faster than it happened."""

    def held(moment: float) -> float:
        behind = moment + delay if moment < 0.6 else max(moment, 0.6 + delay + 0.2 * (moment - 0.6))
        return moment if moment < 0.05 else behind

    assert watched(paced(0.25), rate=rate, held=held) == ""
    assert "the tool moves at" in watched(paced(0.6), rate=rate, held=held)


@settings(max_examples=20, deadline=None)
@given(st.floats(1.4, 5.0), st.sampled_from([50.0, 100.0, 1000.0]), st.sampled_from([0.02, 0.25, 0.5]))
def test_a_tool_that_is_too_fast_is_noticed_at_any_rate_and_limit(factor: float, rate: float, limit: float) -> None:
    assert "the tool moves at" in watched(paced(factor * limit + 0.03), rate=rate, limit=limit, noise=5e-5)


@pytest.mark.parametrize("published", ["none", "zero"])
def test_velocities_that_are_not_published_or_lie_hide_nothing(published: str) -> None:
    assert "m/s, by its positions" in watched(paced(0.5), published=published)


def test_positions_that_lie_do_not_hide_it_either() -> None:
    assert "m/s, by its published velocities" in watched(paced(0.5), positions=False)


@pytest.mark.parametrize("joint", range(7))
def test_a_joint_beyond_its_own_limit_is_named(joint: int) -> None:
    velocities = 1.3 * ROBOT.velocity_limits * np.eye(7)[joint]
    start = ROBOT.home - 0.4 * SECONDS * velocities  # through the middle of its range
    assert f"fr3_joint{joint + 1} moves at" in watched(velocities, start=start, limit=10.0)


def test_limits_follow_the_position() -> None:
    """At the end of its range joint 4 may do a fraction of what it may in the middle."""
    velocities = 0.7 * ROBOT.velocity_limits * np.eye(7)[3]
    end = ROBOT.home.copy()
    end[3] = ROBOT.position_limits[3, 1] - 0.05
    assert "fr3_joint4 moves at" in watched(velocities, start=end - 0.6 * SECONDS * velocities, limit=10.0)
    assert watched(velocities, start=ROBOT.home - 0.4 * SECONDS * velocities, limit=10.0) == ""


@pytest.mark.parametrize("hours", [-1.0, 1.0])
def test_a_clock_that_is_set_neither_stops_a_good_motion_nor_hides_a_fast_one(hours: float) -> None:
    def stamp(moment: float) -> float:
        return moment + (3600.0 * hours if moment > SECONDS / 3 else 0.0)

    assert watched(paced(0.25), stamp=stamp) == ""
    assert "the tool moves at" in watched(paced(0.5), stamp=stamp)


@pytest.mark.parametrize("pace", [0.0, 0.5, 2.0, 4.0, 50.0])
def test_a_driver_whose_clock_runs_at_another_pace_hides_nothing(pace: float) -> None:
    assert "the tool moves at" in watched(paced(0.6), stamp=lambda moment: pace * moment)
    assert watched(paced(0.24), stamp=lambda moment: pace * moment) == ""


def test_an_arm_split_over_two_messages_is_measured_as_one() -> None:
    watch = SpeedWatch(ROBOT)
    watch.max_tool_speed = 0.25
    said = ""
    for moment in np.arange(0.0, 0.5, 0.01):
        place = ROBOT.home + paced(0.6) * moment
        for part in (slice(3, 7), slice(0, 3)):
            watch.take(NAMES[part], place[part], [], STAMPED + moment, moment)
        said = said or watch.problem()
    assert "the tool moves at 0.6" in said


def test_what_is_not_known_is_not_too_fast() -> None:
    watch = SpeedWatch(ROBOT)
    assert watch.problem() == ""
    watch.take(NAMES, ROBOT.home, [], STAMPED, 0.0)
    watch.take(NAMES, ROBOT.home + 1.0, [], STAMPED + 5.0, 5.0)  # nobody knows what was in between
    assert watch.problem() == ""
