"""perception_node before cameras that lie about what they see: it is named, and nobody is given a cloud of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from mini_diffuser_msgs.msg import Heartbeat
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image, PointCloud2
from std_srvs.srv import Trigger

from mini_diffuser_ros.nodes.ros.clouds import digest_of
from mini_diffuser_ros.nodes.ros.messages import cloud_from_message
from mini_diffuser_ros.records import CameraView

from .conftest import Peer, Process
from .lab import Lab, Lie, shifted

SPACE = "/seeing"
PATIENT = {"max_image_age": 0.5, "tf_timeout": 0.3}  # with a busy machine


class Watcher:
    """What perception_node says and gives."""

    def __init__(self, peer: Peer, namespace: str) -> None:
        self.peer, self._node = peer, f"{namespace[1:]}/perception_node"
        self.clouds = peer.collect(PointCloud2, f"{namespace}/mini_diffuser/cloud", qos_profile_sensor_data)
        self._said = peer.collect(DiagnosticArray, "/diagnostics")

    def newest(self, part: str) -> Any:
        statuses = (one for array in reversed(self._said[-60:]) for one in array.status)
        return next((one for one in statuses if one.name == f"{self._node}: {part}"), None)

    def await_status(self, part: str, level: bytes, words: list[str]) -> Any:
        self._said.clear()

        def said() -> Any:
            status = self.newest(part)
            fits = status is not None and status.level == level and all(word in status.message for word in words)
            return status if fits else None

        try:
            return self.peer.await_that(said)
        except AssertionError:
            pytest.fail(f"{part}: {self.newest(part)}")

    def await_clouds(self, count: int = 3) -> None:
        self.clouds.clear()
        try:
            self.peer.await_that(lambda: len(self.clouds) >= count)
        except AssertionError:
            pytest.fail(f"no cloud: {self.newest('fusion')}")


@pytest.fixture(scope="module")
def lab(peer: Peer) -> Iterator[Lab]:
    made = Lab(peer.node, SPACE)
    yield made
    made.close()


@pytest.fixture(scope="module")
def watcher(start: Callable[..., Process], peer: Peer, lab: Lab) -> Watcher:
    watching = Watcher(peer, SPACE)
    node = start("perception_node", namespace=SPACE, cameras=f"[{', '.join(lab.lies)}]", **PATIENT)
    peer.await_that(lambda: watching.clouds or not node.is_running())
    assert node.is_running(), node.said()
    return watching


def _lower(depth: np.ndarray) -> np.ndarray:
    return np.arange(len(depth))[:, None] >= len(depth) // 2


LIES: dict[str, tuple[str, Lie, list[str]]] = {
    "a frozen picture": ("front", Lie(frozen="both"), ["same bit for bit", "restart it"]),
    "frozen colour": ("wrist", Lie(frozen="colour"), ["its colour has been the same"]),
    "frozen depth": ("left_shoulder", Lie(frozen="depth"), ["its depth has been the same"]),
    "depth that is half old": (
        "front",
        Lie(distances=lambda d: np.where(_lower(d), 0.9, d)),
        ["of its depth stand still"],
    ),
    "bgr for rgb": ("front", Lie(bgr=True), ["shows red where ", " see blue", "bgr8"]),
    "depth zero": ("front", Lie(distances=np.zeros_like), ["depth measures nothing", "covered"]),
    "millimetres as metres": ("wrist", Lie(distances=lambda d: 1e3 * d), ["another unit", "32FC1 is metres"]),
    "a TF jump": ("front", Lie(moved=shifted(y=0.2)), ["has moved by 0.200 m", "against the base", "calibrate"]),
    "a TF jump of the wrist": ("wrist", Lie(moved=shifted(z=0.05)), ["has moved by 0.050 m"]),
    "a TF that sways": ("front", Lie(sway=0.01), ["has moved by 0.0", "against the base"]),
    "TF in millimetres": ("front", Lie(moved=shifted(x=500.0, z=900.0)), ["m away", "is its TF in metres?"]),
    "TF beneath the table": ("left_shoulder", Lie(moved=shifted(z=-2.0)), ["beneath the table"]),
    "a bias of depth": ("left_shoulder", Lie(distances=lambda d: d + 0.05 * (d > 0)), ["sees the table", "lower than"]),
    "a bias the other way": ("front", Lie(distances=lambda d: d - 0.05 * (d > 0)), ["above the lower bound"]),
    "the frame of another": ("wrist", Lie(frame="lab_front"), ["in frame 'lab_front' like those of front"]),
}


def test_every_cloud_is_named_in_the_heartbeat(peer: Peer, watcher: Watcher) -> None:
    """So that who takes clouds knows them from anybody else's."""
    beats = peer.collect(Heartbeat, f"{SPACE}/mini_diffuser/heartbeat/perception")
    peer.await_that(lambda: beats and beats[-1].clouds)
    watcher.await_clouds(5)
    digests = {digest_of(cloud) for cloud in list(watcher.clouds)}
    assert len(digests) >= 5
    peer.await_that(lambda: digests <= {one for beat in list(beats) for one in beat.clouds})


@pytest.mark.parametrize("name", LIES)
def test_what_a_camera_lies_about_is_named_and_no_cloud_is_made_of_it(lab: Lab, watcher: Watcher, name: str) -> None:
    camera, lie, words = LIES[name]
    lab.lies[camera] = lie
    try:
        status = watcher.await_status(f"camera {camera}", DiagnosticStatus.ERROR, [f"camera {camera}: ", *words])
        assert "\n" not in status.message
        watcher.clouds.clear()
        watcher.await_status("fusion", DiagnosticStatus.ERROR, ["no cloud: ", f"camera {camera} ", words[0]])
        assert not watcher.clouds
    finally:
        lab.lies[camera] = Lie()
    watcher.await_clouds()


