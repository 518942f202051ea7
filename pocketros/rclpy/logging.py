"""Loggers in the manner of rcutils: to stderr, and to /rosout for nodes."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from types import FrameType
from typing import Any


class LoggingSeverity(IntEnum):
    """Levels of severity."""

    UNSET, DEBUG, INFO, WARN, ERROR, FATAL = range(0, 60, 10)


COLORS = {"DEBUG": "\033[32m", "WARN": "\033[33m", "ERROR": "\033[31m", "FATAL": "\033[31m"}
DEFAULT_FORMAT = "[{severity}] [{time}] [{name}]: {message}"

_levels: dict[str, LoggingSeverity] = {"": LoggingSeverity.INFO}
_handlers: dict[str, Callable[[LoggingSeverity, str, str, FrameType], None]] = {}


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


def get_logger_effective_level(name: str) -> LoggingSeverity:
    """The level of a name, or of its nearest ancestor that has one."""
    while name and not _levels.get(name):
        name = name.rpartition(".")[0]
    return _levels.get(name) or LoggingSeverity.INFO


def get_logging_directory() -> Path:
    """Where ROS keeps logs."""
    home = Path(os.environ.get("ROS_HOME", "~/.ros"))
    return Path(os.environ.get("ROS_LOG_DIR") or home / "log").expanduser()


@dataclass
class _Call:
    """One place in the code that logs; its severity and filters never change."""

    severity: LoggingSeverity
    filters: tuple[bool, bool, float | None, Any]
    passed: int = 0
    passed_at: float = -math.inf

    def passes(self) -> bool:
        once, skip_first, throttle, clock = self.filters
        if throttle:
            now = (clock.now().nanoseconds if clock is not None else time.monotonic_ns()) / 1e9
            if now < self.passed_at + throttle:
                return False
            self.passed_at = now
        self.passed += 1
        return not (skip_first and self.passed == 1) and not (once and self.passed > 1 + skip_first)


class RcutilsLogger:
    """Logs messages under a name, each call with optional filters."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        self._calls: dict[tuple[str, str, int, int], _Call] = {}

    def get_child(self, name: str) -> RcutilsLogger:
        """The logger `<own name>.<name>`."""
        return get_logger(f"{self.name}.{name}" if name else "")

    def set_level(self, level: int) -> None:
        set_logger_level(self.name, level)

    def get_effective_level(self) -> LoggingSeverity:
        return get_logger_effective_level(self.name)

    def is_enabled_for(self, severity: int) -> bool:
        return severity >= self.get_effective_level()

    def log(
        self,
        message: object,
        severity: int,
        *,
        once: bool = False,
        skip_first: bool = False,
        throttle_duration_sec: float | None = None,
        throttle_time_source_type: Any = None,
    ) -> bool:
        """Log, unless the level or a filter holds it back; whether it was logged.

        Args:
            once: only the first call of this place in the code.
            skip_first: not the first one.
            throttle_duration_sec: at most one in so many seconds.
            throttle_time_source_type: the clock of the throttle (default: steady).

        Raises:
            ValueError: the same place logged with another severity or other filters before.
        """
        severity = LoggingSeverity(severity)
        if not self.is_enabled_for(severity):
            return False
        frame = sys._getframe(1)
        while frame.f_back is not None and frame.f_code.co_filename == __file__:
            frame = frame.f_back
        place = (frame.f_code.co_filename, frame.f_code.co_name, frame.f_lineno, frame.f_lasti)
        filters = (once, skip_first, throttle_duration_sec, throttle_time_source_type)
        call = self._calls.setdefault(place, _Call(severity, filters))
        if call.severity != severity:
            raise ValueError("Logger severity cannot be changed between calls.")
        if call.filters != filters:
            raise ValueError("Requested logging filters cannot be changed between calls.")
        if not call.passes():
            return False
        _write(severity, self.name, str(message), frame)
        base = self.name
        while base and base not in _handlers:
            base = base.rpartition(".")[0]
        if handler := _handlers.get(base):
            handler(severity, self.name, str(message), frame)
        return True

    def debug(self, message: object, **filters: Any) -> bool:
        return self.log(message, LoggingSeverity.DEBUG, **filters)

    def info(self, message: object, **filters: Any) -> bool:
        return self.log(message, LoggingSeverity.INFO, **filters)

    def warning(self, message: object, **filters: Any) -> bool:
        return self.log(message, LoggingSeverity.WARN, **filters)

    warn = warning

    def error(self, message: object, **filters: Any) -> bool:
        return self.log(message, LoggingSeverity.ERROR, **filters)

    def fatal(self, message: object, **filters: Any) -> bool:
        return self.log(message, LoggingSeverity.FATAL, **filters)


def _write(severity: LoggingSeverity, name: str, message: str, frame: FrameType) -> None:
    now = time.time_ns()
    values = {
        "severity": severity.name,
        "name": name,
        "time": f"{now // 10**9}.{now % 10**9:09d}",
        "time_as_nanoseconds": str(now),
        "function_name": frame.f_code.co_name,
        "line_number": str(frame.f_lineno),
        "file_name": frame.f_code.co_filename,
        "message": message,
    }
    text = os.environ.get("RCUTILS_CONSOLE_OUTPUT_FORMAT", DEFAULT_FORMAT)
    for key, value in values.items():
        text = text.replace("{" + key + "}", value)
    stream = sys.stdout if os.environ.get("RCUTILS_LOGGING_USE_STDOUT") == "1" else sys.stderr
    wish = os.environ.get("RCUTILS_COLORIZED_OUTPUT")
    color = COLORS.get(severity.name) if wish == "1" or (wish is None and stream.isatty()) else None
    try:
        stream.write(f"{color}{text}\033[0m\n" if color else f"{text}\n")
        stream.flush()
    except (BrokenPipeError, ValueError):
        return  # whoever read the log is gone: nothing left to tell
