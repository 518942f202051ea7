"""Frames of a video file, by the ffmpeg that imageio-ffmpeg brings."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.data.errors import EpisodeFileError
from mini_diffuser_ros.data.formats.images import MAX_PIXELS, decode_color
from mini_diffuser_ros.support.errors import one_line

TIMEOUT = 600.0
"""Seconds for the frames of one episode."""

_AT_ONCE = 50
"""Frames that ffmpeg is asked for at once; it refuses expressions of more than a hundred terms."""

_OFF = 0.25
"""Frames by which one may be off its time."""


def video_frames(file: Path, start: float, fps: float, numbers: Sequence[int]) -> list[NDArray[np.uint8]]:
    """Some frames of an episode in a video, (H, W, 3) uint8 RGB each.

    Args:
        file: the video; no other file is read, whatever it says.
        start: seconds at which the episode begins in it.
        fps: frames a second.
        numbers: of the frames, counted from that second, in increasing order, each once.

    Raises:
        EpisodeFileError: if the file cannot be decoded, ends before, or has other frames at their times.
    """
    found: list[NDArray[np.uint8]] = []
    for first in range(0, len(numbers), _AT_ONCE):
        found += _frames(file, start, fps, numbers[first : first + _AT_ONCE])
    return found


def _frames(file: Path, start: float, fps: float, numbers: Sequence[int]) -> list[NDArray[np.uint8]]:
    """As many as ffmpeg takes at once."""
    # Half a frame earlier: the seek must not miss the first frame by rounding.
    seek = max(0.0, start + (numbers[0] - 0.5) / fps)
    # By their times, not by counting: a video of another rate has other frames in their places.
    times = [start - seek + number / fps for number in numbers]
    chosen = "+".join(f"between(t\\,{time - _OFF / fps:.6f}\\,{time + _OFF / fps:.6f})" for time in times)
    with TemporaryDirectory() as folder:
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-protocol_whitelist", "file"]
        # Damage that the decoder notices is not painted over.
        command += ["-xerror", "-err_detect", "explode"]
        command += ["-threads", "1", "-max_pixels", str(MAX_PIXELS), "-f", "mov"]
        command += ["-ss", f"{seek:.6f}", "-i", f"file:{file}", "-map", "0:v:0"]
        command += ["-vf", f"select='{chosen}'", "-fps_mode", "passthrough", "-frames:v", str(len(numbers) + 1)]
        command += ["-pix_fmt", "rgb24", "-compression_level", "1", str(Path(folder) / "%06d.png")]
        try:
            done = subprocess.run(command, capture_output=True, timeout=TIMEOUT, check=False)
        except subprocess.TimeoutExpired as error:
            raise EpisodeFileError(file, f"takes more than {TIMEOUT:.0f} s to decode") from error
        pictures = sorted(Path(folder).glob("*.png"))
        if done.returncode or len(pictures) != len(numbers):
            said = (
                one_line(Exception(done.stderr.decode(errors="replace")))
                if done.stderr
                else "it ends before, or is of another rate"
            )
            raise EpisodeFileError(
                file,
                f"{len(pictures)} of {len(numbers)} frames after {start:g} s can be decoded at their times of {fps:g} a"
                f" second ({said:.200})",
            )
        return [decode_color(picture.read_bytes()) for picture in pictures]
