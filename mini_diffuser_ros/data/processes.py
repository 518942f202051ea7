"""One function for every episode of a data set, in several processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar

from mini_diffuser_ros.data.episodes import StoredEpisode
from mini_diffuser_ros.data.errors import DataError
from mini_diffuser_ros.support.workers import map_in_workers

T = TypeVar("T")


def for_each(
    function: Callable[[StoredEpisode], T], stored: Sequence[StoredEpisode], workers: int
) -> Iterator[tuple[StoredEpisode, T | DataError]]:
    """Each episode with what the function returned for it, or the DataError that it raised, in order.

    Args:
        function: of a module, so that it can be sent to a process.
        stored: the episodes.
        workers: processes; 1 works in this one.
    """
    yield from zip(stored, map_in_workers(partial(_attempt, function), stored, workers), strict=True)


def _attempt(function: Callable[[StoredEpisode], T], stored: StoredEpisode) -> T | DataError:
    try:
        return function(stored)
    except DataError as error:
        return error
