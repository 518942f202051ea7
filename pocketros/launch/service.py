"""The launch service: visits a launch description, handles events, ends everything it began."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import tempfile
import threading
import traceback
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TextIO

from launch.core import Event, LaunchContext, LaunchDescription, Shutdown, as_entities
from launch.logging import logger, open_log, write_screen

DESCENDANTS_END = 1.0  # seconds that descendants have to end after the processes themselves


class LaunchService:
    """Runs launch descriptions.

    Args:
        argv: arguments for the context.
        noninteractive: whether no terminal sends signals to the processes.
        debug: whether to show tracebacks.

    Attributes:
        ending: set when the launch is to end.
        groups: of the processes, for signals that reach their descendants too.
    """

    def __init__(self, *, argv: Iterable[str] = (), noninteractive: bool = False, debug: bool = False) -> None:
        self.context = LaunchContext(argv=argv, noninteractive=noninteractive)
        self.context._service = self
        self.debug = debug
        self._pending: deque[Callable[[], Any]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed, self.ending = asyncio.Event(), asyncio.Event()
        self._tasks: dict[asyncio.Task[Any], bool] = {}
        self.groups: set[int] = set()
        self._signals = self._return_code = 0
        self._log_file: TextIO | None = None
        self._resources = contextlib.ExitStack()

    def include_launch_description(self, launch_description: LaunchDescription) -> None:
        """Run a launch description too."""
        self.visit_soon(launch_description)

    def visit_soon(self, entities: Any) -> None:
        """Queue an entity, or several."""
        self.call_soon(lambda: self._visit(entities))

    def emit_event(self, event: Event) -> None:
        """Queue an event; may be called from other threads."""
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
        """Run until nothing is left to do; 1 after an exception or SIGTERM, otherwise 0."""
        return asyncio.run(self.run_async(shutdown_when_idle=shutdown_when_idle))

    async def run_async(self, *, shutdown_when_idle: bool = True) -> int:
        """The same in a running event loop."""
        self._loop, self._changed, self.ending = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
        with self._resources:
            self._log_file = self._resources.enter_context(open_log(self.debug))
            self._handle_signals(self._loop)
            while True:
                self._changed.clear()
                self._work()
                ending = self.context.is_shutdown
                if not self._tasks and ending:
                    await self._end_descendants()
                    return self._return_code
                if not self._tasks and shutdown_when_idle:
                    self.emit_event(Shutdown(reason="idle"))
                if ending and not any(self._tasks.values()):
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
            self._visit(entity.visit(self.context))

    def _handle(self, event: Event) -> None:
        if isinstance(event, Shutdown):
            if self.context.is_shutdown:
                return
            self.context.is_shutdown = True
            self.ending.set()
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
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP):
                loop.add_signal_handler(number, self._on_signal, number)
                self._resources.callback(loop.remove_signal_handler, number)

    def _on_signal(self, number: signal.Signals) -> None:
        """End the launch; at the second and third time without further patience for its processes."""
        self._signals += 1
        said = "user interrupted with ctrl-c (SIGINT)" if number == signal.SIGINT else f"received {number.name}"
        if self._signals == 1:
            logger.warning(said)
            self._return_code = self._return_code or int(number != signal.SIGINT)
            self.emit_event(Shutdown(reason=said, due_to_sigint=number == signal.SIGINT))
        else:
            harder = signal.SIGTERM if self._signals == 2 else signal.SIGKILL
            logger.warning(f"{said} again, escalating to '{harder.name}'")
            self.signal_groups(harder)

    def signal_groups(self, number: int) -> None:
        """Send a signal (0: none) to the process groups, and forget those that are gone."""
        for leader in list(self.groups):
            try:
                os.killpg(leader, number)
            except (ProcessLookupError, PermissionError):
                self.groups.discard(leader)

    async def _end_descendants(self) -> None:
        """Let what outlived its process end, and kill what does not."""
        for _ in range(20):
            self.signal_groups(0)
            if not self.groups:
                return
            await asyncio.sleep(DESCENDANTS_END / 20)
        self.signal_groups(signal.SIGKILL)

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
