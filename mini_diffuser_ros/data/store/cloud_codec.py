"""A cloud in few bytes: positions as whole steps of one lattice, colours as they are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

POSITION_UNIT = 2.0**-14
"""Metres a step of stored positions, 0.061 mm: a power of two, so that steps and metres convert without rounding."""

_STEPS = 2**16  # along each axis, 4 m


def to_steps(points: NDArray[np.floating]) -> NDArray[np.int64]:
    """Nearest lattice point (N, 3) of positions (N, 3) in metres."""
    return np.rint(np.asarray(points, dtype=np.float64) / POSITION_UNIT).astype(np.int64)


def encode_positions(points: NDArray[np.floating]) -> tuple[list[int], bytes]:
    """The lowest step along each axis, and what each point lies above it.

    The bytes are six rows of N: the low bytes of all x, of all y, of all z, then their high bytes. High bytes hardly
    vary along a row, so deflate needs about half of the space.

    Args:
        points: (N, 3) metres, finite, within a box of 4 m.

    Raises:
        ValueError: if they are not.
    """
    if not np.isfinite(points).all():
        raise ValueError("the cloud has points that are not finite")
    steps = to_steps(points)
    origin = steps.min(axis=0) if len(steps) else np.zeros(3, np.int64)
    above = (steps - origin).T
    if above.size and above.max() >= _STEPS:
        raise ValueError(f"the cloud is {above.max() * POSITION_UNIT:.1f} m long, expected less than 4; crop it")
    return origin.tolist(), np.stack([above & 255, above >> 8]).astype(np.uint8).tobytes()


def decode_positions(origin: NDArray[np.floating], data: bytes, unit: float) -> NDArray[np.float32]:
    """Positions (N, 3), metres; see :func:`encode_positions`.

    Raises:
        ValueError: if the bytes are not six rows.
    """
    low, high = np.frombuffer(data, np.uint8).reshape(2, 3, -1).astype(np.int64)
    return np.ascontiguousarray(((low + 256 * high).T + origin) * unit, dtype=np.float32)
