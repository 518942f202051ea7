"""What measured fingers say about a gripper."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.sensing.grip import (
    FingerTravel,
    GripConfig,
    GripperError,
    GripperFault,
    check_opened,
    grip_fault,
    held_width,
)
from mini_diffuser_ros.support.settings import SettingsError

CONFIG = GripConfig()
OPEN = 0.072

widths = st.floats(0.0, 0.08)
verdicts = st.booleans()


def closed(before: float, after: float, first_rest: float | None = None, says_held: bool = False) -> float:
    return held_width(FingerTravel(before, first_rest, after), says_held, OPEN, CONFIG)


@given(st.floats(0.004, 0.0775), verdicts)
def test_fingers_that_stopped_before_they_met_hold_something_whatever_the_driver_says(width: float, says: bool) -> None:
    assert closed(0.08, width, width, says) == width


@given(widths, st.floats(0.0, CONFIG.empty_width), verdicts)
def test_fingers_that_met_hold_nothing_whatever_the_driver_says(before: float, after: float, says: bool) -> None:
    assert closed(before, after, after, says) == 0.0


@given(st.floats(0.01, 0.08), st.floats(-0.0019, 0.0019))
def test_fingers_that_did_not_move_did_not_close(width: float, noise: float) -> None:
    with pytest.raises(GripperError, match=r"did not close.*homing") as caught:
        closed(width, width + noise)
    assert caught.value.fault is GripperFault.UNMOVED


@given(st.floats(OPEN, 0.08))
def test_open_fingers_that_stay_so_hold_nothing_even_if_the_driver_says_so(width: float) -> None:
    with pytest.raises(GripperError, match="did not close"):
        closed(width, width, says_held=True)


def test_fingers_that_stand_on_something_already_are_believed_with_the_driver() -> None:
    assert closed(0.04, 0.04, says_held=True) == 0.04


def test_what_slips_out_of_closing_fingers_is_told_from_a_grasp_and_from_nothing() -> None:
    with pytest.raises(GripperError, match=r"closed to 40\.0 mm and then to 1\.0 mm") as caught:
        closed(0.08, 0.001, 0.04, says_held=True)
    assert caught.value.fault is GripperFault.SLIPPED


def test_fingers_that_move_apart_when_told_to_close_did_not_close() -> None:
    with pytest.raises(GripperError, match=r"moved apart, from 30\.0 mm to 50\.0 mm") as caught:
        closed(0.03, 0.05, 0.05)
    assert caught.value.fault is GripperFault.MISSED


@given(st.floats(0.0, 0.0699), st.floats(-0.0019, 0.0019))
def test_an_unhomed_gripper_is_named_with_its_measured_width(width: float, noise: float) -> None:
    after = max(width + noise, 0.0)
    with pytest.raises(GripperError, match=rf"{1e3 * after:.1f} mm apart.*homing") as caught:
        check_opened(FingerTravel(width, None, after), OPEN, CONFIG)
    assert caught.value.fault is GripperFault.UNMOVED


def test_a_gripper_that_opens_half_way_says_from_where_to_where() -> None:
    with pytest.raises(GripperError, match=r"from 10\.0 mm to 45\.0 mm") as caught:
        check_opened(FingerTravel(0.01, 0.045, 0.045), OPEN, CONFIG)
    assert caught.value.fault is GripperFault.MISSED


def test_something_almost_as_wide_as_the_hand_is_let_go_only_by_fingers_that_move() -> None:
    check_opened(FingerTravel(0.0745, 0.0784, 0.0784), 0.078, CONFIG)
    check_opened(FingerTravel(0.08, None, 0.08), OPEN, CONFIG)


@given(st.floats(0.004, 0.078), st.floats(-0.0049, 0.0049))
def test_what_is_held_may_give_a_little(held: float, change: float) -> None:
    width = max(held + change, 0.0)
    fault = grip_fault(held, width, CONFIG)
    assert fault is None or width <= CONFIG.empty_width


@given(st.floats(0.012, 0.078), st.floats(0.0, 1.0))
def test_less_between_the_fingers_is_slipping_and_nothing_is_lost(held: float, part: float) -> None:
    fault = grip_fault(held, part * (held - 0.0051), CONFIG)
    assert fault is not None
    expected = GripperFault.LOST if part * (held - 0.0051) <= CONFIG.empty_width else GripperFault.SLIPPED
    assert fault.fault is expected
    assert f"{1e3 * held:.1f} mm wide" in str(fault)


def test_fingers_that_are_opened_by_somebody_have_lost_it() -> None:
    fault = grip_fault(0.04, 0.08, CONFIG)
    assert fault is not None
    assert fault.fault is GripperFault.LOST


@pytest.mark.parametrize("wrong", [{"slip": 0.0}, {"empty_width": -0.001}, {"settle_time": float("nan")}])
def test_settings_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        GripConfig(**wrong)
