"""One function for each of many items, in worker processes that end with their parent."""

from __future__ import annotations

import multiprocessing
import os
import reprlib
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor
from concurrent.futures import wait as wait_for
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from multiprocessing.context import SpawnContext
from typing import Generic, TypeVar

from mini_diffuser_ros.support.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 4  # results a process may have ready: enough to keep it busy, too few to fill the memory


class WorkerDiedError(UserError, RuntimeError):
    """A worker process was killed or crashed; the text names the item whose result is missing."""


def map_in_workers(function: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """What a function returns for each item, in the items' order.

    Args:
        function: of a module, so that it can be sent to a process. What it raises is raised here.
        items: read as results are taken, no more than a few ahead.
        workers: processes; 1 works in this one. They are spawned, as threads of torch and MuJoCo do not survive a
            fork, they leave Ctrl-C to this process, and they end when it ends, even by ``kill -9``.

    Raises:
        WorkerDiedError: if a worker ended before it had an item's result.
    """
    if workers <= 1:
        yield from map(function, items)
        return
    with ProcessPoolExecutor(workers, mp_context=spawning(), initializer=end_with_parent) as pool:
        waiting = iter(items)
        pending: deque[tuple[Item, Future[Result]]] = deque()
        try:
            while True:
                for item in islice(waiting, _AHEAD * workers - len(pending)):
                    with _leaving_interrupts_here():
                        pending.append((item, pool.submit(function, item)))
                if not pending:
                    return
                item, result = pending.popleft()
                try:
                    value = result.result()
                except BrokenProcessPool as error:
                    raise _died_at(item) from error
                yield value
        finally:
            for _, result in pending:
                result.cancel()


@dataclass(frozen=True, eq=False)
class ItemOutcome(Generic[Item, Result]):
    """What came of an item.

    Attributes:
        item: as it was given.
        result: None where there is an error.
        error: what the function raised, or a :class:`WorkerDiedError`; None where it returned.
    """

    item: Item
    result: Result | None
    error: Exception | None


def outcomes_in_workers(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Iterator[ItemOutcome[Item, Result]]:
    """What comes of each item, as it comes; for work whose failures and crashes are not to end the rest.

    A process that dies costs the one item that it was at, and another takes its place; so it does where the function
    raises something, as what the process keeps may be broken then.

    Args:
        function, items, workers: as for :func:`map_in_workers`; with 1 worker nothing is replaced, and a crash is that
            of this process.
    """
    if workers <= 1:
        for item in items:
            yield _outcome(item, partial(function, item))
        return
    waiting = iter(items)
    pools = [_one_process() for _ in range(workers)]
    running: dict[Future[Result], tuple[int, Item]] = {}
    try:
        for place in range(workers):
            for item in islice(waiting, 1):
                running[_submit(pools, place, function, item)] = place, item
        while running:
            for future in wait_for(running, return_when=FIRST_COMPLETED).done:
                place, item = running.pop(future)
                outcome = _outcome(item, future.result)
                if outcome.error is not None:
                    pools[place].shutdown(wait=False)
                    pools[place] = _one_process()
                for following in islice(waiting, 1):
                    running[_submit(pools, place, function, following)] = place, following
                yield outcome
    finally:
        for pool in pools:
            pool.shutdown(wait=False, cancel_futures=True)


def _outcome(item: Item, result: Callable[[], Result]) -> ItemOutcome[Item, Result]:
    try:
        return ItemOutcome(item, result(), None)
    except BrokenProcessPool:
        return ItemOutcome(item, None, _died_at(item))
    except Exception as error:
        return ItemOutcome(item, None, error)


def _one_process() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=spawning(), initializer=end_with_parent)


def _submit(
    pools: list[ProcessPoolExecutor], place: int, function: Callable[[Item], Result], item: Item
) -> Future[Result]:
    """Give a process an item; one that has died with nothing to do is replaced before."""
    with _leaving_interrupts_here():
        try:
            return pools[place].submit(function, item)
        except BrokenProcessPool:
            pools[place] = _one_process()
            return pools[place].submit(function, item)


def _died_at(item: object) -> WorkerDiedError:
    return WorkerDiedError(f"a worker process died (killed, or out of memory?) at {reprlib.repr(item)}")


def spawning() -> SpawnContext:
    """How this package starts processes: anew, with nothing inherited."""
    return multiprocessing.get_context("spawn")


def end_with_parent() -> None:
    """To be called in a worker: a worker of a killed parent would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=(parent.sentinel,), daemon=True).start()


@contextmanager
def _leaving_interrupts_here() -> Iterator[None]:
    """Processes that are started in the block never see a Ctrl-C: they inherit that it is blocked."""
    resource_tracker.ensure_running()  # which would unblock it when the first process is started
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _exit_after(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
