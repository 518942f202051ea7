"""The things on the table of a few demonstrations, put elsewhere or among those of others: a layout says less then.

Ten demonstrations are otherwise learned by heart: this layout, or these things together, mean that thing, whatever the
sentence says. A thing is what is connected on a grid seen from above, up to some height over the table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mini_diffuser_ros.records import Cloud, Workspace
from mini_diffuser_ros.training.augmentation import MOTION_DRAWS, Pose, inside, workspace_ranges
from mini_diffuser_ros.training.hand import HOVERING, seen_within

CELL = 0.01
"""Metres; edge of the cells seen from above in which things are told apart."""

THING_CELLS = 6
"""Cells that a thing covers at least; fewer are a scrap."""

UNDER = 0.03
"""Metres; how far from the target's vertical the nearest point of what stands under it may be."""

CLEARANCE = 1
"""Cells that stay free between a thing that was moved and the others."""

KNOB = 0.02
"""Metres; what is nearer to the target's vertical is what the action goes to."""

ALIKE = 80.0
"""Distance of two colours in RGB, each of 0 to 255, below which a thing may be called as another one."""

LITTLE = 0.1
"""Share of a thing's points that may be of the colour of what is meant: shades, and what is seen through holes."""


@dataclass(frozen=True)
class TableTop:
    """Where things stand.

    Attributes:
        workspace: that they lie in.
        height: metres, z of the table's top in the base frame.
        thing_height: metres above it, up to which points belong to what stands on it.
    """

    workspace: Workspace
    height: float
    thing_height: float = 0.10


def exchange_places(
    cloud: Cloud,
    pose: NDArray[np.floating],
    table: TableTop,
    random: np.random.Generator,
    under_hand: bool = False,
) -> tuple[Cloud, Pose]:
    """The things on the table in one another's places, the target with that which stands under it.

    A few demonstrations are otherwise learned by heart: this layout, that thing. Afterwards the layout is as good as
    any and no longer says what is meant. A thing is what is connected on a grid of :data:`CELL` seen from above, with
    nothing above it. It is not turned: how a gripper is turned need not follow from how the thing lies. Unchanged is
    what has nothing under the target, and what has no room elsewhere.

    Args:
        cloud: points of the scene, base frame.
        pose: target (7,), base frame, above a thing.
        table: that the things stand on.
        random: source of all draws.
        under_hand: the target is a grasp that a hand hovers over: what is seen of it is above no
            thing, and goes with the one that is gripped.
    """
    same = cloud, np.asarray(pose, np.float64)
    hand = seen_within(cloud, pose, HOVERING) if under_hand else np.zeros(len(cloud), bool)
    things = _things(cloud, table, hand)
    mine = things.under(cloud, pose)
    if mine not in things.free:
        return same
    places = {thing: things.place(thing) for thing in things.free}
    for _ in range(MOTION_DRAWS):
        taken = random.permutation(things.free)
        steps = {thing: places[other] - places[thing] for thing, other in zip(things.free, taken, strict=True)}
        moved = same[1].copy()
        moved[:2] += steps[mine] * CELL
        if inside(moved, workspace_ranges(table.workspace)) and things.fit(steps):
            of_number = np.zeros((things.of_cell.max() + 1, 2))
            of_number[things.free] = list(steps.values())
            points = cloud.points.copy()
            points[:, :2] += (of_number[np.where(hand, mine, things.of_point)] * CELL).astype(points.dtype)
            return replace(cloud, points=points), moved
    return same


def mixed_in(
    cloud: Cloud,
    poses: Sequence[NDArray[np.floating]],
    other: Cloud,
    other_pose: NDArray[np.floating],
    table: TableTop,
    random: np.random.Generator,
) -> Cloud:
    """The scene with what another scene's target is above, in the stead of something that its sentence does not mean.

    Which things lie together says what is meant as well as a layout does, if each of few scenes has things of its own:
    "the carrot" is then where peas and a lemon are. With the other scene's target among its own the sentence is read.
    Unchanged is a scene whose target is above nothing, or that has nothing to spare or no room, and one that would get
    something of the colour of what is meant: it may have the same name.

    Args:
        cloud: points of the scene, base frame.
        poses: (7,) each, base frame; its target, then what else its demonstration goes to: that stays, too.
        other: points of the other scene.
        other_pose: target of that one.
        table: of both scenes.
        random: source of all draws.
    """
    here, there = (_things(each, table, np.zeros(len(each), bool)) for each in (cloud, other))
    meant = [here.under(cloud, pose) for pose in poses]
    spare = here.free[~np.isin(here.free, meant)]
    theirs = there.under(other, other_pose)
    if not meant[0] or theirs not in there.free or not len(spare):
        return cloud
    added = there.of_point == theirs
    colors = [here.color(thing, cloud, pose) for thing, pose in zip(meant, poses, strict=True) if thing]
    # Of all that is added: what touches the other scene's target comes along with it.
    alike = [np.linalg.norm(other.colors[added] - color, axis=1) < ALIKE for color in colors]
    if any(each.mean() > LITTLE for each in alike):
        return cloud
    gone = int(random.choice(spare))
    step = here.room(np.argwhere(there.of_cell == theirs), gone, random)
    if step is None:
        return cloud
    kept = here.of_point != gone
    moved = other.points[added] + np.array([*(step * CELL), 0.0], np.float32)
    points = np.concatenate([cloud.points[kept], moved.astype(cloud.points.dtype)])
    return replace(cloud, points=points, colors=np.concatenate([cloud.colors[kept], other.colors[added]]))


