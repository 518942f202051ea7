"""The cameras' views side by side, with the sentence below them, as an MP4."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mini_diffuser_ros.support.errors import UserError, one_line
from mini_diffuser_ros.support.printable import printable

CAPTION_HEIGHT = 32  # pixels
FONT_SIZE = 15
_LONGEST_CAPTION = 300  # characters
_PLAIN_WIDTH = 960  # pixels of a film that has to be made smaller
_SHARES = 0.9, 0.6, 0.35  # of what a film may take, that is aimed at: encoders miss, by more in short films
_SAID = 2**16  # bytes of what ffmpeg says, at most
_DYING = 1.0  # seconds in which a process that reads no more has ended


class FilmError(UserError, RuntimeError):
    """ffmpeg does not do what it should; the text says why, as far as ffmpeg does."""


class RunVideo:
    """Encodes frames as they come, so that a long run needs no memory. Who waits for ffmpeg is freed by :meth:`kill`.

    Args:
        path: of the MP4.
        cameras: names, from left to right.
        image_size: width and height of each view, pixels.
        rate: frames per second.

    Raises:
        FilmError: if there is no ffmpeg, or it does not start.
    """

    def __init__(self, path: Path, cameras: Sequence[str], image_size: tuple[int, int], rate: float) -> None:
        self._cameras = tuple(cameras)
        self._image_size = image_size
        # The codec wants even sides.
        width = image_size[0] * len(self._cameras) // 2 * 2
        self._size = (width, (image_size[1] + CAPTION_HEIGHT) // 2 * 2)
        self._font = ImageFont.load_default(FONT_SIZE)
        words = ["-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "{}x{}".format(*self._size), "-r", f"{rate:g}"]
        words += ["-i", "-", "-an", "-c:v", "libx264", "-pix_fmt", "yuv420p"]
        # Encoding must not take cores from the robot.
        words += ["-preset", "veryfast", "-crf", "20", "-threads", "1", "-movflags", "+faststart", _file(path)]
        self._said, writing = os.pipe()
        try:
            os.set_blocking(writing, False)  # nobody reads before the end, and ffmpeg is not to wait for that
            self._process = subprocess.Popen(
                [_ffmpeg(), "-loglevel", "error", *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=writing,
                start_new_session=True,  # Ctrl-C is for the run, which ends the film in order
            )
        except OSError as error:
            os.close(self._said)
            raise FilmError(f"ffmpeg does not start: {one_line(error)}") from error
        finally:
            os.close(writing)

    def add(self, images: Mapping[str, NDArray[np.uint8]], caption: str) -> None:
        """Add a frame of (H, W, 3) RGB images; a camera without one stays black.

        Raises:
            FilmError: ffmpeg has ended.
        """
        canvas = Image.new("RGB", self._size)
        draw = ImageDraw.Draw(canvas)
        width, height = self._image_size
        for column, camera in enumerate(self._cameras):
            left = column * width
            if camera in images:
                view = Image.fromarray(images[camera])
                canvas.paste(view if view.size == self._image_size else view.resize(self._image_size), (left, 0))
            draw.text((left + 6, 4), camera, fill=(255, 255, 255), font=self._font, stroke_width=2, stroke_fill=0)
        said = printable(caption, _LONGEST_CAPTION)
        draw.text((8, height + 6), said, fill=(255, 255, 255), font=self._font)
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(canvas.tobytes())
        except OSError as error:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_DYING)
            self.kill()
            raise self._ended(one_line(error)) from error

    def close(self) -> None:
        """Finish the file.

        Raises:
            FilmError: ffmpeg could not finish it.
        """
        assert self._process.stdin is not None
        with suppress(OSError):  # it has ended, and says why
            self._process.stdin.close()
        if self._process.wait():
            raise self._ended(f"code {self._process.returncode}")
        os.close(self._said)

    def kill(self) -> None:
        """End ffmpeg at once, from any thread; whoever waits for it gets the error that it has ended."""
        self._process.kill()

    def _ended(self, otherwise: str) -> FilmError:
        """The error that ffmpeg has ended, with what it said last; what comes first are mostly warnings."""
        os.set_blocking(self._said, False)
        said = ""
        with suppress(BlockingIOError):
            said = os.read(self._said, _SAID).decode(errors="replace").strip()
        os.close(self._said)
        last = re.sub(r"\[[^\]]* @ 0x[0-9a-f]+\] ?", "", said.splitlines()[-1]) if said else otherwise
        return FilmError(f"ffmpeg has ended: {last}")


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


def film_within(film: Film, most: int, patience: float) -> bytes:
    """The MP4, made smaller if it is larger than ``most`` bytes.

    Args:
        film: the film.
        most: bytes.
        patience: seconds that making it smaller may take.

    Raises:
        FilmError: why there is none that is as small; the film stays where it is.
    """
    try:
        size = film.path.stat().st_size
        if size <= most:
            return film.path.read_bytes()
    except OSError as error:
        raise FilmError(f"The film cannot be read: {one_line(error)}") from error
    too_large, beside = "The film is too large for this page", f"it lies beside it: {film.path.name}"
    if patience <= 0.0 or not film.seconds:
        raise FilmError(f"{too_large}; {beside}")
    try:
        with tempfile.TemporaryDirectory() as folder:
            smaller, deadline = Path(folder) / film.path.name, time.monotonic() + patience
            for share in _SHARES:
                _encode_again(film, smaller, share * most, deadline - time.monotonic())
                if smaller.stat().st_size <= most:
                    return smaller.read_bytes()
    except subprocess.TimeoutExpired as error:
        raise FilmError(f"{too_large}, and takes too long to be made smaller; {beside}") from error
    except (OSError, FilmError, subprocess.SubprocessError) as error:
        raise FilmError(f"{too_large}, and cannot be made smaller ({one_line(error)}); {beside}") from error
    raise FilmError(f"{too_large}, however small it is made; {beside}")


def _encode_again(film: Film, smaller: Path, aim: float, patience: float) -> None:
    bits = str(int(8 * aim * film.rate / len(film.seconds)))
    words = ["-vf", f"scale='min({_PLAIN_WIDTH},iw)':-2", "-c:v", "libx264", "-preset", "veryfast", "-threads", "1"]
    words += ["-b:v", bits, "-maxrate", bits, "-bufsize", bits, "-movflags", "+faststart"]
    subprocess.run(
        [_ffmpeg(), "-loglevel", "error", "-y", "-i", _file(film.path), *words, _file(smaller)],
        timeout=patience,
        check=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )


def _ffmpeg() -> str:
    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise FilmError("there is no ffmpeg: pip install imageio-ffmpeg, or set IMAGEIO_FFMPEG_EXE") from error


def _file(path: Path) -> str:
    """Of a path that may look like an option or an address."""
    return f"file:{path}"
