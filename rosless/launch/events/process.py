"""Events of processes."""

from __future__ import annotations

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


__getattr__ = left_out(__name__)
