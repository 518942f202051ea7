"""Pickles of RLBench demonstrations, read without trusting them.

A pickle is a program. This reader looks through its instructions first and then runs it with a dozen harmless
constructors: RLBench's two classes become plain holders of attributes, arrays are built here from checked shapes and
bytes, and every other name is refused. A demonstration from the internet can therefore neither run code nor claim
memory that its file does not hold.
"""

from __future__ import annotations

import pickle
import struct
from io import BytesIO
from math import prod
from pathlib import Path
from pickletools import opcodes
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.data.errors import EpisodeFileError
from mini_diffuser_ros.data.fields import read_bounded
from mini_diffuser_ros.support.errors import one_line

MAX_FILE_BYTES = 32 * 2**20
"""Of a pickle; a demonstration of a thousand frames has five million."""

_MAX_TUPLES = 100_000  # Nested in each other, more would overflow the stack; a frame of a demonstration has about 100.
_MAX_OBJECTS = 500_000  # Lists, dictionaries, arrays: of one byte each makes a hundred. A frame has about 200.
_ARRAY_KINDS = "biufSU"  # Numbers, booleans and text: no object arrays, whose elements could be anything.


class Attributes:
    """An instance of one of RLBench's classes: what its ``__dict__`` held, and nothing else."""

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, dict):
            raise pickle.UnpicklingError(f"the state of an object is a {type(state).__name__}, expected a dictionary")
        self.__dict__.update(state)


def read_pickle(file: Path) -> Any:
    """What a pickle holds: containers, numbers, text, arrays and :class:`Attributes`.

    Raises:
        EpisodeFileError: if the file cannot be read, is damaged, or holds anything else, naming it.
    """
    data = read_bounded(file, MAX_FILE_BYTES)
    try:
        _check_instructions(data)
        return _Reader(BytesIO(data)).load()
    # A damaged pickle can make its reader fail in any way; it has no side effects that could be left half done.
    except Exception as error:
        raise EpisodeFileError(file, f"not a readable pickle ({one_line(error)})") from error


class _NumpyName:
    """Stands for ``numpy.ndarray`` where a pickle names it as an argument; the real one could be made to allocate."""


class _Dtype:
    """The type of an array's elements, to be checked before numpy sees it."""

    def __init__(self, name: object, *_: object) -> None:
        if not isinstance(name, str) or len(name) > 8:
            raise pickle.UnpicklingError(f"array of type {name!r:.40}, expected numbers or text")
        self._type = np.dtype(name)
        if self._type.kind not in _ARRAY_KINDS:
            raise pickle.UnpicklingError(f"array of type {name!r}, expected numbers or text")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] in (">", "<"):
            self._type = self._type.newbyteorder(state[1])

    @property
    def checked(self) -> np.dtype[Any]:
        return self._type


class _Array(np.ndarray[Any, Any]):
    """An array whose shape, type and bytes are compared before it takes them."""

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, content = state
        element: np.dtype[Any] = dtype.checked
        if not isinstance(content, bytes) or len(content) != _element_count(shape) * element.itemsize:
            raise pickle.UnpicklingError(f"array of shape {shape!r:.40} and type {element} with other content")
        # numpy's own annotation wants its bool, the function itself a Python one.
        super().__setstate__((1, shape, element, bool(fortran), content))  # type: ignore[arg-type]

    def __reduce_ex__(self, protocol: Any) -> Any:
        # What was read may go on to another process, which knows numpy's own arrays alone.
        return self.view(np.ndarray).__reduce_ex__(protocol)


def _new_array(*_: object) -> NDArray[Any]:
    """Instead of numpy's ``_reconstruct``, which allocates whatever shape it is told."""
    return np.ndarray.__new__(_Array, (0,), "b")


def _from_buffer(content: bytes, dtype: _Dtype, shape: tuple[int, ...], order: str) -> NDArray[Any]:
    """Instead of numpy's ``_frombuffer``, which protocol 5 uses."""
    _element_count(shape)
    return np.frombuffer(content, dtype.checked).reshape(shape, order="F" if order == "F" else "C")


def _scalar(dtype: _Dtype, content: bytes) -> Any:
    if len(content) != dtype.checked.itemsize:
        raise pickle.UnpicklingError(f"scalar of type {dtype.checked} with {len(content)} bytes")
    return np.frombuffer(content, dtype.checked)[0]


class _RandomState(Attributes):
    """A random generator, which nothing here needs: whatever it was made of is dropped."""

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


def _element_count(shape: object) -> int:
    if not isinstance(shape, tuple) or len(shape) > 8 or not all(isinstance(n, int) and n >= 0 for n in shape):
        raise pickle.UnpicklingError(f"array of shape {shape!r:.40}")
    return prod(shape)


