"""Pictures that do not change: no sensor gives the same one twice, nor a part of one; a driver that hangs does."""

from __future__ import annotations

import zlib
from collections import Counter, deque

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Pixels = NDArray[np.number]

_REPEATS = 3  # times that a picture has to have come again
_SAMPLES = 4096  # bytes that are compared first; what differs there needs no further look
_RING = 10_000  # pictures of before that one may be the same as: a ring of buffers, a recording that begins again
_SUSPECTED = 300  # pictures that are compared whole after one whose samples have come before
_BLOCKS = 8  # parts of a picture in each direction
_FEW = 0.1  # share of the parts that measure; so many have to stand still, and so many to live
_LOOKS = 6.0  # at the parts of a picture, until it is an error


KINDS = ("colour", "depth")
"""Of pictures of a camera."""


class _Recent:
    """The last numbers that were added."""

    def __init__(self) -> None:
        self._numbers: deque[int] = deque()
        self._counts: Counter[int] = Counter()

    def __contains__(self, number: int) -> bool:
        return number in self._counts

    def add(self, number: int) -> None:
        self._numbers.append(number)
        self._counts[number] += 1
        if len(self._numbers) > _RING:
            oldest = self._numbers.popleft()
            self._counts[oldest] -= 1
            if not self._counts[oldest]:
                del self._counts[oldest]

    def clear(self) -> None:
        self._numbers.clear()
        self._counts.clear()


class StillPictureWatch:
    """Compares each picture of one stream with those before it.

    Args:
        after: seconds from which on pictures that are not new are an error; 0 for never.

    Attributes:
        is_new: whether the last picture differs from those before it; the first one is not known to.
    """

    def __init__(self, after: float) -> None:
        self._after = after
        self._picture: Bytes | None = None
        self._samples = _Recent()
        self._digests = _Recent()  # while the samples say that a picture may have come again
        self._suspected = 0  # pictures for which that is still so
        self._since = 0.0
        self._repeats = 0
        self.is_new = False

    def still_for(self, picture: Bytes, steady: float) -> float:
        """Seconds for which pictures have been bit for bit those of before; 0 while that says nothing.

        Args:
            picture: its bytes; they are held until the next one comes.
            steady: seconds of the steady clock.
        """
        if self._after == 0.0:
            self.is_new = True
            return 0.0
        first, came_again = self._picture is None, self._came_again(picture)
        self._picture, self.is_new = picture, not (first or came_again)
        if not came_again:
            self._since, self._repeats = steady, 0
            return 0.0
        self._repeats += 1
        still = steady - self._since
        return still if self._repeats >= _REPEATS and still >= self._after else 0.0

    def _came_again(self, picture: Bytes) -> bool:
        """Whether it is the last picture, or one of those before it."""
        sample = hash(picture[:: _step(picture)].tobytes())
        if sample in self._samples:
            self._suspected = _SUSPECTED  # which each picture of a ring renews
        self._samples.add(sample)
        if self._suspected == 0:
            self._digests.clear()
            return False  # as not even the samples are the same
        self._suspected -= 1
        digest = zlib.crc32(picture.tobytes())
        again = digest in self._digests or (self._picture is not None and _same(self._picture, picture))
        self._digests.add(digest)
        return again


class StillPartsWatch:
    """Looks for parts of the pictures of one stream that stand still while others live.

    A part tells if most of it measures: depth that is not there, and colours that are over- or underexposed, have no
    noise. A picture all but a tenth of which stands still is taken for a rendered one; all of it is a frozen one.

    Args:
        after: seconds from which on a part that is the same bit for bit is an error; 0 for never.
    """

    def __init__(self, after: float) -> None:
        self._after = after
        self._picture: Pixels | None = None
        self._since = np.zeros((_BLOCKS, _BLOCKS))
        self._repeats = np.zeros((_BLOCKS, _BLOCKS), np.int64)
        self._looked = -np.inf
        self._still = 0.0

    def still_share(self, picture: Pixels, steady: float) -> float:
        """Share of what measures that has been the same bit for bit for long, while the rest changes; 0 if none has.

        Args:
            picture: (H, W) metres, or (H, W, 3) uint8; it is held until the next look.
            steady: seconds of the steady clock.
        """
        if self._after == 0.0 or min(picture.shape[:2]) < _BLOCKS or steady - self._looked < self._after / _LOOKS:
            return self._still
        before, self._picture, self._looked = self._picture, picture, steady
        if before is None or before.shape != picture.shape:
            self._since[:], self._repeats[:], self._still = steady, 0, 0.0
            return 0.0
        changed = _any(before != picture)
        self._since[changed], self._repeats[changed] = steady, 0
        self._repeats[~changed] += 1
        step = max(1, min(picture.shape[:2]) // (_BLOCKS * 12))
        tells = _blocks(_measures(picture[::step, ::step])).mean(axis=(1, 3)) >= 0.5
        still = tells & (self._repeats >= _REPEATS) & (steady - self._since >= self._after)
        lives = tells & (self._repeats < _REPEATS)
        least = max(2.0, _FEW * tells.sum())
        self._still = float(still.sum() / tells.sum()) if still.sum() >= least and lives.sum() >= least else 0.0
        return self._still


def told_still(kind: str, still: float) -> str:
    """What to say of a camera whose ``kind``, colour or depth, has been the same for so many seconds."""
    return (
        f"its {kind} has been the same bit for bit for {still:.1f} s though its stamps advance: the driver hangs, or "
        "its sensor is covered; restart it"
    )


def told_parts(kind: str, share: float) -> str:
    """What to say of a camera a share of whose ``kind`` stands still."""
    return (
        f"{share:.0%} of its {kind} stand still bit for bit while the rest changes: its driver hands out pictures that "
        "are not whole, or a filter holds old values; restart it"
    )


def _blocks(pixels: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(8, H / 8, 8, W / 8 and channels): the pixels of each part; those left over at the edges are left out."""
    height, width = (size // _BLOCKS for size in pixels.shape[:2])
    return pixels[: height * _BLOCKS, : width * _BLOCKS].reshape(_BLOCKS, height, _BLOCKS, -1)


def _any(pixels: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(8, 8) whether any pixel of a part is set."""
    parts = _blocks(pixels)
    return np.asarray(parts.any(axis=1).reshape(_BLOCKS, _BLOCKS, -1).any(axis=2))


def _measures(picture: Pixels) -> NDArray[np.bool_]:
    if picture.dtype == np.uint8:
        return np.asarray((picture > 4) & (picture < 251))
    with np.errstate(invalid="ignore"):
        return np.asarray(np.isfinite(picture) & (picture > 0.0))


def _step(picture: Bytes) -> int:
    return max(1, picture.size // _SAMPLES) | 1  # odd, so that every channel is met


def _same(one: Bytes, other: Bytes) -> bool:
    if one.size != other.size:
        return False
    step = _step(one)
    return np.array_equal(one[::step], other[::step]) and np.array_equal(one, other)
