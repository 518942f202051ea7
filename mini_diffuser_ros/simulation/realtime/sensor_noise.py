"""The noise that no sensor is without, so small that no cloud tells: rendered pictures of a still scene are all alike.

Whoever watches cameras takes a picture that comes again bit for bit for that of a driver that hangs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

DEPTH_NOISE = 2e-5  # metres
FLICKERING = 256  # pixels of an image that change, a colour by its last bit


class SensorNoise:
    """Adds noise to the pictures of any number of cameras.

    Args:
        seed: of the noise.
    """

    def __init__(self, seed: int = 0) -> None:
        self._generator = np.random.default_rng(seed)

    def add(
        self, color: NDArray[np.uint8], depth: NDArray[np.float32]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Colour (H, W, 3) and depth (H, W), metres, with noise; what is not measured stays so."""
        colors, distances = color.reshape(-1, 3).copy(), depth.reshape(-1).copy()
        flickering = self._generator.integers(len(colors), size=FLICKERING)
        colors[flickering] ^= 1
        noise = self._generator.normal(0.0, DEPTH_NOISE, FLICKERING)
        distances[flickering] += np.where(distances[flickering] > 0.0, noise, 0.0).astype(np.float32)
        return colors.reshape(color.shape), distances.reshape(depth.shape)