def _allowed_names() -> dict[tuple[str, str], Any]:
    names: dict[tuple[str, str], Any] = {
        ("rlbench.demo", "Demo"): Attributes,
        ("rlbench.backend.observation", "Observation"): Attributes,
        ("numpy", "ndarray"): _NumpyName,
        ("numpy", "dtype"): _Dtype,
    }
    # numpy 2 renamed numpy.core; a pickle carries the name of its writer's numpy.
    for core in ("numpy.core", "numpy._core"):
        names[f"{core}.multiarray", "_reconstruct"] = _new_array
        names[f"{core}.multiarray", "scalar"] = _scalar
        names[f"{core}.numeric", "_frombuffer"] = _from_buffer
    for constructor in ("__randomstate_ctor", "__generator_ctor", "__bit_generator_ctor"):
        names["numpy.random._pickle", constructor] = _RandomState
    names["numpy.random._mt19937", "MT19937"] = _NumpyName
    return names


_ALLOWED = _allowed_names()


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which no demonstration needs")
        return _ALLOWED[module, name]


# Instructions a writer of protocol 2 or later uses for such objects, and the length of the argument of each; None
# where the argument starts with its own length. Text forms of the oldest protocols, persistent ids, extensions, sets
# and the instructions that call a class by other means than REDUCE and NEWOBJ are not among them.
# fmt: off
_FIXED = {
    "PROTO", "MARK", "STOP", "FRAME", "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "BINFLOAT",
    "EMPTY_LIST", "APPEND", "APPENDS", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_DICT",
    "SETITEM", "SETITEMS", "POP", "DUP", "MEMOIZE", "BINGET", "LONG_BINGET", "BINPUT", "LONG_BINPUT",
    "STACK_GLOBAL", "REDUCE", "BUILD", "NEWOBJ",
}
# fmt: on
_COUNTED = {
    "LONG1": "B",
    "SHORT_BINBYTES": "B",
    "SHORT_BINUNICODE": "B",
    "SHORT_BINSTRING": "B",
    "BINBYTES": "<I",
    "BINUNICODE": "<I",
    "BINBYTES8": "<Q",
    "BINUNICODE8": "<Q",
    "BYTEARRAY8": "<Q",
}
_CODES = {opcode.name: ord(opcode.code) for opcode in opcodes}
_NAMES = {ord(opcode.code): opcode.name for opcode in opcodes}
_SKIP = [-1] * 256
for _opcode in opcodes:
    if _opcode.name in _FIXED:
        _SKIP[ord(_opcode.code)] = 1 + (_opcode.arg.n if _opcode.arg else 0)
_LENGTH = {_CODES[name]: struct.Struct(form) for name, form in _COUNTED.items()}
_TUPLES = frozenset(_CODES[name] for name in ("TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"))
_OBJECTS = frozenset(_CODES[name] for name in ("EMPTY_LIST", "EMPTY_DICT", "REDUCE", "NEWOBJ"))
_GLOBAL, _STOP, _LONG_BINPUT = _CODES["GLOBAL"], _CODES["STOP"], _CODES["LONG_BINPUT"]


def _check_instructions(data: bytes) -> None:
    """Refuse a pickle with instructions that its kind does not need, or one that claims memory it does not fill."""
    place, end, tuples, objects = 0, len(data), 0, 0
    skip = _SKIP
    while place < end:
        code = data[place]
        step = skip[code]
        if step > 0:
            if code == _STOP:
                if tuples > _MAX_TUPLES:
                    raise pickle.UnpicklingError(f"it has {tuples} tuples, expected at most {_MAX_TUPLES}")
                if objects > _MAX_OBJECTS:
                    raise pickle.UnpicklingError(f"it has {objects} objects, expected at most {_MAX_OBJECTS}")
                return
            # The memo is a table that grows to the largest number: one instruction could claim gigabytes.
            if code == _LONG_BINPUT and int.from_bytes(data[place + 1 : place + 5], "little") > end:
                raise pickle.UnpicklingError("a memo number is larger than the file")
            tuples += code in _TUPLES
            objects += code in _OBJECTS
            place += step
        elif code in _LENGTH:
            form = _LENGTH[code]
            place += 1 + form.size + form.unpack_from(data, place + 1)[0]
        elif code == _GLOBAL:
            place = data.index(b"\n", data.index(b"\n", place) + 1) + 1
        else:
            raise pickle.UnpicklingError(f"instruction {_NAMES.get(code, code)} at byte {place}")
    raise pickle.UnpicklingError("it is cut off")
