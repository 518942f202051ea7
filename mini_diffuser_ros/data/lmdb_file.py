"""Reading LMDB environments key by key, in any number of threads and processes at once, while one process writes.

LMDB bears one environment of a folder in a process, and none that was there before a fork. So one is shared by the
threads that read at the same time and closed after the last of them: opening takes a fraction of a millisecond, a
thousand data sets cost no file descriptors, and what reads can be forked and sent to processes.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import lmdb

from mini_diffuser_ros.data.errors import EpisodeFileError
from mini_diffuser_ros.data.lmdb_pages import check_meta, check_pages

DATA_FILE = "data.mdb"

_MAX_VALUE_BYTES = 2**30  # A hundred keyframes of four cameras of 2 megapixels; one in use has a few million.
_MAX_READERS = 1024  # transactions at once, over all processes


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
    values = read_values(folder, (key,))
    if key not in values:
        raise EpisodeFileError(folder / DATA_FILE, f"key {key!r} is missing")
    return values[key]


def read_values(folder: Path, keys: Sequence[str]) -> dict[str, bytes]:
    """The values of those keys that there are, as they were together at one time.

    Raises:
        EpisodeFileError: if it cannot be read, naming the file.
    """
    values = {}
    with _reading(folder) as transaction:
        for key in keys:
            value = transaction.get(key.encode())
            if value is not None and len(value) > _MAX_VALUE_BYTES:
                raise EpisodeFileError(
                    folder / DATA_FILE, f"{key} has {len(value)} bytes, expected at most {_MAX_VALUE_BYTES}"
                )
            if value is not None:
                values[key] = bytes(value)
    return values


@contextmanager
def writing(folder: Path, map_size: int) -> Iterator[LmdbWriter]:
    """A folder's environment, made if missing, to be written to by this process alone; its threads may read meanwhile.

    Raises:
        EpisodeFileError: if it is there and damaged.
        OSError, lmdb.Error: if it cannot be opened.
    """
    place = _place(folder)
    with _environments.alone(place):
        if (folder / DATA_FILE).exists():
            check_pages(folder / DATA_FILE)
        environment = lmdb.open(str(folder), map_size=map_size, max_dbs=0, max_readers=_MAX_READERS)
        _environments.keep(place, environment)
    try:
        yield LmdbWriter(environment, place)
    finally:
        with _environments.alone(place):
            _environments.close(place)


@dataclass(frozen=True)
class LmdbWriter:
    """The environment that :func:`writing` opened."""

    environment: lmdb.Environment
    _place: _Place

    def enlarge(self) -> None:
        """Double the map, which is full. No transaction of this thread may be under way."""
        with _environments.alone(self._place):
            self.environment.set_mapsize(2 * self.environment.info()["map_size"])


_Place = tuple[int, int]


def _place(folder: Path) -> _Place:
    """By what a folder is known, whatever path leads to it."""
    status = folder.stat()
    return status.st_dev, status.st_ino


@dataclass
class _Shared:
    """An environment that is open in this process.

    Attributes:
        users: threads that read from it now.
        kept: whether it stays open without them, for the writer that opened it.
    """

    environment: lmdb.Environment
    users: int = 0
    kept: bool = False


class _Environments:
    """The open environments of this process, at most one of each folder."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._open: dict[_Place, _Shared] = {}
        self._reserved: set[_Place] = set()  # by a thread that waits until nobody else uses them
        self._forking = False

    @contextmanager
    def shared(self, folder: Path) -> Iterator[lmdb.Environment]:
        """The environment of a folder, with other threads."""
        place = _place(folder)
        with self._changed:
            self._changed.wait_for(lambda: not self._forking and place not in self._reserved)
            one = self._open.get(place)
            if one is None:
                one = self._open[place] = _Shared(_open_to_read(folder))
            one.users += 1
        try:
            yield one.environment
        finally:
            with self._changed:
                one.users -= 1
                if not one.users and not one.kept:
                    self.close(place)
                self._changed.notify_all()

    @contextmanager
    def alone(self, place: _Place) -> Iterator[lmdb.Environment | None]:
        """The environment of a folder, if it is open, while no thread uses it; nothing may be opened meanwhile."""
        with self._changed:
            self._changed.wait_for(lambda: not self._forking and place not in self._reserved)
            self._reserved.add(place)
            try:
                self._changed.wait_for(lambda: place not in self._open or not self._open[place].users)
                yield self._open[place].environment if place in self._open else None
            finally:
                self._reserved.discard(place)
                self._changed.notify_all()

    def keep(self, place: _Place, environment: lmdb.Environment) -> None:
        """Share what was opened within :meth:`alone` until :meth:`close`."""
        self._open[place] = _Shared(environment, kept=True)

    def close(self, place: _Place) -> None:
        """Close an environment that no thread uses."""
        self._open.pop(place).environment.close()

    def before_fork(self) -> None:
        """Wait until nobody reads, and let nobody begin: a child must inherit no transaction."""
        self._changed.acquire()
        self._changed.wait_for(lambda: not self._forking)
        self._forking = True
        self._changed.wait_for(lambda: not any(one.users for one in self._open.values()))

    def after_fork(self) -> None:
        """Go on, in the parent."""
        self._forking = False
        self._changed.notify_all()
        self._changed.release()

    def after_fork_in_child(self) -> None:
        """Forget everything; what is still open belongs to a writer, which the child is not."""
        inherited = list(self._open.values())
        self.__init__()  # type: ignore[misc]
        for one in inherited:
            one.environment.close()


