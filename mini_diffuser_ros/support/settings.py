"""Dataclass trees from plain mappings, with every value checked against its annotation.

The annotations in use are the whole language: ``bool``, ``int``, ``float``, ``str``, ``Literal[...]``,
``tuple[T, ...]``, ``tuple[T, T]``, ``dict[str, ...]`` and nested dataclasses. Anything unknown or ill-typed is
refused by the dotted name of the field and the file it came from.
"""

from __future__ import annotations

import dataclasses
import difflib
import typing
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar

from mini_diffuser_ros.training.errors import ConfigError

T = TypeVar("T")


def from_mapping(cls: type[T], values: object, source: str, prefix: str = "") -> T:
    """An instance of the dataclass ``cls`` with the fields that ``values`` gives, defaults for the rest.

    Args:
        cls: a dataclass; nested dataclasses are built likewise.
        values: what YAML gave for it, a mapping of field name to value.
        source: file or origin named in messages.
        prefix: dotted name of this mapping in the file, empty at the top.

    Raises:
        ConfigError: on an unknown field, a value of another type or one that the dataclass refuses.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"{source}: {prefix or 'the top level'} is {values!r}, expected a mapping of fields")
    hints = typing.get_type_hints(cls)
    known = [f.name for f in dataclasses.fields(cls) if f.init]  # type: ignore[arg-type]
    arguments = {}
    for key, value in values.items():
        name = f"{prefix}.{key}" if prefix else str(key)
        if key not in known:
            raise ConfigError(f"{source}: unknown field {name!r}; {_suggest(str(key), known)}")
        arguments[key] = _convert(hints[key], value, source, name)
    try:
        return cls(**arguments)
    except ConfigError as error:
        # A dataclass names its own field only; the reader needs the whole path to it.
        raise ConfigError(f"{source}: {prefix + '.' if prefix else ''}{error}") from error
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{source}: {prefix or 'the top level'}: {error}") from error


def override(values: dict[str, Any], dotted: str, value: object) -> None:
    """Set the field of the dotted name in a tree of plain mappings, in place, making mappings on the way."""
    *parents, last = dotted.split(".")
    for parent in parents:
        child = values.setdefault(parent, {})
        if not isinstance(child, dict):
            raise ConfigError(f"command line: --{dotted}: {parent} is {child!r}, not a group of fields")
        values = child
    values[last] = value


def to_mapping(config: Any) -> dict[str, Any]:
    """The plain mapping (dicts, lists, numbers, strings) of a dataclass tree; ``from_mapping`` reads it back."""
    return {f.name: _plain(getattr(config, f.name)) for f in dataclasses.fields(config) if f.init}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return to_mapping(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return value


def _convert(hint: Any, value: object, source: str, name: str) -> Any:
    origin = typing.get_origin(hint)
    if dataclasses.is_dataclass(hint):
        return from_mapping(typing.cast(type[Any], hint), value, source, name)
    if origin is Literal:
        if value in typing.get_args(hint):
            return value
        raise _ill_typed(source, name, value, "one of " + ", ".join(map(repr, typing.get_args(hint))))
    if origin in (UnionType, typing.Union):
        return _convert_optional(hint, value, source, name)
    if origin is tuple:
        return _convert_tuple(typing.get_args(hint), value, source, name)
    if origin is dict or hint is dict:
        if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
            kind = (typing.get_args(hint) or (str, Any))[1]
            return {key: _convert(kind, item, source, f"{name}.{key}") for key, item in value.items()}
        raise _ill_typed(source, name, value, "a mapping")
    return _convert_scalar(hint, value, source, name)


def _convert_optional(hint: Any, value: object, source: str, name: str) -> Any:
    choices = typing.get_args(hint)
    if value is None and NoneType in choices:
        return None
    inner = [choice for choice in choices if choice is not NoneType]
    return _convert(inner[0], value, source, name)


def _convert_tuple(parts: tuple[Any, ...], value: object, source: str, name: str) -> tuple[Any, ...]:
    if isinstance(value, str) and parts and parts[-1] is Ellipsis:
        value = [item for item in value.split(",") if item]  # --data.tasks a,b
    if not isinstance(value, (list, tuple)):
        raise _ill_typed(source, name, value, "a list")
    if parts[-1] is Ellipsis:
        return tuple(_convert(parts[0], item, source, f"{name}[{i}]") for i, item in enumerate(value))
    if len(parts) != len(value):
        raise _ill_typed(source, name, value, f"a list of {len(parts)}")
    items = zip(parts, value, strict=True)
    return tuple(_convert(part, item, source, f"{name}[{i}]") for i, (part, item) in enumerate(items))


def _convert_scalar(hint: Any, value: object, source: str, name: str) -> Any:
    if hint is float and isinstance(value, str):
        # YAML 1.1 reads 1e-3 (no dot) as a string, which is how everybody writes a learning rate.
        try:
            return float(value)
        except ValueError:
            raise _ill_typed(source, name, value, "a number") from None
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if hint is Any:
        return value
    if isinstance(value, hint) and (hint is bool or not isinstance(value, bool)):
        return value
    words = {float: "a number", int: "a whole number", bool: "true or false", str: "a text"}
    raise _ill_typed(source, name, value, words.get(hint, str(hint)))


def _ill_typed(source: str, name: str, value: object, expected: str) -> ConfigError:
    return ConfigError(f"{source}: {name} is {value!r}, expected {expected}")


def _suggest(key: str, known: list[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1)
    return f"did you mean {close[0]!r}?" if close else "known are " + ", ".join(known)
