"""What run_node keeps of a run: whatever becomes of that, the run goes on, and the report says what is missing."""

from __future__ import annotations

import io
import json
import math
import shutil
import threading
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from mini_diffuser_msgs.msg import KeyframeMode, KeyframeModes
from PIL import Image as PillowImage
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage, Image, JointState, PointCloud2
from std_msgs.msg import Header

from mini_diffuser_ros.nodes.ros.action_goal import poll
from mini_diffuser_ros.nodes.ros.client_node import client_node
from mini_diffuser_ros.nodes.ros.messages import image_from_color
from mini_diffuser_ros.nodes.runs.run_observer import RunObserver
from mini_diffuser_ros.robots import load_robot
from mini_diffuser_ros.support.cancellation import CancellationToken
from mini_diffuser_ros.viewing import run_report
from mini_diffuser_ros.viewing.run_report import RunReport

PATIENCE = 60.0  # seconds
ROBOT = load_robot("panda")
RATE = 50.0  # pictures a second


class Watched:
    """A run that is observed, in a namespace, and what others publish there."""

    def __init__(self, node: Node, folder: Path, cameras: list[str]) -> None:
        self.node, self.folder, self.report = node, folder, RunReport("press it", outcome="TERMINATED", message="done")
        self.observer = RunObserver(node, self.report, folder, cameras, ROBOT, RATE, hung_after=0.0)
        self._publishers: dict[str, Any] = {}

    def until(self, ready: Callable[[], object], topic: str, message: Callable[[], Any], qos: Any = 10) -> None:
        """Publish on a topic until something has happened."""
        if topic not in self._publishers:
            self._publishers[topic] = self.node.create_publisher(type(message()), topic, qos)

        def look() -> bool:
            self._publishers[topic].publish(message())
            return bool(ready())

        assert poll(look, CancellationToken(), PATIENCE), self.report

    def show(self, ready: Callable[[], object], camera: str = "front") -> None:
        """Have a camera show something until something has happened."""
        self.until(ready, f"{camera}/color/image_raw", noise, qos_profile_sensor_data)

    def written(self) -> dict[str, Any]:
        """run.json of the run, which has ended."""
        self.observer.write(in_a_hurry=False)
        document: dict[str, Any] = json.loads((self.folder / "run.json").read_text())
        return document


def jpeg() -> CompressedImage:
    file = io.BytesIO()
    PillowImage.new("RGB", (64, 48), (90, 20, 20)).save(file, "JPEG")
    message = CompressedImage(format="jpeg")
    message.data = array("B", file.getvalue())
    return message


def noise() -> Image:
    return image_from_color(np.random.default_rng().integers(0, 255, (120, 160, 3), dtype=np.uint8), Header())


@pytest.fixture
def watched(domain_id: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., Watched]]:
    monkeypatch.setenv("ROS_DOMAIN_ID", str(domain_id))
    entered = []

    def observe(namespace: str = "", cameras: tuple[str, ...] = ("front",)) -> Watched:
        entered.append(client_node("run_node", namespace, threads=4))
        return Watched(entered[-1].__enter__(), tmp_path, list(cameras))

    yield observe
    for one in entered:
        one.__exit__(None, None, None)


@pytest.mark.process
@pytest.mark.parametrize("script", [None, "exec sleep 1000", "head -c 100000 > /dev/null; exit 1"])
def test_a_run_without_a_film_has_its_report_which_says_why(
    watched: Callable[..., Watched],
    script: str | None,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    encoder = tmp_path / "ffmpeg"
    if script:
        encoder.write_text(f"#!/bin/sh\n{script}\n")
        encoder.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(encoder))
    run = watched()
    run.observer.sentence_sent()
    run.show(lambda: "film" in run.report.missing)
    run.observer.progress(SimpleNamespace(phase="moving", keyframe=1, message=""))
    assert "ffmpeg" in run.written()["missing"]["film"]
    assert run.report.events[-1].phase == "moving"
    assert not (tmp_path / "video.mp4").exists()
    page = (tmp_path / "report.html").read_text()
    assert f"No film: {run.report.missing['film']}" in page
    out, err = capfd.readouterr()
    assert (out + err).count("not all of this run is kept, film: ") == 1


@pytest.mark.process
def test_a_run_with_a_film_lacks_nothing(watched: Callable[..., Watched], tmp_path: Path) -> None:
    run = watched()
    run.observer.sentence_sent()
    run.show((tmp_path / "video.mp4").exists)
    assert run.written()["missing"] == {}
    assert '"missing":""' in (tmp_path / "report.html").read_text()


@pytest.mark.process
def test_compressed_pictures_are_filmed_where_the_stack_takes_those(watched: Callable[..., Watched]) -> None:
    run = watched(cameras=("front", "wrist"))
    topic = "front/color/image_raw/compressed"
    run.node.create_publisher(Image, "front/color/image_raw", qos_profile_sensor_data)
    perception = rclpy.create_node("perception_node")
    perception.create_subscription(CompressedImage, topic, lambda _: None, qos_profile_sensor_data)
    run.observer.sentence_sent()
    run.until((run.folder / "video.mp4").exists, topic, jpeg, qos_profile_sensor_data)
    perception.destroy_node()
    nobody = "nobody publishes wrist/color/image_raw or wrist/color/image_raw/compressed"
    assert run.written()["missing"] == {"pictures of wrist": nobody}


