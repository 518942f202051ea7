"""The cameras' views side by side, with the sentence below them, as an MP4."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

CAPTION_HEIGHT = 32  # pixels
FONT_SIZE = 15
_PLAIN_WIDTH = 960  # pixels of a film that has to be made smaller
_SHARES = 0.9, 0.6, 0.35  # of what a film may take, that is aimed at: encoders miss, by more in short films


class RunVideo:
    """Encodes frames as they come, so that a long run needs no memory.

    Args:
        path: of the MP4.
        cameras: names, from left to right.
        image_size: width and height of each view, pixels.
        rate: frames per second.

    Raises:
        RuntimeError: if there is no ffmpeg, or it does not start.
    """

    def __init__(self, path: Path, cameras: Sequence[str], image_size: tuple[int, int], rate: float) -> None:
        self._cameras = tuple(cameras)
        self._image_size = image_size
        # The codec wants even sides.
        width = image_size[0] * len(self._cameras) // 2 * 2
        self._size = (width, (image_size[1] + CAPTION_HEIGHT) // 2 * 2)
        self._font = ImageFont.load_default(FONT_SIZE)
        self._encoder: Generator[None, bytes, None] = imageio_ffmpeg.write_frames(
            str(path),
            self._size,
            fps=rate,
            codec="libx264",
            macro_block_size=2,
            ffmpeg_log_level="error",
            # Encoding must not take cores from the robot.
            output_params=["-preset", "veryfast", "-crf", "20", "-threads", "1", "-movflags", "+faststart"],
        )
        self._encoder.send(None)  # starts ffmpeg

    def add(self, images: Mapping[str, NDArray[np.uint8]], caption: str) -> None:
        """Add a frame of (H, W, 3) RGB images; a camera without one stays black."""
        canvas = Image.new("RGB", self._size)
        draw = ImageDraw.Draw(canvas)
        width, height = self._image_size
        for column, camera in enumerate(self._cameras):
            left = column * width
            if camera in images:
                view = Image.fromarray(images[camera])
                canvas.paste(view if view.size == self._image_size else view.resize(self._image_size), (left, 0))
            draw.text((left + 6, 4), camera, fill=(255, 255, 255), font=self._font, stroke_width=2, stroke_fill=0)
        draw.text((8, height + 6), caption, fill=(255, 255, 255), font=self._font)
        self._encoder.send(canvas.tobytes())

    def close(self) -> None:
        """Finish the file."""
        self._encoder.close()


@dataclass(frozen=True)
class Film:
    """A film of a run.

    Attributes:
        path: of the MP4.
        rate: frames per second.
        seconds: since the sentence, of each frame; none where that is not known.
    """

    path: Path
    rate: float
    seconds: tuple[float, ...] = ()


def film_within(film: Film, most: int, patience: float) -> bytes | None:
    """The MP4, made smaller if it is larger than ``most`` bytes; None if there is none that is not.

    Args:
        film: the film.
        most: bytes.
        patience: seconds that making it smaller may take.
    """
    try:
        if film.path.stat().st_size <= most:
            return film.path.read_bytes()
        if patience <= 0.0 or not film.seconds:
            return None
        with tempfile.TemporaryDirectory() as folder:
            smaller, deadline = Path(folder) / film.path.name, time.monotonic() + patience
            for share in _SHARES:
                _encode_again(film, smaller, share * most, deadline - time.monotonic())
                if smaller.stat().st_size <= most:
                    return smaller.read_bytes()
            return None
    except (OSError, RuntimeError, subprocess.SubprocessError):  # RuntimeError: no ffmpeg
        return None


def _encode_again(film: Film, smaller: Path, aim: float, patience: float) -> None:
    bits = str(int(8 * aim * film.rate / len(film.seconds)))
    words = ["-vf", f"scale='min({_PLAIN_WIDTH},iw)':-2", "-c:v", "libx264", "-preset", "veryfast", "-threads", "1"]
    words += ["-b:v", bits, "-maxrate", bits, "-bufsize", bits, "-movflags", "+faststart"]
    subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-y", "-i", str(film.path), *words, str(smaller)],
        timeout=patience,
        check=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )
