"""Which images a keyframe is made of: of every camera the first ones that show the arm at rest."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

from mini_diffuser_ros.sensing.camera_monitor import RgbdPair
from mini_diffuser_ros.sensing.rest import Rest

Image = TypeVar("Image")
Info = TypeVar("Info")

_KEPT = 20  # pairs of one camera that may wait for the joint states of their time


class KeyframeCapture(Generic[Image, Info]):
    """Waits for one keyframe's images. No image from before it was asked for is used. Thread-safe.

    Args:
        cameras: names; every one of them has to deliver.
        not_before: seconds, stamp of the oldest image that may be used.
        settle_time: seconds that the arm must have rested at the stamp of an image.
    """

    def __init__(self, cameras: Sequence[str], not_before: float, settle_time: float) -> None:
        self.not_before = not_before
        self._settle_time = settle_time
        self._pairs: dict[str, list[RgbdPair[Image, Info]]] = {name: [] for name in cameras}
        self._seen: set[str] = set()  # cameras of which a pair was new enough
        self._lock = threading.Lock()

    def add(self, pair: RgbdPair[Image, Info]) -> None:
        """Colour and depth of one of the cameras."""
        if pair.stamp >= self.not_before:
            with self._lock:
                self._seen.add(pair.camera)
                self._pairs[pair.camera].append(pair)
                del self._pairs[pair.camera][:-_KEPT]

    def taken(self, rests: Sequence[Rest]) -> dict[str, RgbdPair[Image, Info]] | None:
        """The pairs by camera, all from one and the same rest; None as long as a camera has none.

        Args:
            rests: of the arm, in order of time, the last ones there were.
        """
        with self._lock:
            for rest in rests:
                found = {name: self._first(pairs, rest) for name, pairs in self._pairs.items()}
                taken = {name: pair for name, pair in found.items() if pair is not None}
                if len(taken) == len(self._pairs):
                    return taken
            self._forget(rests)
            return None

    def late(self, newest: Mapping[str, float | None]) -> dict[str, float | None]:
        """Cameras without a new enough image: by how many seconds the newest is too old, None if there is none.

        Args:
            newest: camera to the stamp of its newest image, paired or not.
        """
        stamps = {name: newest[name] for name in self._pairs}
        return {
            name: None if stamp is None else self.not_before - stamp
            for name, stamp in stamps.items()
            if stamp is None or stamp < self.not_before
        }

    def unpaired(self, newest: Mapping[str, float | None]) -> list[str]:
        """Cameras that have sent new enough images, but of which no two belong together; ``newest`` as above."""
        late = self.late(newest)
        with self._lock:
            return [name for name in self._pairs if name not in self._seen and name not in late]

    def _first(self, pairs: Sequence[RgbdPair[Image, Info]], rest: Rest) -> RgbdPair[Image, Info] | None:
        at_rest = (pair for pair in pairs if rest.covers(pair.stamp, self._settle_time) and pair.newest <= rest.until)
        return next(at_rest, None)

    def _forget(self, rests: Sequence[Rest]) -> None:
        """Drop images of a time that is known and in which the arm did not rest."""
        known = max((rest.until for rest in rests), default=-float("inf"))
        for pairs in self._pairs.values():
            pairs[:] = [
                pair
                for pair in pairs
                if pair.newest > known or any(rest.covers(pair.stamp, self._settle_time) for rest in rests)
            ]
