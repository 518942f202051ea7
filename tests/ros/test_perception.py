"""perception_node as a process, next to cameras of every kind, sound and broken."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.qos import qos_profile_sensor_data
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState, PointCloud2
from tf2_ros import StaticTransformBroadcaster, TransformBroadcaster

from mini_diffuser_ros.nodes.ros.messages import cloud_from_message, seconds, stamp_from_seconds
from mini_diffuser_ros.perception import FusionConfig, fuse_views
from mini_diffuser_ros.policy import MiniDiffuser, MiniDiffuserConfig, save_policy
from mini_diffuser_ros.records import Cloud, Distortion
from mini_diffuser_ros.robots import load_robot

from .conftest import DISCOVERY, Peer, Process
from .fake_camera import BASE, CAMERA_HEIGHT, FakeCamera, Picture, view_of

CLOUD = "/mini_diffuser/cloud"
# Far above what a busy machine needs, far below what is stale in these tests.
MAX_AGE, STALE = 5.0, 60.0
# Walls of one distance in one place are no scene that several cameras could agree on.
ALONE = {"content.survey_period": 0.0}
TURN = 2.0  # seconds after which the arm turns
NEAR = 0.55  # seconds around a turn; a busy node may lose joint states, and interpolates over half a second of them
RED, GREEN, BLUE, GREY, PINK = (200, 10, 20), (10, 200, 20), (20, 10, 200), (90, 90, 90), (250, 100, 150)
SOUND = {
    "rgb": Picture(RED, 0.95, "rgb8", "16UC1", padding=5),
    "bgr": Picture(GREEN, 0.90, "bgr8", "32FC1"),
    "rgba": Picture(BLUE, 0.85, "rgba8", "16UC1"),
    "bgra": Picture(GREY, 0.80, "bgra8", "32FC1", holes=[0.0, np.nan, np.inf, -1.0]),
    "phase": Picture(PINK, 0.75, depth_lead=0.05),  # half a period
}
BROKEN = {
    "step": (Picture(step_error=-1), ["rgb8 image of 32x24 pixels, step 95", "expected a step of at least 96"]),
    "encoding": (Picture(encoding="mono8"), ["'mono8'", "rgb8, bgr8, rgba8, bgra8"]),
    "deep": (Picture(depth_encoding="8UC1"), ["'8UC1'", "16UC1, mono16, 32FC1"]),
    "size": (Picture(depth_size=(16, 12)), ["colour is of 32x24", "depth is of 16x12", "aligned"]),
    "matrix": (Picture(calibrated=False), ["K = [0.0,", "not calibrated"]),
    "info": (Picture(info_size=(640, 480)), ["camera_info is of 640x480 pixels, colour is of 32x24"]),
    "tf": (Picture(frame="nowhere"), ["could not transform from 'nowhere' to 'panda_link0' at", "tf2_echo"]),
    "stale": (Picture(age=STALE), ["images are 60.", "allowed are 5 s (max_image_age)"]),
    "future": (Picture(age=-STALE), ["in the future", "synchronise the clocks"]),
    "zero": (Picture(stamp=0.0), ["images are stamped 0", "their driver gives no time"]),
    "stuck": (Picture(stamp=12.5), ["images are stamped 12.500 again", "stands still"]),
    "bent": (Picture(distortion=Distortion("own", (0.1,))), ["distortion model 'own'", "plumb_bob", "rectified"]),
    "alien": (Picture(info_frame="other"), ["camera_info is of frame 'other'", "another camera's?"]),
    "mute": (Picture(silent=True), ["no camera_info, colour, depth for"]),
}


class Stage:
    """Fake cameras with their TF, and what the node makes of them."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.cameras: dict[str, FakeCamera] = {}
        self.clouds = peer.collect(PointCloud2, CLOUD, qos_profile_sensor_data)
        self.diagnostics = peer.collect(DiagnosticArray, "/diagnostics")
        self._static_tf = StaticTransformBroadcaster(peer.node)

    def put_up(self, pictures: dict[str, Picture], namespace: str = "") -> None:
        for name, picture in pictures.items():
            self.cameras[name] = FakeCamera(self.peer.node, name, replace(picture), namespace)
        self._static_tf.sendTransform([camera.pose() for camera in self.cameras.values()])

    def close(self) -> None:
        for camera in self.cameras.values():
            camera.close()

    def status(self, part: str, node: str = "perception_node") -> Any:
        """What a node has last said about one of its parts."""
        statuses = (one for array in reversed(self.diagnostics) for one in array.status)
        return next((one for one in statuses if one.name == f"{node}: {part}"), None)

    def await_message(self, part: str, words: Sequence[str], node: str = "perception_node") -> Any:
        def said() -> Any:
            status = self.status(part, node)
            return status if status is not None and all(word in status.message for word in words) else None

        return self.peer.await_that(said)

    def await_cloud(self, fits: Callable[[Cloud], bool]) -> Cloud:
        """The first cloud from now on that fits."""
        self.clouds.clear()

        def newest() -> Cloud | None:
            clouds = [cloud_from_message(message) for message in self.clouds[-1:]]
            return clouds[0] if clouds and fits(clouds[0]) else None

        try:
            found = self.peer.await_that(newest)
        except AssertionError:
            pytest.fail(f"no such cloud: {self.status('fusion')}")
        assert found is not None
        return found


