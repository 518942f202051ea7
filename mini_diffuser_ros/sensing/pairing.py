"""Colour with depth of one camera: which two images were taken together."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Image = TypeVar("Image")

_KEPT = 10  # images of one kind that may wait for their partners, and that the period is told from
_SHARE = 0.6  # of a period, that two images may be apart: half of one, and what exposures jitter


@dataclass(frozen=True)
class PairLimits:
    """How far apart in time colour and depth may be.

    Attributes:
        tolerance: seconds that are always allowed.
        longest: seconds that are never exceeded, however slow the camera is.
    """

    tolerance: float
    longest: float


@dataclass(frozen=True, eq=False)
class ImagePair(Generic[Image]):
    """Colour and depth of one camera at one time.

    Attributes:
        stamp: seconds, of the older of the two.
        newest: seconds, of the newer one.
        color, depth: the images.
    """

    stamp: float
    newest: float
    color: Image
    depth: Image


@dataclass(eq=False)
class _Stream(Generic[Image]):
    """Images of one kind that have no partner yet, and the stamps of the last ones, paired or not."""

    images: deque[tuple[float, Image]] = field(default_factory=lambda: deque(maxlen=_KEPT))
    stamps: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT))

    def add(self, stamp: float, image: Image) -> None:
        self.images.append((stamp, image))
        self.stamps.append(stamp)

    def period(self) -> float | None:
        """Seconds between two images, None until that is known; lost images do not change it, and jitter little."""
        stamps = list(self.stamps)
        spans = sorted(later - earlier for earlier, later in zip(stamps, stamps[2:], strict=False))
        return 0.5 * spans[len(spans) // 8] if spans else None


class Pairing(Generic[Image]):
    """Pairs images as they arrive. Each is used once; what is older than a pair is dropped.

    A camera exposes colour and depth at once, or at any phase to each other. Of two streams at some period the nearest
    images are half a period apart at most: that is what is allowed once both periods have been measured.

    Args:
        limits: of the time between two images.
    """

    def __init__(self, limits: PairLimits) -> None:
        self._limits = limits
        self._colors, self._depths = _Stream[Image](), _Stream[Image]()

    def add_color(self, stamp: float, image: Image) -> ImagePair[Image] | None:
        """The pair that a colour image completes, if it does; ``stamp`` in seconds."""
        self._colors.add(stamp, image)
        return self._pair()

    def add_depth(self, stamp: float, image: Image) -> ImagePair[Image] | None:
        """The pair that a depth image, aligned to colour, completes, if it does; ``stamp`` in seconds."""
        self._depths.add(stamp, image)
        return self._pair()

    def newest(self) -> float | None:
        """Newest stamp of an image, None if there is none."""
        return max((*self._colors.stamps, *self._depths.stamps), default=None)

    def period(self) -> float:
        """Seconds between two pairs at best, 0 until that is known."""
        periods = [self._colors.period(), self._depths.period()]
        return max(period or 0.0 for period in periods)

    def clear(self) -> None:
        """Forget everything: time began anew."""
        self._colors, self._depths = _Stream[Image](), _Stream[Image]()

    def missing(self) -> list[str]:
        """Which of colour and depth wait for nothing, as there is none of them."""
        return [name for name, stream in (("colour", self._colors), ("depth", self._depths)) if not stream.images]

    def tolerance(self) -> float:
        """Seconds that colour and depth may be apart at present."""
        periods = [period for period in (self._colors.period(), self._depths.period()) if period is not None]
        half = _SHARE * min(periods) if len(periods) == 2 else 0.0
        return min(max(self._limits.tolerance, half), self._limits.longest)

    def _pair(self) -> ImagePair[Image] | None:
        colors, depths = self._colors.images, self._depths.images
        if not colors or not depths:
            return None
        gap, i, j = min((abs(c - d), i, j) for i, (c, _) in enumerate(colors) for j, (d, _) in enumerate(depths))
        if gap > self.tolerance():
            return None
        (color_stamp, color), (depth_stamp, depth) = colors[i], depths[j]
        for queue, used in ((colors, i), (depths, j)):
            for _ in range(used + 1):
                queue.popleft()
        return ImagePair(min(color_stamp, depth_stamp), max(color_stamp, depth_stamp), color, depth)