@dataclass(frozen=True, eq=False)
class _Things:
    """What stands on the table.

    Attributes:
        of_point: (N,) number of the thing that a point belongs to, 0 for none.
        of_cell: (X, Y) number of the thing that covers a cell, 0 for none.
        free: numbers of those that have nothing above them.
        over: (X, Y) whether something that is higher than things are is above a cell.
    """

    of_point: NDArray[np.intp]
    of_cell: NDArray[np.intp]
    free: NDArray[np.intp]
    over: NDArray[np.bool_]

    def under(self, cloud: Cloud, pose: NDArray[np.floating]) -> int:
        """Number of the thing that stands under a pose (7,), 0 for none."""
        away = _away(cloud, pose, self.of_point > 0)
        if not len(away) or away.min() > UNDER:
            return 0
        return int(self.of_point[away.argmin()])

    def place(self, thing: int) -> NDArray[np.intp]:
        """(2,) middle of the cells of a thing."""
        cells = np.argwhere(self.of_cell == thing)
        return (cells.min(axis=0) + cells.max(axis=0)) // 2

    def color(self, thing: int, cloud: Cloud, pose: NDArray[np.floating]) -> NDArray[np.float64]:
        """(3,) median colour of a thing's points under a pose (7,): buttons differ in their knobs alone."""
        away = _away(cloud, pose, self.of_point == thing)
        color: NDArray[np.float64] = np.median(cloud.colors[away <= max(KNOB, away.min())], axis=0)
        return color

    def room(self, cells: NDArray[np.intp], gone: int, random: np.random.Generator) -> NDArray[np.intp] | None:
        """(2,) cells by which those of another thing (C, 2) are moved to lie where one is gone, or else anywhere.

        None if no room is found.
        """
        there = ((self.of_cell > 0) & (self.of_cell != gone)) | self.over
        taken = ndimage.binary_dilation(there, np.ones((3, 3)), iterations=CLEARANCE)
        middle = (cells.min(axis=0) + cells.max(axis=0)) // 2
        for place in (self.place(gone), *random.integers(taken.shape, size=(MOTION_DRAWS, 2))):
            moved = cells + place - middle
            if (moved >= 0).all() and (moved < taken.shape).all() and not taken[tuple(moved.T)].any():
                return place - middle
        return None

    def fit(self, steps: Mapping[int, NDArray[np.intp]]) -> bool:
        """Whether things that are moved by so many cells stay on the grid, and clear of one another and of the rest."""
        taken = ndimage.binary_dilation(
            (self.of_cell > 0) & ~np.isin(self.of_cell, list(steps)), np.ones((3, 3)), iterations=CLEARANCE
        )
        for thing, step in steps.items():
            cells = np.argwhere(self.of_cell == thing) + step
            if (cells < 0).any() or (cells >= taken.shape).any() or taken[tuple(cells.T)].any():
                return False
            mine = np.zeros_like(taken)
            mine[tuple(cells.T)] = True
            taken |= ndimage.binary_dilation(mine, np.ones((3, 3)), iterations=CLEARANCE)
        return True


def _away(cloud: Cloud, pose: NDArray[np.floating], which: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(N,) metres from the vertical through a pose (7,), infinite of points that are not of those."""
    away: NDArray[np.float64] = np.linalg.norm(cloud.points[:, :2] - pose[:2], axis=1)
    away[~which] = np.inf
    return away


def _things(cloud: Cloud, table: TableTop, hand: NDArray[np.bool_]) -> _Things:
    workspace = table.workspace
    lower, upper = np.array(workspace.lower[:2]), np.array(workspace.upper[:2])
    shape = np.floor((upper - lower) / CELL + 1e-6).astype(int)
    cells = np.floor((cloud.points[:, :2] - lower) / CELL).astype(int)
    # What lies lower is the table, of which the network sees nothing: all things would be one.
    there = ((cells >= 0) & (cells < shape)).all(axis=1) & (cloud.points[:, 2] >= workspace.lower[2]) & ~hand
    low = there & (cloud.points[:, 2] - table.height < table.thing_height)
    occupied = np.zeros(shape, bool)
    occupied[tuple(cells[low].T)] = True
    of_cell, count = ndimage.label(occupied, structure=np.ones((3, 3)))
    of_point = np.zeros(len(cloud), np.intp)
    of_point[low] = of_cell[tuple(cells[low].T)]
    over = np.zeros(shape, bool)
    over[tuple(cells[there & ~low].T)] = True
    covered = np.zeros(count + 1, bool)
    covered[of_cell[over]] = True
    sizes = np.bincount(of_cell.ravel(), minlength=count + 1)
    numbers = np.arange(count + 1)
    return _Things(of_point, of_cell, numbers[~covered & (sizes >= THING_CELLS) & (numbers > 0)], over)