@pytest.fixture(scope="module")
def stage(peer: Peer) -> Iterator[Stage]:
    made = Stage(peer)
    yield made
    made.close()


@pytest.fixture(scope="module")
def fleet(start: Callable[..., Process], stage: Stage) -> Stage:
    pictures = SOUND | {name: picture for name, (picture, _) in BROKEN.items()}
    stage.put_up(pictures)
    # Timers of a busy test may be far apart.
    options = {"sync.set_tolerance": 1.0, "sync.stale_after": 3.0} | ALONE
    start("perception_node", cameras=f"[{', '.join(pictures)}]", filter_robot="false", max_image_age=MAX_AGE, **options)
    return stage


def at_depth(cloud: Cloud, metres: float) -> np.ndarray:
    return np.abs(cloud.points[:, 2] - (CAMERA_HEIGHT - metres)) < 0.01


def test_every_encoding_gives_the_same_colours_and_distances(fleet: Stage) -> None:
    cloud = fleet.await_cloud(lambda one: all(at_depth(one, picture.depth).any() for picture in SOUND.values()))
    assert cloud.frame == BASE
    assert np.all(np.isfinite(cloud.points))
    known = np.zeros(len(cloud), np.bool_)
    for picture in SOUND.values():
        points = at_depth(cloud, picture.depth)
        assert np.all(cloud.colors[points] == picture.color)
        known |= points
    assert known.all()


@pytest.mark.parametrize("camera", BROKEN)
def test_what_is_wrong_with_a_camera_is_named_in_one_line_while_the_others_go_on(fleet: Stage, camera: str) -> None:
    status = fleet.await_message(f"camera {camera}", [f"camera {camera}: ", *BROKEN[camera][1]])
    assert status.level != DiagnosticStatus.OK
    assert "\n" not in status.message
    fleet.await_cloud(lambda one: len(one) > 0)


def test_a_camera_that_falls_silent_is_left_out_and_taken_back(fleet: Stage) -> None:
    depth = SOUND["rgb"].depth
    fleet.cameras["rgb"].picture.silent = True
    status = fleet.await_message("camera rgb", ["no images for"])
    assert status.level == DiagnosticStatus.ERROR
    fleet.await_cloud(lambda one: len(one) > 0 and not at_depth(one, depth).any())
    fleet.cameras["rgb"].picture.silent = False
    fleet.await_message("camera rgb", ["delivers"])
    fleet.await_cloud(lambda one: bool(at_depth(one, depth).any()))


def test_a_second_perception_node_ends_and_names_the_first(fleet: Stage, start: Callable[..., Process]) -> None:
    second = start("perception_node", cameras="[rgb]", filter_robot="false", **ALONE)
    assert second.wait(60.0) == 1
    assert "there is a perception node already, /perception_node (process" in second.said()
    fleet.await_cloud(lambda one: len(one) > 0)


