"""A process whose lines are listened to while it runs, as those of a launch."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mini_diffuser_ros.bench.errors import BenchError
from mini_diffuser_ros.support.cancellation import CancellationToken

READY = "ready for instructions"
"""What a stack says when it takes sentences."""
PATIENCE = 120.0  # seconds for a line
ENDING = 30.0  # seconds; a launch gives its nodes five for each signal


def launch_words(**arguments: str) -> list[str]:
    """Command that launches the stack with these arguments."""
    ros2 = shutil.which("ros2") or str(Path(sys.executable).with_name("ros2"))
    given = [f"{name}:={value}" for name, value in arguments.items()]
    return [ros2, "launch", "mini_diffuser_ros", "bringup.launch.py", *given]


class HeardProcess:
    """A process and what it has said so far, on either of its outputs.

    Args:
        words: its command.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        )
        self._lines: deque[str] = deque()
        self._ended = False
        self._token = CancellationToken()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def await_line(self, pattern: str) -> re.Match[str]:
        """The first line in which a pattern is found, once it has been said.

        Raises:
            BenchError: the process ended without it, or it did not come in two minutes.
        """
        try:
            self._token.wait_for(lambda: self._ended or self._found(pattern), PATIENCE)
        except TimeoutError:
            raise BenchError(f"nothing like '{pattern}' within {PATIENCE:g} s: {self._last()}") from None
        if (found := self._found(pattern)) is None:
            raise BenchError(f"it ended without '{pattern}': {self._last()}")
        return found

    def close(self) -> None:
        """End it as Ctrl-C does."""
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(ENDING)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _listen(self) -> None:
        for line in self._process.stdout or ():
            self._lines.append(line.rstrip())
            self._token.notify()
        self._ended = True
        self._token.notify()

    def _found(self, pattern: str) -> re.Match[str] | None:
        return next((found for line in list(self._lines) if (found := re.search(pattern, line))), None)

    def _last(self) -> str:
        return self._lines[-1] if self._lines else "it said nothing"


@contextmanager
def heard(words: Sequence[str]) -> Iterator[HeardProcess]:
    """A process while entered."""
    process = HeardProcess(words)
    try:
        yield process
    finally:
        process.close()
