"""Which images a keyframe is made of: of every camera the first ones that show the arm at rest."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from mini_diffuser_ros.sensing.rest import Rest

Image = TypeVar("Image")

_KEPT = 20  # images of one topic that may wait for the joint states of their time


@dataclass(frozen=True, eq=False)
class ImagePair(Generic[Image]):
    """Colour and depth of one camera at one time.

    Attributes:
        stamp: seconds, of the older of the two.
        color, depth: the images.
    """

    stamp: float
    color: Image
    depth: Image


@dataclass(eq=False)
class _Camera(Generic[Image]):
    colors: list[tuple[float, Image]] = field(default_factory=list)
    depths: list[tuple[float, Image]] = field(default_factory=list)
    newest: float | None = None


class KeyframeCapture(Generic[Image]):
    """Waits for one keyframe's images. No image from before it was asked for is used. Thread-safe.

    Args:
        cameras: names; every one of them has to deliver.
        not_before: seconds, stamp of the oldest image that may be used.
        settle_time: seconds that the arm must have rested at the stamp of an image.
        pair_tolerance: seconds between the stamps of colour and depth of one camera.
    """

    def __init__(self, cameras: Sequence[str], not_before: float, settle_time: float, pair_tolerance: float) -> None:
        self.not_before = not_before
        self._settle_time = settle_time
        self._pair_tolerance = pair_tolerance
        self._cameras: dict[str, _Camera[Image]] = {name: _Camera() for name in cameras}
        self._lock = threading.Lock()

    def add_color(self, camera: str, stamp: float, image: Image) -> None:
        """A colour image; ``stamp`` in seconds."""
        with self._lock:
            self._add(self._cameras[camera], self._cameras[camera].colors, stamp, image)

    def add_depth(self, camera: str, stamp: float, image: Image) -> None:
        """A depth image aligned to colour; ``stamp`` in seconds."""
        with self._lock:
            self._add(self._cameras[camera], self._cameras[camera].depths, stamp, image)

    def taken(self, rests: Sequence[Rest]) -> dict[str, ImagePair[Image]] | None:
        """The pairs by camera, all from one and the same rest; None as long as a camera has none.

        Args:
            rests: of the arm, in order of time, the last ones there were.
        """
        with self._lock:
            for rest in rests:
                pairs = {name: self._first_pair(camera, rest) for name, camera in self._cameras.items()}
                found = {name: pair for name, pair in pairs.items() if pair is not None}
                if len(found) == len(self._cameras):
                    return found
            self._forget(rests)
            return None

    def late(self) -> dict[str, float | None]:
        """Cameras without a new enough image: by how many seconds the newest is too old, None if there is none."""
        with self._lock:
            return {
                name: None if camera.newest is None else self.not_before - camera.newest
                for name, camera in self._cameras.items()
                if camera.newest is None or camera.newest < self.not_before
            }

    def unpaired(self) -> list[str]:
        """Cameras whose colour and depth are both there, but of which no two belong together."""
        with self._lock:
            return [
                name
                for name, camera in self._cameras.items()
                if camera.colors and camera.depths and not any(True for _ in self._pairs(camera))
            ]

    def _add(self, camera: _Camera[Image], images: list[tuple[float, Image]], stamp: float, image: Image) -> None:
        camera.newest = stamp if camera.newest is None else max(camera.newest, stamp)
        if stamp >= self.not_before:
            images.append((stamp, image))
            del images[:-_KEPT]

    def _first_pair(self, camera: _Camera[Image], rest: Rest) -> ImagePair[Image] | None:
        return next(
            (
                ImagePair(min(color[0], depth[0]), color[1], depth[1])
                for color, depth in self._pairs(camera)
                if rest.covers(min(color[0], depth[0]), self._settle_time) and max(color[0], depth[0]) <= rest.until
            ),
            None,
        )

    def _pairs(self, camera: _Camera[Image]) -> Iterator[tuple[tuple[float, Image], tuple[float, Image]]]:
        """Each colour image with the depth image that was taken with it."""
        for color in camera.colors:
            depth = min(camera.depths, key=lambda one: abs(one[0] - color[0]), default=None)
            if depth is not None and abs(depth[0] - color[0]) <= self._pair_tolerance:
                yield color, depth

    def _forget(self, rests: Sequence[Rest]) -> None:
        """Drop images of a time that is known and in which the arm did not rest."""
        known = max((rest.until for rest in rests), default=-float("inf"))
        for camera in self._cameras.values():
            for images in (camera.colors, camera.depths):
                images[:] = [
                    (stamp, image)
                    for stamp, image in images
                    if stamp > known or any(rest.covers(stamp, self._settle_time) for rest in rests)
                ]
