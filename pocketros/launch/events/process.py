"""Events of processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pocketros.errors import left_out

from launch.core import Event


@dataclass(kw_only=True, eq=False)
class RunningProcessEvent(Event):
    """Something about a process, whose name is the one in the log."""

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
    """A process wrote a line, to its standard output or error."""

    text: bytes
    from_stdout: bool

    @property
    def from_stderr(self) -> bool:
        return not self.from_stdout


__getattr__ = left_out(__name__)
