"""A keyframe's images are the first of every camera that show the arm at rest after it was asked for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.sensing.camera_monitor import AgeLimits, CameraMonitor, Instant, RgbdPair, SyncConfig
from mini_diffuser_ros.sensing.keyframe_capture import KeyframeCapture
from mini_diffuser_ros.sensing.rest import Rest


class Waiting(KeyframeCapture[str, str]):
    """A capture with the cameras that feed it."""

    def __init__(self, cameras: tuple[str, ...], not_before: float) -> None:
        super().__init__(cameras, not_before, settle_time=0.3)
        limits = AgeLimits(oldest=float("inf"), lead=float("inf"))
        self.cameras: CameraMonitor[str, str] = CameraMonitor(cameras, SyncConfig(pair_tolerance=0.01), limits, 0.0)
        for camera in cameras:
            self.cameras.add_info(camera, f"info of {camera}")

    def add_color(self, camera: str, stamp: float, image: str) -> None:
        self._take(self.cameras.add_color(camera, stamp, image, Instant(0.0, 0.0)))

    def add_depth(self, camera: str, stamp: float, image: str) -> None:
        self._take(self.cameras.add_depth(camera, stamp, image, Instant(0.0, 0.0)))

    def _take(self, pair: RgbdPair[str, str] | None) -> None:
        if pair is not None:
            self.add(pair)


def capture(cameras: tuple[str, ...] = ("front", "wrist"), not_before: float = 10.0) -> Waiting:
    return Waiting(cameras, not_before)


def show(waiting: Waiting, camera: str, *stamps: float) -> None:
    for stamp in stamps:
        waiting.add_color(camera, stamp, f"color {stamp}")
        waiting.add_depth(camera, stamp + 0.004, f"depth {stamp}")


def test_the_first_pairs_after_the_request_are_taken_and_none_from_before() -> None:
    waiting = capture()
    show(waiting, "front", 9.9, 10.05, 10.15)
    assert waiting.taken([Rest(5.0, 10.3)]) is None
    show(waiting, "wrist", 9.99, 10.2, 10.25)
    pairs = waiting.taken([Rest(5.0, 10.3)])
    assert pairs is not None
    assert {camera: (pair.stamp, pair.color, pair.depth) for camera, pair in pairs.items()} == {
        "front": (10.05, "color 10.05", "depth 10.05"),
        "wrist": (10.2, "color 10.2", "depth 10.2"),
    }


def test_images_wait_for_the_joint_states_of_their_time() -> None:
    waiting = capture(("front",))
    show(waiting, "front", 10.1)
    assert waiting.taken([Rest(5.0, 10.05)]) is None
    assert waiting.taken([Rest(5.0, 10.2)]) is not None


def test_images_of_a_moving_arm_are_never_used() -> None:
    waiting = capture(("front",))
    show(waiting, "front", 10.5)
    assert waiting.taken([Rest(5.0, 10.1), Rest(11.0, 11.1)]) is None
    show(waiting, "front", 11.2, 11.35)
    pairs = waiting.taken([Rest(5.0, 10.1), Rest(11.0, 11.5)])
    assert pairs is not None
    assert pairs["front"].stamp == 11.35  # the arm still trembled at 11.2


def test_an_arm_that_has_moved_on_meanwhile_has_rested_all_the_same() -> None:
    waiting = capture(("front",))
    show(waiting, "front", 10.1)
    assert waiting.taken([Rest(5.0, 10.2)]) is not None


def test_the_pictures_of_two_cameras_come_from_one_rest() -> None:
    waiting = capture()
    rests = [Rest(5.0, 10.2), Rest(12.0, 13.0)]
    show(waiting, "front", 10.1)
    show(waiting, "wrist", 12.5)
    assert waiting.taken(rests) is None
    show(waiting, "front", 12.6)
    pairs = waiting.taken(rests)
    assert pairs is not None
    assert {pair.stamp for pair in pairs.values()} == {12.5, 12.6}


def test_what_is_missing_is_told() -> None:
    waiting = capture(("front", "wrist", "rear"))
    show(waiting, "front", 7.5)
    waiting.add_color("wrist", 10.1, "color")
    waiting.add_depth("wrist", 10.3, "depth")
    assert waiting.late(waiting.cameras.newest()) == {"front": 10.0 - 7.504, "rear": None}
    assert waiting.unpaired(waiting.cameras.newest()) == ["wrist"]


@given(st.lists(st.floats(0.0, 30.0), min_size=1, max_size=40, unique=True), st.floats(0.0, 30.0), st.floats(0.0, 5.0))
def test_whatever_comes_what_is_taken_is_new_enough_and_at_rest(
    stamps: list[float], since: float, length: float
) -> None:
    waiting = capture(("front",))
    rest = Rest(since, since + length)
    for stamp in stamps:
        show(waiting, "front", stamp)
        pairs = waiting.taken([rest])
        if pairs is not None:
            assert pairs["front"].stamp >= 10.0
            assert rest.covers(pairs["front"].stamp, 0.3)
            assert pairs["front"].color.split()[1] == pairs["front"].depth.split()[1]
            break
