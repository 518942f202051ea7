"""Colour and depth of one camera find each other, whatever their phase."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.sensing.camera_monitor import SyncConfig
from mini_diffuser_ros.sensing.pairing import ImagePair, Pairing, PairLimits

LIMITS = SyncConfig().pair_limits
LEARNING = 4  # images of each kind until the periods are known


def run(limits: PairLimits, colors: list[float], depths: list[float]) -> list[ImagePair[float]]:
    """The pairs of images that arrive in the order of their stamps; each image is its own stamp."""
    pairing: Pairing[float] = Pairing(limits)
    events = sorted([(stamp, "color") for stamp in colors] + [(stamp, "depth") for stamp in depths])
    found = [pairing.add_color(at, at) if kind == "color" else pairing.add_depth(at, at) for at, kind in events]
    return [pair for pair in found if pair is not None]


def stream(period: float, start: float, jitters: list[float]) -> list[float]:
    return [start + period * (number + jitter) for number, jitter in enumerate(jitters)]


JITTERS = st.lists(st.floats(-0.02, 0.02), min_size=40, max_size=40)


@given(st.sampled_from([1.0, 3.3, 6.0, 10.0, 15.0, 30.0, 60.0, 90.0]), st.floats(0.0, 1.0), JITTERS, JITTERS)
def test_every_phase_pairs(rate: float, phase: float, jitters: list[float], others: list[float]) -> None:
    period = 1.0 / rate
    colors, depths = stream(period, 0.0, jitters), stream(period, phase * period, others)
    pairs = run(LIMITS, colors, depths)
    assert len(pairs) >= len(colors) - LEARNING
    for earlier, later in pairwise(pairs):
        assert earlier.color < later.color
        assert earlier.depth < later.depth
    for pair in pairs:
        assert pair.newest - pair.stamp <= max(LIMITS.tolerance, 0.65 * period)
        assert (pair.stamp, pair.newest) == (min(pair.color, pair.depth), max(pair.color, pair.depth))


@given(st.sampled_from([5.0, 30.0, 60.0]), st.floats(0.0, 1.0), st.lists(st.booleans(), min_size=80, max_size=80))
def test_lost_images_cost_their_own_pairs_alone(rate: float, phase: float, lost: list[bool]) -> None:
    period = 1.0 / rate
    # One of eight is lost at most.
    kept = [number for number in range(80) if not (lost[number] and number % 8 == 3)]
    colors = [period * number for number in range(80)]
    depths = [period * (number + phase) for number in kept]
    assert len(run(LIMITS, colors, depths)) >= len(depths) - LEARNING - 2
    assert len(run(LIMITS, depths, colors)) >= len(depths) - LEARNING - 2


@given(st.sampled_from([15.0, 30.0, 60.0]), st.floats(0.0, 1.0), st.sampled_from([2, 3]))
def test_every_image_of_the_slower_stream_pairs(rate: float, phase: float, times_slower: int) -> None:
    period = 1.0 / rate
    colors = [period * number for number in range(60)]
    depths = [period * (times_slower * number + phase) for number in range(60 // times_slower)]
    assert len(run(LIMITS, colors, depths)) >= len(depths) - LEARNING
    assert len(run(LIMITS, depths, colors)) >= len(depths) - LEARNING


@given(st.lists(st.booleans(), min_size=60, max_size=60), st.lists(st.booleans(), min_size=60, max_size=60))
def test_images_that_were_taken_at_once_are_never_paired_with_others_though_some_are_lost(
    color_came: list[bool], depth_came: list[bool]
) -> None:
    period = 1.0 / 30.0
    colors = [period * number for number, came in enumerate(color_came) if came]
    depths = [period * number for number, came in enumerate(depth_came) if came]
    limits = PairLimits(LIMITS.tolerance, longest=0.02)
    assert {pair.color for pair in run(limits, colors, depths)} == set(colors) & set(depths)


@given(st.lists(st.floats(0.0, 10.0), max_size=60), st.lists(st.floats(0.0, 10.0), max_size=60))
def test_whatever_comes_no_two_images_further_apart_than_allowed_belong_together(
    colors: list[float], depths: list[float]
) -> None:
    pairs = run(LIMITS, colors, depths)
    assert all(abs(pair.color - pair.depth) <= LIMITS.longest for pair in pairs)
    assert len(pairs) <= min(len(colors), len(depths))


def test_until_the_period_is_known_the_tolerance_alone_counts() -> None:
    pairing: Pairing[str] = Pairing(PairLimits(tolerance=0.015, longest=0.1))
    assert pairing.tolerance() == 0.015
    for number in range(3):
        pairing.add_color(number / 15.0, "color")
        assert pairing.tolerance() == 0.015
    for number in range(3):
        pairing.add_depth(number / 15.0 + 0.03, "depth")
    assert pairing.tolerance() == pytest.approx(0.6 / 15.0)
