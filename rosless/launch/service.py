"""The launch service: visits a launch description, handles events, ends everything it began."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import tempfile
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any

from launch.core import Event, LaunchContext, LaunchDescription, LaunchDescriptionEntity, as_entities, logger
from launch.events import Shutdown


class _Format(logging.Formatter):
    """`[INFO] [launch]: text`, the way launch writes."""

    def format(self, record: logging.LogRecord) -> str:
        name = vars(record).get("as", record.name)
        return f"[{record.levelname}] [{name}]: {record.getMessage()}"


class _Screen(logging.Handler):
    """Writes to the standard output of the moment."""

    def emit(self, record: logging.LogRecord) -> None:
        write_screen(self.format(record))


def write_screen(text: str) -> None:
    """Write a line to the standard output."""
    with contextlib.suppress(BrokenPipeError, ValueError):
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


def log_directory() -> Path:
    """The directory of this launch's log."""
    from rclpy.logging import get_logging_directory

    stamp = time.strftime("%Y-%m-%d-%H-%M-%S")
    microseconds = time.time_ns() // 1000 % 10**6
    return get_logging_directory() / f"{stamp}-{microseconds:06d}-{socket.gethostname()}-{os.getpid()}"


class LaunchService:
    """Runs launch descriptions.

    Args:
        argv: arguments for the context.
        noninteractive: whether no terminal sends signals to the processes.
        debug: whether to show tracebacks.
    """

    def __init__(self, *, argv: Iterable[str] | None = None, noninteractive: bool = False, debug: bool = False) -> None:
        self.context = LaunchContext(argv=argv, noninteractive=noninteractive)
        self.context._service = self
        self.debug = debug
        self.loop: asyncio.AbstractEventLoop | None = None
        self.process_groups: set[int] = set()
        self._pending: deque[Event | list[LaunchDescriptionEntity] | Callable[[], Any]] = deque()
        self._changed: asyncio.Event | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._processes: set[asyncio.Task[Any]] = set()
        self._descriptions: list[LaunchDescriptionEntity] = []
        self._return_code = 0
        self._log_file: Any = None
        self._scratch: tempfile.TemporaryDirectory[str] | None = None

    def include_launch_description(self, launch_description: LaunchDescription) -> None:
        """Run a launch description too."""
        self._descriptions.append(launch_description)
        self.visit_soon([launch_description])

    def emit_event(self, event: Event) -> None:
        """Queue an event; may be called from other threads."""
        if isinstance(event, Shutdown) and self.context.is_shutdown:
            return
        self._pending.append(event)
        self._notify()

    def visit_soon(self, entities: list[LaunchDescriptionEntity]) -> None:
        """Queue entities to visit."""
        if entities:
            self._pending.append(entities)
            self._notify()

    def call_soon(self, function: Callable[[], Any]) -> None:
        """Queue a function behind the events that are queued already."""
        self._pending.append(function)
        self._notify()

    def _notify(self) -> None:
        loop, changed = self.loop, self._changed
        if loop is not None and changed is not None and not loop.is_closed():
            loop.call_soon_threadsafe(changed.set)

    def shutdown(self) -> None:
        """End the launch; may be called from other threads."""
        self.emit_event(Shutdown(reason="LaunchService.shutdown() called"))

    def start_task(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run a coroutine beside the launch."""
        return self._start(coroutine, self._tasks)

    def start_process(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run a coroutine which the launch lasts for."""
        return self._start(coroutine, self._processes)

    def _start(self, coroutine: Coroutine[Any, Any, Any], group: set[asyncio.Task[Any]]) -> asyncio.Task[Any]:
        assert self.loop is not None
        task = self.loop.create_task(coroutine)
        group.add(task)

        def ended(done: asyncio.Task[Any]) -> None:
            group.discard(done)
            if not done.cancelled() and (error := done.exception()) is not None:
                self._failed(error)
            self._notify()

        task.add_done_callback(ended)
        return task

    def run(self, *, shutdown_when_idle: bool = True) -> int:
        """Run until nothing is left to do; 1 after an exception, otherwise 0."""
        return asyncio.run(self.run_async(shutdown_when_idle=shutdown_when_idle))

    async def run_async(self, *, shutdown_when_idle: bool = True) -> int:
        """The same in a running event loop."""
        self.loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._open_log()
        handled = self._handle_signals()
        try:
            while True:
                self._changed.clear()
                self._work()
                if self._pending:
                    continue
                if not self._processes and not self._tasks and (shutdown_when_idle or self.context.is_shutdown):
                    if not self.context.is_shutdown:
                        self.context.is_shutdown = True
                    break
                if self.context.is_shutdown and not self._processes:
                    for task in list(self._tasks):
                        task.cancel()
                await self._changed.wait()
        finally:
            for number in handled:
                self.loop.remove_signal_handler(number)
            self._kill_groups()
            for task in [*self._tasks, *self._processes]:
                task.cancel()
            await asyncio.gather(*self._tasks, *self._processes, return_exceptions=True)
            self._close_log()
        return self._return_code

    def _work(self) -> None:
        """Visit and handle what is queued."""
        while self._pending:
            item = self._pending.popleft()
            try:
                if isinstance(item, list):
                    self._visit(item)
                elif isinstance(item, Event):
                    self._handle(item)
                else:
                    item()
            except Exception as error:
                self._failed(error)

    def _visit(self, entities: list[LaunchDescriptionEntity]) -> None:
        for entity in entities:
            if self.context.is_shutdown and self._return_code:
                return
            self._visit(as_entities(entity.visit(self.context)))

    def _handle(self, event: Event) -> None:
        if isinstance(event, Shutdown):
            if self.context.is_shutdown:
                return
            self.context.is_shutdown = True
        for handler in list(self.context._handlers):
            if handler.matches(event):
                self._visit(as_entities(handler.handle(event, self.context)))

    def _failed(self, error: BaseException) -> None:
        if self.debug:
            logger.error("".join(traceback.format_exception(error)))
        kind = "" if str(error) else f"{type(error).__name__}"
        logger.error(f"Caught exception in launch (see debug for traceback): {kind}{error}")
        self._return_code = 1
        self.emit_event(Shutdown(reason=f"Caught exception in launch (see debug for traceback): {error}"))

    def _handle_signals(self) -> list[int]:
        if threading.current_thread() is not threading.main_thread():
            return []
        assert self.loop is not None
        numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
        for number in numbers:
            self.loop.add_signal_handler(number, self._on_signal, number)
        return [int(number) for number in numbers]

    def _on_signal(self, number: int) -> None:
        name = signal.Signals(number).name
        if self.context.is_shutdown:
            logger.warning(f"received {name} again, ignoring...")
            return
        text = "user interrupted with ctrl-c (SIGINT)" if number == signal.SIGINT else f"received {name}"
        logger.warning(text)
        self.emit_event(Shutdown(reason=name, due_to_sigint=number == signal.SIGINT))

    def _kill_groups(self) -> None:
        """End descendants that outlived their process."""
        for group in self.process_groups:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)

    def _open_log(self) -> None:
        screen = _Screen()
        screen.setFormatter(_Format())
        self._handlers: list[logging.Handler] = [screen]
        directory = log_directory()
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._log_file = (directory / "launch.log").open("a", encoding="utf-8")
        except OSError as error:
            write_screen(f"[WARNING] [launch]: no log file: {error}")
        else:
            handler = logging.StreamHandler(self._log_file)
            handler.setFormatter(_Format())
            self._handlers.append(handler)
        for one in self._handlers:
            logger.addHandler(one)
        logger.setLevel(logging.DEBUG if self.debug else logging.INFO)
        logger.propagate = False
        logger.info(f"All log files can be found below {directory}")
        logger.info(f"Default logging verbosity is set to {'DEBUG' if self.debug else 'INFO'}")

    def scratch_directory(self) -> str:
        """A directory for files that end with the launch."""
        if self._scratch is None:
            self._scratch = tempfile.TemporaryDirectory(prefix="launch_", ignore_cleanup_errors=True)
        return self._scratch.name

    def write_output(self, text: str, places: set[str]) -> None:
        """Write a line of a process to the screen and the log."""
        if "screen" in places:
            write_screen(text)
        if self._log_file is not None and "log" in places:
            self._log_file.write(text + "\n")

    def _close_log(self) -> None:
        if self._scratch is not None:
            self._scratch.cleanup()
            self._scratch = None
        for handler in self._handlers:
            logger.removeHandler(handler)
        if self._log_file is not None:
            self._log_file.close()
            self._log_file = None


__all__ = ["LaunchService"]
