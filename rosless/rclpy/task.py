"""Futures, and the coroutines and functions that executors run."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Generator
from typing import Any

from rclpy.logging import get_logger

logger = get_logger("rclpy.task")


class Future:
    """The outcome of something that is under way."""

    def __init__(self, *, executor: Any = None) -> None:
        self._done = self._cancelled = False
        self._result: Any = None
        self._exception: BaseException | None = None
        self._exception_fetched = False
        self._callbacks: list[Callable[[Any], Any]] = []
        self._lock = threading.Lock()
        self._executor = executor

    def __del__(self) -> None:
        if getattr(self, "_exception", None) is not None and not self._exception_fetched:
            logger.error(f"The following exception was never retrieved: {self._exception!r}")

    def __await__(self) -> Generator[Future, None, Any]:
        while not self._done:
            yield self
        return self.result()

    def cancel(self) -> None:
        """Cancel, unless done."""
        with self._lock:
            if self._done:
                return
            self._cancelled = self._done = True
        self._run_callbacks()

    def cancelled(self) -> bool:
        return self._cancelled

    def done(self) -> bool:
        """Whether it has a result, an exception or was cancelled."""
        return self._done

    def result(self) -> Any:
        """The result, None while there is none.

        Raises:
            Exception: the one that was set.
        """
        if self._exception is not None:
            self._exception_fetched = True
            raise self._exception
        return self._result

    def exception(self) -> BaseException | None:
        """The exception that was set, if any."""
        self._exception_fetched = True
        return self._exception

    def set_result(self, result: Any) -> None:
        with self._lock:
            self._result, self._done, self._cancelled = result, True, False
        self._run_callbacks()

    def set_exception(self, exception: BaseException) -> None:
        with self._lock:
            self._exception, self._exception_fetched = exception, False
            self._done, self._cancelled = True, False
        self._run_callbacks()

    def add_done_callback(self, callback: Callable[[Any], Any]) -> None:
        """Call `callback(future)` once it is done, at once when it is done already."""
        with self._lock:
            if not self._done:
                self._callbacks.append(callback)
                return
        self._call(callback)

    def remove_done_callback(self, callback: Callable[[Any], Any]) -> bool:
        """Forget a callback; whether there was one."""
        with self._lock:
            if callback not in self._callbacks:
                return False
            self._callbacks.remove(callback)
            return True

    def _set_executor(self, executor: Any) -> None:
        self._executor = executor

    def _run_callbacks(self) -> None:
        with self._lock:
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            self._call(callback)

    def _call(self, callback: Callable[[Any], Any]) -> None:
        if self._executor is not None:
            self._executor.create_task(callback, self)
            return
        try:
            callback(self)
        except Exception as error:
            logger.error(f"Unhandled exception in done callback: {error!r}")


class Task(Future):
    """Runs a function or a coroutine; a call executes it until it ends or waits for a future."""

    def __init__(self, handler: Any, args: Any = None, kwargs: Any = None, executor: Any = None) -> None:
        super().__init__(executor=executor)
        if inspect.iscoroutine(handler):
            self._handler: Any = handler
        elif inspect.iscoroutinefunction(handler):
            self._handler = handler(*(args or ()), **(kwargs or {}))
        else:
            self._handler = handler
        self._args, self._kwargs = args or (), kwargs or {}
        self._executing = threading.Lock()

    def __call__(self) -> None:
        if self._done or not self._executing.acquire(blocking=False):
            return
        awaited: Any = None
        try:
            if inspect.iscoroutine(self._handler):
                awaited = self._handler.send(None)
            else:
                self._finish(self._handler(*self._args, **self._kwargs))
        except StopIteration as stop:
            self._finish(stop.value)
        except BaseException as error:
            self._handler = None
            self.set_exception(error)
            if not isinstance(error, Exception):
                raise
        finally:
            self._executing.release()
        if not self._done and self._executor is not None:
            if isinstance(awaited, Future):
                awaited.add_done_callback(lambda _: self._executor._resume(self))
            else:
                self._executor._resume(self)

    def _finish(self, result: Any) -> None:
        self._handler = None
        self.set_result(result)

    def executing(self) -> bool:
        """Whether it is running right now."""
        return self._executing.locked()

    def cancel(self) -> None:
        """Cancel, and end a coroutine that is waiting."""
        handler = self._handler
        super().cancel()
        if inspect.iscoroutine(handler) and not self.executing():
            handler.close()
