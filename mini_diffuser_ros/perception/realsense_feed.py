"""Keeps one RealSense camera streaming: opens it, reads it, and opens it again when it was lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mini_diffuser_ros.perception.realsense import RealSenseCamera, RealSenseError, RgbdFrame
from mini_diffuser_ros.support.health import Health, HealthLevel, RecentValues
from mini_diffuser_ros.support.settings import check_fields, not_expected

POLL = 0.2  # seconds within which a feed notices that it is to end


@dataclass(frozen=True)
class FeedConfig:
    """When a camera counts as lost.

    Attributes:
        lost_after: seconds without images after which the camera is closed and opened again.
        retry_period: seconds between attempts to open a camera that is not there.
    """

    lost_after: float = 3.0
    retry_period: float = 2.0

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("lost_after", "retry_period"):
            if not getattr(self, name) > 0.0:
                raise not_expected(name, getattr(self, name), "seconds above 0")


class RealSenseFeed:
    """Reads one camera in a thread of its own, so that the loss of one delays no other.

    Args:
        name: of the camera.
        open_camera: opens it; raises RealSenseError while it is not there.
        on_frame: called in the feed's thread with every frame and the camera that it is from.
        log: called with one line when something changes.
        config: when the camera counts as lost.
    """

    def __init__(
        self,
        name: str,
        open_camera: Callable[[], RealSenseCamera],
        on_frame: Callable[[RealSenseCamera, RgbdFrame], None],
        log: Callable[[str], None],
        config: FeedConfig,
    ) -> None:
        self.name = name
        self._open, self._on_frame, self._log, self._config = open_camera, on_frame, log, config
        self._problem = "is being opened"
        self._losses = 0
        self._frames = RecentValues()
        self._facts: Mapping[str, float | str] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"camera {name}", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def close(self) -> None:
        """Stop reading, and wait until the camera is closed."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def health(self) -> Health:
        """What is to be said on /diagnostics."""
        values: dict[str, float | str] = {
            "rate (Hz)": self._frames.rate(),
            "times lost": float(self._losses),
            **self._facts,
        }
        if self._problem:
            return Health(HealthLevel.ERROR, f"camera {self.name}: {self._problem}", values)
        return Health(HealthLevel.OK, f"camera {self.name} streams", values)

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                camera = self._open()
            except RealSenseError as error:
                self._say(str(error))
                self._ended.wait(self._config.retry_period)
                continue
            try:
                self._read(camera)
            except RealSenseError as error:
                self._losses += 1
                self._say(str(error))
                self._ended.wait(self._config.retry_period)
            finally:
                camera.close()

    def _read(self, camera: RealSenseCamera) -> None:
        """Hand out frames until the camera is lost, a recording is over, or the feed is to end."""
        self._facts = {"device": camera.name, "serial": camera.serial, "usb": camera.usb}
        silent = 0.0
        while not self._ended.is_set():
            frame = camera.read(POLL)
            if frame is not None:
                silent = 0.0
                if self._problem:
                    self._say("")
                self._frames.add()
                self._on_frame(camera, frame)
            elif camera.has_ended():
                return
            else:
                silent += POLL
                if silent >= self._config.lost_after:
                    raise RealSenseError(f"{camera.name} {camera.serial} has sent no images for {silent:.1f} s")

    def _say(self, problem: str) -> None:
        if problem != self._problem:
            self._problem = problem
            self._log(f"camera {self.name}: {problem}" if problem else f"camera {self.name} streams")
