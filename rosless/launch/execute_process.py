"""Processes of a launch.

Each runs in a session of its own, so that signals reach it and all its descendants, and it dies with the launch.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import itertools
import os
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from launch.core import (
    Action,
    EventHandler,
    LaunchContext,
    SomeSubstitutionsType,
    logger,
    perform_substitutions,
)
from launch.event_handlers import OnProcessExit, OnProcessIO, OnShutdown
from launch.events.process import ProcessExited, ProcessIO, ProcessStarted, ShutdownProcess, SignalProcess

PR_SET_PDEATHSIG = 1
SIGTERM_TIMEOUT = "1.2"  # seconds from SIGINT to SIGTERM
SIGKILL_TIMEOUT = "0.8"  # seconds from SIGTERM to SIGKILL
LONGEST_LINE = 2**20

_numbers = itertools.count(1)


def _die_with_parent() -> Callable[[], None] | None:
    """What a child does before it runs: ask the kernel for SIGKILL when the launching thread ends."""
    if not sys.platform.startswith("linux") or threading.current_thread() is not threading.main_thread():
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(PR_SET_PDEATHSIG, signal.SIGKILL) and None


class ExecuteProcess(Action):
    """Runs a program.

    Args:
        cmd: the program and its arguments.
        name: shown in the log, followed by a number.
        output: "screen", "log", "both", or a dictionary of these for "stdout" and "stderr".
        env, additional_env: the whole environment, or variables to add.
        respawn, respawn_delay: whether to run it again when it ends, after so many seconds.
        on_exit: entities to visit when it ends.
        sigterm_timeout, sigkill_timeout: seconds from SIGINT to SIGTERM, and on to SIGKILL.
    """

    def __init__(
        self,
        *,
        cmd: Iterable[SomeSubstitutionsType] | None = None,
        name: SomeSubstitutionsType | None = None,
        prefix: SomeSubstitutionsType | None = None,
        cwd: SomeSubstitutionsType | None = None,
        env: dict[Any, Any] | None = None,
        additional_env: dict[Any, Any] | None = None,
        shell: bool = False,
        output: Any = "log",
        output_format: str = "[{this.process_name}] {line}",
        sigterm_timeout: Any = None,
        sigkill_timeout: Any = None,
        emulate_tty: Any = None,
        respawn: Any = False,
        respawn_delay: float | None = None,
        respawn_max_retries: int = -1,
        on_exit: Any = None,
        log_cmd: bool = False,
        cached_output: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if shell or emulate_tty:
            raise AttributeError(f"rosless does not provide {'shell' if shell else 'emulate_tty'} in ExecuteProcess")
        self._cmd = list(cmd or [])
        self._process_label, self._prefix, self._cwd = name, prefix, cwd
        self._env, self._additional_env = env, additional_env
        self._output, self._format, self._log_cmd = output, output_format, log_cmd
        self._timeouts = (sigterm_timeout, sigkill_timeout)
        self._respawn, self._respawn_delay, self._respawn_retries = respawn, respawn_delay, respawn_max_retries
        self._on_exit = on_exit
        self._process: asyncio.subprocess.Process | None = None
        self._details: dict[str, Any] = {}
        self._shutting_down = False
        self._stopping: asyncio.Task[None] | None = None
        self.return_code: int | None = None

    @property
    def process_details(self) -> dict[str, Any]:
        """Name, command, pid and so on, once it runs."""
        return self._details

    @property
    def process_name(self) -> str:
        return str(self._details.get("name", ""))

    def _command(self, context: LaunchContext) -> list[str]:
        words = [perform_substitutions(context, part) for part in self._cmd]
        if self._prefix is not None:
            words = shlex.split(perform_substitutions(context, self._prefix)) + words
        return words

    def _label(self, context: LaunchContext, words: list[str]) -> str:
        if self._process_label is not None:
            return perform_substitutions(context, self._process_label)
        return os.path.basename(words[0])

    def _environment(self, context: LaunchContext) -> dict[str, str]:
        def performed(given: dict[Any, Any]) -> dict[str, str]:
            return {
                perform_substitutions(context, key): perform_substitutions(context, value)
                for key, value in given.items()
            }

        base = performed(self._env) if self._env is not None else dict(context.environment)
        return {**base, **performed(self._additional_env or {})}

    def _streams(self, context: LaunchContext) -> tuple[set[str], set[str]]:
        """Where stdout and stderr go: "screen", "log"."""
        output = self._output
        if isinstance(output, dict):
            stdout, stderr = output.get("stdout", "log"), output.get("stderr", "log")
        else:
            text = perform_substitutions(context, output)
            if text not in ("screen", "log", "both", "own_log", "full"):
                raise ValueError(f"output is '{text}'; expected one of screen, log, both, own_log, full")
            stdout = text
            stderr = "both" if text == "log" else text

        def places(value: str) -> set[str]:
            return {"screen", "log"} if value in ("both", "full", "screen") else {"log"}

        return places(stdout), places(stderr)

    def execute(self, context: LaunchContext) -> None:
        words = self._command(context)
        name = f"{self._label(context, words)}-{next(_numbers)}"
        cwd = perform_substitutions(context, self._cwd) if self._cwd is not None else None
        environment = self._environment(context)
        respawn = self._respawn
        if not isinstance(respawn, bool):
            from launch.substitutions import to_bool

            respawn = to_bool(perform_substitutions(context, respawn), "respawn")
        timeouts = [
            self._seconds(context, given, key, default)
            for given, key, default in zip(
                self._timeouts, ("sigterm_timeout", "sigkill_timeout"), (SIGTERM_TIMEOUT, SIGKILL_TIMEOUT), strict=True
            )
        ]
        self._details = {"name": name, "cmd": words, "cwd": cwd, "env": environment, "pid": 0}
        service = context._service
        assert service is not None
        handlers: list[EventHandler] = [
            OnShutdown(on_shutdown=lambda event, inner: self._shut_down(context, timeouts)),
            EventHandler(
                matcher=lambda event: isinstance(event, ShutdownProcess) and event.process_matcher(self),
                entities=lambda event, inner: self._shut_down(context, timeouts),
            ),
            EventHandler(
                matcher=lambda event: isinstance(event, SignalProcess) and event.process_matcher(self),
                entities=lambda event, inner: self._send(event.signal),
            ),
        ]
        if self._on_exit is not None:
            handlers.append(OnProcessExit(target_action=self, on_exit=self._on_exit))
        for handler in handlers:
            context.register_event_handler(handler)
        service.start_process(self._run(context, self._streams(context), respawn, handlers))

    @staticmethod
    def _seconds(context: LaunchContext, given: Any, key: str, default: str) -> float:
        if given is None:
            given = context.launch_configurations.get(key, default)
        return float(given if isinstance(given, int | float) else perform_substitutions(context, given))

    async def _run(
        self, context: LaunchContext, streams: tuple[set[str], set[str]], respawn: bool, handlers: list[EventHandler]
    ) -> None:
        retries = 0
        try:
            while True:
                await self._run_once(context, streams)
                again = respawn and not context.is_shutdown and not self._shutting_down
                if not again or 0 <= self._respawn_retries <= retries:
                    return
                retries += 1
                if self._respawn_delay:
                    await asyncio.sleep(self._respawn_delay)
                if context.is_shutdown:
                    return
        finally:
            service = context._service
            assert service is not None
            for handler in handlers:
                # After the event of its exit, which is still queued
                service.call_soon(partial(context.unregister_event_handler, handler))

    async def _run_once(self, context: LaunchContext, streams: tuple[set[str], set[str]]) -> None:
        details, log = self._details, logger.getChild("process").getChild(self._details["name"].replace(".", "_"))
        log.name = details["name"]
        if context.is_shutdown:
            return
        try:
            process = await asyncio.create_subprocess_exec(
                *details["cmd"],
                cwd=details["cwd"],
                env=details["env"],
                start_new_session=True,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=LONGEST_LINE,
                preexec_fn=_die_with_parent(),
            )
        except OSError as error:
            log.error(f"exception occurred while executing process: {error}")
            details["pid"] = 0
            self.return_code = 1
            self._exited(context, 1)
            return
        self._process, details["pid"] = process, process.pid
        assert context._service is not None
        context._service.process_groups.add(process.pid)
        log.info(f"process started with pid [{process.pid}]")
        if self._log_cmd:
            log.info(f"process details: cmd='{shlex.join(details['cmd'])}', cwd='{details['cwd']}'")
        context.emit_event_sync(ProcessStarted(action=self, **details))
        if self._shutting_down or context.is_shutdown:
            self._send(signal.SIGINT)
        readers = [
            asyncio.ensure_future(self._read(context, process.stdout, streams[0], 1)),
            asyncio.ensure_future(self._read(context, process.stderr, streams[1], 2)),
        ]
        returncode = await process.wait()
        # A descendant may hold the pipes open: what the process itself wrote is there already
        await asyncio.wait(readers, timeout=0.5)
        for reader in readers:
            reader.cancel()
        self.return_code = returncode
        if returncode == 0:
            log.info(f"process has finished cleanly [pid {process.pid}]")
        else:
            log.error(
                f"process has died [pid {process.pid}, exit code {returncode}, cmd '{' '.join(details['cmd'])}']."
            )
        self._exited(context, returncode)
        self._process = None

    def _exited(self, context: LaunchContext, returncode: int) -> None:
        context.emit_event_sync(ProcessExited(action=self, returncode=returncode, **self._details))

    async def _read(self, context: LaunchContext, stream: Any, places: set[str], number: int) -> None:
        while True:
            try:
                line = await stream.readline()
            except ValueError:
                line = await stream.read(LONGEST_LINE)
            if not line:
                return
            text = self._format.format(line=line.decode(errors="replace").rstrip("\n"), this=self)
            assert context._service is not None
            context._service.write_output(text, places)
            if any(isinstance(handler, OnProcessIO) for handler in context._handlers):
                context.emit_event_sync(ProcessIO(action=self, text=line, fd=number, **self._details))

    def _send(self, number: int) -> None:
        if self._process is None or self._process.returncode is not None:
            return
        name = signal.Signals(number).name
        logger.info(f"sending signal '{name}' to process[{self._details['name']}]", extra={"as": self._details["name"]})
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _shut_down(self, context: LaunchContext, timeouts: list[float]) -> None:
        if self._shutting_down:
            return
        self._shutting_down = True
        assert context._service is not None
        self._stopping = context._service.start_task(self._escalate(timeouts))

    async def _escalate(self, timeouts: list[float]) -> None:
        process = self._process
        if process is None:
            return
        steps = (("SIGINT", "SIGTERM", timeouts[0]), ("SIGTERM", "SIGKILL", timeouts[1]))
        self._send(signal.SIGINT)
        for sent, following, wait in steps:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(process.wait(), wait)
            if process.returncode is not None:
                return
            logger.error(
                f"process[{self._details['name']}] failed to terminate '{wait}' seconds after receiving "
                f"'{sent}', escalating to '{following}'",
                extra={"as": self._details["name"]},
            )
            self._send(signal.Signals[following])


ExecuteLocal = ExecuteProcess
