"""Typed access to a JSON object that came from a file: each complaint names the file, the field and what it holds.

Episodes are data, not settings, so ``support.settings`` is not their reader: they hold arrays of a given shape, a field
that a later writer adds is no fault, there are no defaults, and thousands of keyframes are read at the start of a run.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.data.errors import EpisodeFileError
from mini_diffuser_ros.support.errors import one_line

MAX_JSON_BYTES = 4 * 2**20
"""Of an index or a table of sentences: a keyframe of four cameras has about 4 kB, and JSON may take 25 times its bytes
once it is read."""


_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def read_bounded(file: Path, most: int) -> bytes:
    """The bytes of a file, of at most ``most`` of them.

    Raises:
        EpisodeFileError: if it has more, or cannot be read.
    """
    try:
        with file.open("rb") as stream:
            data = stream.read(most + 1)
    except OSError as error:
        raise EpisodeFileError(file, f"cannot be read ({error.strerror or error})") from error
    if len(data) > most:
        raise EpisodeFileError(file, f"has {file.stat().st_size} bytes, expected at most {most}")
    return data


def parse_json(file: Path, data: bytes, what: str = "") -> Any:
    """What JSON says that came from a file.

    Args:
        file: for messages.
        data: the text, UTF-8.
        what: of the file is JSON, where it is not all of it.

    Raises:
        EpisodeFileError: if it is none, or too long to be read.
    """
    named = f"{what} " if what else ""
    if len(data) > MAX_JSON_BYTES:
        raise EpisodeFileError(file, f"{named}has {len(data)} bytes, expected at most {MAX_JSON_BYTES}")
    try:
        return json.loads(data)
    # Of ValueError: no JSON, no UTF-8, a number of thousands of digits.
    except (ValueError, RecursionError) as error:
        raise EpisodeFileError(file, f"{named}is not JSON ({one_line(error)})") from error


class Fields:
    """One JSON object inside a file.

    Args:
        file: for messages.
        values: what ``json.loads`` returned for the object.
        where: the object's place in the file, e.g. ``keyframes[2]``; empty for the outermost.
        whole: what the outermost object is called.
    """

    def __init__(self, file: Path, values: object, where: str = "", whole: str = "episode.json") -> None:
        self.file = file
        self._where = where
        if not isinstance(values, dict):
            raise EpisodeFileError(file, f"{where or whole} is {_shown(values)}, expected an object")
        self._values: dict[str, Any] = values

    def expect(self, name: str, value: str | int) -> None:
        """Refuse any other value."""
        if self._value(name) != value:
            raise self.fault(name, f"{value!r}, which this program reads")

    def text(self, name: str) -> str:
        """A non-empty string of one line, which a terminal and a log can show."""
        value = self._value(name)
        if not isinstance(value, str) or not value.strip() or _CONTROLS.search(value):
            raise self.fault(name, "a non-empty string without control characters")
        return value

    def optional_text(self, name: str) -> str | None:
        """A non-empty string, or None for null."""
        return None if self._value(name) is None else self.text(name)

    def texts(self, name: str) -> tuple[str, ...]:
        """At least one non-empty string."""
        values = self._value(name)
        valid = isinstance(values, list) and values and all(isinstance(v, str) and v.strip() for v in values)
        if not valid:
            raise self.fault(name, "a list of at least one non-empty string")
        return tuple(values)

    def names(self, name: str) -> tuple[str, ...]:
        """Strings, perhaps none."""
        values = self._value(name)
        if not isinstance(values, list) or not all(isinstance(v, str) and not _CONTROLS.search(v) for v in values):
            raise self.fault(name, "a list of strings without control characters")
        return tuple(values)

    def integer(self, name: str) -> int:
        """A whole number of at least 0."""
        value = self._value(name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self.fault(name, "a whole number of at least 0")
        return value

    def number(self, name: str) -> float:
        """A finite number."""
        value = self._value(name)
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not abs(value) <= sys.float_info.max:
            raise self.fault(name, "a finite number")
        return float(value)

    def length(self, name: str) -> float:
        """A number above 0."""
        value = self.number(name)
        if value <= 0.0:
            raise self.fault(name, "a positive length")
        return value

    def flag(self, name: str) -> bool:
        """True or false."""
        value = self._value(name)
        if not isinstance(value, bool):
            raise self.fault(name, "true or false")
        return value

    def array(self, name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """Finite numbers of a given shape."""
        try:
            array = np.array(self._value(name), dtype=np.float64)
        except (TypeError, ValueError, OverflowError):
            array = np.full(1, np.nan)
        if array.shape != shape or not np.all(np.isfinite(array)):
            raise self.fault(name, f"finite numbers of shape {shape}")
        return array

    def numbers(self, name: str) -> dict[str, float]:
        """An object of finite numbers."""
        child = Fields(self.file, self._value(name), self.place(name))
        return {key: child.number(key) for key in child._values}

    def has(self, name: str) -> bool:
        """Whether the object has a field."""
        return name in self._values

    def list_of_numbers(self, name: str) -> tuple[float, ...]:
        """Finite numbers, however many."""
        values = self._value(name)
        if not isinstance(values, list):
            raise self.fault(name, "a list of finite numbers")
        return tuple(self.array(name, (len(values),)).tolist())

    def child(self, name: str) -> Fields:
        """An object."""
        return Fields(self.file, self._value(name), self.place(name))

    def optional_object(self, name: str) -> dict[str, Any] | None:
        """A plain object, or None for null."""
        return None if self._value(name) is None else self.child(name)._values

    def children(self, name: str, at_least: int, at_most: int) -> list[Fields]:
        """A list of objects."""
        values = self._value(name)
        if not isinstance(values, list) or not at_least <= len(values) <= at_most:
            raise self.fault(name, f"a list of {at_least} to {at_most} objects")
        return [Fields(self.file, value, f"{self.place(name)}[{i}]") for i, value in enumerate(values)]

    def place(self, name: str) -> str:
        """Where a field stands in the file."""
        return f"{self._where}.{name}" if self._where else name

    def fault(self, name: str, expected: str) -> EpisodeFileError:
        """The error that says what a field holds and what was expected."""
        return EpisodeFileError(self.file, f"{self.place(name)} is {_shown(self._value(name))}, expected {expected}")

    def _value(self, name: str) -> Any:
        if name not in self._values:
            raise EpisodeFileError(self.file, f"{self.place(name)} is missing")
        return self._values[name]


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