@pytest.mark.parametrize(
    ("lie", "words"),
    [
        (Lie(silent=True), ["no images for"]),
        (Lie(late=1.5), ["old when they could be used"]),
        (Lie(frame="lab_nowhere"), ["could not transform from 'lab_nowhere'", "is somebody publishing it?"]),
    ],
)
def test_a_camera_that_says_nothing_of_use_is_named_while_the_others_go_on(
    lab: Lab, watcher: Watcher, lie: Lie, words: list[str]
) -> None:
    lab.lies["front"] = lie
    try:
        watcher.peer.await_that(
            lambda: (said := watcher.newest("camera front")) and all(word in said.message for word in words), 60.0
        )
        watcher.await_clouds()
    finally:
        lab.lies["front"] = Lie()
    watcher.await_status("camera front", DiagnosticStatus.OK, ["delivers"])


def test_a_second_driver_that_says_the_same_of_its_lens_is_named(peer: Peer, watcher: Watcher) -> None:
    second = peer.node.create_publisher(Image, f"{SPACE}/wrist/aligned_depth_to_color/image_raw", 10)
    watcher.await_status("camera wrist", DiagnosticStatus.ERROR, ["is published 2 times, by /test_peer, /test_peer"])
    watcher.await_status("fusion", DiagnosticStatus.ERROR, ["no cloud", "images of two drivers would be taken for one"])
    peer.node.destroy_publisher(second)
    watcher.await_status("camera wrist", DiagnosticStatus.OK, ["delivers"])
    watcher.await_clouds()


def test_a_camera_on_the_arm_may_move_with_it(lab: Lab, watcher: Watcher) -> None:
    lab.turn(0.4)
    watcher.await_status("camera wrist", DiagnosticStatus.OK, ["delivers"])
    watcher.await_clouds()
    lab.lies["wrist"] = Lie(moved=shifted(x=-0.1))
    try:
        watcher.await_status("camera wrist", DiagnosticStatus.ERROR, ["has moved by 0.100 m", "against panda_"])
    finally:
        lab.lies["wrist"] = Lie()
    watcher.await_clouds()


def test_a_camera_that_was_wrong_from_the_start_is_found_by_the_others(
    start: Callable[..., Process], peer: Peer, lab: Lab
) -> None:
    lab.lies["left_shoulder"] = Lie(moved=shifted(x=0.15, y=-0.13))
    try:
        watching = Watcher(peer, SPACE + "/late")
        remaps = {"namespace": SPACE + "/late", "cameras": f"[{', '.join(f'{SPACE}/{name}' for name in lab.lies)}]"}
        start("perception_node", filter_robot="false", **remaps, **PATIENT)
        watching.await_status("fusion", DiagnosticStatus.ERROR, ["no cloud: ", "looks through", "one of the two"])
        assert not watching.clouds
    finally:
        lab.lies["left_shoulder"] = Lie()


def _drawn(view: CameraView, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """(H, W) metres to a box between two corners, base frame; infinite beside it."""
    height, width = view.depth.shape
    v, u = np.mgrid[0:height, 0:width]
    pixels = np.stack([u, v, np.ones_like(u)], axis=-1)
    pose = np.asarray(view.base_from_camera)
    rays = pixels @ (pose[:3, :3] @ np.linalg.inv(view.intrinsics)).T
    one, other = (low - pose[:3, 3]) / rays, (high - pose[:3, 3]) / rays
    enters, leaves = np.minimum(one, other).max(axis=-1), np.maximum(one, other).min(axis=-1)
    return np.where((enters < leaves) & (enters > 0.0), enters, np.inf)


def test_what_a_camera_alone_has_shown_stays_while_it_is_silent_and_is_named_with_it(
    lab: Lab, watcher: Watcher, peer: Peer
) -> None:
    low, high = np.array([0.45, 0.12, 0.18]), np.array([0.55, 0.22, 0.28])
    rng = np.random.default_rng(1)

    def held(name: str) -> int:
        """Points of the newest cloud about the box, of those that it shows or of those that it remembers."""
        shown = cloud_from_message(watcher.clouds[-1]).points
        points = cloud_from_message(watcher.clouds[-1], with_remembered=True).points
        points = shown if name == "shown" else points[len(shown) :]
        return int(np.all((points > low - 0.02) & (points < high + 0.02), axis=1).sum())

    for view in lab.world.views():
        box = _drawn(view, low, high)
        if view.name == "front":
            lab.lies["front"] = Lie(distances=lambda d, box=box: np.minimum(d, box + rng.normal(0.0, 1e-3, d.shape)))
        else:  # has no depth there
            lab.lies[view.name] = Lie(distances=lambda d, box=box: np.where(np.isfinite(box), 0.0, d))
    try:
        watcher.await_clouds()
        peer.await_that(lambda: held("shown") > 20)
        watcher.await_clouds(5)
        lab.lies["front"] = Lie(silent=True)
        words = ["no images for", "is in the way until another camera looks through it", "mini_diffuser/forget"]
        watcher.await_status("camera front", DiagnosticStatus.ERROR, words)
        watcher.await_clouds(10)
        assert held("shown") == 0
        silent = held("remembered")
        assert silent > 10
        for name in ("left_shoulder", "wrist"):
            lab.lies[name] = Lie()  # which look through it, but for an edge behind which they measure nothing
        peer.await_that(lambda: held("remembered") < silent / 4)
        assert peer.call(Trigger, f"{SPACE}/mini_diffuser/forget").success
        peer.await_that(lambda: held("remembered") == 0)
        peer.await_that(lambda: "in the way" not in watcher.newest("camera front").message)
    finally:
        lab.lies.update({name: Lie() for name in lab.lies})
    watcher.await_clouds()
