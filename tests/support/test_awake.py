"""Who stood still takes nobody's silence of that time for a fault, and notices a fault all the same."""

from __future__ import annotations

import time

import pytest

from mini_diffuser_ros.support.awake import LONGEST_LOOK, AwakeClock
from mini_diffuser_ros.support.cancellation import CancellationToken


class SteadyClock:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.shown = 1000.0

    def __call__(self) -> float:
        return self.shown


@pytest.fixture
def steady(monkeypatch: pytest.MonkeyPatch) -> SteadyClock:
    clock = SteadyClock()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


def looked_at(awake: AwakeClock, steady: SteadyClock, seconds: float, period: float) -> None:
    for _ in range(round(seconds / period)):
        steady.shown += period
        awake.look()


def test_it_is_the_steady_clock_as_long_as_somebody_looks(steady: SteadyClock) -> None:
    awake = AwakeClock()
    began, heard = awake.now(), steady.shown
    looked_at(awake, steady, 7.0, 0.05)
    assert awake.since(heard) == pytest.approx(7.0)
    assert awake.now() - began == pytest.approx(7.0)
    assert awake.since(-float("inf")) == float("inf")


def test_a_standstill_counts_as_one_look_whoever_looks_first(steady: SteadyClock) -> None:
    awake = AwakeClock()
    before, heard = awake.now(), steady.shown
    steady.shown += 30.0
    assert awake.since(heard) == pytest.approx(LONGEST_LOOK)
    assert awake.now() - before == pytest.approx(LONGEST_LOOK)
    woken = steady.shown
    looked_at(awake, steady, 1.0, 0.05)
    assert awake.since(woken) == pytest.approx(1.0)
    assert awake.since(heard) == pytest.approx(1.0 + LONGEST_LOOK)
    assert awake.since(heard + 10.0) == pytest.approx(1.0)  # heard of in the middle of it, by another thread


def test_who_is_held_again_and_again_is_not_blind(steady: SteadyClock) -> None:
    awake = AwakeClock()
    heard, before = steady.shown, 0.0
    for _ in range(500):
        steady.shown += 2.5 * LONGEST_LOOK
        assert awake.since(heard) > before
        before = awake.since(heard)
    assert awake.since(steady.shown - 25.0) == pytest.approx(10.0)


def test_a_wait_lasts_as_long_as_if_the_process_had_not_stood_still(steady: SteadyClock) -> None:
    looks = 0

    def arrives_after_the_standstill() -> bool:
        nonlocal looks
        looks += 1
        steady.shown += 600.0 if looks == 1 else 0.0
        return looks > 2

    assert CancellationToken().wait_for(arrives_after_the_standstill, 1.0)


def test_the_last_standstill_that_was_long_enough_is_told(steady: SteadyClock) -> None:
    awake = AwakeClock()
    assert awake.last_standstill(0.3) == (-float("inf"), -float("inf"))
    steady.shown += 1.0
    until = steady.shown
    awake.look()
    looked_at(awake, steady, 2.0, 0.2)
    assert awake.last_standstill(0.3) == (pytest.approx(until - 0.9), pytest.approx(until))


def test_a_request_may_have_waited_for_a_long_standstill_that_ended_a_moment_ago(steady: SteadyClock) -> None:
    awake = AwakeClock()
    steady.shown += 0.8
    assert awake.waited() == 0.0  # so long everybody waits
    steady.shown += 8.0
    assert awake.waited() == pytest.approx(8.0 - LONGEST_LOOK)
    looked_at(awake, steady, 0.9, 0.05)
    assert awake.waited() > 7.0
    looked_at(awake, steady, 0.2, 0.05)
    assert awake.waited() == 0.0


def test_who_was_being_built_has_kept_nobody_waiting(steady: SteadyClock) -> None:
    awake = AwakeClock()
    steady.shown += 20.0
    awake.restart()
    assert awake.waited() == 0.0
    assert awake.since(steady.shown - 5.0) == pytest.approx(5.0)
