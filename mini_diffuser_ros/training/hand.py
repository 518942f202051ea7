"""Where a hand is seen: in the frame of its tool, whose fingers open along y and whose z approaches."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.geometry import inverse_transform, matrix_from_pose, transform_points
from mini_diffuser_ros.records import Cloud

Box: TypeAlias = tuple[tuple[float, float, float], tuple[float, float, float]]
"""Metres, lower and upper corner in the frame of a tool."""

HOVERING: Box = ((-0.05, -0.12, -0.35), (0.05, 0.12, -0.06))
"""A hand over its grasp, seen from the grasp. Nothing else is there, or the hand would meet it on its way down."""

_BODY: Box = ((-0.12, -0.12, -0.35), (0.12, 0.12, -0.06))
"""A hand with what is mounted on it."""

_TIPS: Box = ((-0.015, -0.06, -0.03), (0.015, 0.06, 0.01))
_BETWEEN_TIPS: Box = ((-0.015, -0.03, -0.03), (0.015, 0.03, 0.01))


def seen_within(cloud: Cloud, pose: NDArray[np.floating], box: Box) -> NDArray[np.bool_]:
    """(N,) which points of a cloud are in a box around a pose (7,)."""
    return _within(_from_tool(cloud, pose), box)


def is_hand(cloud: Cloud, pose: NDArray[np.floating], is_open: bool) -> NDArray[np.bool_]:
    """(N,) which points are where a hand at a pose (7,) is: its body, and the tips of its fingers if they are open.

    Shut fingers are where what they hold is, and are not told from it.
    """
    seen = _from_tool(cloud, pose)
    body = _within(seen, _BODY)
    return body | (_within(seen, _TIPS) & ~_within(seen, _BETWEEN_TIPS)) if is_open else body


def _from_tool(cloud: Cloud, pose: NDArray[np.floating]) -> NDArray[np.floating]:
    return transform_points(inverse_transform(matrix_from_pose(np.asarray(pose, np.float64))), cloud.points)


def _within(points: NDArray[np.floating], box: Box) -> NDArray[np.bool_]:
    lower, upper = np.array(box)
    within: NDArray[np.bool_] = ((points >= lower) & (points <= upper)).all(axis=1)
    return within