# LMDB's rule is one environment a process, so that this is the process's too.
_environments = _Environments()
os.register_at_fork(
    before=_environments.before_fork,
    after_in_parent=_environments.after_fork,
    after_in_child=_environments.after_fork_in_child,
)


@contextmanager
def _reading(folder: Path) -> Iterator[lmdb.Transaction]:
    file = folder / DATA_FILE
    try:
        with _begun(folder) as transaction:
            check_pages(file, transaction.id())
            yield transaction
    except lmdb.Error as error:
        raise EpisodeFileError(file, f"not a readable LMDB ({error})") from error
    except OSError as error:
        raise EpisodeFileError(file, f"cannot be read ({error.strerror or error})") from error


@contextmanager
def _begun(folder: Path) -> Iterator[lmdb.Transaction]:
    """A transaction that reads."""
    with ExitStack() as stack:
        while True:
            # A writer in another process may enlarge the map at any time, while it is being opened, too.
            with suppress(lmdb.MapResizedError):
                transaction = stack.enter_context(_begin(stack.enter_context(_environments.shared(folder))))
                break
            stack.close()
            with _environments.alone(_place(folder)) as unused:
                if unused is not None:
                    unused.set_mapsize(0)  # as large as the file says
        yield transaction


def _begin(environment: lmdb.Environment) -> lmdb.Transaction:
    try:
        return environment.begin(buffers=True)
    except lmdb.ReadersFullError:
        environment.reader_check()  # gives back what killed processes held
        return environment.begin(buffers=True)


def _open_to_read(folder: Path) -> lmdb.Environment:
    # A lock keeps a writer from reusing pages under a reader; without leave to write, nobody can be writing.
    locking = _has_lock(folder)
    check_meta(folder / DATA_FILE)
    environment = lmdb.open(
        str(folder), readonly=True, create=False, lock=locking, readahead=False, max_readers=_MAX_READERS
    )
    needed = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
    file = folder / DATA_FILE
    size = file.stat().st_size
    if size < needed:
        environment.close()
        raise EpisodeFileError(file, f"is cut off, has {size} of {needed} bytes")
    return environment


def _has_lock(folder: Path) -> bool:
    lock = folder / "lock.mdb"
    return lock.exists() and os.access(lock, os.W_OK)