@pytest.mark.parametrize(
    ("cameras", "said"),
    [((), "nothing was to be filmed"), (("front",), "front: nobody publishes front/color/image_raw or ")],
)
def test_why_there_is_no_film_is_said_truly(
    watched: Callable[..., Watched], cameras: tuple[str, ...], said: str
) -> None:
    run = watched(cameras=cameras)
    run.observer.sentence_sent()
    assert run.written()["missing"]["film"].startswith(said)


def test_pictures_that_cannot_be_read_are_said(watched: Callable[..., Watched]) -> None:
    run = watched()
    run.observer.sentence_sent()
    odd = Image(height=2, width=2, encoding="yuv9", step=4)
    part = "pictures of front"
    run.until(lambda: part in run.report.missing, "front/color/image_raw", lambda: odd, qos_profile_sensor_data)
    missing = run.written()["missing"]
    assert "colour encoding 'yuv9'" in missing[part]
    assert missing["film"] == "front: none of its pictures could be read"


def test_a_message_that_nobody_can_take_is_left_out_and_the_next_is_taken(watched: Callable[..., Watched]) -> None:
    run = watched(cameras=())
    cloud = PointCloud2(height=1, width=5, point_step=3)
    run.until(lambda: "clouds" in run.report.missing, "mini_diffuser/cloud", lambda: cloud, qos_profile_sensor_data)
    lost = KeyframeMode(share=math.nan, spread=math.inf)
    lost.pose.position.x = math.nan
    run.until(lambda: run.report.decisions, "mini_diffuser/modes", lambda: KeyframeModes(modes=[lost]), 10)
    run.written()
    (mode,) = RunReport.read(run.folder).decisions[0].modes
    assert (mode.pose[0], mode.pose[1], mode.share, mode.spread) == (None, 0.0, None, None)
    assert (run.folder / "report.html").is_file()


def test_a_folder_that_is_removed_in_mid_run_costs_the_record_alone(
    watched: Callable[..., Watched], capfd: pytest.CaptureFixture[str]
) -> None:
    run = watched(cameras=())
    run.observer.begin()
    assert poll((run.folder / "run.json").exists, CancellationToken(), PATIENCE)
    shutil.rmtree(run.folder)
    run.observer.progress(SimpleNamespace(phase="looking", keyframe=1, message=""))
    assert run.observer.write(in_a_hurry=True) is None
    out, err = capfd.readouterr()
    assert "not all of this run is kept, run.json: " in out + err


def test_a_page_that_cannot_be_written_leaves_a_record_that_says_so(watched: Callable[..., Watched]) -> None:
    run = watched(cameras=())
    (run.folder / "report.html").mkdir()
    (run.folder / "report.html" / "other").touch()
    assert run.observer.write(in_a_hurry=False) == run.folder
    assert "report.html" in RunReport.read(run.folder).missing


def test_a_run_that_is_killed_has_left_what_it_knew_when_it_began(watched: Callable[..., Watched]) -> None:
    run = watched(cameras=())
    run.observer.begin()
    assert poll((run.folder / "run.json").exists, CancellationToken(), PATIENCE)
    left = RunReport.read(run.folder)
    assert (left.instruction, left.outcome, left.success) == ("press it", "UNFINISHED", False)
    assert run.written()["outcome"] == "TERMINATED"


def test_a_disk_that_takes_its_time_holds_up_no_sentence(
    watched: Callable[..., Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, is_free, written = watched(cameras=()), threading.Event(), []

    def write(path: Path, content: str) -> None:
        assert is_free.wait(PATIENCE)
        written.append(json.loads(content)["outcome"])

    monkeypatch.setattr(run_report, "write_whole", write)
    run.observer.begin()
    run.observer.sentence_sent()
    assert written == []
    is_free.set()
    run.observer.write(in_a_hurry=False)
    assert written[:2] == ["UNFINISHED", "TERMINATED"]


@pytest.mark.parametrize(("namespace", "kept"), [("", ["motion_node: gripper"]), ("left", ["guard_node: arm"])])
def test_diagnostics_are_those_of_just_this_stack(
    watched: Callable[..., Watched], namespace: str, kept: list[str]
) -> None:
    run = watched(namespace, cameras=())
    names = ["motion_node: gripper", "left/guard_node: arm", "left/arm/guard_node: arm", "leftover/node: x", "left"]
    array = DiagnosticArray(status=[DiagnosticStatus(name=name, level=b"\x02", message="gone") for name in names])
    run.until(lambda: run.report.findings, "/diagnostics", lambda: array)
    assert [finding.name for finding in run.report.findings] == kept


@pytest.mark.parametrize("published", [[], [0.0] * 7, [math.nan] * 7], ids=["none", "zeros", "NaN"])
def test_the_first_motion_is_told_by_positions_where_velocities_are_not_published(
    watched: Callable[..., Watched], published: list[float]
) -> None:
    run = watched(cameras=())
    run.observer.sentence_sent()
    run.observer.progress(SimpleNamespace(phase="moving", keyframe=1, message=""))
    names, place = list(ROBOT.arm_joint_names), ROBOT.home.copy()

    def state() -> JointState:
        place[0] += 0.05
        return JointState(name=names, position=place.tolist(), velocity=published)

    run.until(lambda: run.report.sentence_to_first_motion_s, "joint_states", state, qos_profile_sensor_data)
    assert "no motion" not in run.report.summary()
    assert run.written()["joint_peaks"][0]["speed"] > 0.02
