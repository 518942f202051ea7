"""Stamps of cameras with clocks of their own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.perception.sensor_clock import WINDOW, SensorClock

PERIOD = 1.0 / 30.0
SHORTEST = 0.004


@given(st.lists(st.floats(0.0, 0.3), min_size=1, max_size=200), st.floats(-1e6, 1e6))
def test_stamps_are_off_by_no_more_than_the_least_delay_so_far(delays: list[float], ahead: float) -> None:
    clock, least = SensorClock(), float("inf")
    for number, delay in enumerate(delays):
        exposed = number * PERIOD
        received = exposed + SHORTEST + delay
        least = min(least, SHORTEST + delay)
        stamp = clock.to_receiver(exposed + ahead, received)
        assert stamp <= received + 1e-6
        assert stamp - exposed == pytest.approx(least, abs=1e-6)


def test_a_clock_that_drifts_is_followed() -> None:
    clock, drift = SensorClock(), 1.0 + 1e-4
    for number in range(30 * 600):
        exposed = number * PERIOD
        stamp = clock.to_receiver(drift * exposed, exposed + SHORTEST)
        assert abs(stamp - exposed - SHORTEST) <= 1e-4 * WINDOW + 1e-6


def test_a_clock_that_is_set_back_is_measured_anew() -> None:
    clock = SensorClock()
    clock.to_receiver(5000.0, 100.0)
    assert clock.to_receiver(0.0, 101.0) == pytest.approx(101.0)
    # An image that is held up is not taken for a new one.
    assert clock.to_receiver(0.1, 103.0) == pytest.approx(101.1)
