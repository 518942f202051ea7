"""Things on the table as clouds show them, and which of them a demonstration acts on; no task is known here.

A demonstration acts on what lies where it closes the gripper and where it opens it again; if it never closes it, on
what lies where it comes lowest. Things are groups of points with free table between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from mini_diffuser_ros.records import Cloud
from mini_diffuser_ros.training.demonstrations import Demonstration

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Likeness = Literal["alike", "unsure", "different"]

CELL = 0.01  # metres; things are apart where a cell of the table is free between them
TALL = 0.12  # metres above the lowest point; what is higher is the hand
REACH = 0.08  # metres around the place of action that may belong to one thing
SEED = 0.025  # metres around it in which something has to be
FEWEST = 12  # points of a thing
LIKE_COLOR = 40.0  # of 255, distance of colours that may be one under other light
LIKE_SHARE, UNLIKE_SHARE = 0.9, 0.75  # of the points that have a counterpart of like colour
LIKE_LENGTH, UNLIKE_LENGTH = 0.012, 0.02  # metres between the greatest lengths
SAMPLE = 200  # points by which colours are compared
DIRECTIONS = 12  # in which lengths are measured


@dataclass(frozen=True, eq=False)
class Thing:
    """A group of points.

    Attributes:
        members: (N,) which points of the cloud.
        colors: (S, 3) of some of them.
        length: metres, its greatest in the plane of the table.
    """

    members: Mask
    colors: NDArray[np.float32]
    length: float


class Places(NamedTuple):
    """Where a demonstration acts first and last, (3,) metres, and in how many first frames nothing is touched."""

    first: Array
    last: Array
    untouched: int


def places_of(demonstration: Demonstration) -> Places:
    """Where a demonstration acts."""
    opens, positions = demonstration.gripper_open, demonstration.poses[:, :3]
    closing = [k for k in range(1, len(opens)) if opens[k - 1] and not opens[k]]
    if not closing:
        lowest = 1 + int(positions[1:, 2].argmin())
        return Places(positions[lowest], positions[lowest], lowest)
    opening = [k for k in range(closing[0] + 1, len(opens)) if opens[k] and not opens[k - 1]]
    return Places(positions[closing[0]], positions[opening[-1] if opening else closing[0]], closing[0])


def things_of(cloud: Cloud) -> list[Thing]:
    """The groups of points of a cloud."""
    points = cloud.points
    low = points.min(0)
    near_table = points[:, 2] < low[2] + TALL
    cells = np.floor((points[:, :2] - low[:2]) / CELL).astype(np.intp)
    grid = np.zeros(cells.max(0) + 1, bool)
    grid[tuple(cells[near_table].T)] = True
    labels, count = ndimage.label(grid, np.ones((3, 3)))
    label = np.where(near_table, labels[tuple(cells.T)], 0)
    groups = (label == number for number in range(1, count + 1))
    return [_thing(cloud, members) for members in groups if members.sum() >= FEWEST]


def thing_at(cloud: Cloud, things: Sequence[Thing], place: Array) -> Thing | None:
    """Which of the things of a cloud lies at a place (3,), as far as it may be one; None if nothing does."""
    away = np.linalg.norm(cloud.points[:, :2] - place[:2], axis=1)
    at_place = (away < SEED) & (cloud.points[:, 2] < place[2] + SEED)
    for thing in things:
        if (thing.members & at_place).any():
            members = thing.members & (away < REACH)
            return _thing(cloud, members) if members.sum() >= FEWEST else None
    return None


def likeness(one: Thing, other: Thing) -> Likeness:
    """Whether two things look alike, by their colours and lengths."""
    shared, longer = min(_shared(one, other), _shared(other, one)), abs(one.length - other.length)
    if shared < UNLIKE_SHARE or longer > UNLIKE_LENGTH:
        return "different"
    return "alike" if shared >= LIKE_SHARE and longer <= LIKE_LENGTH else "unsure"


def _shared(one: Thing, other: Thing) -> float:
    """Share of one's points that have a counterpart of like colour in the other."""
    distance, _ = cKDTree(other.colors).query(one.colors, distance_upper_bound=LIKE_COLOR)
    return float(np.isfinite(distance).mean())


def _thing(cloud: Cloud, members: Mask) -> Thing:
    points, colors = cloud.points[members], cloud.colors[members].astype(np.float32)
    some = np.linspace(0, len(colors) - 1, min(SAMPLE, len(colors))).astype(int)
    angles = np.linspace(0.0, np.pi, DIRECTIONS, endpoint=False)
    along = points[:, :2] @ np.stack([np.cos(angles), np.sin(angles)])
    return Thing(members, colors[some], float(np.ptp(along, axis=0).max()))
