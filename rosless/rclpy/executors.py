"""Executors: they run the callbacks of the nodes that were added to them."""

from __future__ import annotations

import inspect
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from rclpy.context import Context
from rclpy.exceptions import NotInitializedException
from rclpy.task import Future, Task
from rclpy.utilities import get_default_context


class TimeoutException(Exception):  # noqa: N818 - rclpy's name
    """Nothing became ready in time."""


class ShutdownException(Exception):  # noqa: N818
    """The executor was shut down."""


class ExternalShutdownException(Exception):  # noqa: N818
    """The context was shut down while an executor was spinning."""

    def __init__(self, *args: object) -> None:
        super().__init__("Context has been shutdown", *args)


async def await_or_execute(callback: Any, *args: Any) -> Any:
    """Call a function, or await a coroutine function."""
    result = callback(*args)
    return await result if inspect.iscoroutine(result) else result


class Executor:
    """Waits until something of its nodes is ready; the subclasses say in which thread it runs."""

    def __init__(self, *, context: Context | None = None) -> None:
        self._context = get_default_context() if context is None else context
        self._condition = threading.Condition(threading.RLock())
        self._wakes = 0
        self._nodes: list[Any] = []
        self._tasks: deque[Task] = deque()
        self._ready: deque[Callable[[], Task | None]] = deque()
        self._running = 0
        self._is_shutdown = False
        self._forget = self._context._on_wake(self.wake)

    @property
    def context(self) -> Context:
        return self._context

    def wake(self) -> None:
        """Look again for something to do; may be called from any thread and any signal handler."""
        with self._condition:
            self._wakes += 1
            self._condition.notify_all()

    def add_node(self, node: Any) -> bool:
        """Serve a node; False when it is served already."""
        with self._condition:
            if node in self._nodes:
                return False
            self._nodes.append(node)
        node.executor = self
        self.wake()
        return True

    def remove_node(self, node: Any) -> None:
        """Serve a node no longer."""
        with self._condition:
            if node in self._nodes:
                self._nodes.remove(node)
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
        with self._condition:
            self._tasks.append(task)
        self.wake()

    def shutdown(self, timeout_sec: float | None = None) -> bool:
        """Stop spinning and let go of the nodes; whether all running callbacks ended in time."""
        with self._condition:
            self._is_shutdown = True
        self.wake()
        ended = True
        with self._condition:
            ended = self._condition.wait_for(lambda: self._running == 0, timeout_sec)
            nodes, self._nodes = self._nodes, []
            tasks = list(self._tasks)
            self._tasks.clear()
        for task in tasks:
            task.cancel()
        self._forget()
        for node in nodes:
            if node.executor is self:
                node.executor = None
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
        while self._context.ok() and not self._is_shutdown:
            self.spin_once()

    def spin_until_future_complete(self, future: Future, timeout_sec: float | None = None) -> None:
        """Run callbacks until a future is done, the time is over, or the context is shut down."""
        future.add_done_callback(lambda _: self.wake())
        deadline = None if timeout_sec is None or timeout_sec < 0 else time.monotonic() + timeout_sec
        while self._context.ok() and not future.done() and not self._is_shutdown:
            remaining = None if deadline is None else deadline - time.monotonic()
            if remaining is not None and remaining <= 0:
                return
            self._spin_once(remaining, lambda: future.done())

    def spin_once(self, timeout_sec: float | None = None) -> None:
        """Run one callback, waiting for it up to `timeout_sec` (None or negative: for ever).

        Raises:
            ExternalShutdownException: the context is shut down meanwhile.
        """
        self._spin_once(timeout_sec, lambda: False)

    def spin_once_until_future_complete(self, future: Future, timeout_sec: float | None = None) -> None:
        """Run one callback, or none when the future is done earlier."""
        future.add_done_callback(lambda _: self.wake())
        self._spin_once(timeout_sec, future.done)

    def _spin_once(self, timeout_sec: float | None, enough: Callable[[], bool]) -> None:
        try:
            task = self._wait_for_task(timeout_sec, enough)
        except (TimeoutException, ShutdownException):
            return
        if task is not None:
            self._run(task)

    def _run(self, task: Task) -> None:
        raise NotImplementedError  # pragma: no cover - executors are used through the subclasses

    def _execute(self, task: Task) -> None:
        with self._condition:
            self._running += 1
        try:
            task()
        finally:
            with self._condition:
                self._running -= 1
            self.wake()

    def _wait_for_task(self, timeout_sec: float | None, enough: Callable[[], bool]) -> Task | None:
        """The next thing to run; None when `enough()` came true."""
        deadline = None if timeout_sec is None or timeout_sec < 0 else time.monotonic() + timeout_sec
        while True:
            with self._condition:
                seen = self._wakes
            if self._is_shutdown:
                raise ShutdownException()
            if not self._context.ok():
                raise ExternalShutdownException()
            if enough():
                return None
            if (task := self._next_task()) is not None:
                return task
            wait = self._until_next_timer()
            if deadline is not None:
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    raise TimeoutException()
                wait = remaining if wait is None else min(wait, remaining)
            with self._condition:
                if self._wakes == seen:
                    self._condition.wait(wait)

    def _next_task(self) -> Task | None:
        with self._condition:
            if self._tasks:
                return self._tasks.popleft()
            for _ in range(2):
                while self._ready:
                    if (task := self._ready.popleft()()) is not None:
                        return task
                self._collect()
        return None

    def _collect(self) -> None:
        """Line up everything that is ready; each is served once before any is served twice."""
        for node in self._nodes:
            for entity in node._waitables():
                group = entity.callback_group
                if group.can_execute(entity) and entity._is_ready():
                    self._ready.append(partial(self._start, entity))

    def _start(self, entity: Any) -> Task | None:
        group = entity.callback_group
        if not entity._is_ready() or not group.beginning_execution(entity):
            return None
        work = entity._take()
        if work is None:
            group.ending_execution(entity)
            return None
        return Task(self._serve(entity, work), executor=self)

    async def _serve(self, entity: Any, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        try:
            await work()
        finally:
            entity.callback_group.ending_execution(entity)
            self.wake()

    def _until_next_timer(self) -> float | None:
        waits = []
        for node in self._nodes:
            for timer in node._timers:
                if timer.callback_group.can_execute(timer) and (wait := timer._seconds_to_wait()) is not None:
                    waits.append(wait)
        return max(min(waits), 0.0) if waits else None

    def _raise(self, task: Task) -> None:
        if task.done() and (error := task.exception()) is not None:
            raise error


class SingleThreadedExecutor(Executor):
    """Runs callbacks in the thread that spins."""

    def _run(self, task: Task) -> None:
        self._execute(task)
        self._raise(task)


class MultiThreadedExecutor(Executor):
    """Runs callbacks in a pool of threads."""

    def __init__(self, num_threads: int | None = None, *, context: Context | None = None) -> None:
        super().__init__(context=context)
        if num_threads is None:
            num_threads = os.cpu_count() or 2
        self._pool = ThreadPoolExecutor(max(num_threads, 1), thread_name_prefix="rclpy executor")
        self._threads, self._submitted = max(num_threads, 1), 0
        self._failed: deque[Task] = deque()

    def _run(self, task: Task) -> None:
        with self._condition:
            self._submitted += 1
        submitted = self._pool.submit(self._execute_in_pool, task)
        submitted.add_done_callback(lambda done: task.cancel() if done.cancelled() else None)

    def _execute_in_pool(self, task: Task) -> None:
        try:
            self._execute(task)
        finally:
            if task.done() and task._exception is not None:
                self._failed.append(task)
            with self._condition:
                self._submitted -= 1
            self.wake()

    def _next_task(self) -> Task | None:
        if self._failed:
            self._raise(self._failed.popleft())
        # Taking more than the threads can serve would empty the bounded queues of slow subscriptions
        return super()._next_task() if self._submitted < self._threads else None

    def shutdown(self, timeout_sec: float | None = None) -> bool:
        ended = super().shutdown(timeout_sec)
        self._pool.shutdown(wait=ended, cancel_futures=True)
        return ended


__all__ = [
    "Executor",
    "ExternalShutdownException",
    "MultiThreadedExecutor",
    "NotInitializedException",
    "ShutdownException",
    "SingleThreadedExecutor",
    "TimeoutException",
    "await_or_execute",
]
