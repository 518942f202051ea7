"""Random changes of a sample that leave the task the same: cloud and target pose move together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mini_diffuser_ros.geometry import inverse_transform, matrix_from_pose, transform_points
from mini_diffuser_ros.records import Cloud, Workspace
from mini_diffuser_ros.training.config import AugmentConfig

Pose = NDArray[np.float64]

MARGIN = 0.02
"""Metres; how far inside the workspace a moved target stays."""

MOTION_DRAWS = 20
"""Motions tried for one sample before it is left where it is."""

CELL = 0.01
"""Metres; edge of the cells seen from above in which things are told apart."""

THING_CELLS = 6
"""Cells that a thing covers at least; fewer are a scrap."""

UNDER = 0.03
"""Metres; how far from the target's vertical the nearest point of what stands under it may be."""

CLEARANCE = 1
"""Cells that stay free between a thing that was moved and the others."""

HAND = ((-0.05, -0.12, -0.35), (0.05, 0.12, -0.06))
"""Metres, corners of where a hand is that hovers over its grasp: in the frame of the grasp, whose fingers open along y
and whose z approaches. Nothing else is there, or the hand would meet it on its way down."""


@dataclass(frozen=True)
class PlanarMotion:
    """A rigid motion of the whole scene on the table: rotation about a vertical axis, then a shift.

    Attributes:
        yaw: radians about the base frame's z axis.
        center: (x, y) metres; where the axis stands.
        shift: (x, y, z) metres.
    """

    yaw: float
    center: tuple[float, float]
    shift: tuple[float, float, float]

    def of_points(self, points: NDArray[np.floating]) -> NDArray[np.float32]:
        """The moved points (N, 3) float32."""
        cos, sin = np.cos(self.yaw), np.sin(self.yaw)
        center = np.array([*self.center, 0.0])
        turn = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
        offset = center - turn @ center + np.array(self.shift)
        moved: NDArray[np.float32] = turn.astype(np.float32) @ points.astype(np.float32, copy=False).T
        moved += offset.astype(np.float32)[:, None]
        return moved.T

    def of_pose(self, pose: NDArray[np.floating]) -> Pose:
        """The moved pose (7,) xyz + xyzw."""
        # Plain numbers: numpy's overhead on so few is most of the time that a pose takes.
        px, py, pz, x, y, z, w = map(float, pose)
        cos, sin = float(np.cos(self.yaw / 2.0)), float(np.sin(self.yaw / 2.0))
        # Product of the rotation about z, (0, 0, sin, cos), with the pose's own quaternion.
        turned = [cos * x - sin * y, cos * y + sin * x, cos * z + sin * w, cos * w - sin * z]
        cos, sin = float(np.cos(self.yaw)), float(np.sin(self.yaw))
        (cx, cy), (sx, sy, sz) = self.center, self.shift
        dx, dy = px - cx, py - cy
        return np.array([cos * dx - sin * dy + cx + sx, sin * dx + cos * dy + cy + sy, pz + sz, *turned])


def draw_motion(config: AugmentConfig, random: np.random.Generator) -> PlanarMotion:
    """A motion within the limits of the recipe."""
    yaw = random.uniform(-config.yaw, config.yaw)
    x, y = random.uniform(-config.shift_xy, config.shift_xy, size=2)
    z = random.uniform(-config.shift_z, config.shift_z)
    return PlanarMotion(float(yaw), config.center, (float(x), float(y), float(z)))


def motion_within(
    workspace: Sequence[tuple[float, float]],
    pose: NDArray[np.floating],
    config: AugmentConfig,
    random: np.random.Generator,
) -> PlanarMotion:
    """A drawn motion that leaves the position of ``pose`` inside the workspace ((low, high) for x, y, ...), metres.

    What leaves the workspace is cropped: a target there would be one that nobody can see.
    """
    for _ in range(MOTION_DRAWS):
        motion = draw_motion(config, random)
        moved = motion.of_pose(pose)
        if _inside(moved, workspace):
            return motion
    return PlanarMotion(0.0, config.center, (0.0, 0.0, 0.0))


def augment(
    cloud: Cloud,
    pose: NDArray[np.floating],
    workspace: Sequence[tuple[float, float]],
    config: AugmentConfig,
    random: np.random.Generator,
) -> tuple[Cloud, Pose]:
    """Cloud and target pose (7,) after one random draw of every change in the recipe.

    Args:
        cloud: points of the scene, base frame.
        pose: target, base frame.
        workspace: (low, high) metres for x and for y, within which the target stays.
        config: sizes of the changes.
        random: source of all draws.
    """
    motion = motion_within(workspace, pose, config, random)
    kept = random.random(len(cloud)) >= random.uniform(0.0, config.dropout)
    indices = np.flatnonzero(kept) if kept.any() else np.arange(len(cloud))
    # One row an axis, in memory: numpy's operations along the long axis of (N, 3) are several times slower.
    points = motion.of_points(cloud.points.T.take(indices, axis=1).T)
    points += _noise(points.shape, config, random)
    gain = random.uniform(1.0 - config.color_gain, 1.0 + config.color_gain, size=3)
    colors = cloud.colors.T.take(indices, axis=1)
    if config.color_gain:
        shades = colors * gain[:, None]
        np.minimum(shades, 255.0, out=shades)
        np.rint(shades, out=shades)
        colors = shades.astype(np.uint8)
    return replace(cloud, points=points, colors=colors.T), motion.of_pose(pose)


