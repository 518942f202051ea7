"""What thresholds cost, measured on cases that were held out."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mini_diffuser_ros.policy.knowledge.facts import Threshold


def measured_threshold(value: float, good: ArrayLike, bad: ArrayLike) -> Threshold:
    """A threshold with the shares of the cases that it refuses.

    Args:
        value: the score below which a case is refused.
        good: scores of good cases.
        bad: scores of made-up bad ones.
    """
    refused, caught = (np.asarray(scores, np.float64) < value for scores in (good, bad))
    refuses = float(refused.mean()) if len(refused) else 0.0
    return Threshold(value, refuses, len(refused), float(caught.mean()) if len(caught) else None)
