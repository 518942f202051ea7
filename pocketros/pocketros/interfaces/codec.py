"""CDR encoding: a pair of functions per type, composed from those of its fields.

Neighbouring numbers of one size share one `struct` call, and a sequence of numbers is one copy.  Positions count from
the end of the 4 byte encapsulation header.  Little endian only: Cyclone DDS hands out samples in the machine's order.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Callable, Iterator
from functools import cache
from itertools import groupby
from typing import Any, NamedTuple, TypeVar

import numpy as np

from pocketros.errors import CodecError
from pocketros.interfaces.definitions import FieldType

if sys.byteorder != "little":
    raise ImportError("pocketros does not provide big-endian machines; they need a genuine ROS 2")

HEADER = b"\x00\x01\x00\x00"
# struct code (which is the typecode of arrays, too) and size
NUMBERS = {
    "bool": ("?", 1), "byte": ("c", 1), "char": ("B", 1), "int8": ("b", 1), "uint8": ("B", 1), "int16": ("h", 2),
    "uint16": ("H", 2), "int32": ("i", 4), "uint32": ("I", 4), "int64": ("q", 8), "uint64": ("Q", 8),
    "float32": ("f", 4), "float64": ("d", 8),
}  # fmt: skip
LENGTH = struct.Struct("<I")
LONG, WIDEST = 2**16, 8  # bytes: of a sequence that is worth leaving where it is, and of the widest number
LISTS: dict[str, Callable[[int], Any]] = {
    "bool": bool,
    "byte": lambda value: bytes((value,)),
}  # sequences that Python has as lists, not as arrays


_Out = TypeVar("_Out", bound=bytearray)


def typecode(kind: FieldType) -> str:
    """Typecode of the array that holds a sequence of a type; "" for those that are lists."""
    return NUMBERS[kind.base][0] if kind.base in NUMBERS and kind.base not in LISTS else ""


class Parts(bytearray):
    """Encoded bytes, of which long sequences of numbers stay where they are until they are joined or copied elsewhere.

    What is left out is a multiple of the widest number, so that what follows is aligned as it would be behind it.

    Attributes:
        apart: what is left out, and before which of the other bytes.
    """

    def __init__(self, begin: bytes) -> None:
        super().__init__(begin)
        self.apart: list[tuple[int, memoryview]] = []

    def leave_apart(self, values: memoryview) -> memoryview:
        """Leave out all but the last few bytes, and return these."""
        whole = len(values) - len(values) % WIDEST
        self.apart.append((len(self), values[:whole]))
        return values[whole:]

    @property
    def size(self) -> int:
        """Bytes of the whole."""
        return len(self) + sum(len(values) for _, values in self.apart)

    def pieces(self) -> Iterator[memoryview]:
        """The whole, one piece after the other."""
        own, begin = memoryview(self), 0
        for end, values in self.apart:
            yield own[begin:end]
            yield values
            begin = end
        yield own[begin:]

    def joined(self) -> bytes | bytearray:
        """The whole."""
        return b"".join(self.pieces()) if self.apart else self


class Codec(NamedTuple):
    """`write(out, value)` appends an encoding; `read(data, position)` returns a value and the next position."""

    write: Callable[[bytearray, Any], None]
    read: Callable[[memoryview, int], tuple[Any, int]]


def padding(position: int, size: int) -> int:
    """Bytes to the next multiple of `size`; positions include the 4 bytes of the header."""
    return (4 - position) & (size - 1)


def encode(cls: type, message: object, prefix: bytes = b"") -> bytearray:
    """CDR bytes of a message; `prefix` (a multiple of 8 bytes) goes between the header and the body."""
    return _encoded(bytearray(HEADER + prefix), cls, message)


def encode_in_parts(cls: type, message: object) -> Parts:
    """CDR bytes of a message, whose long sequences are not copied: they have to stay as they are for as long."""
    return _encoded(Parts(HEADER), cls, message)


def _encoded(out: _Out, cls: type, message: object) -> _Out:
    message_codec(cls).write(out, message)
    out += bytes(-len(out) % 4)
    return out


def decode(cls: Any, data: bytes | memoryview, skip: int = 0) -> Any:
    """The message in CDR bytes, `skip` bytes after the header.

    Raises:
        CodecError: the bytes are truncated, or no little endian plain CDR.
    """
    name = cls._definition.name
    if data[:2] != HEADER[:2]:
        raise CodecError(f"{name}: encapsulation {bytes(data[:2]).hex()} is not plain little-endian CDR")
    try:
        return message_codec(cls).read(memoryview(data), 4 + skip)[0]
    except (struct.error, UnicodeDecodeError, ValueError, OverflowError) as error:
        raise CodecError(f"{name}: malformed CDR of {len(data)} bytes: {error}") from error


@cache
def message_codec(cls: Any) -> Codec:
    """The codec of a message class."""
    parts = list(_parts(cls))

    def write(out: bytearray, message: Any) -> None:
        for put, _ in parts:
            put(out, message)

    def read(data: memoryview, position: int) -> tuple[Any, int]:
        message = object.__new__(cls)
        for _, get in parts:
            position = get(message, data, position)
        return message, position

    return Codec(write, read)


def _parts(cls: Any) -> Iterator[tuple[Callable[..., None], Callable[..., int]]]:
    """Functions which write and read one field of a message, or several neighbouring numbers."""

    def size_of_number(field: Any) -> int:
        return NUMBERS[field.type.base][1] if field.type.shape == "scalar" and field.type.base in NUMBERS else 0

    for size, run in groupby(cls._definition.fields, size_of_number):
        fields = list(run)
        slots = [cls.__dict__[f"_{field.name}"] for field in fields]
        if size:
            form = struct.Struct("<" + "".join(NUMBERS[field.type.base][0] for field in fields))
            yield _numbers_part(slots, form, size)
        else:
            for field, slot in zip(fields, slots, strict=True):
                yield _field_part(slot, codec(field.type, cls._classes.get(field.type.base)))


def _numbers_part(slots: list[Any], form: struct.Struct, size: int) -> tuple[Callable[..., None], Callable[..., int]]:
    getters, setters = [slot.__get__ for slot in slots], [slot.__set__ for slot in slots]

    def put(out: bytearray, message: Any) -> None:
        out += bytes(padding(len(out), size))
        out += form.pack(*[get(message) for get in getters])

    def get(message: Any, data: memoryview, position: int) -> int:
        position += padding(position, size)
        for set_field, value in zip(setters, form.unpack_from(data, position), strict=True):
            set_field(message, value)
        return position + form.size

    return put, get


def _field_part(slot: Any, codec: Codec) -> tuple[Callable[..., None], Callable[..., int]]:
    def put(out: bytearray, message: Any) -> None:
        codec.write(out, slot.__get__(message))

    def get(message: Any, data: memoryview, position: int) -> int:
        value, position = codec.read(data, position)
        slot.__set__(message, value)
        return position

    return put, get


def codec(kind: FieldType, cls: Any) -> Codec:
    """The codec of a field that is no plain number; `cls` is the class of its message, if it holds any."""
    if kind.shape == "scalar":
        return message_codec(cls) if cls is not None else Codec(_write_string, _read_string)
    if kind.base in NUMBERS:
        return _bulk(kind)
    element, fixed = codec(kind.element, cls), kind.size if kind.shape == "array" else None

    def write(out: bytearray, values: Any) -> None:
        if fixed is None:
            _write_length(out, len(values))
        for value in values:
            element.write(out, value)

    def read(data: memoryview, position: int) -> tuple[Any, int]:
        count, position = _read_length(data, position) if fixed is None else (fixed, position)
        values = []
        for _ in range(count):
            value, position = element.read(data, position)
            values.append(value)
        return values, position

    return Codec(write, read)


def _bulk(kind: FieldType) -> Codec:
    """Numbers of one type in one copy."""
    size, code, fixed = NUMBERS[kind.base][1], typecode(kind), kind.size if kind.shape == "array" else None

    def write(out: bytearray, values: Any) -> None:
        if fixed is None:
            _write_length(out, len(values))
        if len(values):
            out += bytes(padding(len(out), size))
            chunk = memoryview(values).cast("B") if code else b"".join(values) if kind.base == "byte" else bytes(values)
            out += out.leave_apart(memoryview(chunk)) if len(chunk) >= LONG and isinstance(out, Parts) else chunk

    def read(data: memoryview, position: int) -> tuple[Any, int]:
        count, position = _read_length(data, position) if fixed is None else (fixed, position)
        position += padding(position, size) if count else 0
        end = position + count * size
        if end > len(data):
            raise CodecError(f"{count} numbers up to byte {end} exceed the message")
        chunk = data[position:end]
        if not code:
            return [LISTS[kind.base](value) for value in chunk], end
        if fixed is not None:
            return np.frombuffer(chunk, code).copy(), end
        values = array(code)
        values.frombytes(chunk)
        return values, end

    return Codec(write, read)


def _write_length(out: bytearray, length: int) -> None:
    out += bytes(-len(out) & 3)
    out += LENGTH.pack(length)


def _read_length(data: memoryview, position: int) -> tuple[int, int]:
    position += -position & 3
    (length,) = LENGTH.unpack_from(data, position)
    position += 4
    if length > len(data) - position:
        raise CodecError(f"a length of {length} exceeds the message")
    return length, position


def _write_string(out: bytearray, text: str) -> None:
    encoded = text.encode()
    _write_length(out, len(encoded) + 1)
    out += encoded + b"\0"


def _read_string(data: memoryview, position: int) -> tuple[str, int]:
    length, position = _read_length(data, position)
    if not length:
        raise CodecError("a string lacks its final zero")
    return str(data[position : position + length - 1], "utf-8"), position + length
