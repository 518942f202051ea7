"""Ways that turn the arm over without taking the tool out of the workspace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import KDTree

from mini_diffuser_ros.motion.collision import CollisionChecker
from mini_diffuser_ros.motion.config import MotionConfig
from mini_diffuser_ros.motion.kinematics import ArmKinematics

Array = NDArray[np.float64]

_PLACES, _NEIGHBOURS, _ENTRIES = 1500, 14, 30
"""Joint positions on the map, how many others each is joined to, and how many start and goals are: near the limits most
ways to them leave the workspace. With half the places, two of 150 random searches find nothing."""

_DRAWN_AT_ONCE, _MOST_DRAWN = 4000, 40_000
"""Joint positions that are drawn, of which those with the tool in the workspace are put on the map."""

_STEPS, _STEP_SIZES = 100, (0.2, 0.4, 0.8)
"""Stepping stones that are laid about a start at a time, and radians by which they lie from earlier ones."""

_FRACTIONS = np.array([4, 2, 6, 1, 3, 5, 7]) / 8
"""Of a way, where the tool has to be in the workspace for it to be put on the map; the middle is where most leave."""


class Roadmap:
    """A map of joint positions with the tool in the workspace and of straight ways between them that stay there.

    From one way of holding the elbow and the shoulder to another, straight joint segments take the tool centimetres to
    a metre out of the workspace, and so do nearly all with a random corner. The map knows ways round, whatever start,
    goal and obstacles are. Collisions are looked at in a search alone, and only of the shortest way that is left:
    Bohlin and Kavraki, Path Planning Using Lazy PRM, ICRA 2000.

    Drawing it takes about 0.2 s.

    Args:
        kinematics: of the arm.
        config: workspace, seed.
        home: (J,) radians, one of the places.
    """

    def __init__(self, kinematics: ArmKinematics, config: MotionConfig, home: Array) -> None:
        self._kinematics = kinematics
        self._workspace = np.array([config.workspace.lower, config.workspace.upper])
        generator = np.random.default_rng(config.seed)
        places = home[None]
        for _ in range(0, _MOST_DRAWN, _DRAWN_AT_ONCE):
            drawn = generator.uniform(*kinematics.search_range, (_DRAWN_AT_ONCE, len(home)))
            places = np.concatenate([places, drawn[self._inside(drawn)]])
            if len(places) >= _PLACES:
                break
        self._places = places[:_PLACES]
        self._tree = KDTree(self._places)
        self._ways = self._ways_from(self._places, _NEIGHBOURS)

    def way(
        self, start: Array, goals: Sequence[Array], checker: CollisionChecker, is_over: Callable[[], bool]
    ) -> Array | None:
        """The shortest free way on the map from ``start`` to one of ``goals`` (J,).

        Args:
            start, goals: radians.
            checker: of collisions.
            is_over: asked before each look at a way whether to give up.

        Returns:
            (N, J) waypoints, or None.
        """
        way = self._way(start, goals, (np.empty((0, len(start))), np.empty((3, 0))), checker, is_over)
        if way is None and not is_over():
            way = self._way(start, goals, self._stepping_stones(start), checker, is_over)
        return way

    def _way(
        self,
        start: Array,
        goals: Sequence[Array],
        stones: tuple[Array, Array],
        checker: CollisionChecker,
        is_over: Callable[[], bool],
    ) -> Array | None:
        """As :meth:`way`, on the map and :meth:`_stepping_stones`."""
        known, (beside, steps) = len(self._places), stones
        first, ends = known + len(beside), np.stack([start, *goals])
        places = np.concatenate([self._places, beside, ends])
        # Of the stones the start has number 0, and they are counted from there.
        steps = np.concatenate([np.where(steps[:2] > 0, steps[:2] + known - 1, first), steps[2:]])
        ways = self._ways, steps, self._ways_from(beside, _NEIGHBOURS, known), self._ways_from(ends, _ENTRIES, first)
        graph = _graph(np.concatenate(ways, axis=1), len(places))
        free: set[tuple[int, int]] = set()
        while not is_over():
            route = _shortest(graph, first)
            if route is None:
                return None
            for one, other in pairwise(route):
                if (one, other) in free:
                    continue
                if checker.path_state_violation(places[other]) is not None:
                    graph.data[graph.indices == other] = np.inf
                    break
                if checker.segment_violation(places[one], places[other]) is not None:
                    graph[one, other] = graph[other, one] = np.inf
                    break
                free.add((one, other))
            else:
                return places[route]
        return None

    def _stepping_stones(self, start: Array) -> tuple[Array, Array]:
        """Places about a start: near a wall of the workspace few of the map's long ways from it stay inside, or none.

        Returns:
            (M, J) places, numbered from 1; (3, M) from which to which of start, 0, and places steps lead, and how far.
        """
        generator = np.random.default_rng(len(self._places))
        lower, upper = self._kinematics.search_range
        places, ways = start[None], [np.empty((3, 0))]
        for size in _STEP_SIZES:
            before = generator.integers(len(places), size=_STEPS)
            beside = places[before] + size * generator.normal(size=(_STEPS, len(start)))
            steps = np.clip(beside, lower, upper) - places[before]
            inside = np.ones(_STEPS, bool)
            for fraction in (*_FRACTIONS, 1.0):
                inside &= self._inside(places[before] + fraction * steps)
            before, steps = before[inside], steps[inside]
            ways.append(np.stack([before, len(places) + np.arange(len(before)), np.linalg.norm(steps, axis=1)]))
            places = np.concatenate([places, places[before] + steps])
        return places[1:], np.concatenate(ways, axis=1)

    def _ways_from(self, positions: Array, neighbours: int, number: int = 0) -> Array:
        """(3, W): from which and to which place the ways from (N, J) to their neighbours lead, the first of which has
        this ``number``, and their lengths in radians."""
        lengths, others = self._tree.query(positions, neighbours + 1)  # of which one is itself
        ones = np.repeat(np.arange(len(positions)), neighbours + 1)
        lengths, others = lengths.ravel(), others.ravel()
        ways = np.flatnonzero(np.isfinite(lengths) & (lengths > 0.0))
        for fraction in _FRACTIONS:
            starts = positions[ones[ways]]
            ways = ways[self._inside(starts + fraction * (self._places[others[ways]] - starts))]
        return np.stack([ones[ways] + number, others[ways], lengths[ways]])

    def _inside(self, positions: Array) -> NDArray[np.bool_]:
        """(N,) whether the tool is in the workspace at (N, J)."""
        places = self._kinematics.tool_places(positions)
        return np.asarray(((self._workspace[0] <= places) & (places <= self._workspace[1])).all(axis=1))


def _graph(ways: Array, count: int) -> csr_array:
    """Lengths (count, count) of the ways (3, W), in both directions."""
    ones, others = ways[:2].astype(np.intp)
    graph = csr_array((ways[2], (ones, others)), shape=(count, count))
    return graph.maximum(graph.T).tocsr()


def _shortest(graph: csr_array, first: int) -> list[int] | None:
    """The way from place ``first`` to the nearest of those after it, or None."""
    lengths, before = dijkstra(graph, indices=first, return_predecessors=True)
    route = [first + 1 + int(np.argmin(lengths[first + 1 :]))]
    if not np.isfinite(lengths[route[0]]):
        return None
    while route[-1] != first:
        route.append(int(before[route[-1]]))
    return route[::-1]
