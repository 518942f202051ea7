"""Which images belong together: colour with depth of one camera, and the cameras with each other.

Approximate synchronisation that degrades gracefully. A synchroniser over all topics waits for ever when one camera is
gone; this one goes on with the others after a while and says who is missing.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

Image = TypeVar("Image")
Info = TypeVar("Info")


@dataclass(frozen=True)
class SyncConfig:
    """When images belong together, when one is too old, and when a camera counts as gone.

    Attributes:
        pair_tolerance: seconds between the stamps of colour and depth of one camera.
        set_tolerance: seconds between the stamps of different cameras in one cloud.
        stale_after: seconds without a new pair after which a camera is left out.
    """

    pair_tolerance: float = 0.015
    set_tolerance: float = 0.05
    stale_after: float = 1.0

    def __post_init__(self) -> None:
        for name in ("pair_tolerance", "set_tolerance", "stale_after"):
            if not getattr(self, name) > 0.0:
                raise ValueError(f"SyncConfig.{name} is {getattr(self, name)}, expected seconds above 0")


class Instant(NamedTuple):
    """One moment on two clocks, seconds.

    Attributes:
        steady: on the receiver's monotonic clock, by which silence is measured.
        clock: on the clock that stamps are read from, by which ages are measured.
    """

    steady: float
    clock: float


@dataclass(frozen=True)
class AgeLimits:
    """Between which ages an image is used.

    Attributes:
        oldest: seconds from the stamp to now; older images are dropped.
        lead: seconds that a stamp may lie in the future; beyond that the clocks disagree and no age can be told.
    """

    oldest: float
    lead: float

    def fault(self, age: float) -> str:
        """What is wrong with an image of this age, in words that follow "images are"; empty if nothing is."""
        if age > self.oldest:
            return f"{age:.3f} s old when they could be used, allowed are {self.oldest:g} s (max_image_age)"
        if age < -self.lead:
            return (
                f"stamped {-age:.3f} s in the future, allowed are {self.lead:g} s (max_clock_lead): synchronise the "
                "clocks of the machines"
            )
        return ""


@dataclass(frozen=True, eq=False)
class Frame(Generic[Image, Info]):
    """Colour and depth of one camera at one time. ``stamp`` is the older of the two, seconds."""

    camera: str
    stamp: float
    color: Image
    depth: Image
    info: Info


@dataclass(eq=False)
class _Camera(Generic[Image, Info]):
    last_pair: float  # seconds of the steady clock; at first the start of the collector
    info: Info | None = None
    colors: deque[tuple[float, Image]] = field(default_factory=lambda: deque(maxlen=10))
    depths: deque[tuple[float, Image]] = field(default_factory=lambda: deque(maxlen=10))
    frames: deque[Frame[Image, Info]] = field(default_factory=lambda: deque(maxlen=5))
    ever_seen: bool = False
    dropped: int = 0
    fault: str = ""  # of the newest pair, and when it was noticed on the steady clock
    fault_at: float = 0.0

    def drop(self, fault: str, steady: float) -> None:
        self.dropped, self.fault, self.fault_at = self.dropped + 1, fault, steady


@dataclass(frozen=True)
class CameraHealth:
    """What is to be said about one camera.

    Attributes:
        camera: its name.
        live: False if it is left out of the clouds.
        well: whether it is live and nothing was wrong with its newest images.
        message: one line.
        dropped: how many pairs of images were too old, or from the future, so far.
    """

    camera: str
    live: bool
    well: bool
    message: str
    dropped: int


class FrameCollector(Generic[Image, Info]):
    """Collects images and hands out sets of frames that belong together. Any thread may call it.

    Args:
        cameras: names.
        config: tolerances.
        limits: which ages are used.
        start: the steady clock's seconds now.
    """

    def __init__(self, cameras: Sequence[str], config: SyncConfig, limits: AgeLimits, start: float) -> None:
        self._config, self._limits = config, limits
        self._cameras: dict[str, _Camera[Image, Info]] = {name: _Camera(last_pair=start) for name in cameras}
        self._lock = threading.Lock()
        self.hindrance = "no camera delivers"
        """Why the last :meth:`take` gave no set; empty if it did."""

    def add_info(self, camera: str, info: Info) -> None:
        """Calibration of a camera."""
        self._cameras[camera].info = info

    def add_color(self, camera: str, stamp: float, image: Image, now: Instant) -> bool:
        """A colour image; ``stamp`` in seconds. True if it completes a pair that can be used."""
        with self._lock:
            self._cameras[camera].colors.append((stamp, image))
            return self._pair(camera, now)

    def add_depth(self, camera: str, stamp: float, image: Image, now: Instant) -> bool:
        """A depth image aligned to colour; ``stamp`` in seconds. True if it completes a pair that can be used."""
        with self._lock:
            self._cameras[camera].depths.append((stamp, image))
            return self._pair(camera, now)

    def take(self, now: Instant) -> list[Frame[Image, Info]] | None:
        """The newest set of frames, one from each live camera, or None while one of them has yet to deliver.

        No two frames of a set are further apart than ``set_tolerance``, and none is older than allowed. What is handed
        out and everything older is dropped.
        """
        with self._lock:
            live = [camera for camera in self._cameras.values() if self._is_live(camera, now.steady)]
            for camera in live:
                self._drop_aged(camera, now)
            self.hindrance = self._what_hinders(live)
            if self.hindrance:
                return None
            chosen = _nearest_frames(live)
            spread = max(frame.stamp for frame in chosen) - min(frame.stamp for frame in chosen)
            if spread > self._config.set_tolerance:
                self.hindrance = (
                    f"the cameras' images are {spread:.3f} s apart, allowed are {self._config.set_tolerance:g} s "
                    "(sync.set_tolerance)"
                )
                return None
            for camera, frame in zip(live, chosen, strict=True):
                newer = [one for one in camera.frames if one.stamp > frame.stamp]
                camera.frames.clear()
                camera.frames.extend(newer)
            return chosen

    def refuse_aged(self, frames: Sequence[Frame[Image, Info]], now: Instant) -> list[Frame[Image, Info]]:
        """Those of the frames handed out that are young enough still; the others are counted."""
        kept = []
        with self._lock:
            for frame in frames:
                fault = self._limits.fault(now.clock - frame.stamp)
                if fault:
                    self._cameras[frame.camera].drop(fault, now.steady)
                else:
                    kept.append(frame)
        return kept

    def health(self, steady: float) -> list[CameraHealth]:
        """State of every camera, in the order in which they were named."""
        with self._lock:
            return [self._health(name, camera, steady) for name, camera in self._cameras.items()]

    def _what_hinders(self, live: Sequence[_Camera[Image, Info]]) -> str:
        if not live:
            return "no camera delivers"
        awaited = [name for name, camera in self._cameras.items() if camera in live and not camera.frames]
        return f"images of {', '.join(awaited)} are awaited" if awaited else ""

    def _health(self, name: str, camera: _Camera[Image, Info], steady: float) -> CameraHealth:
        silence, live = f"for {steady - camera.last_pair:.1f} s", self._is_live(camera, steady)
        faulty = bool(camera.fault) and steady - camera.fault_at <= self._config.stale_after
        if faulty:
            message = f"images are {camera.fault}"
        elif live:
            message = "delivers" if camera.ever_seen else "awaited"
        elif camera.ever_seen:
            message = f"no images {silence}"
        else:
            message = f"{self._what_is_missing(camera)} {silence}"
        return CameraHealth(name, live, live and not faulty, f"camera {name}: {message}", camera.dropped)

    def _what_is_missing(self, camera: _Camera[Image, Info]) -> str:
        absences = (
            ("camera_info", camera.info is None),
            ("colour", not camera.colors),
            ("depth", not camera.depths),
        )
        missing = ", ".join(what for what, absent in absences if absent)
        if missing:
            return f"no {missing}"
        return f"no colour and depth within {self._config.pair_tolerance} s of each other (sync.pair_tolerance)"

    def _is_live(self, camera: _Camera[Image, Info], steady: float) -> bool:
        return steady - camera.last_pair <= self._config.stale_after

    def _drop_aged(self, camera: _Camera[Image, Info], now: Instant) -> None:
        fresh = [frame for frame in camera.frames if not self._limits.fault(now.clock - frame.stamp)]
        # Aged frames that a newer one has overtaken are nobody's fault.
        if camera.frames and not fresh:
            camera.drop(self._limits.fault(now.clock - camera.frames[-1].stamp), now.steady)
        camera.frames.clear()
        camera.frames.extend(fresh)

    def _pair(self, name: str, now: Instant) -> bool:
        camera = self._cameras[name]
        if camera.info is None or not camera.colors or not camera.depths:
            return False
        gap, i, j = min(
            (abs(color_stamp - depth_stamp), i, j)
            for i, (color_stamp, _) in enumerate(camera.colors)
            for j, (depth_stamp, _) in enumerate(camera.depths)
        )
        if gap > self._config.pair_tolerance:
            return False
        (color_stamp, color), (depth_stamp, depth) = camera.colors[i], camera.depths[j]
        for queue, used in ((camera.colors, i), (camera.depths, j)):
            for _ in range(used + 1):
                queue.popleft()
        stamp = min(color_stamp, depth_stamp)
        fault = self._limits.fault(now.clock - stamp)
        if fault:
            camera.drop(fault, now.steady)
            return False
        camera.fault = ""
        camera.frames.append(Frame(name, stamp, color, depth, camera.info))
        camera.last_pair, camera.ever_seen = now.steady, True
        return True


def _nearest_frames(cameras: Sequence[_Camera[Image, Info]]) -> list[Frame[Image, Info]]:
    """One frame of each camera, about the newest time of which all have one."""
    # The camera whose newest frame is the oldest decides: the others keep a frame of about that time.
    reference = min(camera.frames[-1].stamp for camera in cameras)
    return [min(camera.frames, key=lambda frame: abs(frame.stamp - reference)) for camera in cameras]
