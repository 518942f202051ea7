"""What a benchmark is: settings, whose fields are its options, and rows, whose fields are its output.

A module of this room says it in ``BENCHMARK``; ``mini-diffuser bench`` reads the options and writes the rows of all of
them in one manner.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T")
Row = Any  # a dataclass of one kind each benchmark, or a mapping where it is a report of its own

LEAST = "least"
SEVERAL = "several"
READ = "read"
POSITIONAL = "positional"


def passes(row: Row) -> bool:
    """False for a report that says ``passed: false`` of itself."""
    return not isinstance(row, Mapping) or bool(row.get("passed", True))


@dataclass(frozen=True)
class Benchmark:
    """Something that is measured.

    Attributes:
        settings: a dataclass; each of its fields is an option, described in its ``Attributes:``.
        rows: what is measured, from the settings for each combination of those options that take several values.
        description: for the help.
        passed: whether a row is as it should be; if one is not, the exit code is 1.
    """

    settings: type[DataclassInstance]
    rows: Callable[[Sequence[Any]], Iterable[Row]]
    description: str | None
    passed: Callable[[Row], bool] = passes


def at_least(least: int, default: int) -> int:
    """A field with a whole number of at least ``least``."""
    value: int = field(default=default, metadata={LEAST: least})
    return value


def several(*defaults: int) -> int:
    """A field with a whole number of at least 1, of which the option takes several, separated by commas."""
    value: int = field(default=defaults[0], metadata={LEAST: 1, SEVERAL: defaults})
    return value


def read_by(read: Callable[[str], object], default: T) -> T:
    """A field read by a function, of a tuple each element; it raises ValueError with what is wrong."""
    value: T = field(default=default, metadata={READ: read})
    return value


def between(low: float, high: float) -> Callable[[str], float]:
    """Reader of a finite number in [low, high], for :func:`read_by`."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            raise ValueError(f"{text[:40]!r} is not a number from {low:g} to {high:g}")
        return value

    return read


def one_of(known: Sequence[str], what: str) -> Callable[[str], str]:
    """Reader of one of some names, for :func:`read_by`; ``what`` says what another one is not, as 'variant'."""

    def read(text: str) -> str:
        if text not in known:
            raise ValueError(f"{text[:60]!r} is no {what}; expected {', '.join(known)}")
        return text

    return read


def positional(read: Callable[[str], Any] = str) -> Any:
    """A field that is given by its place; a tuple takes what is left."""
    return field(metadata={POSITIONAL: True, READ: read})
