"""Events of processes, and those that are meant for them."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rosless.errors import left_out

from launch.core import Event


@dataclass(kw_only=True, eq=False)
class RunningProcessEvent(Event):
    """Something about a process.

    Attributes:
        name: of the process, as it is logged; `process_name` is the same.
    """

    action: Any
    name: str
    cmd: list[str]
    cwd: str | None
    env: dict[str, str]
    pid: int

    @property
    def process_name(self) -> str:
        return self.name


class ProcessStarted(RunningProcessEvent):
    """A process runs."""


@dataclass(kw_only=True, eq=False)
class ProcessExited(RunningProcessEvent):
    """A process ended; its return code is negative after a signal."""

    returncode: int


@dataclass(kw_only=True, eq=False)
class ProcessIO(RunningProcessEvent):
    """A process wrote a line."""

    text: bytes
    from_stdout, from_stderr, from_stdin = False, False, False


class ProcessStdout(ProcessIO):
    """A process wrote to its standard output."""

    from_stdout = True


class ProcessStderr(ProcessIO):
    """A process wrote to its standard error."""

    from_stderr = True


@dataclass(kw_only=True, eq=False)
class ProcessTargetedEvent(Event):
    """Meant for the processes for whose actions the matcher is true."""

    process_matcher: Callable[[Any], bool]


class ShutdownProcess(ProcessTargetedEvent):
    """Ends processes, as the end of the launch would."""


@dataclass(kw_only=True, eq=False)
class SignalProcess(ProcessTargetedEvent):
    """Sends a signal, given by its name or number."""

    signal_number: str | int

    @property
    def signal(self) -> signal.Signals:
        number = self.signal_number
        return signal.Signals[number] if isinstance(number, str) else signal.Signals(number)


def _by_details(fits: Callable[[dict[str, Any]], bool]) -> Callable[[Any], bool]:
    return lambda action: bool(action.process_details) and fits(action.process_details)


def matches_name(name: str) -> Callable[[Any], bool]:
    """A matcher of the process of that name."""
    return _by_details(lambda details: details["name"] == name)


def matches_pid(pid: int) -> Callable[[Any], bool]:
    """A matcher of the process with that id."""
    return _by_details(lambda details: details["pid"] == pid)


def matches_executable(executable: str) -> Callable[[Any], bool]:
    """A matcher of the processes whose program ends with that name."""
    return _by_details(lambda details: details["cmd"][0].endswith(executable))


__getattr__ = left_out(__name__)
