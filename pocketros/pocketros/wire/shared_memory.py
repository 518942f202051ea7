"""Memory that processes of one user on one machine map: samples in slots, of which the last ones are kept.

The memory has no name that could outlive its writer, not even one that is killed (memfd_create), and it is sealed
against shrinking, so that nobody's look into it can fail. That a sample was not overwritten while it was copied is told
by its number, which stands before it until the next one begins: x86-64 keeps the order of loads and of stores, and
cyclonedds has wheels for no other machine.
"""

from __future__ import annotations

import fcntl
import hashlib
import mmap
import os
import struct
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MOST = 2**27  # bytes of one writer's memory
KEPT_BESIDE = 2  # slots beside those of the history: one is written, one is read
NAME = "pocketros"
_CDR = b"\x00\x01\x00\x00"  # little-endian
_PLACE = struct.Struct("<4s16sIIQQQQ")
_ID_SIZE, _NUMBER_SIZE, _ALIGNED = 16, 8, 64  # bytes
_UNWRITTEN = 0
_SEALS = ("F_SEAL_SHRINK", "F_SEAL_GROW", "F_SEAL_SEAL")


class Place(NamedTuple):
    """Where a sample lies: in which memory of which process, how many are kept there, and as which of its samples.

    The fields of `pocketros.wire.types.PLACE`, in its order.
    """

    memory: bytes
    process: int
    file: int
    kept: int
    offset: int
    size: int
    number: int

    def encoded(self) -> bytes:
        """As a sample."""
        return _PLACE.pack(_CDR, *self)

    @classmethod
    def decoded(cls, sample: bytes | memoryview) -> Place:
        """From a sample.

        Raises:
            PlaceError: it is none, or of another byte order.
        """
        try:
            encapsulation, *fields = _PLACE.unpack(sample)
        except struct.error as error:
            raise PlaceError(f"no place in a memory: {error}") from error
        if encapsulation != _CDR:
            raise PlaceError(f"a place in the encapsulation {encapsulation.hex()}")
        return cls(*fields)


class PlaceError(Exception):
    """A memory that cannot be looked into."""


def realm() -> str:
    """Who can look into each other's memory: processes of one user of one machine that see each other.

    Empty where there is none, and where POCKETROS_SHARED_MEMORY is 0.
    """
    if os.environ.get("POCKETROS_SHARED_MEMORY") == "0" or not hasattr(os, "memfd_create") or sys.byteorder != "little":
        return ""
    try:
        parts = (
            Path("/proc/sys/kernel/random/boot_id").read_text(),
            *(os.readlink(f"/proc/self/ns/{kind}") for kind in ("pid", "user")),
            str(os.geteuid()),
        )
    except OSError:
        return ""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


