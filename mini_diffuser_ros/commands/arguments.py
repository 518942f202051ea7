"""Command-line arguments that several verbs share, and those of a dataclass's fields."""

from __future__ import annotations

import argparse
import os
import typing
from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal

from mini_diffuser_ros.bench.benchmark import LEAST, POSITIONAL, READ, SEVERAL, between
from mini_diffuser_ros.cell import NAMESPACE, NAMESPACE_FORM
from mini_diffuser_ros.support.settings import Leaf, attribute_descriptions

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Reader = Callable[[str], Any]


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """Where demonstrations are: ``path`` and ``--sentences``."""
    parser.add_argument(
        "path", type=Path, help="recordings, a converted set, raw RLBench, PerAct or 3D-LOTUS keysteps: the directory"
    )
    parser.add_argument(
        "--sentences", type=Path, metavar="FILE", help="sentences of 3D-LOTUS keysteps, JSON; by default beside them"
    )


def add_workers_argument(parser: argparse.ArgumentParser) -> None:
    """``--workers``, by default one for each core that this process may use."""
    parser.add_argument(
        "--workers",
        type=whole_number_from(1),
        default=len(os.sched_getaffinity(0)),
        metavar="N",
        help="processes that read (default %(default)s)",
    )


MOST = 2**31 - 1
"""Whole number that is taken where nothing else bounds it."""

LONGEST_WAIT = 86400.0
"""Seconds that a verb may be told to wait: a day."""


def whole_number_from(least: int, most: int = MOST) -> Reader:
    """Reader of a whole number of at least ``least``, which is not negative, and at most ``most``."""

    def read(text: str) -> int:
        if not text.isdecimal() or len(text) > 20 or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a whole number of at least {least}")
        if int(text) > most:
            raise argparse.ArgumentTypeError(f"{text!r} is too large, expected at most {most}")
        return int(text)

    return read


def number_between(low: float, high: float) -> Reader:
    """Reader of a finite number in [low, high]."""

    return _telling(between(low, high))


def place(text: str) -> str:
    """The path of something, as a reader: not empty, as a variable of the shell is that is not set."""
    if not text.strip():
        raise argparse.ArgumentTypeError("is empty, expected a path; is a variable of the shell not set?")
    return text


def namespace(text: str) -> str:
    """A namespace of ROS, as a reader."""
    if not NAMESPACE.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text[:100]!r} cannot be a namespace of ROS: expected {NAMESPACE_FORM}")
    return text


def truth(text: str) -> bool:
    """``true`` or ``false``, as a reader."""
    if text not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{text[:100]!r} is neither true nor false")
    return text == "true"


def number_of(leaf: Leaf) -> Reader:
    """Reader of a value of settings: true or false, or a number within its bounds; others are left to the settings."""
    if isinstance(leaf.default, bool):
        return truth
    if leaf.bounds is None:
        return type(leaf.default)
    low, high = leaf.bounds
    return number_between(low, high) if isinstance(leaf.default, float) else whole_number_from(int(low), int(high))


def add_field_arguments(parser: argparse.ArgumentParser, settings: type[DataclassInstance]) -> None:
    """An option for each field of the settings of a benchmark, described by their docstring."""
    hints = typing.get_type_hints(settings)
    descriptions: dict[str, str] = {}
    for kind in reversed(settings.__mro__):
        descriptions |= attribute_descriptions(kind) if "__doc__" in vars(kind) else {}
    for entry in fields(settings):
        text = descriptions.get(entry.name, entry.name).rstrip(".").replace("%", "%%")
        _add_field(parser, entry, hints[entry.name], text)


def values_of_fields(values: argparse.Namespace, settings: type[DataclassInstance]) -> dict[str, tuple[Any, ...]]:
    """The values that were given for each field: one, or several where it takes several."""
    given = ((entry, getattr(values, entry.name)) for entry in fields(settings))
    return {entry.name: value if SEVERAL in entry.metadata else (value,) for entry, value in given}


def _add_field(parser: argparse.ArgumentParser, entry: Field[Any], hint: Any, text: str) -> None:
    words: dict[str, Any] = {"help": text}
    if NoneType in (parts := typing.get_args(hint)):
        hint = next(part for part in parts if part is not NoneType)
    of_many = typing.get_origin(hint) is tuple
    element = typing.get_args(hint)[0] if of_many else hint
    read = _reader(entry, element)
    if entry.metadata.get(POSITIONAL):
        metavar = entry.name.upper()
        words |= {"nargs": "*"} if of_many else {}
        parser.add_argument(entry.name, type=read, metavar=metavar, **words)
        return
    if hint is bool:
        parser.add_argument(_option(entry), action="store_true", help=text)
        return
    default = entry.metadata.get(SEVERAL, entry.default)
    if typing.get_origin(hint) is Literal:
        words["choices"] = typing.get_args(hint)
    elif of_many or SEVERAL in entry.metadata:
        words |= {"type": _separated(read), "metavar": "X[,X]"}
        words["help"] = f"{text} (default: {','.join(map(str, default))})" if _is_given(default) else text
    else:
        words |= {"type": read, "metavar": getattr(element, "__name__", "X").upper()}
    parser.add_argument(_option(entry), **words, **({"required": True} if default is MISSING else {"default": default}))


def _is_given(default: object) -> bool:
    return default is not MISSING and bool(default)


def _option(entry: Field[Any]) -> str:
    return "--" + entry.name.replace("_", "-")


def _reader(entry: Field[Any], kind: Any) -> Reader:
    if LEAST in entry.metadata:
        return whole_number_from(entry.metadata[LEAST])
    if (read := entry.metadata.get(READ)) is None:
        return {int: whole_number_from(0), float: number_between(0.0, 1e9)}.get(kind, kind)

    return _telling(read)


def _telling(read: Reader) -> Reader:
    """A reader whose ValueErrors reach whoever typed the argument."""

    def telling(text: str) -> Any:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return telling


def _separated(read: Reader) -> Callable[[str], tuple[Any, ...]]:
    return lambda text: tuple(read(part.strip()) for part in text.split(","))