def test_diagnostics_tell_rates_ages_and_times(fleet: Stage) -> None:
    camera, fusion = fleet.await_message("camera bgr", ["delivers"]), fleet.await_message("fusion", ["clouds a second"])
    figures = {value.key: float(value.value) for value in camera.values}
    assert figures["colour rate (Hz)"] > 0.0
    assert figures["depth rate (Hz)"] > 0.0
    assert 0.0 <= figures["age of the newest image (s)"] < STALE
    stale = {value.key: float(value.value) for value in fleet.status("camera stale").values}
    assert stale["pairs dropped for their age"] > 0.0
    keys = {value.key for value in fusion.values}
    assert {"clouds a second", "points", "sets dropped", "fusion p50 (ms)", "stamp to cloud p99 (ms)"} <= keys


def test_compressed_images_become_the_same_cloud(start: Callable[..., Process], peer: Peer, stage: Stage) -> None:
    stage.put_up({"packed": Picture(BLUE, 0.7, transport="compressed")}, "/zipped")
    clouds = peer.collect(PointCloud2, f"/zipped{CLOUD}", qos_profile_sensor_data)
    options = {"color_transport": "compressed", "depth_transport": "compressedDepth", "filter_robot": "false"} | ALONE
    start("perception_node", namespace="/zipped", cameras="[packed]", max_image_age=MAX_AGE, **options)
    cloud = cloud_from_message(peer.await_that(lambda: clouds[:1])[0])
    assert at_depth(cloud, 0.7).all()
    assert np.all(cloud.colors == BLUE)


def test_the_checkpoints_settings_are_served_and_what_differs_is_warned_about(
    start: Callable[..., Process], peer: Peer, stage: Stage, tmp_path: Path
) -> None:
    fusion = replace(FusionConfig(), voxel_size=0.05, link_margin=0.02)
    save_policy(MiniDiffuser(MiniDiffuserConfig.small()), tmp_path, fusion=fusion)
    stage.put_up({"far": Picture(RED, 0.95)}, "/coarse")
    clouds = peer.collect(PointCloud2, f"/coarse{CLOUD}", qos_profile_sensor_data)
    options = {"checkpoint": tmp_path, "fusion.link_margin": 0.03, "max_joint_age": MAX_AGE} | ALONE
    process = start("perception_node", namespace="/coarse", cameras="[far]", max_image_age=MAX_AGE, **options)
    # Without joint states nobody knows which points are the robot's.
    stage.await_message("fusion", ["no cloud: no joint_states of panda_joint1"], "coarse/perception_node")
    assert not clouds
    warnings = [line for line in process.said().splitlines() if "was trained with" in line]
    assert len(warnings) == 1
    assert f"fusion.link_margin is 0.03, but the policy in {tmp_path} was trained with 0.02" in warnings[0]

    robot = load_robot("panda")
    joints = JointState(name=[*robot.arm_joint_names, *robot.finger_joint_names])
    joints.position = [0.0, -1.5, 0.0, -2.5, 0.0, 1.5, 0.0, 0.02, 0.02]
    publisher = peer.node.create_publisher(JointState, "/coarse/joint_states", 10)

    def joints_lead_to_clouds() -> list[PointCloud2]:
        joints.header.stamp = peer.node.get_clock().now().to_msg()
        publisher.publish(joints)
        return clouds

    peer.await_that(joints_lead_to_clouds)
    points = cloud_from_message(clouds[0]).points
    # One point a voxel of 5 cm.
    assert len(np.unique(np.floor(points / 0.05), axis=0)) == len(points)
    assert 4 < len(points) < 400


