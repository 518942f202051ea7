"""Which images belong together, and which cameras are gone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.nodes.camera_frames import FrameCollector, SyncConfig

CONFIG = SyncConfig(pair_tolerance=0.01, set_tolerance=0.05, stale_after=1.0)


def collector(*cameras: str) -> FrameCollector[str, str]:
    made: FrameCollector[str, str] = FrameCollector(cameras, CONFIG, now=0.0)
    for camera in cameras:
        made.add_info(camera, f"info of {camera}")
    return made


def deliver(frames: FrameCollector[str, str], camera: str, stamp: float, now: float) -> None:
    frames.add_color(camera, stamp, f"color {stamp}", now)
    frames.add_depth(camera, stamp, f"depth {stamp}", now)


def test_a_set_needs_every_live_camera() -> None:
    frames = collector("front", "wrist")
    deliver(frames, "front", 10.0, now=0.1)
    assert frames.take(0.1) is None
    deliver(frames, "wrist", 10.02, now=0.12)
    taken = frames.take(0.12)
    assert taken is not None
    assert [(frame.camera, frame.stamp, frame.info) for frame in taken] == [
        ("front", 10.0, "info of front"),
        ("wrist", 10.02, "info of wrist"),
    ]
    assert frames.take(0.13) is None


def test_a_camera_that_never_came_is_left_out_and_named() -> None:
    frames = collector("front", "wrist")
    deliver(frames, "front", 10.0, now=0.5)
    assert frames.take(0.5) is None
    deliver(frames, "front", 11.0, now=1.5)
    taken = frames.take(1.5)
    assert taken is not None
    assert [frame.camera for frame in taken] == ["front"]
    front, wrist = frames.health(1.5)
    assert front.live
    assert not wrist.live
    assert "wrist" in wrist.message
    assert "no colour, depth for 1.5 s" in wrist.message


def test_a_camera_without_calibration_is_told_so() -> None:
    frames: FrameCollector[str, str] = FrameCollector(["front"], CONFIG, now=0.0)
    deliver(frames, "front", 10.0, now=0.5)
    assert frames.take(0.5) is None
    assert "camera_info" in frames.health(2.0)[0].message


def test_a_camera_that_stops_is_left_out_and_one_that_returns_is_taken_back() -> None:
    frames = collector("front", "wrist")
    for stamp in (10.0, 10.2):
        for camera in ("front", "wrist"):
            deliver(frames, camera, stamp, now=stamp - 10.0)
        assert frames.take(stamp - 10.0) is not None
    deliver(frames, "front", 11.5, now=1.5)
    assert [frame.camera for frame in frames.take(1.5) or []] == ["front"]
    assert "no images" in frames.health(1.5)[1].message
    deliver(frames, "front", 11.7, now=1.7)
    deliver(frames, "wrist", 11.7, now=1.7)
    assert len(frames.take(1.7) or []) == 2


def test_colour_and_depth_of_different_exposures_do_not_pair() -> None:
    frames = collector("front")
    frames.add_color("front", 10.0, "early", 0.1)
    frames.add_depth("front", 10.03, "late", 0.1)
    assert frames.take(0.1) is None
    frames.add_color("front", 10.033, "late", 0.1)
    taken = frames.take(0.1)
    assert taken is not None
    assert (taken[0].color, taken[0].stamp) == ("late", 10.03)


def test_the_slowest_camera_decides_which_frames_are_taken() -> None:
    frames = collector("front", "wrist")
    for stamp in (10.0, 10.1, 10.2):
        deliver(frames, "front", stamp, now=0.2)
    deliver(frames, "wrist", 10.1, now=0.2)
    assert [frame.stamp for frame in frames.take(0.2) or []] == [10.1, 10.1]


@given(st.lists(st.tuples(st.sampled_from(["front", "wrist"]), st.floats(0.0, 0.9)), max_size=40))
def test_no_set_is_wider_than_its_tolerance_and_no_frame_is_used_twice(arrivals: list[tuple[str, float]]) -> None:
    frames = collector("front", "wrist")
    used: set[str] = set()
    for number, (camera, stamp) in enumerate(sorted(arrivals, key=lambda arrival: arrival[1])):
        frames.add_color(camera, stamp, f"image {number}", stamp)
        frames.add_depth(camera, stamp, "depth", stamp)
        taken = frames.take(stamp) or []
        if taken:
            assert max(f.stamp for f in taken) - min(f.stamp for f in taken) <= 2 * CONFIG.set_tolerance
        for frame in taken:
            assert frame.color not in used
            used.add(frame.color)
