"""Errors of the data room: one line that names the file, the field and what was expected."""

from __future__ import annotations

from pathlib import Path

from mini_diffuser_ros.support.errors import UserError


class DataError(UserError, ValueError):
    """Demonstrations cannot be read or written."""


class EpisodeFileError(DataError):
    """A file that should hold an episode does not.

    Args:
        file: the file.
        problem: what is wrong, one line, the field or member first.
    """

    def __init__(self, file: Path, problem: str) -> None:
        super().__init__(f"{file}: {problem}")
        self.file = file

    def __reduce__(self) -> tuple[type[EpisodeFileError], tuple[Path, str]]:
        # Exceptions cross from worker processes; the default would call the class with the message alone.
        return type(self), (self.file, str(self).removeprefix(f"{self.file}: "))
