"""A command at a terminal of its own, with a scripted keyboard."""

from __future__ import annotations

import os
import pty
import re
import shlex
import signal
import subprocess
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType

PATIENCE = 120.0  # seconds


class Terminal:
    """Runs a command until it ends, or, at the end of a ``with``, until Ctrl-C.

    Args:
        command: as it is typed.
        folder: in which.
        environment: of the command.
    """

    def __init__(self, command: str, folder: Path, environment: Mapping[str, str]) -> None:
        self._command = command
        self._keyboard, line = pty.openpty()
        self._process = subprocess.Popen(
            shlex.split(command, comments=True),
            cwd=folder,
            env={**environment, "TERM": "dumb"},
            stdin=line,
            stdout=line,
            stderr=line,
            start_new_session=True,
        )
        os.close(line)
        self.said = ""
        self._heard = 0  # characters that were waited for already
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)  # always: who is not read stands still
        self._reader.start()

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.leave()

    def await_words(self, words: str) -> None:
        """Until these have been said after those that were waited for last."""
        heard = self.hears(words)
        assert heard, f"'{words}' was never said by {self._command}:\n{self.said[self._heard :][-3000:]}"

    def hears(self, words: str) -> bool:
        """Whether these are said, after those that were waited for last, before the command ends."""
        with self._news:
            self._news.wait_for(lambda: words in self.said[self._heard :] or not self._reader.is_alive(), PATIENCE)
            place = self.said.find(words, self._heard)
            self._heard = max(self._heard, place + len(words) if place >= 0 else 0)
            return place >= 0

    def type(self, line: str = "") -> None:
        """A line, and ENTER."""
        os.write(self._keyboard, f"{line}\n".encode())

    def consent(self) -> None:
        """Say yes until it counts: not before the question can have been read."""
        answer = re.compile(r"(?<!\()it may begin|answer again")  # the question has the first in brackets
        begins = False
        while not begins:
            self.type("y")
            with self._news:
                self._news.wait_for(
                    lambda: answer.search(self.said, self._heard) or not self._reader.is_alive(), PATIENCE
                )
            found = answer.search(self.said, self._heard)
            assert found, f"{self._command} did not answer:\n{self.said[self._heard :][-3000:]}"
            self._heard, begins = found.end(), found.group() != "answer again"

    def end(self) -> tuple[int, str]:
        """Exit code, and all that was said, once it has ended by itself."""
        code = self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code, self.said

    def leave(self) -> None:
        """Press Ctrl-C if it still runs."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(30.0)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._reader.join(PATIENCE)
        with suppress(OSError):
            os.close(self._keyboard)

    def _read(self) -> None:
        with suppress(OSError):  # the other end is closed
            while heard := os.read(self._keyboard, 65536):
                with self._news:
                    self.said += heard.decode(errors="replace")
                    self._news.notify_all()
        with self._news:
            self._news.notify_all()
