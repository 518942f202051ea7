"""Failures made up from demonstrations: what their ends would look like had the task not been done.

Nothing here knows a task. What a demonstration moved is what its last cloud shows and its first does not, and the
other way round; it is put back, or dropped beside where it was put. Where a demonstration has moved nothing that shows,
its effect is in where the hand went, and a hand that stops before it has failed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from mini_diffuser_ros.geometry import matrix_from_quaternion
from mini_diffuser_ros.records import Cloud, SeenEnd
from mini_diffuser_ros.training.demonstrations import Demonstration

_SAME = 0.012  # metres within which a point is found again
_SAME_COLOR = 60.0
_FEW = 12  # points; less is noise
_HAND_ASIDE, _HAND_BELOW, _HAND_ABOVE = 0.07, 0.015, 0.10  # metres around the tool that fingers take
_BESIDE = (0.055, 0.14)  # metres from where it was put
_CLEAR = 0.008
_SHORT = (0.006, 0.03)  # metres before where the hand went
_TRIES = 30


def end_of(demonstration: Demonstration, last: int = -1) -> SeenEnd:
    """What a demonstration shows once its keyframe ``last`` was reached; that was its end, or is taken for it."""
    count = len(demonstration.poses)
    rest = last % count
    deed = max(rest - 1, 0)
    return SeenEnd(
        demonstration.clouds[rest],
        demonstration.poses[deed],
        demonstration.poses[rest],
        bool(demonstration.gripper_open[deed]),
        bool(demonstration.gripper_open[rest]),
    )


def made_up(demonstration: Demonstration, random: np.random.Generator, each: int = 2) -> list[SeenEnd]:
    """Ends of a demonstration had it failed, of every kind that can be made up of it.

    Args:
        demonstration: that did not fail.
        random: source of all draws.
        each: how many of each kind.
    """
    end = end_of(demonstration)
    before, after = moved_points(demonstration)
    failures = [end_of(demonstration, int(t)) for t in _some(len(demonstration.poses) - 1, each, random)]
    if len(before) < _FEW or len(after) < _FEW:
        return failures + [_short(end, random) for _ in range(2 * each)]
    first, left = demonstration.clouds[0], _without(end.cloud, after)
    thing = _part(first, before)
    failures.append(replace(end, cloud=_with(left, thing)))
    put = np.median(end.cloud.points[after, :2], axis=0)
    for _ in range(each):
        beside = _beside(thing, put, left, random)
        if beside is not None:
            failures.append(replace(end, cloud=_with(left, beside)))
    return failures


def moved_points(demonstration: Demonstration) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Points of the first cloud that are gone in the last, and of the last that are new; hands do not count."""
    first, last = demonstration.clouds[0], demonstration.clouds[-1]
    hands = demonstration.poses[0], demonstration.poses[-1]
    return _missing(first, last, hands), _missing(last, first, hands)


def _missing(there: Cloud, elsewhere: Cloud, hands: Sequence[NDArray[np.float64]]) -> NDArray[np.intp]:
    scale = np.array([1 / _SAME] * 3 + [1 / _SAME_COLOR] * 3)
    looked_for, known = (np.hstack([cloud.points, cloud.colors]) * scale for cloud in (there, elsewhere))
    distance, _ = cKDTree(known).query(looked_for, p=np.inf, distance_upper_bound=1.0)
    is_hand = np.any([_around(hand, there.points) for hand in hands], axis=0)
    return np.flatnonzero(~np.isfinite(distance) & ~is_hand)


def _around(hand: NDArray[np.float64], points: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Which points (N, 3) may be those of the fingers of a hand (7,)."""
    local = (points - hand[:3]) @ matrix_from_quaternion(hand[3:])
    aside = np.linalg.norm(local[:, :2], axis=1)
    inside: NDArray[np.bool_] = (aside < _HAND_ASIDE) & (local[:, 2] < _HAND_BELOW) & (local[:, 2] > -_HAND_ABOVE)
    return inside


def _some(count: int, most: int, random: np.random.Generator) -> NDArray[np.intp]:
    return random.permutation(count)[:most]


def _short(end: SeenEnd, random: np.random.Generator) -> SeenEnd:
    """The hand has stopped before it was where it should have been, on the way along its own axis."""
    back = matrix_from_quaternion(end.deed[3:])[:, 2] * random.uniform(*_SHORT)
    return replace(end, deed=np.concatenate([end.deed[:3] - back, end.deed[3:]]))


def _beside(thing: Cloud, put: NDArray[np.floating], left: Cloud, random: np.random.Generator) -> Cloud | None:
    """What was moved, turned and shifted to beside where it was put, as clear of all else as it can be."""
    middle = np.median(thing.points[:, :2], axis=0)
    tree = cKDTree(left.points[:, :2])
    for _ in range(_TRIES):
        turn, way = random.uniform(-np.pi, np.pi, 2)
        place = put + random.uniform(*_BESIDE) * np.array([np.cos(way), np.sin(way)])
        cos, sin = np.cos(turn), np.sin(turn)
        across = (thing.points[:, :2] - middle) @ np.array([[cos, sin], [-sin, cos]]) + place
        if tree.query(across)[0].min() > _CLEAR:
            return replace(thing, points=np.column_stack([across, thing.points[:, 2]]).astype(np.float32))
    return None


def _part(cloud: Cloud, rows: NDArray[np.intp]) -> Cloud:
    return replace(cloud, points=cloud.points[rows], colors=cloud.colors[rows])


def _without(cloud: Cloud, rows: NDArray[np.intp]) -> Cloud:
    return _part(cloud, np.setdiff1d(np.arange(len(cloud)), rows))


def _with(cloud: Cloud, thing: Cloud) -> Cloud:
    return replace(
        cloud, points=np.vstack([cloud.points, thing.points]), colors=np.vstack([cloud.colors, thing.colors])
    )
