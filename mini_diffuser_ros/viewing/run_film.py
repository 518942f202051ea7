"""A film that nobody waits for: whatever encoder and disk do, who is filmed goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Full, Queue

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.support.errors import one_line
from mini_diffuser_ros.viewing.run_video import Film, RunVideo

HUNG_AFTER = 20.0  # seconds that the encoder may take for a picture, also on a machine that has much else to do
WAITING = 10  # pictures that may wait for the encoder; what comes then is left out
_KILLED = 1.0  # seconds that a killed encoder may take to be gone


@dataclass(frozen=True, eq=False)
class _Frame:
    images: Mapping[str, NDArray[np.uint8]]
    caption: str
    seconds: float


class RunFilm:
    """Films on a thread of its own. A film that fails is given up, and what there is of it removed: it would not play.

    Args:
        path: of the MP4; it is begun with the first picture.
        cameras: names, from left to right.
        rate: frames per second.
        hung_after: seconds that the encoder may take for a picture.
    """

    def __init__(self, path: Path, cameras: Sequence[str], rate: float, hung_after: float = HUNG_AFTER) -> None:
        self._path, self._cameras, self._rate, self._hung_after = path, tuple(cameras), rate, hung_after
        self._frames: Queue[_Frame | None] = Queue(WAITING)
        self._thread: threading.Thread | None = None
        self._video: RunVideo | None = None
        self._seconds: list[float] = []
        self._working_since: float | None = None
        self._problem = ""
        self._is_left = False
        self._lock = threading.Lock()  # of the last two lines and the encoder, which is killed from another thread

    @property
    def problem(self) -> str:
        """Why there is no film; empty if there is one."""
        return self._problem

    def add(self, images: Mapping[str, NDArray[np.uint8]], caption: str, seconds: float) -> None:
        """Film this, too; returns at once, and leaves it out where the encoder is behind.

        Args:
            images: (H, W, 3) RGB of each camera; one without stays black.
            caption: below them.
            seconds: since the sentence.
        """
        if self._problem:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._encode, name="film", daemon=True)
            self._thread.start()
        try:
            self._frames.put_nowait(_Frame(dict(images), caption, seconds))
        except Full:
            since = self._working_since
            if since is not None and time.monotonic() - since > self._hung_after:
                self._give_up(f"ffmpeg has taken no picture for {self._hung_after:.0f} s")

    def end(self, patience: float, leave: bool = False) -> Film | None:
        """Finish the film; None if there is none.

        Args:
            patience: seconds that this may take, before the film is given up.
            leave: leave it to the encoder instead, which may finish it when this process has ended.
        """
        if self._thread is None:
            return None
        until = time.monotonic() + patience
        with suppress(Full):  # then the encoder hangs
            self._frames.put(None, timeout=patience)
        self._thread.join(max(0.0, until - time.monotonic()))
        if self._thread.is_alive() and leave and not self._problem:
            self._is_left = True
            self._problem = f"it was not finished in time; what there is of it lies beside this page, {self._path.name}"
            return None
        if self._thread.is_alive():
            self._give_up(f"ffmpeg has not finished it within {patience:.0f} s")
            self._thread.join(_KILLED)
        if not self._problem:
            return Film(self._path, self._rate, tuple(self._seconds))
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
        return None

    def _encode(self) -> None:
        try:
            while (frame := self._frames.get()) is not None:
                self._working_since = time.monotonic()
                self._take(frame)
                self._working_since = None
            if self._video is not None:
                self._video.close()
        except Exception as error:  # whatever it is: it ends the film, and nothing else
            self._give_up(one_line(error))
        if self._problem and not self._is_left:
            with suppress(OSError):  # a full disk has room for the record then
                self._path.unlink(missing_ok=True)

    def _take(self, frame: _Frame) -> None:
        if self._video is None:
            height, width = next(iter(frame.images.values())).shape[:2]
            video = RunVideo(self._path, self._cameras, (width, height), self._rate)
            with self._lock:
                self._video = video
                if self._problem:  # it was given up while ffmpeg started
                    video.kill()
        assert self._video is not None
        self._video.add(frame.images, frame.caption)
        self._seconds.append(frame.seconds)

    def _give_up(self, problem: str) -> None:
        with self._lock:
            self._problem = self._problem or problem
            if self._video is not None:
                self._video.kill()
        with suppress(Empty):
            while True:
                self._frames.get_nowait()
        with suppress(Full):
            self._frames.put_nowait(None)  # which ends the thread, if it waits
