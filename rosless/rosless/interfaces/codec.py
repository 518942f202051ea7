"""CDR encoding of messages: one pair of functions per type, generated from its definition.

Nested messages are flattened, and neighbouring numbers share one `struct` call; a sequence of numbers is one
copy.  The alignment of a run of numbers depends on its position modulo 8, so each run has eight formats.
Positions count from the end of the 4 byte encapsulation header.  Little endian only: Cyclone DDS hands out
samples in the order of the machine.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct
from struct import error as struct_error
from typing import Any

import numpy as np

from rosless.errors import CodecError
from rosless.interfaces.definitions import Definition, FieldType

if sys.byteorder != "little":
    raise ImportError("rosless does not provide big-endian machines; they need a genuine ROS 2")

HEADER = b"\x00\x01\x00\x00"

# struct code, size, array typecode ("" where Python has lists instead)
PRIMITIVES: dict[str, tuple[str, int, str]] = {
    "bool": ("?", 1, ""),
    "byte": ("c", 1, ""),
    "char": ("B", 1, "B"),
    "int8": ("b", 1, "b"),
    "uint8": ("B", 1, "B"),
    "int16": ("h", 2, "h"),
    "uint16": ("H", 2, "H"),
    "int32": ("i", 4, "i"),
    "uint32": ("I", 4, "I"),
    "int64": ("q", 8, "q"),
    "uint64": ("Q", 8, "Q"),
    "float32": ("f", 4, "f"),
    "float64": ("d", 8, "d"),
}

Encoder = Callable[[bytearray, Any], None]
Decoder = Callable[[memoryview, int], tuple[Any, int]]


def aligned_formats(codes: str) -> tuple[Struct, ...]:
    """One format per position modulo 8 for a run of numbers, with the padding in it."""
    sizes = {code: size for code, size, _ in PRIMITIVES.values()}
    formats = []
    for phase in range(8):
        position, text = phase, "<"
        for code in codes:
            pad = -position % sizes[code]
            text += "x" * pad + code
            position += pad + sizes[code]
        formats.append(Struct(text))
    return tuple(formats)


@dataclass(frozen=True)
class Codec:
    """Encoder and decoder of one message type."""

    name: str
    encode_body: Encoder
    decode_body: Decoder

    def encode(self, message: object, prefix: bytes = b"") -> bytearray:
        """CDR bytes of a message; `prefix` (a multiple of 8 bytes) goes between the header and the body."""
        out = bytearray(HEADER)
        out += prefix
        self.encode_body(out, message)
        out += bytes(-len(out) % 4)
        return out

    def decode(self, data: bytes, skip: int = 0) -> Any:
        """The message in CDR bytes, `skip` bytes after the header.

        Raises:
            CodecError: the bytes are truncated, or no little endian plain CDR.
        """
        if data[:2] != HEADER[:2]:
            raise CodecError(f"{self.name}: encapsulation {bytes(data[:2]).hex()} is not plain little-endian CDR")
        try:
            return self.decode_body(memoryview(data), 4 + skip)[0]
        except (struct_error, UnicodeDecodeError, IndexError, OverflowError) as error:
            raise CodecError(f"{self.name}: malformed CDR of {len(data)} bytes: {error}") from error


class _Generator:
    """Writes the source of the functions of one type."""

    def __init__(
        self, definition: Definition, lookup: Callable[[str], Definition], message_class: Callable[[str], type]
    ) -> None:
        self.lookup, self.message_class = lookup, message_class
        self.scope: dict[str, Any] = {
            "array": array,
            "np": np,
            "CodecError": CodecError,
            "new": object.__new__,
            "LENGTH": Struct("<I"),
        }
        self.run: list[tuple[str, str]] = []
        self.lines: list[str] = []
        self.count = 0
        self.definition = definition

    def name(self, kind: str, value: object = None) -> str:
        self.count += 1
        name = f"{kind}{self.count}"
        if value is not None:
            self.scope[name] = value
        return name

    def flush(self) -> None:
        if not self.run:
            return
        formats = self.name("F", aligned_formats("".join(code for code, _ in self.run)))
        values = ", ".join(target for _, target in self.run)
        self.emit_run(formats, values)
        self.run = []

    def emit_run(self, formats: str, values: str) -> None:
        raise AssertionError  # pragma: no cover - both subclasses define it

    def compile(self, head: str, tail: str) -> Any:
        self.flush()
        source = "\n".join([head, *(f"    {line}" for line in self.lines), tail])
        exec(compile(source, f"<codec of {self.definition.name}>", "exec"), self.scope)
        return self.scope["function"]


class _EncoderGenerator(_Generator):
    def emit_run(self, formats: str, values: str) -> None:
        self.lines.append(f"out += {formats}[(len(out) + 4) & 7].pack({values})")

    def number(self, code: str, value: str) -> None:
        self.run.append((code, value))

    def message(self, path: str, definition: Definition) -> None:
        for field in definition.fields:
            self.field(f"{path}._{field.name}", field.type)

    def field(self, path: str, kind: FieldType) -> None:
        if kind.shape != "scalar":
            self.many(path, kind)
        elif kind.is_message:
            self.message(path, self.lookup(kind.base))
        elif kind.base == "string":
            self.string(path, "")
        else:
            self.number(PRIMITIVES[kind.base][0], path)

    def string(self, path: str, indent: str) -> None:
        self.flush()
        self.lines += [
            f"{indent}text = {path}.encode()",
            f"{indent}out += bytes(-len(out) & 3)",
            f"{indent}out += LENGTH.pack(len(text) + 1)",
            f"{indent}out += text",
            f"{indent}out += b'\\0'",
        ]

    def many(self, path: str, kind: FieldType) -> None:
        self.flush()
        self.lines.append(f"values = {path}")
        if kind.shape == "sequence":
            self.number("I", "len(values)")
            self.flush()
        element = kind.element
        if element.is_message:
            encode = self.name("encode", codec(element.base, self.lookup, self.message_class).encode_body)
            self.lines += ["for value in values:", f"    {encode}(out, value)"]
        elif element.base == "string":
            self.lines.append("for value in values:")
            self.string("value", "    ")
        else:
            _, size, typecode = PRIMITIVES[element.base]
            if not typecode:
                joined = "b''.join(values)" if element.base == "byte" else "bytes(values)"
                self.lines.append(f"out += {joined}")
                return
            if size == 8:
                self.lines += ["if len(values):", "    out += bytes((4 - len(out)) & 7)"]
            elif size == 2 or kind.shape == "array":
                self.lines.append(f"out += bytes(-len(out) & {size - 1})")
            self.lines.append("out += memoryview(values)" if kind.shape == "sequence" else "out += values.tobytes()")


class _DecoderGenerator(_Generator):
    def emit_run(self, formats: str, values: str) -> None:
        self.lines += [
            f"form = {formats}[(pos + 4) & 7]",
            f"{values}, = form.unpack_from(data, pos)",
            "pos += form.size",
        ]

    def message(self, definition: Definition) -> str:
        """Emits the code which makes a message, returns the variable that holds it."""
        variable = self.name("m")
        cls = self.name("C", self.message_class(definition.name))
        self.lines.append(f"{variable} = new({cls})")
        for field in definition.fields:
            self.field(f"{variable}._{field.name}", field.type)
        return variable

    def field(self, target: str, kind: FieldType) -> None:
        if kind.shape != "scalar":
            self.many(target, kind)
        elif kind.is_message:
            nested = self.message(self.lookup(kind.base))
            self.lines.append(f"{target} = {nested}")
        elif kind.base == "string":
            self.flush()
            self.lines += self.string(target)
        else:
            self.run.append((PRIMITIVES[kind.base][0], target))

    def string(self, target: str) -> list[str]:
        return [
            "pos += -pos & 3",
            "size, = LENGTH.unpack_from(data, pos)",
            "pos += 4 + size",
            "if size == 0 or pos > len(data): raise CodecError(f'string of {size} bytes exceeds the message')",
            f"{target} = str(data[pos - size:pos - 1], 'utf-8')",
        ]

    def many(self, target: str, kind: FieldType) -> None:
        self.flush()
        count = str(kind.size)
        if kind.shape == "sequence":
            count = "count"
            self.run.append(("I", "count"))
            self.flush()
            self.lines.append("if count > len(data) - pos: raise CodecError(f'sequence of {count} is too long')")
        element = kind.element
        if element.is_message:
            decode = self.name("decode", codec(element.base, self.lookup, self.message_class).decode_body)
            self.lines += [
                "values = []",
                f"for _ in range({count}):",
                f"    value, pos = {decode}(data, pos)",
                "    values.append(value)",
                f"{target} = values",
            ]
        elif element.base == "string":
            self.lines += [
                "values = []",
                f"for _ in range({count}):",
                *(f"    {line}" for line in self.string("value")),
                "    values.append(value)",
                f"{target} = values",
            ]
        else:
            self.numbers(target, kind, count)

    def numbers(self, target: str, kind: FieldType, count: str) -> None:
        _, size, typecode = PRIMITIVES[kind.base]
        if size == 8:
            self.lines += [f"if {count}:", "    pos += (4 - pos) & 7"]
        elif size > 1:
            self.lines.append(f"pos += -pos & {size - 1}")
        self.lines += [
            f"end = pos + {count} * {size}",
            "if end > len(data): raise CodecError(f'numbers up to {end} exceed the message')",
        ]
        if kind.base == "bool":
            self.lines.append(f"{target} = [bool(value) for value in data[pos:end]]")
        elif kind.base == "byte":
            self.lines.append(f"{target} = [bytes((value,)) for value in data[pos:end]]")
        elif kind.shape == "array":
            self.lines.append(f"{target} = np.frombuffer(data[pos:end], '{typecode}').copy()")
        else:
            self.lines += [f"values = array('{typecode}')", "values.frombytes(data[pos:end])", f"{target} = values"]
        self.lines.append("pos = end")


_codecs: dict[str, Codec] = {}


def codec(name: str, lookup: Callable[[str], Definition], message_class: Callable[[str], type]) -> Codec:
    """The codec of `package/kind/Name`, generated at its first use."""
    if name not in _codecs:
        definition = lookup(name)
        encoder = _EncoderGenerator(definition, lookup, message_class)
        encoder.message("message", definition)
        encode = encoder.compile("def function(out, message):", "    return None")
        decoder = _DecoderGenerator(definition, lookup, message_class)
        variable = decoder.message(definition)
        decode = decoder.compile("def function(data, pos):", f"    return {variable}, pos")
        _codecs[name] = Codec(name, encode, decode)
    return _codecs[name]
