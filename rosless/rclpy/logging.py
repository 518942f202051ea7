"""Loggers in the manner of rcutils: to stderr, and to /rosout for nodes."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from types import FrameType
from typing import Any, TextIO


class LoggingSeverity(IntEnum):
    """Levels of severity."""

    UNSET = 0
    DEBUG = 10
    INFO = 20
    WARN = 30
    ERROR = 40
    FATAL = 50


COLORS = {
    LoggingSeverity.DEBUG: "\033[32m",
    LoggingSeverity.INFO: "",
    LoggingSeverity.WARN: "\033[33m",
    LoggingSeverity.ERROR: "\033[31m",
    LoggingSeverity.FATAL: "\033[31m",
}
DEFAULT_FORMAT = "[{severity}] [{time}] [{name}]: {message}"

_levels: dict[str, LoggingSeverity] = {"": LoggingSeverity.INFO}
_handlers: dict[str, Callable[[LoggingSeverity, str, str, FrameType | None], None]] = {}
_own_file = __file__


def get_logging_severity_from_string(log_severity: str) -> LoggingSeverity:
    """The severity of a name, in any case.

    Raises:
        RuntimeError: no such severity.
    """
    try:
        return LoggingSeverity[log_severity.upper()]
    except KeyError:
        names = ", ".join(severity.name for severity in LoggingSeverity)
        raise RuntimeError(f"'{log_severity}' is not a log level; expected one of {names}") from None


def get_logger(name: str) -> RcutilsLogger:
    """The logger of a name."""
    if not name:
        raise ValueError("Logger name must not be empty.")
    return RcutilsLogger(name)


def set_logger_level(name: str, level: int, detailed_error: bool = False) -> None:
    """Set the level of the logger of a name; "" is the root."""
    _levels[name] = LoggingSeverity(level)


def get_logger_level(name: str) -> LoggingSeverity:
    """The level that was set for a name, UNSET if none was."""
    return _levels.get(name, LoggingSeverity.UNSET)


def get_logger_effective_level(name: str) -> LoggingSeverity:
    """The level of a name, or of its nearest ancestor that has one."""
    while name:
        if level := _levels.get(name):
            return level
        name = name.rpartition(".")[0]
    return _levels[""] or LoggingSeverity.INFO


def get_logging_directory() -> Path:
    """Where ROS keeps logs."""
    home = Path(os.environ.get("ROS_HOME", "~/.ros"))
    return Path(os.environ.get("ROS_LOG_DIR") or home / "log").expanduser()


def _stream() -> TextIO:
    return sys.stdout if os.environ.get("RCUTILS_LOGGING_USE_STDOUT") == "1" else sys.stderr


def _write(severity: LoggingSeverity, name: str, message: str, frame: FrameType | None) -> None:
    stream = _stream()
    text = os.environ.get("RCUTILS_CONSOLE_OUTPUT_FORMAT", DEFAULT_FORMAT)
    now = time.time_ns()
    values = {
        "severity": severity.name,
        "name": name,
        "message": message,
        "time": f"{now // 10**9}.{now % 10**9:09d}",
        "time_as_nanoseconds": str(now),
        "function_name": frame.f_code.co_name if frame else "",
        "line_number": str(frame.f_lineno) if frame else "",
        "file_name": frame.f_code.co_filename if frame else "",
    }
    for key, value in values.items():
        text = text.replace("{" + key + "}", value)
    wish = os.environ.get("RCUTILS_COLORIZED_OUTPUT")
    if (wish == "1" or (wish is None and stream.isatty())) and COLORS[severity]:
        text = f"{COLORS[severity]}{text}\033[0m"
    try:
        stream.write(text + "\n")
        stream.flush()
    except (BrokenPipeError, ValueError):
        return  # whoever read the log is gone: nothing left to tell


class RcutilsLogger:
    """Logs messages under a name, each call with optional filters."""

    _states: dict[tuple[str, int, str], dict[str, float]] = {}  # noqa: RUF012 - filters belong to lines of code

    def __init__(self, name: str = "") -> None:
        self.name = name

    def get_child(self, name: str) -> RcutilsLogger:
        """The logger `<own name>.<name>`."""
        if not name:
            raise ValueError("Child logger name must not be empty.")
        return RcutilsLogger(f"{self.name}.{name}" if self.name else name)

    def set_level(self, level: int) -> None:
        set_logger_level(self.name, level)

    def get_effective_level(self) -> LoggingSeverity:
        return get_logger_effective_level(self.name)

    def is_enabled_for(self, severity: int) -> bool:
        return severity >= self.get_effective_level()

    def log(
        self,
        message: str,
        severity: int,
        *,
        name: str | None = None,
        once: bool = False,
        skip_first: bool = False,
        throttle_duration_sec: float | None = None,
        throttle_time_source_type: Any = None,
    ) -> bool:
        """Log, unless the level or a filter holds it back; whether it was logged.

        Args:
            once: only the first call of this line of code.
            skip_first: not the first call of this line of code.
            throttle_duration_sec: at most one call of this line of code in so many seconds.
            throttle_time_source_type: the clock of the throttle (default: steady).

        Raises:
            TypeError: the message is no string.
        """
        severity = LoggingSeverity(severity)
        if not isinstance(message, str):
            message = str(message)
        if not self.is_enabled_for(severity):
            return False
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and frame.f_code.co_filename == _own_file:
            frame = frame.f_back
        if frame is not None and (once or skip_first or throttle_duration_sec is not None):
            key = (frame.f_code.co_filename, frame.f_lineno, self.name)
            if not self._passes(
                self._states.setdefault(key, {}), once, skip_first, throttle_duration_sec, throttle_time_source_type
            ):
                return False
        _write(severity, name or self.name, message, frame)
        base = self.name
        while base:
            if handler := _handlers.get(base):
                handler(severity, self.name, message, frame)
                break
            base = base.rpartition(".")[0]
        return True

    @staticmethod
    def _passes(state: dict[str, float], once: bool, skip_first: bool, throttle: float | None, clock: Any) -> bool:
        calls = state["calls"] = state.get("calls", 0) + 1
        if skip_first and calls == 1:
            return False
        if once and state.get("logged"):
            return False
        now = clock.now().nanoseconds / 1e9 if hasattr(clock, "now") else time.monotonic()
        if throttle is not None and "logged_at" in state and now - state["logged_at"] < throttle:
            return False
        state["logged"], state["logged_at"] = 1, now
        return True

    def debug(self, message: str, **filters: Any) -> bool:
        return self.log(message, LoggingSeverity.DEBUG, **filters)

    def info(self, message: str, **filters: Any) -> bool:
        return self.log(message, LoggingSeverity.INFO, **filters)

    def warning(self, message: str, **filters: Any) -> bool:
        return self.log(message, LoggingSeverity.WARN, **filters)

    warn = warning

    def error(self, message: str, **filters: Any) -> bool:
        return self.log(message, LoggingSeverity.ERROR, **filters)

    def fatal(self, message: str, **filters: Any) -> bool:
        return self.log(message, LoggingSeverity.FATAL, **filters)