class SharedSlots:
    """The memory of one writer: samples of at most a size, of which the last ones are kept.

    Args:
        count: samples that are kept.
        size: bytes of the largest one.

    Raises:
        OSError: there is no memory.
    """

    def __init__(self, count: int, size: int) -> None:
        self.size = size
        self._stride = _aligned(_NUMBER_SIZE + size)
        self._count, self._number = count, _UNWRITTEN
        self._id = os.urandom(_ID_SIZE)
        self._file = os.memfd_create(NAME, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(self._file, _ALIGNED + count * self._stride)
            fcntl.fcntl(self._file, fcntl.F_ADD_SEALS, _seals())
            self._memory = np.frombuffer(mmap.mmap(self._file, 0), np.uint8)
        except (OSError, ValueError):
            os.close(self._file)
            raise
        self._memory[:_ID_SIZE] = np.frombuffer(self._id, np.uint8)

    def put(self, pieces: Iterable[memoryview]) -> Place:
        """Put a sample of at most `size` bytes, piece after piece, in the place of the oldest one."""
        self._number += 1
        offset = _ALIGNED + (self._number % self._count) * self._stride
        number = self._memory[offset : offset + _NUMBER_SIZE].view(np.uint64)
        number[0] = _UNWRITTEN
        start = end = offset + _NUMBER_SIZE
        for piece in pieces:
            begin, end = end, end + len(piece)
            self._memory[begin:end] = np.frombuffer(piece, np.uint8) if piece else ()
        number[0] = self._number
        return Place(self._id, os.getpid(), self._file, self._count, offset, end - start, self._number)

    def close(self) -> None:
        """Leave the memory to those who look into it already."""
        os.close(self._file)


class Outbox:
    """What a writer shares with its readers; safe to use from several threads.

    Args:
        depth: of the writer's history.
    """

    def __init__(self, depth: int) -> None:
        self._depth, self._lock, self._closed = depth, threading.Lock(), False
        self._slots: SharedSlots | None = None

    def put(self, pieces: Iterable[memoryview], size: int) -> Place | None:
        """Share a sample of a size, bytes; None if it is closed, as it is once there was no memory for one."""
        with self._lock:
            if self._closed:
                return None
            if self._slots is None or size > self._slots.size:
                self._renew(size)
            return self._slots.put(pieces) if self._slots is not None else None

    def _renew(self, size: int) -> None:
        room = size + size // 4  # clouds differ a little in size, one from the next
        # Those that wait at a reader are the last ones: twice as many leave it the time of as many more to decode one
        count = min(2 * self._depth + KEPT_BESIDE, MOST // room)
        self._forget()
        if count > KEPT_BESIDE:
            with suppress(OSError):
                self._slots = SharedSlots(count, room)
        self._closed = self._slots is None  # or samples would go one way and the other, and lose their order

    def _forget(self) -> None:
        slots, self._slots = self._slots, None
        if slots is not None:
            slots.close()

    def close(self) -> None:
        """Share nothing any more."""
        with self._lock:
            self._closed = True
            self._forget()


class Shown(NamedTuple):
    """What stands at a place, and the number that stands before it as long as it does."""

    data: memoryview
    number: NDArray[np.uint64]


class Inbox:
    """What a reader has mapped of its writers; for one thread."""

    def __init__(self) -> None:
        self._mapped: dict[int, tuple[bytes, NDArray[np.uint8]]] = {}

    def get(self, place: Place, writer: int) -> Shown | None:
        """The sample at a place, of a writer (its handle); None if it has been overwritten.

        Raises:
            PlaceError: this process cannot look into that memory, or there is no such place in it.
        """
        known, memory = self._mapped.get(writer, (b"", None))
        if memory is None or known != place.memory:
            memory = _look_into(place)
            self._mapped[writer] = place.memory, memory
        start = place.offset + _NUMBER_SIZE
        if place.offset % _ALIGNED or start + place.size > len(memory):
            raise PlaceError(f"no {place.size} bytes at {place.offset} of a memory of {len(memory)}")
        number = memory[place.offset : start].view(np.uint64)
        if place.number == _UNWRITTEN or number[0] != place.number:
            return None
        return Shown(memoryview(memory[start : start + place.size]), number)

    def forget_others(self, writer: int, there: Callable[[], Iterable[int]]) -> None:
        """Forget the memory of writers beside one that are not there any more."""
        if self._mapped.keys() - {writer}:
            known = {writer, *there()}
            self._mapped = {one: memory for one, memory in self._mapped.items() if one in known}


def _look_into(place: Place) -> NDArray[np.uint8]:
    path = f"/proc/{place.process}/fd/{place.file}"
    try:
        if not os.readlink(path).startswith(f"/memfd:{NAME} "):  # opening another thing could wait, or do something
            raise PlaceError(f"{path} is no memory of a writer")
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if fcntl.fcntl(file, fcntl.F_GET_SEALS) & _seals() != _seals():
                raise PlaceError(f"{path} is memory that may shrink")
            memory: NDArray[np.uint8] = np.frombuffer(mmap.mmap(file, 0, prot=mmap.PROT_READ), np.uint8)
        finally:
            os.close(file)
    except (OSError, ValueError) as error:
        raise PlaceError(f"cannot look into {path}: {error}") from error
    if len(memory) < _ALIGNED or memory[:_ID_SIZE].tobytes() != place.memory:
        raise PlaceError(f"{path} is another memory by now")
    return memory


def _seals() -> int:
    return sum(getattr(fcntl, seal) for seal in _SEALS)


def _aligned(size: int) -> int:
    return -(-size // _ALIGNED) * _ALIGNED
