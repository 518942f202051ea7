"""Whether a sentence gets anywhere: hand, grip and scene after each keyframe, compared with all there was before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from mini_diffuser_ros.geometry import evenly_spread, gripper_symmetric_pose, quaternion_angle
from mini_diffuser_ros.records import Cloud, KeyframeMode
from mini_diffuser_ros.running.settings import LoopSettings

SAME_PLACE, SAME_TURN = 0.02, 0.2
"""Metres and radians within which two keyframes are one: decisions for the same place scatter by some millimetres."""

SAME_COLOR = 60.0
"""Steps of 255 by which a colour may change, as that of shadows and of a camera's exposure does."""

LOOKED_AT = 4000
"""Points of a cloud that are looked for in another."""


@dataclass(frozen=True, eq=False)
class _Situation:
    """Where the hand was left, and what was seen then.

    Attributes:
        reached: the keyframe that was executed last; None before the first.
        holds: whether something was measured between the fingers then.
        cloud: what was seen from there.
    """

    reached: KeyframeMode | None
    holds: bool
    cloud: Cloud


class ProgressWatch:
    """Counts keyframes that lead to where a sentence has been before: same hand, same grip, same scene.

    Comparing with everything before, rather than with the last keyframe alone, tells the hand that goes to and fro, and
    leaves alone the scene that changes slowly. The hand's own fingers make no difference, as only clouds that were seen
    from the same place are compared.

    Args:
        settings: how many of them end the sentence, and what counts as a change of the scene.
    """

    def __init__(self, settings: LoopSettings) -> None:
        self._settings = settings
        self._before: list[_Situation] = []
        self._fruitless = 0

    def problem(self, cloud: Cloud, reached: KeyframeMode | None, held: float) -> str:
        """Why the sentence gets nowhere, in one line; empty while it may.

        Args:
            cloud: what is seen after a keyframe, or before the first.
            reached: that keyframe, None before the first.
            held: metres that what the gripper holds is wide, 0.0 for nothing.
        """
        if not self._settings.fruitless_keyframes:
            return ""
        now = _Situation(reached, held > 0.0, cloud)
        if not any(self._is_same(before, now) for before in self._before):
            self._before.append(now)
            self._fruitless = 0
            return ""
        self._fruitless += 1
        if self._fruitless < self._settings.fruitless_keyframes:
            return ""
        return (
            f"no progress: the last {self._fruitless} keyframes led to nothing new, hand, grip and scene are as they "
            "were before; do the cameras show what is there, and is what the sentence names on the table?"
        )

    def _is_same(self, before: _Situation, now: _Situation) -> bool:
        if before.holds != now.holds or not _same_keyframe(before.reached, now.reached):
            return False
        distance = self._settings.unchanged_distance
        return changed_share(before.cloud, now.cloud, distance) <= self._settings.unchanged_share


def changed_share(before: Cloud, now: Cloud, distance: float) -> float:
    """Share of what two clouds show that the other does not, 0 for the same scene and 1 for another.

    Args:
        before: one cloud.
        now: the other, in the same frame.
        distance: metres, along each axis, within which a point of like colour has to be found.
    """
    if not len(before) or not len(now):
        return float(len(before) != len(now))
    one, other = _features(before, distance), _features(now, distance)
    return max(_missing(one, other), _missing(other, one))


def _features(cloud: Cloud, distance: float) -> NDArray[np.float64]:
    """(N, 6) places and colours, in units of what may change."""
    return np.hstack([cloud.points / distance, cloud.colors / SAME_COLOR]).astype(np.float64)


def _missing(looked_for: NDArray[np.float64], there: NDArray[np.float64]) -> float:
    few = looked_for[evenly_spread(len(looked_for), LOOKED_AT)]
    nearest, _ = cKDTree(there).query(few, p=np.inf, distance_upper_bound=1.0)
    return float(np.mean(~np.isfinite(nearest)))


def _same_keyframe(one: KeyframeMode | None, other: KeyframeMode | None) -> bool:
    if one is None or other is None:
        return one is other
    turns = (quaternion_angle(pose[3:], other.pose[3:]) for pose in (one.pose, gripper_symmetric_pose(one.pose)))
    return (
        one.gripper_open == other.gripper_open
        and float(np.linalg.norm(one.pose[:3] - other.pose[:3])) <= SAME_PLACE
        and min(turns) <= SAME_TURN
    )
