"""One function for each of many items, in worker processes that end with their parent."""

from __future__ import annotations

import atexit
import math
import multiprocessing
import os
import pickle
import reprlib
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnContext
from multiprocessing.reduction import ForkingPickler
from typing import Any, Generic, TypeVar, cast

from mini_diffuser_ros.support.errors import UserError, one_line

Item = TypeVar("Item")
Result = TypeVar("Result")

_LOOK_AGAIN = 5.0  # seconds; what a dead process has begun may keep its end of a pipe open
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


@dataclass(frozen=True)
class WorkerLimits:
    """Seconds after which a process is killed that has not come to its end, on a steady clock of its parent's.

    Attributes:
        item: for one item, the start of the process included.
        close: to end once it has nothing more to do, or its function has raised something.
    """

    item: float = math.inf
    close: float = 15.0


Take = Callable[[int], "Item | None"]
"""Takes the number of a worker that is free, from 0, and gives its next item; None if there is none for it any more."""


def outcomes_in_workers(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int, limits: WorkerLimits | None = None
) -> Iterator[ItemOutcome[Item, Result]]:
    """What comes of each item, as it comes; for work whose failures and crashes are not to end the rest.

    A process that dies or takes too long costs the one item that it was at, and another takes its place; so it does
    where the function raises something, as what the process keeps may be broken then. An item is taken when what came
    of the last one has been looked at.

    Args:
        function, items, workers: as for :func:`map_in_workers`; with 1 worker nothing is replaced, a crash is that of
            this process, and nothing is ended.
        limits: of the processes.
    """
    waiting = iter(items)
    if workers <= 1:
        for item in waiting:
            yield _outcome(item, partial(function, item))
        return
    one_group = partial(_Worker, function, lambda item: None, 0, limits or WorkerLimits())
    yield from _outcomes_of([one_group() for _ in range(workers)], lambda _: next(waiting, None))


def outcomes_by_group(
    function: Callable[[Item], Result],
    take: Take[Item],
    workers: int,
    group: Callable[[Item], Hashable],
    groups_per_process: int,
    limits: WorkerLimits | None = None,
) -> Iterator[ItemOutcome[Item, Result]]:
    """:func:`outcomes_in_workers` of items in groups, which cost a process much to begin, or memory for good.

    Args:
        function, workers: likewise; also a single worker is a process of its own.
        take: see :data:`Take`; :class:`GroupQueue` has one.
        group: of an item.
        groups_per_process: that a process begins before another takes its place.
        limits: of the processes.
    """
    kept = limits or WorkerLimits()
    yield from _outcomes_of([_Worker(function, group, groups_per_process, kept) for _ in range(max(workers, 1))], take)


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

    def put_off(self, group: Hashable) -> None:
        """Leave a group until the others have been begun; who is at it goes on with another."""
        if self._left.get(group):
            self._untouched = deque([*(one for one in self._untouched if one != group), group])
        self._at = {worker: at for worker, at in self._at.items() if at != group}

    def drop(self, group: Hashable) -> list[Item]:
        """Give nothing more out of a group; returns what was left of it."""
        if group in self._untouched:
            self._untouched.remove(group)
        return list(self._left.pop(group, ()))


class TurnQueue(Generic[Item]):
    """Items in their order, whoever takes them, of groups that may be put off or dropped as those of a GroupQueue.

    Args:
        items: in order.
        group: of an item.
    """

    def __init__(self, items: Iterable[Item], group: Callable[[Item], Hashable]) -> None:
        self._left, self._group = deque(items), group

    def take(self, worker: int) -> Item | None:
        """The next item."""
        return self._left.popleft() if self._left else None

    def put_off(self, group: Hashable) -> None:
        """Leave a group until nothing else is left."""
        self._left = deque(sorted(self._left, key=lambda item: self._group(item) == group))

    def drop(self, group: Hashable) -> list[Item]:
        """Give nothing more out of a group; returns what was left of it."""
        dropped = [item for item in self._left if self._group(item) == group]
        self._left = deque(item for item in self._left if self._group(item) != group)
        return dropped


