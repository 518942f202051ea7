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
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from launch.core import Action, EventHandler, LaunchContext, perform_bool, perform_float
from launch.core import SomeSubstitutionsType as Text
from launch.core import perform_substitutions as perform
from launch.events.process import ProcessExited, ProcessIO, ProcessStarted
from launch.logging import logger

PR_SET_PDEATHSIG = 1
# Seconds from SIGINT to SIGTERM, and on to SIGKILL.  SIGTERM comes early: it does not disturb a node that is about to
# end, and it ends one that is still importing, which would see SIGINT only after the library it loads (torch: seconds).
TIMEOUTS = {"sigterm_timeout": "1.5", "sigkill_timeout": "5"}
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
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
    """The launch's end of a pipe, or of a terminal, whose other `end` is a process; hands lines on."""

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
        any(not self._read() for _ in range(MOST_READS))
        if self._rest:
            self._heard(self._rest)
        asyncio.get_running_loop().remove_reader(self._file)
        os.close(self._file)
        os.close(self.end)


@dataclass(eq=False, kw_only=True)
class ExecuteProcess(Action):
    """Runs a program.

    Args:
        cmd: the program and its arguments.
        name: shown in the log, followed by a number.
        output: "screen", "log", "both", or a dictionary of these for "stdout" and "stderr".
        emulate_tty: whether the program is to take its outputs for terminals.
        env, additional_env: the whole environment, or variables to add.
        respawn, respawn_delay: whether to run it again when it ends, after so many seconds.
        on_exit: entities to visit when it ends.
        sigterm_timeout, sigkill_timeout: seconds from SIGINT to SIGTERM, and on to SIGKILL.

    Attributes:
        process_details: `name`, `cmd`, `cwd`, `env` and `pid` of what runs.
        return_code: None before it ends.
    """

    cmd: Iterable[Text] = ()
    name: Text | None = None
    cwd: Text | None = None
    env: dict[Any, Any] | None = None
    additional_env: dict[Any, Any] | None = None
    output: Any = "log"
    emulate_tty: bool | Text = False
    respawn: bool | Text = False
    respawn_delay: float | None = None
    on_exit: Any = None
    sigterm_timeout: Any = None
    sigkill_timeout: Any = None
    process_details: dict[str, Any] = field(default_factory=dict, init=False, repr=False)
    return_code: int | None = field(default=None, init=False, repr=False)

    def _command(self, context: LaunchContext) -> list[str]:
        return [perform(context, part) for part in self.cmd]

    def _label(self) -> Text | None:
        """What the process is called in the log; None for the name of the program."""
        return self.name

    def _places(self, context: LaunchContext) -> dict[str, set[str]]:
        """Where stdout and stderr go: "screen", "log"."""
        if isinstance(self.output, dict):
            wanted = {stream: self.output.get(stream, "log") for stream in ("stdout", "stderr")}
        else:
            text = perform(context, self.output)
            wanted = {"stdout": text, "stderr": "both" if text == "log" else text}
        if unknown := set(wanted.values()) - set(OUTPUTS):
            raise ValueError(f"output is '{unknown.pop()}'; expected one of {', '.join(OUTPUTS)}")
        return {stream: {"log", "screen"} if "log" not in text else {"log"} for stream, text in wanted.items()}

    def execute(self, context: LaunchContext) -> None:
        def performed(given: dict[Any, Any]) -> dict[str, str]:
            return {perform(context, name): perform(context, value) for name, value in given.items()}

        words, label = self._command(context), self._label()
        label = os.path.basename(words[0]) if label is None else perform(context, label)
        environment = dict(context.environment) if self.env is None else performed(self.env)
        self.process_details = {
            "name": f"{label}-{next(_numbers)}",
            "cmd": words,
            "cwd": None if self.cwd is None else perform(context, self.cwd),
            "env": environment | performed(self.additional_env or {}),
            "pid": 0,
        }
        settings, given = context.launch_configurations, (self.sigterm_timeout, self.sigkill_timeout)
        waits = [
            perform_float(context, settings.get(name, default) if wait is None else wait)
            for (name, default), wait in zip(TIMEOUTS.items(), given, strict=True)
        ]
        live = partial(self._live, context, self._places(context), perform_bool(context, self.emulate_tty), waits)
        self.task = context.service.start(self._run(context, live, perform_bool(context, self.respawn)), lasting=True)

    async def _run(self, context: LaunchContext, live: Callable[[], Any], respawn: bool) -> None:
        while await live() and respawn:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(context.service.ending.wait(), self.respawn_delay or 0.0)

    async def _live(
        self, context: LaunchContext, places: dict[str, set[str]], terminal: bool, waits: list[float]
    ) -> bool:
        """Run the process once; False if it could not be started, or is not to be any more."""
        if context.is_shutdown:
            return False
        details = self.process_details
        hear = {stream: partial(self._heard, context, stream, place) for stream, place in places.items()}
        outputs = {stream: Output(heard, terminal) for stream, heard in hear.items()}
        try:
            process = await asyncio.create_subprocess_exec(
                *details["cmd"],
                cwd=details["cwd"],
                env=details["env"],
                start_new_session=True,
                preexec_fn=_end_with_parent(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=outputs["stdout"].end,
                stderr=outputs["stderr"].end,
            )
            details["pid"] = process.pid
            self._log(logger.info, f"process started with pid [{process.pid}]")
            context.emit_event_sync(ProcessStarted(action=self, **details))
            for output in outputs.values():
                output.listen()
            code = await self._await_end(context, process, waits)
        except OSError as error:
            self._log(logger.error, f"exception occurred while executing process: {error}")
            code = 1
        finally:
            for output in outputs.values():
                output.close()
        self.return_code = code
        if code == 0:
            write = logger.debug if context.is_shutdown else logger.info  # then all do, and who does not is told
            self._log(write, f"process has finished cleanly [pid {details['pid']}]")
        else:
            died = f"process has died [pid {details['pid']}, exit code {code}, cmd '{' '.join(details['cmd'])}']."
            self._log(logger.error, died)
        exited = ProcessExited(action=self, returncode=code, **details)
        on_exit = EventHandler(matcher=lambda event: event is exited, entities=self.on_exit, handle_once=True)
        context.register_event_handler(on_exit)
        context.emit_event_sync(exited)
        return details["pid"] != 0

    async def _await_end(self, context: LaunchContext, process: asyncio.subprocess.Process, waits: list[float]) -> int:
        """The return code of the process, which is made to end with the launch."""
        context.service.groups.add(process.pid)
        exited: asyncio.Future[Any] = asyncio.ensure_future(process.wait())
        ending: asyncio.Future[Any] = asyncio.ensure_future(context.service.ending.wait())
        await asyncio.wait([exited, ending], return_when=asyncio.FIRST_COMPLETED)
        ending.cancel()
        name, patience = self.process_details["name"], dict(zip(SIGNALS, (*waits, None), strict=True))
        for number, following in zip(SIGNALS, (*SIGNALS[1:], SIGNALS[-1]), strict=True):
            if exited.done():
                break
            # That each gets the first one is no news; that one needs another is.
            self._log(
                logger.debug if number is SIGNALS[0] else logger.info,
                f"sending signal '{number.name}' to process[{name}]",
            )
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            await asyncio.wait([exited], timeout=patience[number])
            if not exited.done():
                late = f"failed to terminate '{patience[number]}' seconds after receiving '{number.name}'"
                self._log(logger.error, f"process[{name}] {late}, escalating to '{following.name}'")
        context.service.signal_groups(0)
        return int(await exited)

    def _log(self, write: Callable[..., None], text: str) -> None:
        write(text, extra={"as": self.process_details["name"]})

    def _heard(self, context: LaunchContext, stream: str, places: set[str], line: bytes) -> None:
        name, text = self.process_details["name"], line.decode(errors="replace").rstrip("\r")
        context.service.write_output(f"[{name}] {text}", places)
        event = ProcessIO(action=self, text=line + b"\n", from_stdout=stream == "stdout", **self.process_details)
        if context.would_handle_event(event):
            context.emit_event_sync(event)
