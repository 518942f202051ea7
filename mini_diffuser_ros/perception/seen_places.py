"""What cameras have shown stays where it was until one of them looks through it: not to be seen is not to be gone.

A camera that falls silent, that moves away or that the arm stands before shows no more of a thing than if it had been
taken away. The difference is in the depth of the cameras that deliver: a place is free where one of them measures
something farther away. Clouds alone do not have it, so it is told here, where the images are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.geometry import inverse_transform, transform_points
from mini_diffuser_ros.perception.distortion import project
from mini_diffuser_ros.records import CameraView, Distortion

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]

VOXEL = 0.01  # metres, edge of the places that are remembered
THROUGH = 0.015  # metres behind a place from which on a camera looks through it; nearer things stand for it
TWICE = 2  # clouds in a row that have to have shown a place; what one alone has shown may be noise
NEAR_TOOL = 0.08  # metres from the tool centre point within which nothing is learnt: what is held comes along
NEAREST = 0.05  # metres before a camera from which on it sees anything
BESIDE = 0.3  # of the picture's size, by which a lens may bend what it shows into it
BLANK = 30  # clouds in a row in which those who saw a place measure nothing there, from which on it is gone
MOST = 20_000  # places; those that were shown last stay
_NEIGHBOURS = np.array([[x, y, z] for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1)])
_PER_AXIS = np.array([1, 2**21, 2**42])  # far more than a kilometre in each direction


class SeenPlaces:
    """Remembers the places that clouds have shown, and which cameras have seen them.

    A place that is not shown any more is forgotten when a camera looks through it, when something is shown just beside
    it, which stands for it, or when the cameras that have seen it all deliver and measure nothing there for a while:
    behind it there may be nothing within reach. It stays when it is hidden behind the arm or something else, outside of
    the pictures, or seen by none but those that are silent.

    Args:
        cameras: names of all that there are.
    """

    def __init__(self, cameras: Sequence[str]) -> None:
        self._bits = {name: 1 << number for number, name in enumerate(cameras)}
        self.forget()

    def forget(self) -> None:
        """Know nothing."""
        self._cubes = np.empty(0, np.int64)  # (M,) sorted
        self._points = np.empty((0, 3), np.float32)
        self._times = np.empty(0, np.int64)  # clouds that have shown it
        self._witnesses = np.empty(0, np.int64)  # cameras that saw it last
        self._age = np.empty(0, np.int64)  # clouds since it was shown
        self._blank = np.empty(0, np.int64)  # clouds in which those who saw it have measured nothing there
        self.unseen: dict[str, int] = dict.fromkeys(self._bits, 0)
        """Number of the remembered places that none but silent cameras have seen, by the names of these."""

    def update(self, points: Floats, views: Sequence[CameraView], tool: NDArray[np.floating] | None = None) -> Floats:
        """Take a new cloud.

        Args:
            points: (N, 3) metres, base frame, without the robot.
            views: that it was made of, with those poses.
            tool: (3,) metres, the tool centre point at that time; None if there is none.

        Returns:
            (M, 3) metres, places that it does not show and that are taken all the same.
        """
        cubes, first = np.unique(_cubes(points), return_index=True)
        points = points[first]
        live = sum(self._bits[view.name] for view in views)
        shown = _among(self._cubes, cubes)
        stays = shown | ((self._times >= TWICE) & self._is_still_there(~shown, cubes, views, live))
        self._keep(stays)
        shown = shown[stays]
        self._age += 1
        self._show(points, cubes, shown, views)
        self._learn(points, cubes, views, tool)
        taken = self._age > 0
        lost = taken & (self._witnesses & live == 0)
        self.unseen = {name: int((lost & (self._witnesses & bit != 0)).sum()) for name, bit in self._bits.items()}
        return self._points[taken]

    def _keep(self, chosen: Flags | NDArray[np.intp]) -> None:
        for name in ("_cubes", "_points", "_times", "_witnesses", "_age", "_blank"):
            setattr(self, name, getattr(self, name)[chosen])

    def _show(self, points: Floats, cubes: NDArray[np.int64], shown: Flags, views: Sequence[CameraView]) -> None:
        """Bring what is shown again up to date."""
        newest = points[np.searchsorted(cubes, self._cubes[shown])]
        seeing = self._seeing(newest, views)
        self._points[shown], self._age[shown], self._blank[shown] = newest, 0, 0
        self._times[shown] += 1
        self._witnesses[shown] = np.where(seeing, seeing, self._witnesses[shown])

    def _learn(
        self,
        points: Floats,
        cubes: NDArray[np.int64],
        views: Sequence[CameraView],
        tool: NDArray[np.floating] | None,
    ) -> None:
        """Add what is shown for the first time."""
        new = ~_among(cubes, self._cubes)
        if tool is not None:
            new &= np.linalg.norm(points - np.asarray(tool, np.float32), axis=1) > NEAR_TOOL
        added = int(new.sum())
        self._cubes = np.append(self._cubes, cubes[new])
        self._points = np.concatenate([self._points, points[new]])
        self._times = np.append(self._times, np.ones(added, np.int64))
        self._witnesses = np.append(self._witnesses, self._seeing(points[new], views))
        self._age = np.append(self._age, np.zeros(added, np.int64))
        self._blank = np.append(self._blank, np.zeros(added, np.int64))
        if len(self._cubes) > MOST:
            self._keep(np.argsort(self._age, kind="stable")[:MOST])
        self._keep(np.argsort(self._cubes))

    def _is_still_there(self, asked: Flags, cubes: NDArray[np.int64], views: Sequence[CameraView], live: int) -> Flags:
        """(M,) whether each of the places asked for is taken, for all that the cameras show; False for the others."""
        stays = np.zeros(len(asked), np.bool_)
        places = np.flatnonzero(asked)
        points, witnesses = self._points[places], self._witnesses[places]
        beside = _among(self._cubes[places] + (_NEIGHBOURS @ _PER_AXIS)[:, None], cubes).any(axis=0)
        gone, blank, hidden = beside, np.zeros(len(places), np.bool_), witnesses & ~live != 0
        for view in views:
            around, distance = _look(points, view)
            gone |= _looked_through(around, distance)
            saw_it = witnesses & self._bits[view.name] != 0
            blank |= saw_it & (around == 0.0).all(axis=0)
            hidden |= saw_it & (around > 0.0).any(axis=0)
        self._blank[places] = np.where(blank & ~hidden, self._blank[places] + 1, 0)
        gone |= self._blank[places] >= BLANK
        stays[places] = ~gone
        return stays

    def _seeing(self, points: Floats, views: Sequence[CameraView]) -> NDArray[np.int64]:
        """(N,) the cameras that measure something at each of the points."""
        seeing = np.zeros(len(points), np.int64)
        for view in views:
            around, distance = _look(points, view)
            seeing[(np.abs(around - distance) <= THROUGH).any(axis=0)] |= self._bits[view.name]
        return seeing


def _looked_through(around: Floats, distance: Floats) -> Flags:
    """(N,) whether a camera measures farther things through places, by what :func:`_look` returns.

    Pixels without a depth say nothing: most have to have one, that of the middle among them, and none a nearer one.
    """
    farther = around > distance + THROUGH
    nearer = ~farther & ~(around == 0.0)  # also outside of the picture
    return np.asarray(farther[len(around) // 2] & (farther.sum(axis=0) > len(around) // 2) & ~nearer.any(axis=0))


def _cubes(points: Floats) -> NDArray[np.int64]:
    """(N,) a number for the cube of each point (N, 3)."""
    return np.asarray((np.floor(points / VOXEL).astype(np.int64) + 2**20) @ _PER_AXIS)


def _among(asked: NDArray[np.int64], cubes: NDArray[np.int64]) -> Flags:
    """Which of the numbers, of any shape, are among sorted ones."""
    if not len(cubes):
        return np.zeros(asked.shape, np.bool_)
    return np.asarray(cubes[np.searchsorted(cubes, asked).clip(max=len(cubes) - 1)] == asked)


def _look(points: Floats, view: CameraView) -> tuple[Floats, Floats]:
    """What a camera measures about places (N, 3).

    Returns:
        (9, N) depths of pixels over each place, metres, 0 where there is none, NaN outside of the picture; (N,) the
        depths of the places themselves.
    """
    local = transform_points(inverse_transform(np.asarray(view.base_from_camera, np.float64)), points)
    distance = local[:, 2]
    height, width = view.depth.shape
    before = distance > NEAREST
    local = np.where(before[:, None], local, (0.0, 0.0, 1.0))
    columns, rows = project(local, view.intrinsics, view.distortion).T
    # One pixel at least: at a silhouette the next one looks past the thing.
    radius = np.maximum(1.0, 0.5 * VOXEL * abs(float(view.intrinsics[0, 0])) / local[:, 2])
    inside = before & (columns >= 0) & (columns <= width - 1) & (rows >= 0) & (rows <= height - 1)
    if view.distortion.bends:  # the formula of a lens holds in its picture; far beside it, it leads back into it
        straight = project(local, view.intrinsics, Distortion()) / (width, height)
        inside &= ((straight > -BESIDE) & (straight < 1.0 + BESIDE)).all(axis=1)
    u = np.rint(np.where(inside, columns + np.repeat((-1, 0, 1), 3)[:, None] * radius, 0)).astype(np.intp)
    v = np.rint(np.where(inside, rows + np.tile((-1, 0, 1), 3)[:, None] * radius, 0)).astype(np.intp)
    around = view.depth[np.clip(v, 0, height - 1), np.clip(u, 0, width - 1)]
    around = np.where(np.isfinite(around) & (around > 0.0), around, 0.0)
    return np.where(inside, around, np.nan).astype(np.float32), np.asarray(distance, np.float32)
