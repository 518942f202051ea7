"""Which images belong together, which are too old, and which cameras are gone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mini_diffuser_ros.sensing.camera_monitor import AgeLimits, CameraMonitor, Instant, SyncConfig
from mini_diffuser_ros.sensing.frame_sets import FrameCollector

CONFIG = SyncConfig(pair_tolerance=0.01, set_tolerance=0.05, stale_after=1.0)
LIMITS = AgeLimits(oldest=0.1, lead=0.02)
AGELESS = AgeLimits(oldest=1e6, lead=1e6)

Collector = FrameCollector[str, str]


def at(moment: float) -> Instant:
    """Both clocks, 10 s apart: nothing may compare one with the other."""
    return Instant(moment, moment + 10.0)


def collector(*cameras: str, limits: AgeLimits = AGELESS, config: SyncConfig = CONFIG) -> Collector:
    made: Collector = FrameCollector(CameraMonitor(cameras, config, limits, start=0.0))
    for camera in cameras:
        made.add_info(camera, f"info of {camera}")
    return made


def deliver(frames: Collector, camera: str, stamp: float, moment: float) -> bool:
    frames.add_color(camera, stamp, f"color {stamp}", at(moment))
    return frames.add_depth(camera, stamp, f"depth {stamp}", at(moment))


def taken(frames: Collector, moment: float) -> list[tuple[str, float]]:
    return [(frame.camera, frame.stamp) for frame in frames.take(at(moment)) or []]


def test_a_set_needs_every_live_camera() -> None:
    frames = collector("front", "wrist")
    deliver(frames, "front", 10.0, 0.1)
    assert frames.take(at(0.1)) is None
    deliver(frames, "wrist", 10.02, 0.12)
    chosen = frames.take(at(0.12))
    assert chosen is not None
    assert [(frame.camera, frame.stamp, frame.info) for frame in chosen] == [
        ("front", 10.0, "info of front"),
        ("wrist", 10.02, "info of wrist"),
    ]
    assert frames.take(at(0.13)) is None


def test_a_camera_that_never_came_is_left_out_and_named() -> None:
    frames = collector("front", "wrist")
    deliver(frames, "front", 10.0, 0.5)
    assert frames.take(at(0.5)) is None
    deliver(frames, "front", 11.0, 1.5)
    assert taken(frames, 1.5) == [("front", 11.0)]
    front, wrist = frames.health(1.5)
    assert front.live
    assert not wrist.live
    assert "wrist" in wrist.message
    assert "no colour, depth for 1.5 s" in wrist.message


def test_a_camera_without_calibration_is_told_so() -> None:
    frames: Collector = FrameCollector(CameraMonitor(["front"], CONFIG, AGELESS, start=0.0))
    deliver(frames, "front", 10.0, 0.5)
    assert frames.take(at(0.5)) is None
    assert "camera_info" in frames.health(2.0)[0].message


def test_a_camera_that_stops_is_left_out_and_one_that_returns_is_taken_back() -> None:
    frames = collector("front", "wrist")
    for stamp in (10.0, 10.2):
        for camera in ("front", "wrist"):
            deliver(frames, camera, stamp, stamp - 10.0)
        assert frames.take(at(stamp - 10.0)) is not None
    deliver(frames, "front", 11.5, 1.5)
    assert taken(frames, 1.5) == [("front", 11.5)]
    assert "no images" in frames.health(1.5)[1].message
    deliver(frames, "front", 11.7, 1.7)
    deliver(frames, "wrist", 11.7, 1.7)
    assert len(taken(frames, 1.7)) == 2


def test_colour_and_depth_of_different_exposures_do_not_pair() -> None:
    frames = collector("front")
    frames.add_color("front", 10.0, "early", at(0.1))
    assert not frames.add_depth("front", 10.03, "late", at(0.1))
    assert frames.take(at(0.1)) is None
    assert frames.add_color("front", 10.033, "late", at(0.1))
    chosen = frames.take(at(0.1))
    assert chosen is not None
    assert (chosen[0].color, chosen[0].stamp) == ("late", 10.03)


def test_the_slowest_camera_decides_which_frames_are_taken() -> None:
    frames = collector("front", "wrist")
    for stamp in (10.0, 10.1, 10.2):
        deliver(frames, "front", stamp, 0.2)
    deliver(frames, "wrist", 10.1, 0.2)
    assert taken(frames, 0.2) == [("front", 10.1), ("wrist", 10.1)]


def test_cameras_that_are_never_near_each_other_in_time_are_told_so() -> None:
    frames = collector("front", "wrist")
    assert frames.take(at(0.0)) is None
    assert frames.hindrance == "images of front, wrist are awaited"
    deliver(frames, "front", 10.0, 0.1)
    deliver(frames, "wrist", 10.08, 0.1)
    assert frames.take(at(0.1)) is None
    assert "0.080 s apart, allowed are 0.05 s (sync.set_tolerance)" in frames.hindrance
    deliver(frames, "front", 10.09, 0.1)
    assert frames.take(at(0.1)) is not None
    assert frames.hindrance == ""


def test_images_that_come_too_late_are_dropped_counted_and_named_and_the_others_go_on() -> None:
    frames = collector("front", "wrist", limits=LIMITS)
    for moment in (0.0, 0.6, 1.2):
        assert deliver(frames, "front", 10.0 + moment - 0.03, moment)
        assert not deliver(frames, "wrist", 10.0 + moment - 0.25, moment)
    assert [camera for camera, _ in taken(frames, 1.2)] == ["front"]
    front, wrist = frames.health(1.2)
    assert front.well
    assert (wrist.live, wrist.well, wrist.dropped) == (False, False, 3)
    assert "camera wrist: images are 0.250 s old when they could be used, allowed are 0.1 s" in wrist.message
    assert deliver(frames, "wrist", 11.29, 1.3)
    assert frames.health(1.3)[1].well


def test_images_that_grow_old_while_others_are_awaited_are_dropped() -> None:
    frames = collector("front", "wrist", limits=LIMITS)
    deliver(frames, "front", 10.0, 0.0)
    deliver(frames, "wrist", 10.11, 0.12)
    assert frames.take(at(0.12)) is None
    assert frames.health(0.12)[0].dropped == 1


def test_images_that_grow_old_after_they_were_taken_are_refused() -> None:
    frames = collector("front", "wrist", limits=LIMITS)
    deliver(frames, "front", 10.0, 0.04)
    deliver(frames, "wrist", 10.04, 0.04)
    chosen = frames.take(at(0.05))
    assert chosen is not None
    assert [frame.camera for frame in frames.refuse_aged(chosen, at(0.12))] == ["wrist"]


def test_a_clock_that_runs_ahead_is_named() -> None:
    frames = collector("front", limits=LIMITS)
    assert not deliver(frames, "front", 10.5, 0.0)
    assert "stamped 0.500 s in the future" in frames.health(0.0)[0].message
    assert "synchronise the clocks" in frames.health(0.0)[0].message


@pytest.mark.parametrize("rate", [1.5, 6.0, 30.0, 90.0])
@pytest.mark.parametrize("slower", [1, 5])
@given(phases=st.tuples(st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.floats(0.0, 1.0)))
@settings(max_examples=15)
def test_sets_come_out_at_any_rate_whatever_the_phases_of_the_cameras(
    rate: float, slower: int, phases: tuple[float, float, float]
) -> None:
    frames = collector("front", "left", "wrist", limits=AgeLimits(oldest=0.1, lead=0.02))
    long = slower / rate  # the period of the wrist's
    if long > 1.0:
        return
    times = [
        (long * 0.3 + (number + phase) * (long if camera == "wrist" else 1.0 / rate), camera)
        for camera, phase in zip(("front", "left", "wrist"), phases, strict=True)
        for number in range(12 * (1 if camera == "wrist" else slower))
    ]
    sets = 0
    for moment, camera in sorted(times):
        deliver(frames, camera, moment + 10.0, moment)
        sets += len(taken(frames, moment)) == 3
    assert sets >= 6


@pytest.mark.parametrize(
    ("stamps", "words"),
    [
        ([0.0] * 8, "stamped 0: their driver gives no time"),
        ([-3.0] * 8, "stamped -3"),
        ([10.0] * 8, "stamped 10.000 again: the clock of their driver stands still"),
    ],
)
def test_stamps_that_cannot_be_are_named_and_their_images_dropped(stamps: list[float], words: str) -> None:
    frames = collector("front")
    for number, stamp in enumerate(stamps):
        deliver(frames, "front", stamp, 0.3 * number)
        frames.take(at(0.3 * number))
    (health,) = frames.health(0.3 * len(stamps))
    assert not health.well
    assert health.dropped > 6
    assert words in health.message


def test_images_whose_stamps_run_backwards_all_the_time_are_named() -> None:
    frames = collector("front", limits=LIMITS)
    for number in range(20):
        deliver(frames, "front", 9.0 - 0.1 * number, 0.1 * number)
    (health,) = frames.health(1.9)
    assert not health.live
    assert "the clock of their driver was set back" in health.message or "old when they could be used" in health.message


def test_an_image_that_was_overtaken_is_nobodys_fault() -> None:
    frames = collector("front")
    for stamp in (10.0, 10.2, 10.1, 10.3):
        deliver(frames, "front", stamp, stamp - 10.0)
    (health,) = frames.health(0.3)
    assert (health.well, health.dropped) == (True, 0)


def test_a_camera_whose_clock_was_set_back_goes_on() -> None:
    frames = collector("front")
    for number in range(10):
        deliver(frames, "front", 100.0 + 0.1 * number, 0.1 * number)
        frames.take(at(0.1 * number))
    went_on = 0
    for number in range(10):
        moment = 1.0 + 0.1 * number
        deliver(frames, "front", 20.0 + 0.1 * number, moment)
        went_on += len(taken(frames, moment))
    assert went_on >= 5


ARRIVALS = st.lists(
    st.tuples(st.sampled_from(["front", "left", "wrist"]), st.floats(0.0, 0.9), st.floats(0.0, 0.2)), max_size=60
)


@given(ARRIVALS)
def test_sets_are_narrow_fresh_and_never_hold_a_frame_twice(arrivals: list[tuple[str, float, float]]) -> None:
    # Periods that rare images seem to have are not to widen what is allowed.
    frames = collector("front", "left", "wrist", limits=LIMITS, config=replace(CONFIG, longest_set_gap=0.05))
    used: set[str] = set()
    # Stamp and delay: images overtake each other.
    arrived = sorted(arrivals, key=lambda arrival: arrival[1] + arrival[2])
    for number, (camera, exposed, delay) in enumerate(arrived):
        moment = exposed + delay
        if delay > LIMITS.oldest:
            assert not deliver(frames, camera, 10.0 + exposed, moment)
            continue
        frames.add_color(camera, 10.0 + exposed, f"image {number}", at(moment))
        frames.add_depth(camera, 10.0 + exposed, "depth", at(moment))
        chosen = frames.take(at(moment)) or []
        stamps = [frame.stamp for frame in chosen]
        if chosen:
            assert max(stamps) - min(stamps) <= CONFIG.set_tolerance
            assert at(moment).clock - min(stamps) <= LIMITS.oldest
            assert len({frame.camera for frame in chosen}) == len(chosen)
        for frame in chosen:
            assert frame.color not in used
            used.add(frame.color)


def test_two_drivers_under_one_name_are_named_and_their_images_make_no_pair() -> None:
    frames = collector("front", "wrist")
    for number in range(10):
        frames.add_info("front", f"info of driver {number % 2}")
        moment = 0.1 * number
        assert deliver(frames, "front", 10.0 + moment, moment) is (number < 2)
        deliver(frames, "wrist", 10.0 + moment, moment)
    front, wrist = frames.health(0.9)
    assert not front.well
    assert "several cameras in turn" in front.message
    assert "end all drivers of this name but one" in front.message
    assert wrist.well
    for _ in range(20):
        frames.add_info("front", "info of driver 1")
    assert deliver(frames, "front", 12.0, 2.0)
