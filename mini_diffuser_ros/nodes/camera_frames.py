"""Which images belong together: colour with depth of one camera, and the cameras with each other.

Approximate synchronisation that degrades gracefully. A synchroniser over all topics waits for ever when one camera is
gone; this one goes on with the others after a while and says who is missing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Image = TypeVar("Image")
Info = TypeVar("Info")


@dataclass(frozen=True)
class SyncConfig:
    """When images belong together and when a camera counts as gone.

    Attributes:
        pair_tolerance: seconds between the stamps of colour and depth of one camera.
        set_tolerance: seconds between the stamps of different cameras in one cloud.
        stale_after: seconds without a new pair after which a camera is left out.
    """

    pair_tolerance: float = 0.01
    set_tolerance: float = 0.05
    stale_after: float = 1.0

    def __post_init__(self) -> None:
        for name in ("pair_tolerance", "set_tolerance", "stale_after"):
            if not getattr(self, name) > 0.0:
                raise ValueError(f"SyncConfig.{name} is {getattr(self, name)}, expected seconds above 0")


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
    last_pair: float  # seconds of the receiver's clock; at first the start of the collector
    info: Info | None = None
    colors: deque[tuple[float, Image]] = field(default_factory=lambda: deque(maxlen=10))
    depths: deque[tuple[float, Image]] = field(default_factory=lambda: deque(maxlen=10))
    frames: deque[Frame[Image, Info]] = field(default_factory=lambda: deque(maxlen=5))
    ever_seen: bool = False


@dataclass(frozen=True)
class CameraHealth:
    """What is to be said about one camera.

    Attributes:
        camera: its name.
        live: False if it is left out of the clouds.
        message: one line.
    """

    camera: str
    live: bool
    message: str


class FrameCollector(Generic[Image, Info]):
    """Collects images and hands out sets of frames that belong together.

    Args:
        cameras: names.
        config: tolerances.
        now: seconds of the receiver's monotonic clock, which also every later ``now`` is read from. Stamps, on the
            other hand, are only compared with each other: cameras may run on another machine's clock.
    """

    def __init__(self, cameras: Sequence[str], config: SyncConfig, now: float) -> None:
        self._config = config
        self._cameras: dict[str, _Camera[Image, Info]] = {name: _Camera(last_pair=now) for name in cameras}

    def add_info(self, camera: str, info: Info) -> None:
        """Calibration of a camera."""
        self._cameras[camera].info = info

    def add_color(self, camera: str, stamp: float, image: Image, now: float) -> None:
        """A colour image; ``stamp`` in seconds."""
        self._cameras[camera].colors.append((stamp, image))
        self._pair(camera, now)

    def add_depth(self, camera: str, stamp: float, image: Image, now: float) -> None:
        """A depth image aligned to colour; ``stamp`` in seconds."""
        self._cameras[camera].depths.append((stamp, image))
        self._pair(camera, now)

    def take(self, now: float) -> list[Frame[Image, Info]] | None:
        """The newest set of frames, one from each live camera, or None while one of them has yet to deliver.

        What is handed out and everything older is dropped.
        """
        live = {name: camera for name, camera in self._cameras.items() if self._is_live(camera, now)}
        if not live or any(not camera.frames for camera in live.values()):
            return None
        # The camera whose newest frame is the oldest decides: the others keep a frame of about that time.
        reference = min(camera.frames[-1].stamp for camera in live.values())
        chosen = [min(camera.frames, key=lambda f: abs(f.stamp - reference)) for camera in live.values()]
        if max(abs(frame.stamp - reference) for frame in chosen) > self._config.set_tolerance:
            return None
        for frame in chosen:
            frames = self._cameras[frame.camera].frames
            while frames and frames[0].stamp <= frame.stamp:
                frames.popleft()
        return chosen

    def health(self, now: float) -> list[CameraHealth]:
        """State of every camera, in the order in which they were named."""
        return [self._health(name, camera, now) for name, camera in self._cameras.items()]

    def _health(self, name: str, camera: _Camera[Image, Info], now: float) -> CameraHealth:
        if self._is_live(camera, now):
            message = "delivers" if camera.ever_seen else "awaited"
            return CameraHealth(name, True, f"camera {name} {message}")
        missing = [
            what
            for what, absent in (
                ("camera_info", camera.info is None),
                ("colour", not camera.colors),
                ("depth", not camera.depths),
            )
            if absent
        ]
        reason = f"no {', '.join(missing)}" if missing else "colour and depth"
        if camera.ever_seen:
            reason = "no images"
        elif not missing:
            reason = f"no colour and depth within {self._config.pair_tolerance} s of each other"
        return CameraHealth(name, False, f"camera {name}: {reason} for {now - camera.last_pair:.1f} s")

    def _is_live(self, camera: _Camera[Image, Info], now: float) -> bool:
        return now - camera.last_pair <= self._config.stale_after

    def _pair(self, name: str, now: float) -> None:
        camera = self._cameras[name]
        if camera.info is None:
            return
        best: tuple[float, int, int] | None = None
        for i, (color_stamp, _) in enumerate(camera.colors):
            for j, (depth_stamp, _) in enumerate(camera.depths):
                gap = abs(color_stamp - depth_stamp)
                if gap <= self._config.pair_tolerance and (best is None or gap < best[0]):
                    best = (gap, i, j)
        if best is None:
            return
        _, i, j = best
        color_stamp, color = camera.colors[i]
        depth_stamp, depth = camera.depths[j]
        camera.frames.append(Frame(name, min(color_stamp, depth_stamp), color, depth, camera.info))
        camera.last_pair, camera.ever_seen = now, True
        for queue, used in ((camera.colors, i), (camera.depths, j)):
            for _ in range(used + 1):
                queue.popleft()
