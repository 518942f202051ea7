"""Which images belong together, which are too old, and which cameras are gone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.sensing.camera_monitor import AgeLimits, Instant, SyncConfig
from mini_diffuser_ros.sensing.frame_sets import FrameCollector

CONFIG = SyncConfig(pair_tolerance=0.01, set_tolerance=0.05, stale_after=1.0)
LIMITS = AgeLimits(oldest=0.1, lead=0.02)
AGELESS = AgeLimits(oldest=1e6, lead=1e6)

Collector = FrameCollector[str, str]


def at(moment: float) -> Instant:
    """Both clocks, 10 s apart: nothing may compare one with the other."""
    return Instant(moment, moment + 10.0)


def collector(*cameras: str, limits: AgeLimits = AGELESS) -> Collector:
    made: Collector = FrameCollector(cameras, CONFIG, limits, start=0.0)
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
    frames: Collector = FrameCollector(["front"], CONFIG, AGELESS, start=0.0)
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


ARRIVALS = st.lists(
    st.tuples(st.sampled_from(["front", "left", "wrist"]), st.floats(0.0, 0.9), st.floats(0.0, 0.2)), max_size=60
)


@given(ARRIVALS)
def test_sets_are_narrow_fresh_and_never_hold_a_frame_twice(arrivals: list[tuple[str, float, float]]) -> None:
    frames = collector("front", "left", "wrist", limits=LIMITS)
    used: set[str] = set()
    # Stamp and delay: images overtake each other.
    arrived = sorted(arrivals, key=lambda arrival: arrival[1] + arrival[2])
    for number, (camera, exposed, delay) in enumerate(arrived):
        moment = exposed + delay
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
