"""run_node before a policy of the test's own: what it cannot write down changes nothing about the run."""

from __future__ import annotations

import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from mini_diffuser_msgs.action import ExecuteInstruction
from rclpy.action import ActionServer, CancelResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from mini_diffuser_ros.nodes.ros.messages import image_from_color
from mini_diffuser_ros.viewing.run_report import RunReport

from .conftest import DISCOVERY, Peer, Process

SENTENCE = "press the blue button"


class Policy:
    """Obeys a sentence for as long as the test wants, and shows pictures meanwhile."""

    def __init__(self, peer: Peer) -> None:
        self._camera = peer.node.create_publisher(Image, "front/color/image_raw", qos_profile_sensor_data)
        self.goes_on: Callable[[], bool] = lambda: False
        self.obeying = threading.Event()
        self.was_canceled = False
        self._server = ActionServer(
            peer.node,
            ExecuteInstruction,
            "mini_diffuser/execute",
            self._obey,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
            callback_group=ReentrantCallbackGroup(),
        )

    def close(self) -> None:
        self._server.destroy()

    def _obey(self, handle: object) -> ExecuteInstruction.Result:
        self.obeying.set()
        random, pause = np.random.default_rng(0), threading.Event()
        while self.goes_on() and not handle.is_cancel_requested:  # type: ignore[attr-defined]
            picture = random.integers(0, 255, (120, 160, 3), dtype=np.uint8)
            self._camera.publish(image_from_color(picture, Header()))
            pause.wait(0.02)
        self.was_canceled = handle.is_cancel_requested  # type: ignore[attr-defined]
        if self.was_canceled:
            handle.canceled()  # type: ignore[attr-defined]
            return ExecuteInstruction.Result(outcome=ExecuteInstruction.Result.CANCELED, message="canceled")
        handle.succeed()  # type: ignore[attr-defined]
        return ExecuteInstruction.Result(outcome=ExecuteInstruction.Result.TERMINATED, message="done", keyframes=1)


@pytest.fixture
def policy(peer: Peer) -> Iterator[Policy]:
    made = Policy(peer)
    yield made
    made.close()


def begun(start: Callable[..., Process], runs: Path, **options: object) -> Process:
    settings = {"simulated": "false", "cameras": "[front]", "cloud_timeout": 0.0, "video_rate": 30.0}
    return start("run_node", instruction=f"'{SENTENCE}'", runs=runs, **settings, **options)


def is_begun(policy: Policy, folder: Path) -> bool:
    """Whether the sentence is obeyed, and written down."""
    return policy.obeying.is_set() and bool(list(folder.glob("runs/*/run.json")))


@pytest.mark.parametrize("script", [None, "head -c 200000 > /dev/null; echo 'No space left on device' >&2; exit 1"])
def test_a_run_goes_on_to_its_end_without_a_film(
    start: Callable[..., Process], policy: Policy, tmp_path: Path, script: str | None
) -> None:
    encoder = tmp_path / "ffmpeg"
    if script:
        encoder.write_text(f"#!/bin/sh\n{script}\n")
        encoder.chmod(0o755)
    runs = tmp_path / "runs"
    node = begun(start, runs, environment={"IMAGEIO_FFMPEG_EXE": str(encoder)})
    policy.goes_on = lambda: node.is_running() and "not all of this run is kept, film: " not in node.said()
    assert node.wait(DISCOVERY) == 0, node.said()
    assert not policy.was_canceled
    (folder,) = runs.iterdir()
    report = RunReport.read(folder)
    assert report.success
    assert "ffmpeg" in report.missing["film"]
    assert (folder / "report.html").is_file()
    assert node.said().rstrip().endswith(f"{folder}/report.html")


def test_a_run_whose_folder_is_removed_goes_on_to_its_end(
    start: Callable[..., Process], policy: Policy, peer: Peer, tmp_path: Path
) -> None:
    node = begun(start, tmp_path / "runs")
    ended = threading.Event()
    policy.goes_on = lambda: node.is_running() and not ended.is_set()
    peer.await_that(lambda: is_begun(policy, tmp_path) or not node.is_running())
    shutil.rmtree(tmp_path / "runs")
    ended.set()
    assert node.wait(DISCOVERY) == 0, node.said()
    assert not policy.was_canceled
    assert node.said().rstrip().endswith("; nothing of it could be written")


def test_a_run_that_is_killed_leaves_a_record(
    start: Callable[..., Process], policy: Policy, peer: Peer, tmp_path: Path
) -> None:
    node = begun(start, tmp_path / "runs")
    policy.goes_on = node.is_running
    peer.await_that(lambda: is_begun(policy, tmp_path) or not node.is_running())
    node.kill()
    (folder,) = (tmp_path / "runs").iterdir()
    assert RunReport.read(folder).outcome == "UNFINISHED"


def test_a_run_that_is_shut_down_has_its_film_and_its_report(
    start: Callable[..., Process], policy: Policy, peer: Peer, tmp_path: Path
) -> None:
    node = begun(start, tmp_path / "runs")
    policy.goes_on = node.is_running
    peer.await_that(lambda: list(tmp_path.glob("runs/*/video.mp4")) or not node.is_running())
    node.signal(signal.SIGINT)
    assert node.wait(DISCOVERY) == 1, node.said()
    assert policy.was_canceled
    (folder,) = (tmp_path / "runs").iterdir()
    report = RunReport.read(folder)
    assert report.outcome == "CANCELED"
    # What a machine that is too busy leaves to ffmpeg is said.
    assert not report.missing or "beside this page, video.mp4" in report.missing["film"]
    assert (folder / "report.html").is_file()