def test_the_robot_is_taken_out_where_it_was_when_the_image_was_taken(
    start: Callable[..., Process], peer: Peer, stage: Stage
) -> None:
    # Margins so wide that the arm covers half of what is seen, the other half when it has turned.
    config = replace(FusionConfig(), voxel_size=0.02, link_margin=0.3)
    robot, picture = load_robot("panda"), Picture(GREEN, 0.9, age=1.0)
    names = [*robot.arm_joint_names, *robot.finger_joint_names]
    poses = [[turn, 0.4, 0.0, -1.8, 0.0, 2.2, 0.8, 0.04, 0.04] for turn in (-0.6, 0.8)]
    counts = [len(fuse_views([view_of(picture)], config, robot, dict(zip(names, pose, strict=True)))) for pose in poses]
    assert 0 < min(counts) < max(counts)
    stage.put_up({"late": picture}, "/turning")
    clouds = peer.collect(PointCloud2, f"/turning{CLOUD}", qos_profile_sensor_data)
    publisher = peer.node.create_publisher(JointState, "/turning/joint_states", 10)

    told = [peer.node.get_clock().now().nanoseconds / 1e9]

    def tell(stamp: float) -> None:
        joints = JointState(name=names, position=poses[phase(stamp)[0]])
        joints.header.stamp = stamp_from_seconds(stamp)
        publisher.publish(joints)

    def tell_now() -> None:
        now = peer.node.get_clock().now().nanoseconds / 1e9
        turn = now // TURN * TURN
        # The turn itself is told however late the timer is: the node interpolates between the states that it knows.
        for stamp in (turn - 0.01, turn + 0.01) if told[0] < turn else ():
            tell(stamp)
        tell(now)
        told[0] = now

    def phase(stamp: float) -> tuple[int, float]:
        """Which of the poses the arm has, and for how many seconds it has had it and will have it at least."""
        turns, since = divmod(stamp, TURN)
        return int(turns) % 2, min(since, TURN - since)

    timer = peer.node.create_timer(0.05, tell_now)
    options = {"fusion.voxel_size": config.voxel_size, "fusion.link_margin": config.link_margin} | ALONE
    start("perception_node", namespace="/turning", cameras="[late]", max_image_age=MAX_AGE, **options)

    def seen() -> dict[int, set[int]]:
        """The sizes of the clouds of each pose, but for those near a turn."""
        sizes: dict[int, set[int]] = {}
        for message in list(clouds):
            which, margin = phase(seconds(message.header.stamp))
            if margin > NEAR:
                sizes.setdefault(which, set()).add(len(cloud_from_message(message)))
        return sizes

    peer.await_that(lambda: len(seen()) == 2)
    timer.cancel()
    assert seen() == {which: {count} for which, count in enumerate(counts)}


def test_without_a_clock_that_is_said_and_one_that_jumps_back_is_begun_anew_with(
    start: Callable[..., Process], peer: Peer, stage: Stage
) -> None:
    stage.put_up({"bag": Picture(RED, 0.9, age=1000.0, frame="bag_moving")}, "/bag")
    camera, moving = stage.cameras["bag"], TransformBroadcaster(peer.node)
    clouds = peer.collect(PointCloud2, f"/bag{CLOUD}", qos_profile_sensor_data)
    options = {"use_sim_time": "true", "filter_robot": "false", "tf_timeout": 0.3} | ALONE
    start("perception_node", namespace="/bag", cameras="[bag]", max_image_age=MAX_AGE, **options)
    words = ["use_sim_time is true and nobody publishes /clock", "use_sim_time:=false"]
    assert stage.await_message("clock", words, "bag/perception_node").level == DiagnosticStatus.ERROR
    clock = peer.node.create_publisher(Clock, "/clock", 10)

    def tick() -> None:
        now = stamp_from_seconds(peer.node.get_clock().now().nanoseconds / 1e9 - camera.picture.age)
        clock.publish(Clock(clock=now))
        pose = camera.pose()
        pose.header.stamp, pose.child_frame_id = now, "bag_moving"
        moving.sendTransform(pose)

    timer = peer.node.create_timer(0.05, tick)
    peer.await_that(lambda: len(clouds) > 3)
    before = seconds(clouds[-1].header.stamp)
    camera.picture.age += 60.0  # the bag begins again
    peer.await_that(lambda: seconds(clouds[-1].header.stamp) < before - 30.0)
    count = len(clouds)
    peer.await_that(lambda: len(clouds) > count + 3)
    timer.cancel()


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"color_transport": "theora"}, ["color_transport", "theora", "raw, compressed"]),
        ({"checkpoint": "/nowhere"}, ["checkpoint", "/nowhere"]),
    ],
)
def test_a_node_that_cannot_start_says_why_in_one_line(
    start: Callable[..., Process], parameters: dict[str, Any], words: list[str]
) -> None:
    process = start("perception_node", **parameters)
    assert process.wait(DISCOVERY) == 1
    last = process.said().strip().splitlines()[-1]
    assert all(word in last for word in words), last
    assert "Traceback" not in process.said()
