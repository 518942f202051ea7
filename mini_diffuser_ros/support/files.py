"""Files that appear whole or not at all, and are on the disk when they do."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO
from uuid import uuid4

from mini_diffuser_ros.support.errors import UserError

PROBE = 2**16
"""Bytes that are written to find out whether a folder takes any."""


class UnwritableError(UserError):
    """A place for output takes none; names the option, the place, the reason and the remedy."""


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A new file beside ``path`` to be written in the block; it takes the place of ``path`` when the block ends.

    The contents are flushed to the disk before, the folder after the file has its name, so that neither a killed
    process nor a power cut leaves half a file under the name. Where the block raises, ``path`` stays as it was.

    Args:
        path: the file; its folder exists.

    Raises:
        OSError: if it cannot be written.
    """
    target = Path(path)
    partial = _partial_of(target)
    try:
        yield partial
        with partial.open("rb+") as stream:
            os.fsync(stream.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    flush_folder(target.parent)


def _partial_of(target: Path) -> Path:
    return target.with_name(f".{target.name}.{uuid4().hex}.partial")


def write_whole(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Write a text (UTF-8) or bytes as :func:`whole_file` does.

    Raises:
        OSError: if it cannot be written.
    """
    with whole_file(path) as partial:
        partial.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)


def flush_folder(folder: str | os.PathLike[str]) -> None:
    """Have the names in a folder on the disk: those of new, renamed and removed files."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: str | os.PathLike[str]) -> None:
    """Remove a file, and have that on the disk; one that is not there is none.

    Raises:
        OSError: if it cannot be removed.
    """
    Path(path).unlink(missing_ok=True)
    flush_folder(Path(path).parent)


def make_writable(folder: str | os.PathLike[str], option: str) -> None:
    """Make a folder and write into it before the work begins whose results go there; what was written is gone again.

    Args:
        folder: made with those above it.
        option: that names it, as the user knows it.

    Raises:
        UnwritableError: if the folder cannot be made or written into, be it because the disk is full.
    """
    try:
        try_writing(folder)
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        raise UnwritableError(
            f"{option} {folder}: cannot be written into ({_reason(error)}); choose another place"
        ) from error


@contextmanager
def output_folder(folder: str | os.PathLike[str], option: str) -> Iterator[None]:
    """:func:`make_writable`; where the block raises, a folder that was not there before and is empty goes again.

    Raises:
        UnwritableError: if the folder cannot be made or written into.
    """
    was_there = os.path.isdir(folder)  # False, too, of a name that is too long
    make_writable(folder, option)
    try:
        yield
    except BaseException:
        if not was_there:
            with suppress(OSError):
                Path(folder).rmdir()
        raise


def try_writing(folder: str | os.PathLike[str]) -> None:
    """Make a folder and write into it; what was written is gone again.

    Raises:
        OSError: if that is not possible.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as probe:
        _fill(probe)


def expect_output(path: str | os.PathLike[str], option: str) -> None:
    """Try to write beside a file that :func:`whole_file` is to write when the work is done; nothing is left there.

    Args:
        path: the file; its folder exists.
        option: that names it, as the user knows it.

    Raises:
        UnwritableError: if it could not be written.
    """
    target = Path(path)
    try:
        if target.is_dir():
            raise IsADirectoryError("it is a directory")
        partial = _partial_of(target)
        try:
            with partial.open("xb") as probe:
                _fill(probe)
        finally:
            partial.unlink(missing_ok=True)
    except (OSError, ValueError) as error:
        raise UnwritableError(f"{option} {path}: cannot be written ({_reason(error)}); choose another place") from error


def _fill(probe: IO[bytes]) -> None:
    """Have the disk take some bytes, or say that it cannot."""
    probe.write(bytes(PROBE))
    probe.flush()
    os.fsync(probe.fileno())


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


@contextmanager
def output_file(path: str | None, option: str) -> Iterator[Path | None]:
    """A file to be written in the block, as by :func:`whole_file`, which is opened before the work begins.

    Args:
        path: the file, None for none.
        option: that names it, as the user knows it.

    Raises:
        UnwritableError: if it cannot be written.
    """
    if path is None:
        yield None
        return
    if os.path.isdir(path):
        raise UnwritableError(f"{option} {path}: is a directory")
    try:
        with whole_file(path) as partial:
            partial.touch()
            yield partial
    except OSError as error:
        raise UnwritableError(f"{option} {path}: cannot be written: {error.strerror or error}") from error
