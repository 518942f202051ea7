"""Processes of a launch.

Each runs in a session of its own, so that signals reach it and all its descendants, and it is told to end when the
launching process is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import itertools
import os
import re
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from rosless.errors import refuse

from launch.core import (
    Action,
    Event,
    EventHandler,
    LaunchContext,
    Shutdown,
    SomeSubstitutionsType,
    perform_bool,
    perform_float,
    perform_substitutions,
)
from launch.event_handlers import OnProcessExit
from launch.events import process as events
from launch.logging import logger

PR_SET_PDEATHSIG = 1
# Seconds from SIGINT to SIGTERM, and on to SIGKILL.  SIGTERM comes early: it does not disturb a node that is about to
# end, and it ends one that is still importing, which would see SIGINT only after the library it loads (torch: seconds).
TIMEOUTS = {"sigterm_timeout": "1.5", "sigkill_timeout": "5"}
PREFIX, PREFIX_FILTER = "launch-prefix", "launch-prefix-filter"
SETTINGS = (*TIMEOUTS, "emulate_tty", PREFIX, PREFIX_FILTER)  # launch configurations that mean something here
LONGEST_LINE, MOST_READS = 2**20, 32
OUTPUTS = ("screen", "log", "both", "own_log", "full")

_numbers = itertools.count(1)


def _end_with_parent() -> Callable[[], None] | None:
    """What a child does before it runs: ask the kernel for SIGTERM when the launching thread ends."""
    if not sys.platform.startswith("linux") or threading.current_thread() is not threading.main_thread():
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(PR_SET_PDEATHSIG, signal.SIGTERM) and None


class Output:
    """The launch's end of what a process writes, handed on line by line.

    Args:
        heard: gets the lines.
        terminal: whether the process is to take it for a terminal.

    Attributes:
        end: the file descriptor for the process.
    """

    def __init__(self, heard: Callable[[bytes], None], terminal: bool) -> None:
        self._heard, self._rest = heard, b""
        self._file, self.end = os.openpty() if terminal else os.pipe()
        os.set_blocking(self._file, False)

    def listen(self) -> None:
        asyncio.get_running_loop().add_reader(self._file, self._read)

    def _read(self) -> bool:
        try:
            data = os.read(self._file, 2**16)
        except BlockingIOError:
            return False
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LONGEST_LINE:
            lines, self._rest = [*lines, self._rest], b""
        for line in lines:
            self._heard(line)
        return True

    def close(self) -> None:
        """Hand on what is there, and listen no longer, though descendants of the process may go on writing."""
        for _ in range(MOST_READS):
            if not self._read():
                break
        if self._rest:
            self._heard(self._rest)
        asyncio.get_running_loop().remove_reader(self._file)
        os.close(self._file)
        os.close(self.end)


class ExecuteProcess(Action):
    """Runs a program.

    Args:
        cmd: the program and its arguments; `prefix` is put before them.
        shell: whether a shell is to read the command.
        name: shown in the log, followed by a number.
        output: "screen", "log", "both", or a dictionary of these for "stdout" and "stderr".
        emulate_tty: whether the program is to take its outputs for terminals.
        env, additional_env: the whole environment, or variables to add.
        respawn, respawn_delay, respawn_max_retries: whether to run it again when it ends, after so many seconds, how
            many times at most (-1: any number).
        on_exit: entities to visit when it ends.
        sigterm_timeout, sigkill_timeout: seconds from SIGINT to SIGTERM, and on to SIGKILL.

    Attributes:
        process_details: `name`, `cmd`, `cwd`, `env` and `pid` of what runs.
        return_code: None while it runs.
    """

    def __init__(
        self,
        *,
        cmd: Iterable[SomeSubstitutionsType] = (),
        prefix: SomeSubstitutionsType | None = None,
        shell: bool = False,
        name: SomeSubstitutionsType | None = None,
        cwd: SomeSubstitutionsType | None = None,
        env: dict[Any, Any] | None = None,
        additional_env: dict[Any, Any] | None = None,
        output: Any = "log",
        emulate_tty: bool | SomeSubstitutionsType = False,
        sigterm_timeout: Any = None,
        sigkill_timeout: Any = None,
        respawn: bool | SomeSubstitutionsType = False,
        respawn_delay: float | None = None,
        respawn_max_retries: int = -1,
        on_exit: Any = None,
        condition: Any = None,
        **others: Any,
    ) -> None:
        super().__init__(condition=condition)
        refuse(**others)
        self._cmd, self._prefix, self._shell, self._label, self._cwd = list(cmd), prefix, shell, name, cwd
        self._env, self._additional_env = env, additional_env or {}
        self._output, self._emulate_tty = os.environ.get("OVERRIDE_LAUNCH_PROCESS_OUTPUT", output), emulate_tty
        self._timeouts = dict(zip(TIMEOUTS, (sigterm_timeout, sigkill_timeout), strict=True))
        self._respawn, self._delay, self._retries = respawn, respawn_delay or 0.0, respawn_max_retries
        self._on_exit = on_exit
        self._pid: int | None = None
        self._ending = asyncio.Event()
        self.process_details: dict[str, Any] = {}
        self.return_code: int | None = None

    def _command(self, context: LaunchContext) -> list[str]:
        """The words of the command, without a prefix."""
        return [perform_substitutions(context, part) for part in self._cmd]

    def _prefix_words(self, context: LaunchContext, executable: str) -> list[str]:
        if self._prefix is not None:
            return shlex.split(perform_substitutions(context, self._prefix))
        pattern = context.launch_configurations.get(PREFIX_FILTER)
        fits = pattern is None or re.match(pattern, os.path.basename(executable))
        return shlex.split(context.launch_configurations.get(PREFIX, "")) if fits else []

    def _places(self, context: LaunchContext) -> dict[str, set[str]]:
        """Where stdout and stderr go: "screen", "log"."""
        if isinstance(self._output, dict):
            wanted = {stream: self._output.get(stream, "log") for stream in ("stdout", "stderr")}
        else:
            text = perform_substitutions(context, self._output)
            wanted = {"stdout": text, "stderr": "both" if text == "log" else text}
        if unknown := set(wanted.values()) - set(OUTPUTS):
            raise ValueError(f"output is '{unknown.pop()}'; expected one of {', '.join(OUTPUTS)}")
        return {stream: {"log", "screen"} if "log" not in text else {"log"} for stream, text in wanted.items()}

    def execute(self, context: LaunchContext) -> None:
        def performed(given: dict[Any, Any]) -> dict[str, str]:
            return {perform_substitutions(context, k): perform_substitutions(context, v) for k, v in given.items()}

        if self.task is not None:
            raise RuntimeError(f"process '{self.process_details['name']}' executed more than once")
        words = self._command(context)
        label = os.path.basename(words[0]) if self._label is None else perform_substitutions(context, self._label)
        command = self._prefix_words(context, words[0]) + words
        self.process_details = {
            "name": f"{label}-{next(_numbers)}",
            "cmd": ["/bin/sh", "-c", " ".join(command)] if self._shell else command,
            "cwd": None if self._cwd is None else perform_substitutions(context, self._cwd),
            "env": (dict(context.environment) if self._env is None else performed(self._env))
            | performed(self._additional_env),
            "pid": 0,
        }
        settings = context.launch_configurations
        waits = [
            perform_float(context, settings.get(name, TIMEOUTS[name]) if given is None else given)
            for name, given in self._timeouts.items()
        ]
        terminal = perform_bool(context, settings.get("emulate_tty", self._emulate_tty))
        live = partial(self._live, context, self._places(context), terminal, waits)
        lives = self._retries + 1 if perform_bool(context, self._respawn) else 1
        handlers = [
            EventHandler(matcher=self._concerns, entities=self._react),
            OnProcessExit(target_action=self, on_exit=self._on_exit),
        ]
        for handler in handlers:
            context.register_event_handler(handler)
        self.task = context.service.start(self._run(context, live, lives, handlers), lasting=True)

    def _concerns(self, event: Event) -> bool:
        targeted = isinstance(event, events.ProcessTargetedEvent)
        return event.process_matcher(self) if targeted else isinstance(event, Shutdown)  # type: ignore[attr-defined]

    def _react(self, event: Event, context: LaunchContext) -> None:
        if isinstance(event, events.SignalProcess):
            self._send(event.signal)
        else:
            self._ending.set()

    async def _run(self, context: LaunchContext, live: Callable[[], Any], lives: int, handlers: list[Any]) -> None:
        for life in itertools.count(1):
            await live()
            if self._ending.is_set() or context.is_shutdown or life == lives:
                break
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._ending.wait(), self._delay)
        for handler in handlers:
            # After the event of its exit, which is still queued
            context.service.call_soon(partial(context.unregister_event_handler, handler))

    async def _live(
        self, context: LaunchContext, places: dict[str, set[str]], terminal: bool, waits: list[float]
    ) -> None:
        """Run the process once."""
        if self._ending.is_set() or context.is_shutdown:
            return
        details = self.process_details
        hear = {stream: partial(self._heard, context, stream, place) for stream, place in places.items()}
        outputs = {stream: Output(heard, terminal) for stream, heard in hear.items()}
        try:
            process = await asyncio.create_subprocess_exec(
                *details["cmd"],
                cwd=details["cwd"],
                env=details["env"],
                start_new_session=True,
                stdin=asyncio.subprocess.DEVNULL,
                preexec_fn=_end_with_parent(),
                stdout=outputs["stdout"].end,
                stderr=outputs["stderr"].end,
            )
        except OSError as error:
            self._log(logger.error, f"exception occurred while executing process: {error}")
            code = 1
        else:
            self._pid = details["pid"] = process.pid
            self._log(logger.info, f"process started with pid [{process.pid}]")
            context.emit_event_sync(events.ProcessStarted(action=self, **details))
            for output in outputs.values():
                output.listen()
            with context.service.group(process.pid):
                code = await self._await_end(asyncio.ensure_future(process.wait()), waits)
        finally:
            self._pid = None
            for output in outputs.values():
                output.close()
        self.return_code = code
        if code == 0:
            self._log(logger.info, f"process has finished cleanly [pid {details['pid']}]")
        elif details["pid"]:
            died = f"process has died [pid {details['pid']}, exit code {code}, cmd '{' '.join(details['cmd'])}']."
            self._log(logger.error, died)
        context.emit_event_sync(events.ProcessExited(action=self, returncode=code, **details))

    async def _await_end(self, exited: asyncio.Future[Any], waits: list[float]) -> int:
        """The return code of the process, which is made to end when it is told to."""
        told: asyncio.Future[Any] = asyncio.ensure_future(self._ending.wait())
        await asyncio.wait([exited, told], return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        signals = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
        for number, following, wait in zip(signals, (*signals[1:], None), (*waits, None), strict=True):
            if exited.done():
                break
            self._send(number)
            await asyncio.wait([exited], timeout=wait)
            if not exited.done() and following is not None:
                late = f"failed to terminate '{wait}' seconds after receiving '{number.name}'"
                name = self.process_details["name"]
                self._log(logger.error, f"process[{name}] {late}, escalating to '{following.name}'")
        return int(await exited)

    def _send(self, number: signal.Signals) -> None:
        if self._pid is not None:
            name = self.process_details["name"]
            self._log(logger.info, f"sending signal '{number.name}' to process[{name}]")
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._pid, number)

    def _log(self, write: Callable[..., None], text: str) -> None:
        write(text, extra={"as": self.process_details["name"]})

    def _heard(self, context: LaunchContext, stream: str, places: set[str], line: bytes) -> None:
        name, text = self.process_details["name"], line.decode(errors="replace").rstrip("\r")
        context.service.write_output(f"[{name}] {text}", places)
        kind = events.ProcessStdout if stream == "stdout" else events.ProcessStderr
        event = kind(action=self, text=line + b"\n", **self.process_details)
        if context.would_handle_event(event):
            context.emit_event_sync(event)
