"""Whether the arm is stopped, remembered across a crash of the node that knows it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mini_diffuser_ros.support.files import remove, write_whole


class StopLatch:
    """Holds a stop until somebody resumes. Thread-safe.

    With a file, a node that is killed and started again begins as it was: stopped if it was stopped, and also if it
    died while it moved the arm, which then was without supervision. An orderly end forgets both.

    Args:
        path: of the file, None to remember nothing. It exists only while there is something to remember.
        warn: takes a line when the file cannot be written; a stop counts all the same.

    Raises:
        OSError: if the file cannot be read or its folder cannot be written to.
    """

    def __init__(self, path: Path | None = None, warn: Callable[[str], None] = lambda _: None) -> None:
        self._warn = warn
        self._lock = threading.Lock()
        self._path = path
        self._reason = ""
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists():
                self._reason = path.read_text(encoding="utf-8", errors="replace").strip() or "it was stopped"

    @property
    def reason(self) -> str:
        """Why the arm is stopped, empty if it is not."""
        return self._reason

    def stop(self, reason: str) -> None:
        """Stop; the first reason stays."""
        with self._lock:
            self._reason = self._reason or reason
            self._remember(self._reason)

    def resume(self) -> bool:
        """Whether there was a stop to end."""
        with self._lock:
            was_stopped, self._reason = bool(self._reason), ""
            self._remember("")
            return was_stopped

    @contextmanager
    def supervised(self) -> Iterator[None]:
        """Around a motion: if the process dies in it, the next one begins as stopped."""
        with self._lock:
            self._remember(self._reason or "motion_node ended while the arm was moving")
        try:
            yield
        finally:
            with self._lock:
                self._remember(self._reason)

    def forget(self) -> None:
        """Leave no file behind: the process ends in order."""
        with self._lock:
            self._remember("")

    def _remember(self, text: str) -> None:
        if self._path is None:
            return
        try:
            if text:
                write_whole(self._path, text + "\n")
            elif self._path.exists():
                remove(self._path)
        except OSError as error:
            self._warn(f"a crash would forget whether the arm is stopped: {error}")
