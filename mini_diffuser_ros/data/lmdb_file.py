"""Reading LMDB environments: key by key, opened for each read and closed again.

Opening takes a fraction of a millisecond, so nothing is kept open: readers can be forked and sent to processes, and a
thousand data sets cost no file descriptors.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lmdb

from mini_diffuser_ros.data.errors import EpisodeFileError

DATA_FILE = "data.mdb"

_MAX_VALUE_BYTES = 2**30  # A hundred keyframes of four cameras of 2 megapixels; one in use has a few million.


def read_keys(folder: Path) -> list[str]:
    """All keys of an environment.

    Raises:
        EpisodeFileError: if it cannot be read, naming the file.
    """
    with _reading(folder) as transaction:
        return [bytes(key).decode(errors="replace") for key in transaction.cursor().iternext(values=False)]


def read_value(folder: Path, key: str) -> bytes:
    """The value of a key.

    Raises:
        EpisodeFileError: if it cannot be read or has no such key, naming the file.
    """
    with _reading(folder) as transaction:
        value = transaction.get(key.encode())
        if value is None:
            raise EpisodeFileError(folder / DATA_FILE, f"key {key!r} is missing")
        if len(value) > _MAX_VALUE_BYTES:
            raise EpisodeFileError(
                folder / DATA_FILE, f"{key} has {len(value)} bytes, expected at most {_MAX_VALUE_BYTES}"
            )
        return bytes(value)


@contextmanager
def _reading(folder: Path) -> Iterator[lmdb.Transaction]:
    file = folder / DATA_FILE
    try:
        # A lock keeps a writer from reusing pages under a reader; without leave to write, nobody can be writing.
        environment = lmdb.open(str(folder), readonly=True, create=False, lock=_has_lock(folder), readahead=False)
        with environment:
            needed = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
            if file.stat().st_size < needed:
                raise EpisodeFileError(file, f"is cut off, has {file.stat().st_size} of {needed} bytes")
            with environment.begin(buffers=True) as transaction:
                yield transaction
    except lmdb.Error as error:
        raise EpisodeFileError(file, f"not a readable LMDB ({error})") from error
    except OSError as error:
        raise EpisodeFileError(file, f"cannot be read ({error.strerror or error})") from error


def _has_lock(folder: Path) -> bool:
    lock = folder / "lock.mdb"
    return lock.exists() and os.access(lock, os.W_OK)
