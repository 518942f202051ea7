"""Whether the arm is stopped, and how fast people want it, remembered across a crash of the node that knows it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from mini_diffuser_ros.support.files import remove, write_whole
from mini_diffuser_ros.support.settings import bounded, check_fields, from_mapping

DIED_MOVING = "motion_node ended while the arm was moving"


@dataclass(frozen=True)
class Remembered:
    """What a node that takes over from one that died begins with.

    Attributes:
        stopped: why the arm is stopped, empty if it is not.
        speed: percent of the planned speed that people want.
    """

    stopped: str = ""
    speed: float = bounded(100.0, 0.0, 100.0)

    def __post_init__(self) -> None:
        check_fields(self)


class StopLatch:
    """Holds a stop until somebody resumes, and what people want of the speed. Thread-safe.

    With a file, a node that is killed and started again begins as it was: stopped if it was stopped, and also if it
    died while it moved the arm, which then was without supervision; as slow as people wanted it. An orderly end forgets
    all. A word that is remembered is on the disk.

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
        self._is_supervised = False
        before = Remembered()
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists():
                before = _read(path)
        self._reason, self._speed = before.stopped, before.speed

    @property
    def reason(self) -> str:
        """Why the arm is stopped, empty if it is not."""
        return self._reason

    @property
    def remembered(self) -> Remembered:
        """What another node would begin with if this one died now."""
        return Remembered(self._reason or (DIED_MOVING if self._is_supervised else ""), self._speed)

    def stop(self, reason: str) -> None:
        """Stop; the first reason stays."""
        with self._lock:
            self._reason = self._reason or reason
            self._remember(self.remembered)

    def resume(self) -> bool:
        """Whether there was a stop to end."""
        with self._lock:
            was_stopped, self._reason = bool(self._reason), ""
            self._remember(self.remembered)
            return was_stopped

    def keep_speed(self, percent: float) -> None:
        """People want this percentage of the planned speed, from 0 to 100."""
        with self._lock:
            if percent != self._speed:
                self._speed = percent
                self._remember(self.remembered)

    @contextmanager
    def supervised(self) -> Iterator[None]:
        """Around a motion: if the process dies in it, the next one begins as stopped."""
        with self._lock:
            self._is_supervised = True
            self._remember(self.remembered)
        try:
            yield
        finally:
            with self._lock:
                self._is_supervised = False
                self._remember(self.remembered)

    def forget(self) -> None:
        """Leave no file behind: the process ends in order."""
        with self._lock:
            self._remember(Remembered())

    def _remember(self, now: Remembered) -> None:
        if self._path is None:
            return
        try:
            if now != Remembered():
                write_whole(self._path, json.dumps(asdict(now)) + "\n")
            elif self._path.exists():
                remove(self._path)
        except OSError as error:
            self._warn(f"a crash would forget whether the arm is stopped: {error}")


def _read(path: Path) -> Remembered:
    """What a file remembers; who cannot be understood may have meant a stop."""
    try:
        return from_mapping(Remembered, json.loads(path.read_text(encoding="utf-8")), str(path))
    except ValueError:
        return Remembered(f"it was stopped, or moving; why is not to be read in {path.name}")