def exchange_places(
    cloud: Cloud,
    pose: NDArray[np.floating],
    workspace: Workspace,
    table_height: float,
    random: np.random.Generator,
    thing_height: float = 0.10,
    under_hand: bool = False,
) -> tuple[Cloud, Pose]:
    """The things on the table in one another's places, the target with that which stands under it.

    A few demonstrations are otherwise learned by heart: this layout, that thing. Afterwards the layout is as good as
    any and no longer says what is meant. A thing is what is connected on a grid of :data:`CELL` seen from above, up to
    ``thing_height`` over the table, with nothing above it. It is not turned: how a gripper is turned need not
    follow from how the thing lies. Unchanged is what has nothing under the target, and what has no room elsewhere.

    Args:
        cloud: points of the scene, base frame.
        pose: target (7,), base frame, above a thing.
        workspace: that the things lie in.
        table_height: metres.
        random: source of all draws.
        thing_height: metres.
        under_hand: the target is a grasp that a hand hovers over: what is seen of it, in :data:`HAND`, is above no
            thing, and goes with the one that is gripped.
    """
    same = cloud, np.asarray(pose, np.float64)
    hand = _hand(cloud, pose) if under_hand else np.zeros(len(cloud), bool)
    things = _things(cloud, workspace, table_height, thing_height, hand)
    under = np.linalg.norm(cloud.points[:, :2] - pose[:2], axis=1)
    under[things.of_point == 0] = np.inf
    if not len(under) or under.min() > UNDER:
        return same
    mine = int(things.of_point[under.argmin()])
    if mine not in things.free:
        return same
    places = {thing: things.place(thing) for thing in things.free}
    for _ in range(MOTION_DRAWS):
        taken = random.permutation(things.free)
        steps = {thing: places[other] - places[thing] for thing, other in zip(things.free, taken, strict=True)}
        moved = same[1].copy()
        moved[:2] += steps[mine] * CELL
        if _inside(moved, workspace_ranges(workspace)) and things.fit(steps):
            of_number = np.zeros((things.of_cell.max() + 1, 2))
            of_number[things.free] = list(steps.values())
            points = cloud.points.copy()
            points[:, :2] += (of_number[np.where(hand, mine, things.of_point)] * CELL).astype(points.dtype)
            return replace(cloud, points=points), moved
    return same


@dataclass(frozen=True, eq=False)
class _Things:
    """What stands on the table.

    Attributes:
        of_point: (N,) number of the thing that a point belongs to, 0 for none.
        of_cell: (X, Y) number of the thing that covers a cell, 0 for none.
        free: numbers of those that have nothing above them.
    """

    of_point: NDArray[np.intp]
    of_cell: NDArray[np.intp]
    free: NDArray[np.intp]

    def place(self, thing: int) -> NDArray[np.intp]:
        """(2,) middle of the cells of a thing."""
        cells = np.argwhere(self.of_cell == thing)
        return (cells.min(axis=0) + cells.max(axis=0)) // 2

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


def _hand(cloud: Cloud, grasp: NDArray[np.floating]) -> NDArray[np.bool_]:
    """(N,) which points are of the hand over a grasp (7,)."""
    seen = transform_points(inverse_transform(matrix_from_pose(np.asarray(grasp, np.float64))), cloud.points)
    lower, upper = np.array(HAND)
    inside: NDArray[np.bool_] = ((seen >= lower) & (seen <= upper)).all(axis=1)
    return inside


def _things(
    cloud: Cloud, workspace: Workspace, table_height: float, thing_height: float, hand: NDArray[np.bool_]
) -> _Things:
    lower, upper = np.array(workspace.lower[:2]), np.array(workspace.upper[:2])
    shape = np.floor((upper - lower) / CELL + 1e-6).astype(int)
    cells = np.floor((cloud.points[:, :2] - lower) / CELL).astype(int)
    there = ((cells >= 0) & (cells < shape)).all(axis=1) & ~hand
    low = there & (cloud.points[:, 2] - table_height < thing_height)
    occupied = np.zeros(shape, bool)
    occupied[tuple(cells[low].T)] = True
    of_cell, count = ndimage.label(occupied, structure=np.ones((3, 3)))
    of_point = np.zeros(len(cloud), np.intp)
    of_point[low] = of_cell[tuple(cells[low].T)]
    covered = np.zeros(count + 1, bool)
    covered[of_cell[tuple(cells[there & ~low].T)]] = True
    sizes = np.bincount(of_cell.ravel(), minlength=count + 1)
    numbers = np.arange(count + 1)
    return _Things(of_point, of_cell, numbers[~covered & (sizes >= THING_CELLS) & (numbers > 0)])


def workspace_ranges(workspace: Workspace) -> tuple[tuple[float, float], ...]:
    """(low, high) metres for x, y and z."""
    return tuple(zip(workspace.lower, workspace.upper, strict=True))


def _noise(shape: tuple[int, ...], config: AugmentConfig, random: np.random.Generator) -> NDArray[np.float32]:
    if config.jitter_shape == "uniform":
        # One row an axis, like the points.
        noise = random.random(shape[::-1], dtype=np.float32).T
        noise -= np.float32(0.5)
        noise *= np.float32(2.0 * config.jitter)
    else:
        noise = random.standard_normal(shape, dtype=np.float32)
        noise *= np.float32(config.jitter)
    return noise


def _inside(pose: Pose, workspace: Sequence[tuple[float, float]]) -> bool:
    (x_low, x_high), (y_low, y_high) = workspace[:2]
    return x_low + MARGIN <= pose[0] <= x_high - MARGIN and y_low + MARGIN <= pose[1] <= y_high - MARGIN
