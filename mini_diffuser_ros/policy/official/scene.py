"""Where the published network has the origin of its coordinates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def cloud_centre(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean (3,) of a scene's points (3, N): an origin that moves with whatever is seen."""
    # The mean of rows (N, 3): added up along an axis of another memory order, it would differ in its last digits.
    centre: NDArray[np.float32] = np.ascontiguousarray(points.T).mean(axis=0)
    return centre
