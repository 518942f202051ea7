"""Stamps and pictures are believed only as long as they change as those of a sensor do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.sensing.stamps import SenderWatch, SetBackClock, StampWatch
from mini_diffuser_ros.sensing.still_pictures import StillPictureWatch


@given(st.lists(st.floats(1.0, 1e9), min_size=1, max_size=30, unique=True))
def test_stamps_that_increase_are_believed(stamps: list[float]) -> None:
    watch = StampWatch()
    assert [watch.fault(stamp) for stamp in sorted(stamps)] == [None] * len(stamps)


def test_one_that_was_overtaken_is_dropped_without_a_word_and_many_begin_anew() -> None:
    watch = StampWatch()
    assert watch.fault(10.0) is None
    assert watch.fault(9.9) == ""
    assert not watch.was_set_back()
    assert watch.fault(10.1) is None
    for stamp in (3.0, 3.1, 3.2):
        assert not watch.was_set_back()
        assert watch.fault(stamp) == ""
    assert watch.was_set_back()
    assert watch.fault(3.3) is None


@given(st.permutations(["a"] * 10 + ["b"] * 10), st.sampled_from(["a", "c"]))
def test_one_sender_that_is_replaced_is_one_and_two_that_take_turns_are_two(said: list[str], other: str) -> None:
    watch = SenderWatch()
    for word in sorted(said):
        watch.take(word)
        assert not watch.are_several()
    for word in ["b", other] * 2:
        watch.take(word)
    assert watch.are_several()
    for _ in range(20):
        watch.take("b")
    assert not watch.are_several()


@given(st.lists(st.floats(0.0, 0.09), max_size=30))
def test_a_clock_may_be_slewed_but_not_set_back(steps: list[float]) -> None:
    readings = [100.0]
    for number, step in enumerate(steps):
        readings += [100.0 + 0.01 * number - step, 100.0 + 0.01 * number]
    readings += [50.0, 50.1, 50.05, 10.0]
    watch = SetBackClock(iter(readings).__next__)
    told = [watch.read() for _ in readings]
    assert [clock for clock, _ in told] == readings
    assert [clock for clock, was_set_back in told if was_set_back] == [50.0, 10.0]


@pytest.mark.parametrize("changed", [0, 1, 7, 5000, 921_599])
def test_one_byte_that_changes_is_a_picture_that_changes(changed: int) -> None:
    watch, picture = StillPictureWatch(1.0), np.zeros(921_600, np.uint8)
    for number in range(20):
        picture = picture.copy()
        picture[changed] = number
        assert watch.still_for(picture, 0.5 * number) == 0.0


@given(st.floats(0.2, 3.0), st.floats(0.02, 0.4))
def test_the_same_picture_is_an_error_after_a_while(after: float, period: float) -> None:
    watch, picture = StillPictureWatch(after), np.random.default_rng(0).integers(0, 256, 5000, np.uint8)
    watch.still_for(picture[::-1].copy(), 0.0)
    assert not watch.is_new  # nobody knows
    for number in range(80):
        still = watch.still_for(picture.copy(), period * number)
        assert watch.is_new == (number == 0)
        if number >= 3 and period * number >= after:
            assert still == pytest.approx(period * number)
        else:
            assert still == 0.0
    assert watch.still_for(picture[::-1].copy(), 100.0) == 0.0
    assert watch.is_new


def test_rendered_pictures_are_left_alone_where_that_is_asked_for() -> None:
    watch, picture = StillPictureWatch(0.0), np.zeros(100, np.uint8)
    assert {watch.still_for(picture, float(moment)) for moment in range(100)} == {0.0}
    assert watch.is_new
