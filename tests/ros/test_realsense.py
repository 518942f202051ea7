"""RealSense cameras through the SDK's software device, and realsense_node with a recording of one."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image
from tf2_msgs.msg import TFMessage

from mini_diffuser_ros.nodes.ros.messages import color_from_image, depth_from_image, intrinsics_from_info, seconds
from mini_diffuser_ros.perception.distortion import pixel_directions
from mini_diffuser_ros.perception.realsense import (
    RealSenseCamera,
    RealSenseDevices,
    RealSenseError,
    RgbdFrame,
    StreamConfig,
    lens_of_sdk,
    load_sdk,
)
from mini_diffuser_ros.perception.realsense_feed import FeedConfig, RealSenseFeed
from mini_diffuser_ros.support.health import HealthLevel

from .conftest import DISCOVERY, Peer, Process
from .software_camera import BASELINE, COLOR, FPS, HEIGHT, METRES, WIDTH, SoftwareCamera, record

try:
    load_sdk()
except RealSenseError as error:
    pytest.skip(str(error), allow_module_level=True)

STREAMS = StreamConfig(WIDTH, HEIGHT, FPS)


@pytest.fixture
def make_camera() -> Iterator[Callable[..., SoftwareCamera]]:
    made: list[SoftwareCamera] = []

    def make(**options: Any) -> SoftwareCamera:
        made.append(SoftwareCamera(**options))
        return made[-1]

    yield make
    for camera in made:
        camera.close()


def next_frame(camera: RealSenseCamera) -> RgbdFrame:
    frame = camera.read(30.0)
    assert frame is not None
    return frame


@pytest.mark.parametrize(("units", "one_sensor"), [(0.001, False), (0.0001, True)])
def test_frames_are_rgb_and_millimetres_whatever_the_units(
    make_camera: Callable[..., SoftwareCamera], units: float, one_sensor: bool
) -> None:
    camera = RealSenseCamera(make_camera(serial="7", units=units, one_sensor=one_sensor).device, STREAMS)
    try:
        first, second = next_frame(camera), next_frame(camera)
    finally:
        camera.close()
    assert np.all(first.color == COLOR)
    # Seen from beside, the wall ends before the image does.
    assert set(np.unique(first.depth)) <= {0, round(1000 * METRES)}
    assert np.mean(first.depth > 0) > 0.9
    assert np.array_equal(first.intrinsics, [[WIDTH, 0, WIDTH / 2 - 0.5], [0, WIDTH, HEIGHT / 2 - 0.5], [0, 0, 1]])
    assert second.color_stamp > first.color_stamp
    assert not first.host_clock
    # The colour camera looks along x of the link, beside it on the right, where y is negative.
    assert camera.link_from_optical[:3, 3] == pytest.approx([0.0, -BASELINE, 0.0])
    assert camera.link_from_optical[:3, 2] == pytest.approx([1.0, 0.0, 0.0])


def test_lenses_of_the_sdks_models_become_coefficients_that_camera_info_knows() -> None:
    sdk = load_sdk()
    lens = sdk.intrinsics()
    lens.width, lens.height, lens.fx, lens.fy, lens.ppx, lens.ppy = 640, 480, 610.0, 605.0, 325.0, 236.0
    lens.coeffs = [-0.05, 0.06, 0.001, -0.002, -0.01]
    inverse = np.linalg.inv([[lens.fx, 0.0, lens.ppx], [0.0, lens.fy, lens.ppy], [0.0, 0.0, 1.0]])
    for name in ("brown_conrady", "inverse_brown_conrady", "modified_brown_conrady", "kannala_brandt4"):
        lens.model = getattr(sdk.distortion, name)
        found = lens_of_sdk(sdk, lens, "front")
        directions = pixel_directions(inverse, found, lens.height, lens.width)
        for u, v in [(3, 5), (630, 20), (320, 240), (100, 470)]:
            again = sdk.rs2_project_point_to_pixel(lens, [*directions[:, v, u].tolist(), 1.0])
            assert again == pytest.approx([u, v], abs=0.4), name
    lens.model, lens.coeffs = sdk.distortion.kannala_brandt4, [0.9, -2.0, 3.0, -2.0, 0.0]
    with pytest.raises(
        RealSenseError, match=r"front: the lens model .*kannala_brandt4: plumb_bob coefficients miss it"
    ):
        lens_of_sdk(sdk, lens, "front")
    lens.model, lens.coeffs = sdk.distortion.inverse_brown_conrady, [0.0] * 5
    assert not lens_of_sdk(sdk, lens, "front").bends


def test_a_resolution_that_the_camera_lacks_is_answered_with_those_that_it_has(
    make_camera: Callable[..., SoftwareCamera],
) -> None:
    with pytest.raises(RealSenseError, match=r"Software D4 7 .*1280x720 pixels at 15 Hz; it has: 64x48 at 30"):
        RealSenseCamera(make_camera(serial="7").device, StreamConfig(1280, 720, 15))


class Bus:
    """What is plugged in: a context of the SDK lists no software devices."""

    def __init__(self, *cameras: SoftwareCamera) -> None:
        self._cameras = cameras

    def query_devices(self) -> list[Any]:
        return [camera.device for camera in self._cameras]


def test_a_camera_is_known_by_its_own_serial_number(make_camera: Callable[..., SoftwareCamera]) -> None:
    devices = RealSenseDevices(Bus(make_camera(serial="7"), make_camera(serial="8")))
    camera = devices.open("8", STREAMS)
    camera.close()
    assert camera.serial == "8"
    with pytest.raises(RealSenseError) as refused:
        devices.open("9", STREAMS, taken={"8"})
    assert str(refused.value) == (
        "no RealSense with serial number 9 is connected; connected are: 7 (Software D4), 8 (Software D4, of another "
        "camera): plug it in, or set its serial right"
    )


def test_a_camera_that_falls_silent_is_named_and_opened_again(
    peer: Peer, make_camera: Callable[..., SoftwareCamera]
) -> None:
    software = make_camera(serial="7")
    frames: list[RgbdFrame] = []
    lines: list[str] = []
    opened = threading.Event()

    def open_camera() -> RealSenseCamera:
        opened.set()
        return RealSenseCamera(software.device, STREAMS)

    feed = RealSenseFeed(
        "front", open_camera, lambda _, frame: frames.append(frame), lines.append, FeedConfig(1.0, 0.2)
    )
    feed.start()
    try:
        peer.await_that(lambda: len(frames) > 3 and feed.health().level == HealthLevel.OK)
        opened.clear()
        software.sends = False
        peer.await_that(lambda: feed.health().level == HealthLevel.ERROR)
        assert "camera front: Software D4 7 has sent no images for" in feed.health().message
        software.sends = True
        peer.await_that(lambda: feed.health().level == HealthLevel.OK)
        assert opened.is_set()
        assert feed.health().values["times lost"] >= 1.0
    finally:
        feed.close()
    assert any("has sent no images" in line for line in lines)


def test_images_held_back_on_the_way_are_not_mistaken_for_gone(make_camera: Callable[..., SoftwareCamera]) -> None:
    software = make_camera()
    camera = RealSenseCamera(software.device, STREAMS)
    try:
        next_frame(camera)
        software.sends = False
        while camera.read(0.3) is not None:
            pass
        software.sends = True
        assert next_frame(camera).color.shape == (HEIGHT, WIDTH, 3)
    finally:
        camera.close()


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("recording") / "wall.db3"
    record(file, 20)
    return file


def test_the_node_plays_a_recording_names_what_is_missing_and_stamps_the_present(
    start: Callable[..., Process], peer: Peer, recording: Path
) -> None:
    colors = peer.collect(Image, "/wall/color/image_raw", qos_profile_sensor_data)
    depths = peer.collect(Image, "/wall/aligned_depth_to_color/image_raw", qos_profile_sensor_data)
    infos = peer.collect(CameraInfo, "/wall/color/camera_info", qos_profile_sensor_data)
    static = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    transforms = peer.collect(TFMessage, "/tf_static", static)
    diagnostics = peer.collect(DiagnosticArray, "/diagnostics")
    foreign = shutil.copy(recording, recording.with_name("foreign.db3"))
    start(
        "realsense_node",
        cameras="[wall, lost, other]",
        recordings=f"['{recording}', '', '{foreign}']",
        serials="['42', '', '43']",
        publish_tf="true",
    )
    # More than the recording holds: it begins again.
    peer.await_that(lambda: len(colors) > 30 and len(depths) > 30 and infos and transforms)
    assert (colors[-1].encoding, depths[-1].encoding) == ("rgb8", "16UC1")
    assert np.all(color_from_image(colors[-1]) == COLOR)
    assert depth_from_image(depths[-1]).max() == pytest.approx(METRES)
    assert (infos[-1].width, infos[-1].height) == (WIDTH, HEIGHT)
    assert intrinsics_from_info(infos[-1])[0, 0] == WIDTH
    assert colors[-1].header.frame_id == depths[-1].header.frame_id == "wall_color_optical_frame"
    age = peer.node.get_clock().now().nanoseconds / 1e9 - seconds(colors[-1].header.stamp)
    assert -0.1 < age < 60.0
    tree = {(one.header.frame_id, one.child_frame_id) for message in transforms for one in message.transforms}
    assert ("wall_link", "wall_color_optical_frame") in tree

    def says(camera: str, level: bytes, words: str) -> bool:
        newest = [one for array in diagnostics for one in array.status if one.name.endswith(f"camera {camera}")][-1:]
        return any(one.level == level and words in one.message for one in newest)

    peer.await_that(lambda: says("wall", DiagnosticStatus.OK, "streams"))
    missing = "camera lost: no RealSense that is free is connected; connected are:"
    peer.await_that(lambda: says("lost", DiagnosticStatus.ERROR, missing))
    another = f"camera other: recording {foreign} is of the camera 42, but other is 43"
    peer.await_that(lambda: says("other", DiagnosticStatus.ERROR, another))


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"cameras": "[front, wrist]", "serials": "['1']"}, ["serials", "1 entries", "front, wrist"]),
        ({"feed.lost_after": -1.0}, ["lost_after", "-1.0"]),
    ],
)
def test_wrong_parameters_end_the_node_with_one_line(
    start: Callable[..., Process], parameters: dict[str, Any], words: list[str]
) -> None:
    process = start("realsense_node", **parameters)
    assert process.wait(DISCOVERY) == 1
    last = process.said().strip().splitlines()[-1]
    assert all(word in last for word in words), last
    assert "Traceback" not in process.said()
