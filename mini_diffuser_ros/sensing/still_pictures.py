"""Pictures that do not change: no sensor gives the same one twice, a driver that hangs does."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

_REPEATS = 3  # times that a picture has to have come again
_SAMPLES = 4096  # bytes that are compared first; what differs there needs no further look


KINDS = ("colour", "depth")
"""Of pictures of a camera."""


class StillPictureWatch:
    """Compares each picture of one stream with the last.

    Args:
        after: seconds from which on the same picture is an error; 0 for never.

    Attributes:
        is_new: whether the last picture differs from the one before it; the first one is not known to.
    """

    def __init__(self, after: float) -> None:
        self._after = after
        self._picture: Bytes | None = None
        self._since = 0.0
        self._repeats = 0
        self.is_new = False

    def still_for(self, picture: Bytes, steady: float) -> float:
        """Seconds for which this has been the picture bit for bit; 0 while that says nothing.

        Args:
            picture: its bytes; they are held until the next one comes.
            steady: seconds of the steady clock.
        """
        if self._after == 0.0:
            self.is_new = True
            return 0.0
        self.is_new = self._picture is not None and not _same(self._picture, picture)
        if self._picture is None or self.is_new:
            self._picture, self._since, self._repeats = picture, steady, 0
            return 0.0
        self._repeats += 1
        still = steady - self._since
        return still if self._repeats >= _REPEATS and still >= self._after else 0.0


def told_still(kind: str, still: float) -> str:
    """What to say of a camera whose ``kind``, colour or depth, has been the same for so many seconds."""
    return (
        f"its {kind} has been the same bit for bit for {still:.1f} s though its stamps advance: the driver hangs, or "
        "its sensor is covered; restart it"
    )


def _same(one: Bytes, other: Bytes) -> bool:
    if one.size != other.size:
        return False
    step = max(1, one.size // _SAMPLES) | 1  # odd, so that every channel is met
    return np.array_equal(one[::step], other[::step]) and np.array_equal(one, other)
