"""Events of processes."""

from __future__ import annotations

from typing import Any

from launch.core import Event


class RunningProcessEvent(Event):
    """Something about a process."""

    name = "launch.events.process.RunningProcessEvent"

    def __init__(
        self, *, action: Any, name: str, cmd: list[str], cwd: str | None, env: dict[str, str] | None, pid: int
    ) -> None:
        self.action, self.process_name, self.cmd, self.cwd, self.env, self.pid = action, name, cmd, cwd, env, pid


class ProcessStarted(RunningProcessEvent):
    """A process runs."""

    name = "launch.events.process.ProcessStarted"


class ProcessExited(RunningProcessEvent):
    """A process ended."""

    name = "launch.events.process.ProcessExited"

    def __init__(self, *, returncode: int, **details: Any) -> None:
        super().__init__(**details)
        self.returncode = returncode


class ProcessIO(RunningProcessEvent):
    """A process wrote something."""

    name = "launch.events.process.ProcessIO"

    def __init__(self, *, text: bytes, fd: int, **details: Any) -> None:
        super().__init__(**details)
        self.text, self.from_stdout, self.from_stderr, self.from_stdin = text, fd == 1, fd == 2, fd == 0


class SignalProcess(Event):
    """A process is to get a signal."""

    name = "launch.events.process.SignalProcess"

    def __init__(self, *, signal_number: int, process_matcher: Any) -> None:
        self.signal, self.process_matcher = signal_number, process_matcher


class ShutdownProcess(Event):
    """A process is to end."""

    name = "launch.events.process.ShutdownProcess"

    def __init__(self, *, process_matcher: Any) -> None:
        self.process_matcher = process_matcher