def _outcomes_of(workers: Sequence[_Worker[Item, Result]], take: Take[Item]) -> Iterator[ItemOutcome[Item, Result]]:
    busy: dict[int, _Worker[Item, Result]] = {}

    def go_on(place: int) -> None:
        if (item := take(place)) is not None:
            workers[place].submit(item)
            busy[place] = workers[place]

    try:
        for place in range(len(workers)):
            go_on(place)
        while busy:
            wait([handle for worker in busy.values() for handle in worker.handles], _LOOK_AGAIN)
            for place, worker in tuple(busy.items()):
                if (outcome := worker.outcome()) is not None:
                    del busy[place]
                    yield outcome
                    go_on(place)
    finally:
        for worker in workers:
            worker.retire()
        for worker in workers:
            worker.end()


class _Worker(Generic[Item, Result]):
    """One process at a time, that is given one item at a time.

    Args:
        function: of the items.
        group: of an item.
        most: groups that a process begins; 0 for any number.
        limits: of the process.
    """

    def __init__(
        self, function: Callable[[Item], Result], group: Callable[[Item], Hashable], most: int, limits: WorkerLimits
    ) -> None:
        self._function, self._group, self._most, self._limits = function, group, most, limits
        self._begun: list[Hashable] = []
        self._process: _SupervisedProcess | None = None
        self._retired: list[_SupervisedProcess] = []
        self._item: Item | None = None

    @property
    def handles(self) -> list[Any]:
        """To wait for until there may be an outcome."""
        return [] if self._process is None else [self._process.connection, self._process.sentinel]

    def submit(self, item: Item) -> None:
        """Give it an item; a process that is worn, or has died with nothing to do, is replaced before."""
        group = self._group(item)
        if self._most and group not in self._begun[-1:]:
            if len(self._begun) >= self._most:
                self.retire()
            self._begun.append(group)
        self._item = item
        words = ForkingPickler.dumps((self._function, item))
        try:
            self._running().send(words, self._limits.item)
        except OSError:  # it has died since
            self.retire()
            self._begun = [group]
            self._running().send(words, self._limits.item)

    def outcome(self) -> ItemOutcome[Item, Result] | None:
        """What came of the item; None as long as nothing did."""
        assert self._process is not None
        item = cast(Item, self._item)
        try:
            answer = self._process.answer()
        except EOFError:
            ended = _overdue_at(item, self._limits.item) if self._process.was_killed else _died_at(item)
            self.retire()
            return ItemOutcome(item, None, ended)
        if answer is None:
            return None
        outcome = _outcome(item, answer.value)
        if outcome.error is not None:
            self.retire()
        return outcome

    def retire(self) -> None:
        """Take another process for the items to come; this one may end by itself for a while."""
        if self._process is not None:
            self._process.dismiss(self._limits.close)
            self._retired = [process for process in self._retired if not process.has_ended()] + [self._process]
        self._process, self._begun = None, []

    def end(self) -> None:
        """Wait until all processes have ended."""
        for process in self._retired:
            process.join()

    def _running(self) -> _SupervisedProcess:
        if self._process is None:
            self._process = _SupervisedProcess()
        return self._process


class _SupervisedProcess:
    """A process that runs what it is sent, and is killed if that takes too long: stopped, or holding its lock, or not.

    Attributes:
        was_killed: whether it was.
    """

    def __init__(self) -> None:
        self.connection, theirs = spawning().Pipe()
        self._process = spawning().Process(target=_serve, args=(theirs,))
        with _leaving_interrupts_here():
            self._process.start()
        theirs.close()
        self._watch = _Watch(math.inf, self._kill)
        self.was_killed = False
        atexit.register(self._kill)

    @property
    def sentinel(self) -> int:
        """Ready when it has ended."""
        return self._process.sentinel

    def has_ended(self) -> bool:
        """Whether it has."""
        if self._process.is_alive():
            return False
        self.join()
        return True

    def send(self, words: memoryview, limit: float) -> None:
        """Have it run something.

        Raises:
            OSError: it has ended.
        """
        self._watch = _Watch(limit, self._kill)
        self.connection.send_bytes(words)

    def answer(self) -> _Answer | None:
        """What came of it, None if nothing did yet.

        Raises:
            EOFError: it has ended without.
        """
        try:
            if self.connection.poll():
                # One that is stopped half-way is killed when its time is over, which ends this as well.
                answer = pickle.loads(self.connection.recv_bytes())
                self._watch.cancel()
                return cast(_Answer, answer)
        except OSError as error:
            raise EOFError from error
        if not self._process.is_alive() and not self.connection.poll():
            raise EOFError
        return None

    def dismiss(self, limit: float) -> None:
        """Let it end by itself within so many seconds."""
        self._watch.cancel()
        self.connection.close()
        self._watch = _Watch(limit, self._kill)

    def join(self) -> None:
        """Wait until it has ended."""
        self._process.join()
        self._watch.cancel()
        atexit.unregister(self._kill)

    def _kill(self) -> None:
        self.was_killed = True
        self._process.kill()


