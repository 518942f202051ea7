"""What a launch writes: to the screen, and to a log file of its own."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from pocketros.errors import left_out

logger = logging.getLogger("launch")


class _Format(logging.Formatter):
    """`[INFO] [launch]: text`, the way launch writes."""

    def format(self, record: logging.LogRecord) -> str:
        return f"[{record.levelname}] [{vars(record).get('as', record.name)}]: {record.getMessage()}"


class _Screen(logging.Handler):
    """Writes to the standard output of the moment."""

    def emit(self, record: logging.LogRecord) -> None:
        write_screen(self.format(record))


def write_screen(text: str) -> None:
    """Write a line to the standard output."""
    with contextlib.suppress(BrokenPipeError, ValueError):
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


@contextlib.contextmanager
def open_log(debug: bool) -> Iterator[TextIO]:
    """Let the logger write to the screen and to a new log file, which is the value."""
    home = Path(os.environ.get("ROS_HOME", "~/.ros"))
    stamp = f"{time.strftime('%Y-%m-%d-%H-%M-%S')}-{time.time_ns() // 1000 % 10**6:06d}"
    directory = Path(os.environ.get("ROS_LOG_DIR") or home / "log").expanduser()
    path = directory / f"{stamp}-{socket.gethostname()}-{os.getpid()}" / "launch.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file, contextlib.ExitStack() as handlers:
        for one in (_Screen(), logging.StreamHandler(file)):
            one.setFormatter(_Format())
            logger.addHandler(one)
            handlers.callback(logger.removeHandler, one)
        logger.setLevel(logging.DEBUG if debug else logging.INFO)
        logger.propagate = False
        logger.info(f"All log files can be found below {path.parent}")
        logger.debug(f"Default logging verbosity is set to {logging.getLevelName(logger.level)}")
        yield file


__getattr__ = left_out(__name__)
