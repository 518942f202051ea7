"""Executors: they run the callbacks of the nodes that were added to them."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import Any

from rclpy.context import Context, get_default_context
from rclpy.task import Future, Task, await_or_execute

# ruff: noqa: N818 - the names are rclpy's


# Seconds: Python runs a signal's handler in the main thread, which a signal that another thread received does not wake.
LONGEST_WAIT = 1.0


class TimeoutException(Exception):
    """Nothing became ready in time."""


class ShutdownException(Exception):
    """The executor was shut down."""


class ExternalShutdownException(Exception):
    """The context was shut down while an executor was spinning."""

    def __init__(self, *args: object) -> None:
        super().__init__("Context has been shutdown", *args)


class Executor:
    """Waits until something of its nodes is ready; the subclasses say in which thread it runs."""

    def __init__(self, *, context: Context | None = None) -> None:
        self.context = get_default_context() if context is None else context
        self._idle = threading.Condition(threading.RLock())
        self._lock = threading.RLock()  # of the nodes and of what is lined up
        self._wakeups: SimpleQueue[None] = SimpleQueue()  # may be fed from signal handlers, other than a condition
        self._nodes: list[Any] = []
        self._tasks: deque[Task] = deque()
        self._ready: list[Any] = []
        self._running = 0
        self._is_shutdown = False
        alive = weakref.WeakMethod(self.wake)
        self._forget = self.context._on_wake(lambda: (wake := alive()) and wake())
        weakref.finalize(self, self._forget)

    def wake(self) -> None:
        """Look again for something to do; may be called from any thread and any signal handler."""
        if self._wakeups.empty():
            self._wakeups.put(None)

    def add_node(self, node: Any) -> bool:
        """Serve a node; False when it is served already."""
        with self._lock:
            if node in self._nodes:
                return False
            self._nodes = [*self._nodes, node]
        node.executor = self
        self.wake()
        return True

    def remove_node(self, node: Any) -> None:
        """Serve a node no longer."""
        with self._lock:
            self._nodes = [one for one in self._nodes if one is not node]
            self._ready = [one for one in self._ready if one._node is not node]
        if node.executor is self:
            node.executor = None
        self.wake()

    def get_nodes(self) -> list[Any]:
        return list(self._nodes)

    def create_task(self, callback: Any, *args: Any, **kwargs: Any) -> Task:
        """Run a function or a coroutine in this executor."""
        task = Task(callback, args, kwargs, executor=self)
        self._resume(task)
        return task

    def _resume(self, task: Task) -> None:
        self._tasks.append(task)
        self.wake()

    def shutdown(self, timeout_sec: float | None = None) -> bool:
        """Stop spinning and let go of the nodes; whether all running callbacks ended in time."""
        self._is_shutdown = True
        self.wake()
        with self._idle:
            ended = self._idle.wait_for(lambda: self._running == 0, timeout_sec)
        while self._tasks:
            self._tasks.popleft().cancel()
        self._forget()
        for node in self._nodes:
            self.remove_node(node)
        return ended

    def __enter__(self) -> Executor:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()

    def spin(self) -> None:
        """Run callbacks until the context or the executor is shut down.

        Raises:
            ExternalShutdownException: the context was shut down.
        """
        while self.context.ok() and not self._is_shutdown:
            self.spin_once()

    def spin_once(self, timeout_sec: float | None = None) -> None:
        """Run one callback, waiting for it up to `timeout_sec` (None or negative: for ever).

        Raises:
            ExternalShutdownException: the context is shut down meanwhile.
        """
        self._spin_once(timeout_sec, lambda: False)

    def spin_once_until_future_complete(self, future: Future, timeout_sec: float | None = None) -> None:
        """Run one callback, or none when a future is done before there is one."""
        with self._woken_by(future):
            self._spin_once(timeout_sec, future.done)

    def spin_until_future_complete(self, future: Future, timeout_sec: float | None = None) -> None:
        """Run callbacks until a future is done, the time is over, or the context is shut down."""
        deadline, remaining = _deadline(timeout_sec), timeout_sec
        with self._woken_by(future):
            while self.context.ok() and not future.done() and not self._is_shutdown:
                self._spin_once(remaining, future.done)
                if deadline is not None and (remaining := deadline - time.monotonic()) <= 0:
                    return

    @contextmanager
    def _woken_by(self, future: Future) -> Iterator[None]:
        def wake(_: Future) -> None:
            self.wake()

        future.add_done_callback(wake)
        try:
            yield
        finally:
            future.remove_done_callback(wake)

    def _spin_once(self, timeout_sec: float | None, enough: Callable[[], bool]) -> None:
        with suppress(TimeoutException, ShutdownException):
            if (task := self._wait_for_task(timeout_sec, enough)) is not None:
                self._run(task)

    def _run(self, task: Task) -> None:
        raise NotImplementedError  # pragma: no cover - executors are used through the subclasses

    def _execute(self, task: Task) -> None:
        with self._idle:
            self._running += 1
        try:
            task()
        finally:
            with self._idle:
                self._running -= 1
                self._idle.notify_all()

    def _wait_for_task(self, timeout_sec: float | None, enough: Callable[[], bool]) -> Task | None:
        """The next thing to run; None when `enough()` came true."""
        deadline = _deadline(timeout_sec)
        while True:
            with suppress(Empty):
                while True:
                    self._wakeups.get_nowait()
            if self._is_shutdown:
                raise ShutdownException()
            if not self.context.ok():
                raise ExternalShutdownException()
            if enough():
                return None
            if (task := self._next_task()) is not None:
                return task
            timers = (timer for node in self._nodes for timer in node.timers if self._has_room())
            waits = [timer._seconds_to_wait() for timer in timers]
            waits.append(None if deadline is None else deadline - time.monotonic())
            if waits[-1] is not None and waits[-1] <= 0:
                raise TimeoutException()
            with suppress(Empty):
                self._wakeups.get(timeout=max(min(one for one in (*waits, LONGEST_WAIT) if one is not None), 0.0))

    def _has_room(self) -> bool:
        """Whether something can begin now."""
        return True

    def _next_task(self) -> Task | None:
        with suppress(IndexError):
            return self._tasks.popleft()
        with self._lock:
            for collect in (False, True):
                if collect:
                    # Everything that is ready is lined up: each is served once before any is served twice
                    found = (one for node in self._nodes for one in node._waitables() if one._is_ready())
                    self._ready += [one for one in found if one not in self._ready]
                for entity in list(self._ready):
                    if entity._is_ready() and not entity.callback_group.can_execute(entity):
                        continue  # keeps its place until its group is free
                    self._ready.remove(entity)
                    if (task := self._start(entity)) is not None:
                        return task
        return None

    def _start(self, entity: Any) -> Task | None:
        group = entity.callback_group
        if not entity._is_ready() or not group.beginning_execution(entity):
            return None
        if (work := entity._take()) is None:
            group.ending_execution(entity)
            return None
        return Task(self._serve(entity, work), executor=self)

    async def _serve(self, entity: Any, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        try:
            await work()
        finally:
            entity.callback_group.ending_execution(entity)
            self.wake()


def _deadline(timeout_sec: float | None) -> float | None:
    return None if timeout_sec is None or timeout_sec < 0 else time.monotonic() + timeout_sec


def _raise_error_of(task: Task) -> None:
    if task.done() and (error := task.exception()) is not None:
        raise error


class SingleThreadedExecutor(Executor):
    """Runs callbacks in the thread that spins."""

    def _run(self, task: Task) -> None:
        self._execute(task)
        _raise_error_of(task)


class MultiThreadedExecutor(Executor):
    """Runs callbacks in a pool of threads."""

    def __init__(self, num_threads: int | None = None, *, context: Context | None = None) -> None:
        super().__init__(context=context)
        self._free = max(num_threads or os.cpu_count() or 2, 1)
        self._pool = ThreadPoolExecutor(self._free, thread_name_prefix="rclpy executor")
        self._failed: deque[Task] = deque()

    def _run(self, task: Task) -> None:
        with self._idle:
            self._free -= 1
        with suppress(RuntimeError):  # the executor is shut down at this moment: the task is not run
            self._pool.submit(self._execute_in_pool, task)

    def _execute_in_pool(self, task: Task) -> None:
        try:
            self._execute(task)
        finally:
            if task.done() and task._exception is not None:
                self._failed.append(task)
            with self._idle:
                self._free += 1
            self.wake()

    def _has_room(self) -> bool:
        # Taking more than the threads can serve would empty the bounded queues of slow subscriptions
        return self._free > 0

    def _next_task(self) -> Task | None:
        if self._failed:
            _raise_error_of(self._failed.popleft())
        return super()._next_task() if self._has_room() else None

    def shutdown(self, timeout_sec: float | None = None) -> bool:
        ended = super().shutdown(timeout_sec)
        self._pool.shutdown(wait=ended, cancel_futures=True)
        return ended


__all__ = [
    "Executor",
    "ExternalShutdownException",
    "MultiThreadedExecutor",
    "ShutdownException",
    "SingleThreadedExecutor",
    "TimeoutException",
    "await_or_execute",
]
