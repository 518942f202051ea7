"""Depth images with less noise: each pixel the mean of its surroundings, as far as they are the same surface."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

DepthImage = NDArray[np.float32]


def smoothed(depth: DepthImage, reach: int, jump: float) -> DepthImage:
    """The image with the mean of the depths up to ``reach`` pixels away, first along columns, then along rows.

    Args:
        depth: (H, W) metres; 0, NaN and inf mean "no measurement" and stay as they are.
        reach: pixels.
        jump: metres; depths that differ by more from a pixel's own are of something else.
    """
    known = np.isfinite(depth) & (depth > 0.0)
    level = np.where(known, depth, np.float32(0.0)).astype(np.float32)
    for axis in (0, 1):
        level = _along(level, known, reach, jump, axis)
    return np.where(known, level, depth).astype(np.float32)


def _along(depth: DepthImage, known: NDArray[np.bool_], reach: int, jump: float, axis: int) -> DepthImage:
    # Sums of differences from the pixel itself: it counts once, with none.
    total, count = np.zeros_like(depth), np.ones_like(depth)
    for step in range(1, min(reach, depth.shape[axis] - 1) + 1):
        ahead = [slice(None)] * 2
        behind = [slice(None)] * 2
        ahead[axis], behind[axis] = slice(step, None), slice(None, -step)
        first, second = tuple(behind), tuple(ahead)
        difference = depth[second] - depth[first]
        alike = (np.abs(difference) < jump) & known[first] & known[second]
        difference *= alike
        total[first] += difference
        total[second] -= difference
        count[first] += alike
        count[second] += alike
    return depth + total / count
