"""Frames of videos, chosen by their numbers."""

from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

from mini_diffuser_ros.data import EpisodeFileError
from mini_diffuser_ros.data.exchange.video import video_frames

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fifty frames at 10 Hz whose grey is five times their number."""
    file = tmp_path_factory.mktemp("video") / "video.mp4"
    writer = imageio_ffmpeg.write_frames(str(file), (64, 48), fps=10, quality=9, macro_block_size=1)
    writer.send(None)
    for number in range(50):
        writer.send(np.full((48, 64, 3), 5 * number, np.uint8).tobytes())
    writer.close()
    return file


@pytest.mark.parametrize("start", [0, 17])
def test_frames_of_a_video_are_those_of_their_numbers(video: Path, start: int) -> None:
    found = video_frames(video, start / 10, 10.0, [0, 1, 7, 30])
    assert [frame.shape for frame in found] == [(48, 64, 3)] * 4
    assert [round(float(frame.mean()) / 5) for frame in found] == [start, start + 1, start + 7, start + 30]


def test_many_frames_are_had_too(tmp_path: Path) -> None:
    file = tmp_path / "video.mp4"
    writer = imageio_ffmpeg.write_frames(str(file), (32, 32), fps=30, quality=9, macro_block_size=1)
    writer.send(None)
    for number in range(300):
        writer.send(np.full((32, 32, 3), 8 * (number % 30), np.uint8).tobytes())
    writer.close()
    found = video_frames(file, 1.0, 30.0, range(0, 270, 2))
    assert [round(float(frame.mean()) / 8) for frame in found] == [2 * n % 30 for n in range(135)]


def test_a_video_that_ends_before_is_named(video: Path) -> None:
    with pytest.raises(EpisodeFileError, match=r"1 of 2 frames after 2 s can be decoded .* \(it ends before"):
        video_frames(video, 2.0, 10.0, [3, 40])


@pytest.mark.parametrize("fps", [3.0, 9.9, 20.0, 30.0])
def test_a_video_of_another_rate_is_not_taken_frame_by_frame(video: Path, fps: float) -> None:
    """Counted, each of them would be there: the picture of another instant."""
    with pytest.raises(EpisodeFileError, match="of another rate"):
        video_frames(video, 0.5, fps, [0, 1, 2, 7, 38])


def test_of_a_video_with_more_frames_than_were_recorded_those_of_their_times_are_taken(video: Path) -> None:
    found = video_frames(video, 0.0, 5.0, [0, 3, 24])
    assert [round(float(frame.mean()) / 5) for frame in found] == [0, 6, 48]


def test_a_file_that_is_no_video_reads_no_other(video: Path, tmp_path: Path) -> None:
    playlist = tmp_path / "video.mp4"
    playlist.write_text(f"ffconcat version 1.0\nfile '{video}'\n")
    with pytest.raises(EpisodeFileError, match="0 of 1 frames"):
        video_frames(playlist, 0.0, 10.0, [0])
