"""The episodes of a long evaluation on disk as they come, so that the same command goes on after whatever ended it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mini_diffuser_ros.evaluation.protocol import EvaluationError
from mini_diffuser_ros.support.files import UnwritableError, write_whole
from mini_diffuser_ros.support.holding import Hold

Record = dict[str, Any]


class EpisodeLog:
    """Records of episodes by the digests of their trials, in a file if there is one.

    The file has one line of JSON an episode, after one that says what is evaluated. Episodes in which something else
    than the policy failed are in it for whoever looks, and are run again.

    Args:
        path: the file; None keeps nothing.
        about: by which an evaluation is known: protocol, and policy by its content.

    Attributes:
        records: of all episodes, those of earlier calls included.

    Raises:
        EvaluationError: the file is of another evaluation, or none of these.
        UnwritableError: it cannot be written.
    """

    def __init__(self, path: Path | None, about: Mapping[str, Any]) -> None:
        self._path = path
        self.records: dict[str, Record] = {}
        if path is None:
            return
        header = json.loads(json.dumps(about))
        if path.exists():
            self.records = _read(path, header)
        with _writing(path):
            # Anew, as a killed call may have left half a line.
            write_whole(path, _line(header) + "".join(_entry(key, record) for key, record in self.records.items()))

    def add(self, key: str, record: Record) -> None:
        """Have an episode on the disk.

        Raises:
            UnwritableError: the disk takes none.
        """
        self.records[key] = record
        if self._path is not None:
            with _writing(self._path), self._path.open("a", encoding="utf-8") as file:
                file.write(_entry(key, record))
                file.flush()
                os.fsync(file.fileno())

    def remove(self) -> None:
        """To be called when a report says all that is in it."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)


@contextmanager
def episode_log(path: Path | None, about: Mapping[str, Any]) -> Iterator[EpisodeLog]:
    """The log of an evaluation, held so that no other call writes the same.

    Raises:
        HeldError: another call does.
        EvaluationError, UnwritableError: as :class:`EpisodeLog`.
    """
    if path is None:
        yield EpisodeLog(None, about)
        return
    with _writing(path):
        hold = Hold(path.with_name(f".{path.name}.lock"), str(path))
    with hold:
        yield EpisodeLog(path, about)


def _read(path: Path, header: Record) -> dict[str, Record]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")[:-1]
        known, *entries = [json.loads(line) for line in lines]
        records = {str(entry["key"]): dict(entry["record"]) for entry in entries}
        judged = {key: record for key, record in records.items() if not record["failure"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EvaluationError(f"{path}: holds no episodes ({error}); remove it, or name another file") from error
    if known != header:
        other = ", ".join(name for name in header if not isinstance(known, dict) or known.get(name) != header[name])
        raise EvaluationError(
            f"{path}: holds episodes of another evaluation, with other {other}; remove it to begin anew, or "
            "name another file"
        )
    return judged


def _line(values: Mapping[str, Any]) -> str:
    return json.dumps(values) + "\n"


def _entry(key: str, record: Record) -> str:
    return _line({"key": key, "record": record})


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnwritableError(f"{path}: cannot be written: {error.strerror or error}; choose another place") from error
