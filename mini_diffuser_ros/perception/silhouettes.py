"""Pixels at silhouettes, whose depth is neither that of what is near nor that of what is behind it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

DepthImage = NDArray[np.float32]


def extremes_around(nearest: DepthImage, farthest: DepthImage) -> tuple[DepthImage, DepthImage]:
    """The least of each pixel of one image (H, W) and the eight around it, and the largest of another."""
    return _around(np.minimum, nearest), _around(np.maximum, farthest)


def at_silhouettes(depth: DepthImage, jump: float) -> NDArray[np.bool_]:
    """Which pixels (H, W) have one that is nearer and one that is farther by more than ``jump`` metres around them.

    What is not measured, 0, counts as neither.
    """
    known = depth > 0.0
    near, far = extremes_around(np.where(known, depth, np.float32(np.inf)), np.where(known, depth, np.float32(-np.inf)))
    return np.asarray(far - near > jump)


def _around(choose: np.ufunc, image: DepthImage) -> DepthImage:
    rows = image.copy()
    choose(rows[1:], image[:-1], out=rows[1:])
    choose(rows[:-1], image[1:], out=rows[:-1])
    chosen = rows.copy()
    choose(chosen[:, 1:], rows[:, :-1], out=chosen[:, 1:])
    choose(chosen[:, :-1], rows[:, 1:], out=chosen[:, :-1])
    return chosen
