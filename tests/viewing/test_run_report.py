"""What a run leaves behind."""

from __future__ import annotations

import json
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

from mini_diffuser_ros.records import Cloud, KeyframeMode
from mini_diffuser_ros.viewing.run_report import (
    Event,
    LoggedDecision,
    RunReport,
    draw_decision,
    logged,
    make_run_folder,
)
from mini_diffuser_ros.viewing.run_video import RunVideo

MODES = [
    KeyframeMode(np.array([0.5, 0.0, 0.1, 1.0, 0.0, 0.0, 0.0]), True, False, 0.8, 0.004),
    KeyframeMode(np.array([0.4, 0.1, 0.1, 1.0, 0.0, 0.0, 0.0]), False, True, 0.2, 0.01),
]


@pytest.mark.parametrize(
    ("outcome", "confirmed", "success"),
    [
        ("TERMINATED", True, True),
        ("TERMINATED", None, True),
        ("TERMINATED", False, False),
        ("KEYFRAME_LIMIT", True, False),
        ("STOPPED", None, False),
    ],
)
def test_success_needs_the_policys_end_and_the_worlds_consent(
    outcome: str, confirmed: bool | None, success: bool
) -> None:
    report = RunReport("press it", outcome=outcome, confirmed=confirmed, message="because")
    report.conclude()
    assert report.success is success
    assert ("success" in report.summary().split(",")[0]) is success


def test_the_summary_is_one_line_with_everything_that_counts() -> None:
    report = RunReport("press it", task="push_buttons", outcome="KEYFRAME_LIMIT", message="15 keyframes without end")
    report.keyframes, report.seconds, report.sentence_to_first_motion_s = 15, 61.26, 1.04
    line = report.summary()
    assert "\n" not in line
    for part in ("push_buttons", "'press it'", "KEYFRAME_LIMIT", "15 keyframes without end", "61.3 s", "1.0 s"):
        assert part in line


def test_the_log_holds_decisions_and_events(tmp_path: Path) -> None:
    report = RunReport("press it", sentence_to_first_motion_s=1.5)
    report.events.append(Event(0.1, "waiting", 1, "no cloud yet"))
    report.decisions.append(LoggedDecision(0.9, 512, logged(MODES)))
    report.write(tmp_path)
    document = json.loads((tmp_path / "run.json").read_text())
    assert document["sentence_to_first_motion_s"] == 1.5
    assert document["events"] == [{"seconds": 0.1, "phase": "waiting", "keyframe": 1, "message": "no cloud yet"}]
    (decision,) = document["decisions"]
    assert decision["points"] == 512
    assert [mode["share"] for mode in decision["modes"]] == [0.8, 0.2]
    assert decision["modes"][1]["terminate"] is True


def test_run_folders_are_named_after_the_sentence(tmp_path: Path) -> None:
    folder = make_run_folder(tmp_path / "runs", "Stack the RED block, please!")
    assert folder.is_dir()
    assert folder.name.endswith("_stack-the-red-block-please")


def test_runs_that_are_told_the_same_at_once_have_folders_of_their_own(tmp_path: Path) -> None:
    made = [make_run_folder(tmp_path, "press it") for _ in range(20)]
    assert len(set(made)) == 20
    assert all(folder.is_dir() and "_press-it" in folder.name for folder in made)


def test_a_decision_is_drawn(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    points = generator.uniform((0.3, -0.2, 0), (0.6, 0.2, 0.1), (200, 3)).astype(np.float32)
    cloud = Cloud(points, np.full((200, 3), 90, np.uint8), "panda_link0")
    draw_decision(tmp_path / "cloud.png", cloud, MODES, "press it")
    assert (tmp_path / "cloud.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.process
def test_the_video_shows_the_views_side_by_side(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    video = RunVideo(path, ["front", "wrist"], (64, 48), 5.0)
    red, green = np.zeros((48, 64, 3), np.uint8), np.zeros((48, 64, 3), np.uint8)
    red[..., 0], green[..., 1] = 255, 255
    for _ in range(5):
        video.add({"front": red, "wrist": green}, "press it")
    video.close()
    frames = imageio_ffmpeg.read_frames(str(path))
    meta = next(frames)
    assert meta["size"] == (128, 80)
    picture = np.frombuffer(next(frames), np.uint8).reshape(80, 128, 3)
    assert picture[40, 20].argmax() == 0
    assert picture[40, 100].argmax() == 1
    frames.close()
