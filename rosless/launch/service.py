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
from typing import Any, TextIO

from rclpy.logging import get_logging_directory

from launch.core import Event, LaunchContext, LaunchDescription, as_entities, logger
from launch.events import Shutdown


class _Format(logging.Formatter):
    """`[INFO] [launch]: text`, the way launch writes."""

    def format(self, record: logging.LogRecord) -> str:
        return f"[{record.levelname}] [{vars(record).get('as', record.name)}]: {record.getMessage()}"


class _Screen(logging.Handler):
    """Writes to the standard output of the moment."""

    def emit(self, record: logging.LogRecord) -> None:
        write_screen(self.format(record))


def write_screen(text: str) -> None:
    """Write a line to the standard output."""
    with contextlib.suppress(BrokenPipeError, ValueError):
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


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
        self.process_groups: set[int] = set()
        self._pending: deque[Callable[[], Any]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed = asyncio.Event()
        self._tasks: dict[asyncio.Task[Any], bool] = {}
        self._return_code = 0
        self._log_file: TextIO | None = None
        self._resources = contextlib.ExitStack()

    def include_launch_description(self, launch_description: LaunchDescription) -> None:
        """Run a launch description too."""
        self.call_soon(lambda: self._visit(launch_description))

    def emit_event(self, event: Event) -> None:
        """Queue an event; may be called from other threads."""
        if not isinstance(event, Shutdown) or not self.context.is_shutdown:
            self.call_soon(lambda: self._handle(event))

    def call_soon(self, function: Callable[[], Any]) -> None:
        """Queue a function behind what is queued already."""
        self._pending.append(function)
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._changed.set)

    def shutdown(self) -> None:
        """End the launch; may be called from other threads."""
        self.emit_event(Shutdown(reason="LaunchService.shutdown() called"))

    def start(self, coroutine: Coroutine[Any, Any, Any], lasting: bool = False) -> asyncio.Task[Any]:
        """Run a coroutine beside the launch; one that is `lasting` is waited for at the end of the launch."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks[task] = lasting

        def ended(done: asyncio.Task[Any]) -> None:
            del self._tasks[done]
            error = None if done.cancelled() else done.exception()
            self.call_soon(lambda: self._failed(error) if error is not None else None)

        task.add_done_callback(ended)
        return task

    def run(self, *, shutdown_when_idle: bool = True) -> int:
        """Run until nothing is left to do; 1 after an exception, otherwise 0."""
        return asyncio.run(self.run_async(shutdown_when_idle=shutdown_when_idle))

    async def run_async(self, *, shutdown_when_idle: bool = True) -> int:
        """The same in a running event loop."""
        self._loop, self._changed = asyncio.get_running_loop(), asyncio.Event()
        with self._resources:
            self._open_log()
            self._handle_signals(self._loop)
            self._resources.callback(self._kill_groups)
            while True:
                self._changed.clear()
                self._work()
                if not self._tasks and (shutdown_when_idle or self.context.is_shutdown):
                    self.context.is_shutdown = True
                    return self._return_code
                if self.context.is_shutdown and not any(self._tasks.values()):
                    for task in self._tasks:
                        task.cancel()
                await self._changed.wait()

    def _work(self) -> None:
        """Visit and handle what is queued."""
        while self._pending:
            try:
                self._pending.popleft()()
            except Exception as error:
                self._failed(error)

    def _visit(self, entities: Any) -> None:
        for entity in as_entities(entities):
            if self.context.is_shutdown and self._return_code:
                return
            self._visit(entity.visit(self.context))

    def _handle(self, event: Event) -> None:
        if isinstance(event, Shutdown):
            if self.context.is_shutdown:
                return
            self.context.is_shutdown = True
        for handler in list(self.context._handlers):
            if handler.matches(event):
                self._visit(handler.handle(event, self.context))

    def _failed(self, error: BaseException) -> None:
        if self.debug:
            logger.error("".join(traceback.format_exception(error)))
        text = f"Caught exception in launch (see debug for traceback): {str(error) or type(error).__name__}"
        logger.error(text)
        self._return_code = 1
        self.emit_event(Shutdown(reason=text))

    def _handle_signals(self, loop: asyncio.AbstractEventLoop) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                loop.add_signal_handler(number, self._on_signal, number)
                self._resources.callback(loop.remove_signal_handler, number)

    def _on_signal(self, number: signal.Signals) -> None:
        if self.context.is_shutdown:
            logger.warning(f"received {number.name} again, ignoring...")
            return
        interrupted = number == signal.SIGINT
        logger.warning("user interrupted with ctrl-c (SIGINT)" if interrupted else f"received {number.name}")
        self.emit_event(Shutdown(reason=number.name, due_to_sigint=interrupted))

    def _kill_groups(self) -> None:
        """End descendants that outlived their process."""
        for group in self.process_groups:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)

    def _open_log(self) -> None:
        stamp = f"{time.strftime('%Y-%m-%d-%H-%M-%S')}-{time.time_ns() // 1000 % 10**6:06d}"
        directory = get_logging_directory() / f"{stamp}-{socket.gethostname()}-{os.getpid()}"
        handlers: list[logging.Handler] = [_Screen()]
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._log_file = self._resources.enter_context((directory / "launch.log").open("a", encoding="utf-8"))
            handlers.append(logging.StreamHandler(self._log_file))
        except OSError as error:
            write_screen(f"[WARNING] [launch]: no log file: {error}")
        for one in handlers:
            one.setFormatter(_Format())
            logger.addHandler(one)
            self._resources.callback(logger.removeHandler, one)
        logger.setLevel(logging.DEBUG if self.debug else logging.INFO)
        logger.propagate = False
        logger.info(f"All log files can be found below {directory}")
        logger.info(f"Default logging verbosity is set to {logging.getLevelName(logger.level)}")

    def scratch_file(self, text: str) -> str:
        """The path of a file with this text, which ends with the launch."""
        directory = tempfile.TemporaryDirectory(prefix="launch_", ignore_cleanup_errors=True)
        path = os.path.join(self._resources.enter_context(directory), "parameters.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def write_output(self, text: str, places: set[str]) -> None:
        """Write a line of a process to the screen and the log."""
        if "screen" in places:
            write_screen(text)
        if self._log_file is not None and "log" in places:
            self._log_file.write(text + "\n")
