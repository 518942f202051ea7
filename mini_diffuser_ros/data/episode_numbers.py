"""Numbers of episodes, each given once."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from pathlib import Path

from mini_diffuser_ros.data.errors import DataError

NUMBERS_FILE = ".numbers"
"""Lines ``task number``, one for each number that was given, in their order."""

_LAST = 10**18 - 1
_LINE = re.compile(rb"(?P<task>[a-z0-9_]+) (?P<number>\d{1,18})")
_NUMBERED = re.compile(r"(?P<task>[a-z0-9_]+)-(?P<number>\d{6,18})\.zip")


class EpisodeNumbers:
    """Gives the numbers of a directory's episodes, to any number of processes.

    A number is above all that were ever given and above those of all episode files in the directory and in those
    within it, such as ``failed``: what was copied there without the file of numbers counts, too.

    Args:
        folder: the directory.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def take(self, task: str) -> int:
        """The next number of a task; that it is given is on the disk before this returns.

        Raises:
            OSError: if it cannot be written.
            DataError: if there is none above those that were given.
        """
        with (self._folder / NUMBERS_FILE).open("a+b", buffering=0) as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            stream.seek(0)
            text = stream.read()
            number = max([*_given(text, task), *self._present(task)], default=-1) + 1
            if number > _LAST:
                raise DataError(
                    f"{self._folder} has {task}-{_LAST}: no number is left, give that episode a smaller one"
                )
            # After a line that a power cut has left half.
            start = b"" if not text or text.endswith(b"\n") else b"\n"
            stream.write(start + f"{task} {number}\n".encode())
            os.fsync(stream.fileno())
            return number

    def _present(self, task: str) -> Iterator[int]:
        for file in (*self._folder.glob("*.zip"), *self._folder.glob("*/*.zip")):
            match = _NUMBERED.fullmatch(file.name)
            if match and match["task"] == task:
                yield int(match["number"])


def _given(text: bytes, task: str) -> Iterator[int]:
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match and match["task"] == task.encode():
            yield int(match["number"])