class _Watch:
    """Calls something once so many seconds are over, in a thread of its own."""

    def __init__(self, seconds: float, end: Callable[[], None]) -> None:
        self._timer = threading.Timer(seconds, end)
        self._timer.daemon = True
        if seconds < threading.TIMEOUT_MAX:
            self._timer.start()

    def cancel(self) -> None:
        """Call nothing any more."""
        self._timer.cancel()


@dataclass(frozen=True)
class _Answer:
    """What a process says of its item.

    Attributes:
        result: None where there is an error.
        error: what the function raised.
        trace: where.
    """

    result: Any = None
    error: BaseException | None = None
    trace: str = ""

    def value(self) -> Any:
        """The result.

        Raises:
            BaseException: the error, caused by a :class:`RemoteTracebackError`.
        """
        if self.error is not None:
            raise self.error from RemoteTracebackError(self.trace)
        return self.result


class RemoteTracebackError(Exception):
    """Where something was raised in a worker process, as text."""


def _serve(connection: Connection) -> None:
    """Run what comes, until there is nobody any more from whom it could."""
    end_with_parent()
    while True:
        try:
            words = connection.recv_bytes()
            connection.send_bytes(_answered(words))
        except (EOFError, OSError):
            return


def _answered(words: bytes) -> memoryview:
    try:
        function, item = pickle.loads(words)
        return ForkingPickler.dumps(_Answer(function(item)))
    except BaseException as error:  # of code that others wrote; it is told, whatever it is
        trace = traceback.format_exc()
        try:
            told = ForkingPickler.dumps(_Answer(error=error, trace=trace))
            pickle.loads(told)
        except Exception:
            other = WorkerDiedError(
                f"{type(error).__name__}: {one_line(error)}, which cannot be sent between processes"
            )
            told = ForkingPickler.dumps(_Answer(error=other, trace=trace))
        return told


def _outcome(item: Item, result: Callable[[], Result]) -> ItemOutcome[Item, Result]:
    try:
        return ItemOutcome(item, result(), None)
    except SystemExit as ended:  # code that others wrote may take itself for the whole program
        return ItemOutcome(item, None, WorkerDiedError(f"exit({ended.code!r}) was called at {reprlib.repr(item)}"))
    except Exception as error:
        return ItemOutcome(item, None, error)


def _died_at(item: object) -> WorkerDiedError:
    return WorkerDiedError(f"a worker process died (killed, or out of memory?) at {reprlib.repr(item)}")


def _overdue_at(item: object, limit: float) -> WorkerDiedError:
    return WorkerDiedError(
        f"a worker process was killed that had not come to an end in {limit:g} s: {reprlib.repr(item)}"
    )


@contextmanager
def ended_if_hanging(seconds: float, what: str) -> Iterator[None]:
    """A block after which nothing is lost: a process that does not come out of it in time ends there.

    Workers are let alone, which their parent watches.

    Args:
        seconds: on a steady clock.
        what: it is that hangs, for the line on stderr.
    """
    if multiprocessing.parent_process() is not None:
        yield
        return
    watch = _Watch(seconds, partial(_end_here, f"{what} does not come to an end in {seconds:g} s; this process ends"))
    try:
        yield
    finally:
        watch.cancel()


def _end_here(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(1)


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
