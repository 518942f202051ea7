"""One function for each of many items, in worker processes that end with their parent."""

from __future__ import annotations

import multiprocessing
import os
import reprlib
import signal
import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
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


Take = Callable[[int], "Item | None"]
"""Takes the number of a worker that is free, from 0, and gives its next item; None if there is none for it any more."""


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
    waiting = iter(items)
    if workers <= 1:
        for item in waiting:
            yield _outcome(item, partial(function, item))
        return
    yield from _outcomes_of_processes(function, lambda _: next(waiting, None), workers, lambda item: None, 0)


def outcomes_by_group(
    function: Callable[[Item], Result],
    take: Take[Item],
    workers: int,
    group: Callable[[Item], Hashable],
    groups_per_process: int,
) -> Iterator[ItemOutcome[Item, Result]]:
    """:func:`outcomes_in_workers` of items in groups, which cost a process much to begin, or memory for good.

    Args:
        function, workers: likewise; also a single worker is a process of its own.
        take: see :data:`Take`; :class:`GroupQueue` has one.
        group: of an item.
        groups_per_process: that a process begins before another takes its place.
    """
    yield from _outcomes_of_processes(function, take, max(workers, 1), group, groups_per_process)


class GroupQueue(Generic[Item]):
    """A worker is given all items of a group before it begins another; who finds none helps where most are left.

    Args:
        items: in groups that are begun in the order of their first items.
        group: of an item.
    """

    def __init__(self, items: Iterable[Item], group: Callable[[Item], Hashable]) -> None:
        self._left: dict[Hashable, deque[Item]] = {}
        for item in items:
            self._left.setdefault(group(item), deque()).append(item)
        self._untouched = deque(self._left)
        self._at: dict[int, Hashable] = {}

    def take(self, worker: int) -> Item | None:
        """The next item of a worker."""
        own = self._at.get(worker)
        if not self._left.get(own):
            most_left = max(self._left, key=lambda one: len(self._left[one]), default=None)
            own = self._untouched.popleft() if self._untouched else most_left
        self._at[worker] = own
        items = self._left.get(own)
        return items.popleft() if items else None


def _outcomes_of_processes(
    function: Callable[[Item], Result],
    take: Take[Item],
    workers: int,
    group: Callable[[Item], Hashable],
    groups_per_process: int,
) -> Iterator[ItemOutcome[Item, Result]]:
    processes = [_Process(group, groups_per_process) for _ in range(workers)]
    running: dict[Future[Result], tuple[int, Item]] = {}

    def go_on(place: int) -> None:
        if (item := take(place)) is not None:
            running[processes[place].submit(function, item)] = place, item

    try:
        for place in range(workers):
            go_on(place)
        while running:
            for future in wait_for(running, return_when=FIRST_COMPLETED).done:
                place, item = running.pop(future)
                outcome = _outcome(item, future.result)
                if outcome.error is not None:
                    processes[place].replace()
                go_on(place)
                yield outcome
    finally:
        for process in processes:
            process.end()


class _Process(Generic[Item]):
    """One process at a time.

    Args:
        group: of an item.
        most: groups that a process begins; 0 for any number.
    """

    def __init__(self, group: Callable[[Item], Hashable], most: int) -> None:
        self._group, self._most = group, most
        self._pool = _one_process()
        self._begun: list[Hashable] = []

    def submit(self, function: Callable[[Item], Result], item: Item) -> Future[Result]:
        """Give it an item; one that is worn, or has died with nothing to do, is replaced before."""
        group = self._group(item)
        if self._most and group not in self._begun[-1:]:
            if len(self._begun) >= self._most:
                self.replace()
            self._begun.append(group)
        with _leaving_interrupts_here():
            try:
                return self._pool.submit(function, item)
            except BrokenProcessPool:
                self._pool = _one_process()
                return self._pool.submit(function, item)

    def replace(self) -> None:
        """Take another process for the items to come."""
        self._pool.shutdown(wait=False)
        self._pool, self._begun = _one_process(), []

    def end(self) -> None:
        """End it once it has nothing to do."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _outcome(item: Item, result: Callable[[], Result]) -> ItemOutcome[Item, Result]:
    try:
        return ItemOutcome(item, result(), None)
    except BrokenProcessPool:
        return ItemOutcome(item, None, _died_at(item))
    except SystemExit as ended:  # code that others wrote may take itself for the whole program
        return ItemOutcome(item, None, WorkerDiedError(f"exit({ended.code!r}) was called at {reprlib.repr(item)}"))
    except Exception as error:
        return ItemOutcome(item, None, error)


def _one_process() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=spawning(), initializer=end_with_parent)


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
