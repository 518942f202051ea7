"""Events of processes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rosless.errors import left_out

from launch.core import Event


@dataclass(kw_only=True, eq=False)
class RunningProcessEvent(Event):
    """Something about a process."""

    action: Any
    process_name: str
    cmd: list[str]
    cwd: str | None
    env: dict[str, str]
    pid: int


class ProcessStarted(RunningProcessEvent):
    """A process runs."""


@dataclass(kw_only=True, eq=False)
class ProcessExited(RunningProcessEvent):
    """A process ended."""

    returncode: int


@dataclass(kw_only=True, eq=False)
class ProcessIO(RunningProcessEvent):
    """A process wrote something."""

    text: bytes
    from_stdout: bool


@dataclass(kw_only=True, eq=False)
class ShutdownProcess(Event):
    """A process is to end."""

    process_matcher: Callable[[Any], bool]


@dataclass(kw_only=True, eq=False)
class SignalProcess(ShutdownProcess):
    """A process is to get a signal."""

    signal_number: int


__getattr__ = left_out(__name__)
