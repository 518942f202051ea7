"""Futures, and the coroutines and functions that executors run."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Generator
from typing import Any

from rclpy.logging import get_logger

logger = get_logger("rclpy.task")


async def await_or_execute(callback: Any, *args: Any) -> Any:
    """Call a function, or await a coroutine function."""
    result = callback(*args)
    return await result if inspect.iscoroutine(result) else result


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

    def cancelled(self) -> bool:
        return self._cancelled

    def done(self) -> bool:
        """Whether it has a result, an exception or was cancelled."""
        return self._done

    def result(self) -> Any:
        """The result, None while there is none; raises the exception that was set."""
        if self._exception is not None:
            self._exception_fetched = True
            raise self._exception
        return self._result

    def exception(self) -> BaseException | None:
        """The exception that was set, if any."""
        self._exception_fetched = True
        return self._exception

    def cancel(self) -> None:
        """Cancel, unless done."""
        if not self._done:
            self._end(cancelled=True)

    def set_result(self, result: Any) -> None:
        self._end(result=result)

    def set_exception(self, exception: BaseException) -> None:
        self._exception_fetched = False
        self._end(exception=exception)

    def _end(self, *, result: Any = None, exception: BaseException | None = None, cancelled: bool = False) -> None:
        with self._lock:
            self._result, self._exception, self._cancelled, self._done = result, exception, cancelled, True
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            self._call(callback)

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
            known = callback in self._callbacks
            self._callbacks = [one for one in self._callbacks if one != callback]
            return known

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

    def __init__(self, handler: Any, args: Any = (), kwargs: Any = None, executor: Any = None) -> None:
        super().__init__(executor=executor)
        self._handler = (
            handler if inspect.iscoroutine(handler) else await_or_execute(lambda: handler(*args, **(kwargs or {})))
        )
        self._executing = threading.Lock()

    def __call__(self) -> None:
        if self._done or not self._executing.acquire(blocking=False):
            return
        awaited: Any = None
        try:
            awaited = self._handler.send(None)
        except StopIteration as stop:
            self.set_result(stop.value)
        except BaseException as error:
            self.set_exception(error)
            if not isinstance(error, Exception):
                raise
        finally:
            self._executing.release()
        if not self._done and isinstance(awaited, Future):
            awaited.add_done_callback(lambda _: self._executor._resume(self))
        elif not self._done:
            self._executor._resume(self)

    def __del__(self) -> None:
        super().__del__()
        self._handler.close()

    def executing(self) -> bool:
        """Whether it is running right now."""
        return self._executing.locked()

    def cancel(self) -> None:
        """Cancel, and end a coroutine that is waiting."""
        super().cancel()
        if not self.executing():
            self._handler.close()
