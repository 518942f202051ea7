"""Worlds that hang: the process of an episode that takes too long ends itself, and another takes its place."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from multiprocessing import parent_process
from threading import Timer

EPISODE_LIMIT = 3600.0
"""Seconds after which a worker's world counts as hanging; 25 keyframes of ten moves each take minutes."""


def not_hanging() -> AbstractContextManager[None]:
    """Around an episode: a worker whose world hangs ends itself. In a process that is nobody's worker, nothing does."""
    return limited_to(EPISODE_LIMIT if parent_process() else None, partial(os._exit, 1))


@contextmanager
def limited_to(seconds: float | None, end: Callable[[], object]) -> Iterator[None]:
    """Call ``end`` in a thread of its own if the block takes longer than so many seconds; None for no limit."""
    if seconds is None:
        yield
        return
    timer = Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
