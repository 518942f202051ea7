"""Rates, and figures of the last seconds."""

from __future__ import annotations

import pytest

from mini_diffuser_ros.support.health import RecentValues


def test_rates_and_figures_are_those_of_the_window() -> None:
    now = 100.0
    values = RecentValues(window=2.0, clock=lambda: now)
    for value in (5.0, 1.0, 3.0):
        values.add(value)
    now = 101.0
    assert values.rate() == pytest.approx(3.0)
    assert values.summary("age", "s") == {
        "age p50 (s)": 3.0,
        "age p99 (s)": pytest.approx(4.96),
        "age max (s)": 5.0,
    }
    now = 102.5
    assert values.rate() == 0.0
    assert values.summary("age", "s") == {}
