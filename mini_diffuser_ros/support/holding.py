"""One writer of a place at a time: the second is told at once who the first is."""

from __future__ import annotations

import fcntl
import os
import socket
from pathlib import Path
from types import TracebackType
from typing import IO

from mini_diffuser_ros.support.errors import UserError

_MAX_OWNER = 200  # bytes that are read of what a holder says of itself


class HeldError(UserError, RuntimeError):
    """Somebody else holds the place; the text says who."""


class Hold:
    """Holds a place by a lock on a file until :meth:`release`, the end of a ``with`` block or of this process.

    The kernel takes the lock away from a process that is killed. What is forked from this process does not hold it. Of
    several holds within one process the second is refused too.

    Args:
        file: that is locked; made, in a folder that exists, and gone again at the end.
        what: is held, for the error, e.g. ``recordings of cups/``.

    Raises:
        HeldError: if another hold has it, naming its process.
        OSError: if the file cannot be made.
    """

    def __init__(self, file: Path, what: str) -> None:
        self._file = file
        self._stream: IO[bytes] | None = _locked(file, what)
        self._stream.truncate(0)
        self._stream.write(f"process {os.getpid()} on {socket.gethostname()}".encode())
        self._stream.flush()
        _streams.add(self._stream)

    def release(self) -> None:
        """Let others have it; does nothing the second time, or in a forked child."""
        if self._stream is not None and not self._stream.closed:
            _streams.discard(self._stream)
            # While it is locked, nobody else has it; in a folder that was moved, its old name may be that of another.
            if _is_there(self._file, self._stream):
                self._file.unlink(missing_ok=True)
            self._stream.close()
        self._stream = None

    def __enter__(self) -> Hold:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


_streams: set[IO[bytes]] = set()


def _close_in_child() -> None:
    """A child shares its parent's locks as long as it has their descriptors, and may outlive it."""
    while _streams:
        _streams.pop().close()


os.register_at_fork(after_in_child=_close_in_child)


def _locked(file: Path, what: str) -> IO[bytes]:
    while True:
        stream = file.open("a+b", buffering=0)
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.seek(0)
            owner = stream.read(_MAX_OWNER).decode(errors="replace") or "another process"
            stream.close()
            raise HeldError(f"{what} is being written by {owner}; wait for it, or choose another place") from None
        # In the instant before the lock the holder may have removed the file, or another may have made it anew.
        if _is_there(file, stream):
            return stream
        stream.close()


def _is_there(file: Path, stream: IO[bytes]) -> bool:
    """Whether a file's name still leads to what was opened by it."""
    try:
        return os.path.samestat(file.stat(), os.fstat(stream.fileno()))
    except FileNotFoundError:
        return False
