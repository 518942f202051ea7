"""One function for every episode of a data set, in several processes."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from functools import partial
from itertools import islice
from multiprocessing.connection import wait
from typing import TypeVar

from mini_diffuser_ros.data.episodes import StoredEpisode
from mini_diffuser_ros.data.errors import DataError

T = TypeVar("T")

_AHEAD = 4  # Results a process may have ready: enough to keep it busy, too few to fill the memory.


def for_each(
    function: Callable[[StoredEpisode], T], stored: Sequence[StoredEpisode], workers: int
) -> Iterator[tuple[StoredEpisode, T | DataError]]:
    """Each episode with what the function returned for it, or the DataError that it raised, in order.

    Args:
        function: of a module, so that it can be sent to a process.
        stored: the episodes.
        workers: processes; 1 works in this one.
    """
    attempt = partial(_attempt, function)
    if workers <= 1:
        yield from zip(stored, map(attempt, stored), strict=True)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_end_with_parent) as pool:
        waiting = iter(stored)
        pending: deque[tuple[StoredEpisode, Future[T | DataError]]] = deque()
        try:
            while True:
                for episode in islice(waiting, _AHEAD * workers - len(pending)):
                    pending.append((episode, pool.submit(attempt, episode)))
                if not pending:
                    return
                episode, result = pending.popleft()
                yield episode, result.result()
        finally:
            for _, result in pending:
                result.cancel()


def _attempt(function: Callable[[StoredEpisode], T], stored: StoredEpisode) -> T | DataError:
    try:
        return function(stored)
    except DataError as error:
        return error


def _end_with_parent() -> None:
    """A worker of a killed parent would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=(parent.sentinel,), daemon=True).start()


def _exit_after(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
