"""Which pairs of several cameras belong together in one cloud.

Approximate synchronisation that degrades gracefully. A synchroniser over all topics waits for ever when one camera is
gone; this one goes on with the others after a while and says who is missing.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import Generic, TypeVar

from mini_diffuser_ros.sensing.camera_monitor import (
    CameraHealth,
    CameraMonitor,
    Instant,
    RgbdPair,
)

Image = TypeVar("Image")
Info = TypeVar("Info")

_KEPT = 12  # pairs of one camera that may wait for those of the others


class FrameCollector(Generic[Image, Info]):
    """Collects images and hands out sets of pairs that belong together. Any thread may call it.

    Args:
        monitor: makes the pairs, and says which cameras are there.
    """

    def __init__(self, monitor: CameraMonitor[Image, Info]) -> None:
        self._monitor = monitor
        self._frames = {name: deque[RgbdPair[Image, Info]](maxlen=_KEPT) for name in monitor.cameras}
        self._lock = threading.Lock()
        self.hindrance = "no camera delivers"
        """Why the last :meth:`take` gave no set; empty if it did."""

    def add_info(self, camera: str, info: Info) -> None:
        """Calibration of a camera."""
        self._monitor.add_info(camera, info)

    def add_color(self, camera: str, stamp: float, image: Image, now: Instant) -> bool:
        """A colour image; ``stamp`` in seconds. True if it completes a pair that can be used."""
        return self._add(self._monitor.add_color(camera, stamp, image, now))

    def add_depth(self, camera: str, stamp: float, image: Image, now: Instant) -> bool:
        """A depth image aligned to colour; ``stamp`` in seconds. True if it completes a pair that can be used."""
        return self._add(self._monitor.add_depth(camera, stamp, image, now))

    def take(self, now: Instant) -> list[RgbdPair[Image, Info]] | None:
        """The newest set of pairs, one from each live camera, or None while one of them has yet to deliver.

        No two pairs of a set are further apart than ``set_tolerance``, or the period of the slowest camera, and none is
        older than allowed. What is handed
        out and everything older is dropped.
        """
        with self._lock:
            live = self._monitor.names_of_live(now.steady)
            for camera in live:
                self._drop_aged(camera, now)
            self.hindrance = self._what_hinders(live)
            if self.hindrance:
                return None
            chosen = _nearest([self._frames[camera] for camera in live])
            spread = max(frame.stamp for frame in chosen) - min(frame.stamp for frame in chosen)
            tolerance = self._monitor.set_tolerance(now.steady)
            if spread > tolerance:
                self.hindrance = (
                    f"the cameras' images are {spread:.3f} s apart, allowed are {tolerance:.3g} s (sync.set_tolerance)"
                )
                return None
            for frame in chosen:
                self._keep(frame.camera, [one for one in self._frames[frame.camera] if one.stamp > frame.stamp])
            return chosen

    def refuse_aged(self, frames: Sequence[RgbdPair[Image, Info]], now: Instant) -> list[RgbdPair[Image, Info]]:
        """Those of the pairs handed out that are young enough still; the others are counted."""
        kept = []
        for frame in frames:
            if fault := self._monitor.fault_of(frame, now):
                self._monitor.count_drop(frame.camera, fault, now.steady)
            else:
                kept.append(frame)
        return kept

    def clear(self) -> None:
        """Forget the images that wait for others: time began anew."""
        self._monitor.clear()
        with self._lock:
            for frames in self._frames.values():
                frames.clear()

    def health(self, steady: float) -> list[CameraHealth]:
        """State of every camera, in the order in which they were named."""
        return self._monitor.health(steady)

    def _add(self, frame: RgbdPair[Image, Info] | None) -> bool:
        if frame is None:
            return False
        with self._lock:
            self._frames[frame.camera].append(frame)
        return True

    def _what_hinders(self, live: Sequence[str]) -> str:
        if not live:
            return "no camera delivers"
        awaited = [camera for camera in live if not self._frames[camera]]
        return f"images of {', '.join(awaited)} are awaited" if awaited else ""

    def _drop_aged(self, camera: str, now: Instant) -> None:
        frames = self._frames[camera]
        fresh = [frame for frame in frames if not self._monitor.fault_of(frame, now)]
        # Aged pairs that a newer one has overtaken are nobody's fault.
        if frames and not fresh:
            self._monitor.count_drop(camera, self._monitor.fault_of(frames[-1], now), now.steady)
        self._keep(camera, fresh)

    def _keep(self, camera: str, frames: Sequence[RgbdPair[Image, Info]]) -> None:
        self._frames[camera].clear()
        self._frames[camera].extend(frames)


def _nearest(queues: Sequence[deque[RgbdPair[Image, Info]]]) -> list[RgbdPair[Image, Info]]:
    """One pair of each camera, about the newest time of which all have one."""
    # The camera whose newest pair is the oldest decides: the others keep one of about that time.
    reference = min(frames[-1].stamp for frames in queues)
    return [min(frames, key=lambda frame: abs(frame.stamp - reference)) for frames in queues]
