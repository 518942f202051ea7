"""Processes of a launch.

Each runs in a session of its own, so that signals reach it and all its descendants, and it dies with the launch.
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
from functools import partial
from typing import Any

from rosless.errors import refuse

from launch.conditions import evaluate_condition_expression
from launch.core import Action, Event, EventHandler, LaunchContext, SomeSubstitutionsType, logger, perform_substitutions
from launch.event_handlers import OnProcessExit, OnShutdown
from launch.events.process import ProcessExited, ProcessStarted

PR_SET_PDEATHSIG = 1
TIMEOUTS = {"sigterm_timeout": "1.2", "sigkill_timeout": "0.8"}  # seconds from SIGINT to SIGTERM, on to SIGKILL
LONGEST_LINE = 2**20
PIPES_OPEN = 0.5  # seconds that a descendant may hold the pipes of a process that ended
OUTPUTS = ("screen", "log", "both", "own_log", "full")

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
        cmd: Iterable[SomeSubstitutionsType] = (),
        name: SomeSubstitutionsType | None = None,
        cwd: SomeSubstitutionsType | None = None,
        env: dict[Any, Any] | None = None,
        additional_env: dict[Any, Any] | None = None,
        output: Any = "log",
        sigterm_timeout: Any = None,
        sigkill_timeout: Any = None,
        respawn: bool | SomeSubstitutionsType = False,
        respawn_delay: float | None = None,
        on_exit: Any = None,
        condition: Any = None,
        **others: Any,
    ) -> None:
        super().__init__(condition=condition)
        refuse(**others)
        self._cmd, self._label, self._cwd = list(cmd), name, cwd
        self._env, self._additional_env, self._output = env, additional_env or {}, output
        self._timeouts = dict(zip(TIMEOUTS, (sigterm_timeout, sigkill_timeout), strict=True))
        self._respawn, self._delay = respawn, respawn_delay
        self._on_exit = on_exit
        self._process: asyncio.subprocess.Process | None = None
        self._ending = False
        self.process_details: dict[str, Any] = {}
        self.return_code: int | None = None

    def _command(self, context: LaunchContext) -> list[str]:
        return [perform_substitutions(context, part) for part in self._cmd]

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

    def _seconds(self, context: LaunchContext, name: str) -> float:
        given = self._timeouts[name]
        given = context.launch_configurations.get(name, TIMEOUTS[name]) if given is None else given
        return float(given if isinstance(given, int | float) else perform_substitutions(context, given))

    def execute(self, context: LaunchContext) -> None:
        def performed(given: dict[Any, Any]) -> dict[str, str]:
            return {perform_substitutions(context, k): perform_substitutions(context, v) for k, v in given.items()}

        words, steps = self._command(context), [self._seconds(context, name) for name in TIMEOUTS]
        label = os.path.basename(words[0]) if self._label is None else perform_substitutions(context, self._label)
        base = context.environment if self._env is None else performed(self._env)
        cwd = None if self._cwd is None else perform_substitutions(context, self._cwd)
        self.process_details = {"process_name": f"{label}-{next(_numbers)}", "cmd": words, "cwd": cwd, "pid": 0}
        self.process_details["env"] = {**base, **performed(self._additional_env)}
        respawn = self._respawn
        respawn = respawn if isinstance(respawn, bool) else evaluate_condition_expression(context, respawn)

        def end(event: Event, inner: LaunchContext) -> None:
            if not self._ending:
                self._ending = True
                context.service.start(self._escalate(steps))

        handlers: list[EventHandler] = [
            OnShutdown(on_shutdown=end),
            OnProcessExit(target_action=self, on_exit=self._on_exit),
        ]
        for handler in handlers:
            context.register_event_handler(handler)
        context.service.start(self._run(context, self._places(context), respawn, handlers), lasting=True)

    async def _run(
        self, context: LaunchContext, places: dict[str, set[str]], respawn: bool, handlers: list[EventHandler]
    ) -> None:
        await self._live(context, places)
        while respawn and not self._ending and not context.is_shutdown:
            await asyncio.sleep(self._delay or 0.0)
            await self._live(context, places)
        for handler in handlers:
            # After the event of its exit, which is still queued
            context.service.call_soon(partial(context.unregister_event_handler, handler))

    async def _live(self, context: LaunchContext, places: dict[str, set[str]]) -> None:
        if context.is_shutdown:
            return
        details = self.process_details
        log = partial(self._log, logger.info)
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
            self._log(logger.error, f"exception occurred while executing process: {error}")
            self._ended(context, 1)
            return
        self._process, details["pid"] = process, process.pid
        context.service.process_groups.add(process.pid)
        log(f"process started with pid [{process.pid}]")
        context.emit_event_sync(ProcessStarted(action=self, **details))
        if self._ending or context.is_shutdown:
            self._send(signal.SIGINT)
        streams = {"stdout": process.stdout, "stderr": process.stderr}
        readers = [asyncio.ensure_future(self._read(context, pipe, places[stream])) for stream, pipe in streams.items()]
        code = await process.wait()
        # A descendant may hold the pipes open: what the process itself wrote is there already
        await asyncio.wait(readers, timeout=PIPES_OPEN)
        for reader in readers:
            reader.cancel()
        if code == 0:
            log(f"process has finished cleanly [pid {process.pid}]")
        else:
            died = f"process has died [pid {process.pid}, exit code {code}, cmd '{' '.join(details['cmd'])}']."
            self._log(logger.error, died)
        self._ended(context, code)

    def _log(self, write: Callable[..., None], text: str) -> None:
        write(text, extra={"as": self.process_details["process_name"]})

    def _ended(self, context: LaunchContext, code: int) -> None:
        self._process, self.return_code = None, code
        context.emit_event_sync(ProcessExited(action=self, returncode=code, **self.process_details))

    async def _read(self, context: LaunchContext, pipe: Any, places: set[str]) -> None:
        name = self.process_details["process_name"]
        while True:
            try:
                line = await pipe.readline()
            except ValueError:
                line = await pipe.read(LONGEST_LINE)
            if not line:
                return
            context.service.write_output(f"[{name}] {line.decode(errors='replace').rstrip(chr(10))}", places)

    def _send(self, number: int) -> None:
        if self._process is not None and self._process.returncode is None:
            name = self.process_details["process_name"]
            self._log(logger.info, f"sending signal '{signal.Signals(number).name}' to process[{name}]")
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    async def _escalate(self, waits: list[float]) -> None:
        if (process := self._process) is None:
            return
        self._send(signal.SIGINT)
        signals = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
        for sent, following, wait in zip(signals, signals[1:], waits, strict=False):
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(process.wait(), wait)
            if process.returncode is not None:
                return
            late = f"failed to terminate '{wait}' seconds after receiving '{sent.name}'"
            self._log(logger.error, f"{late}, escalating to '{following.name}'")
            self._send(following)
