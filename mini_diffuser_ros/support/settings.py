"""Typed settings: dataclass trees from YAML, command lines, ROS parameters and checkpoints, read by one reader.

The annotations in use are the whole language: ``bool``, ``int``, ``float``, ``str``, ``Literal[...]``, ``X | None``,
``tuple[T, ...]``, ``tuple[T, T]``, ``list[T]``, ``dict[str, ...]`` and nested dataclasses. Numbers are finite, and
within the bounds that :func:`bounded` gave their field. Anything unknown or ill-typed is refused by the dotted name of
the field and the source that it came from, with its value, what is expected and, for a name, the nearest that is known.
"""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import re
import sys
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar

import yaml

from mini_diffuser_ros.support.errors import UserError, one_line
from mini_diffuser_ros.support.files import write_whole

T = TypeVar("T")
Number = TypeVar("Number", int, float)


class SettingsError(UserError, ValueError):
    """A setting is unknown, missing, of another type or out of range.

    Args:
        name: dotted name of the field.
        problem: the rest of the line, e.g. ``is 3, expected a number in [0, 1]``.
        source: file or other origin; empty where a program gave the value.
    """

    def __init__(self, name: str, problem: str, source: str = "") -> None:
        super().__init__(f"{source}: {name} {problem}" if source else f"{name} {problem}")
        self.name, self.problem, self.source = name, problem, source

    def inside(self, prefix: str, source: str) -> SettingsError:
        """The same, of a field that lies in a group of fields, in a source."""
        return type(self)(f"{prefix}.{self.name}" if prefix else self.name, self.problem, source or self.source)


def not_expected(name: str, value: object, expected: str, source: str = "") -> SettingsError:
    """The error that a field has a value which it may not have."""
    return SettingsError(name, f"is {value!r}, expected {expected}", source)


_LARGEST_FILE = 1 << 20  # bytes
_MOST_VALUES = 200_000  # in a file of settings


def unknown_name(name: str, known: Sequence[str], what: str = "field") -> str:
    """``unknown field 'x'; did you mean 'y'?``, or the names that are known where none is near."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"unknown {what} {name!r}; " + (f"did you mean {close[0]!r}?" if close else "known are " + ", ".join(known))


def bounded(default: Number, low: Number, high: Number) -> Number:
    """A field of a settings dataclass with a number in [low, high]."""
    return field(default=default, metadata={"bounds": (low, high)})


def later(before: T, bounds: tuple[float, float] | None = None) -> T:
    """A field that was added after files with its dataclass had been written: in those it was, in effect, ``before``.

    A complete mapping may lack it, and :func:`to_mapping` leaves it out while it is so: what is written, and digests of
    it, stay the same until the field says something new. A number may have bounds, as in :func:`bounded`.
    """
    value: T = field(default=before, metadata={"later": True, **({"bounds": bounds} if bounds else {})})
    return value


def check_fields(settings: Any) -> None:
    """To be called in ``__post_init__`` of a settings dataclass: every value against its annotation and bounds.

    Lists become tuples and whole numbers floats where the annotation says so, as YAML and ROS give them.

    Raises:
        SettingsError: naming the field.
    """
    hints = typing.get_type_hints(type(settings))
    for entry in dataclasses.fields(settings):
        value = _convert(hints[entry.name], getattr(settings, entry.name), "", entry.name)
        if (bounds := entry.metadata.get("bounds")) is not None and not bounds[0] <= value <= bounds[1]:
            raise not_expected(entry.name, value, f"a number in [{bounds[0]:g}, {bounds[1]:g}]")
        object.__setattr__(settings, entry.name, value)


def from_mapping(cls: type[T], values: object, source: str, prefix: str = "", *, complete: bool = False) -> T:
    """An instance of the dataclass ``cls`` with the fields that ``values`` gives.

    Args:
        cls: a dataclass; nested dataclasses are built likewise.
        values: what YAML or JSON gave for it, a mapping of field name to value.
        source: file or origin named in messages.
        prefix: dotted name of this mapping in the source, empty at the top.
        complete: every field has to be given, as in a checkpoint; otherwise those left out keep their defaults.

    Raises:
        SettingsError: on an unknown or missing field, a value of another type or one that the dataclass refuses.
    """
    if not isinstance(values, Mapping):
        raise not_expected(prefix or "the top level", values, "a mapping of fields", source)
    hints = typing.get_type_hints(cls)
    entries = [entry for entry in dataclasses.fields(cls) if entry.init]  # type: ignore[arg-type]
    known = [entry.name for entry in entries]
    arguments = {}
    for key, value in values.items():
        name = f"{prefix}.{key}" if prefix else str(key)
        if key not in known:
            raise SettingsError(name, f"is unknown: {unknown_name(str(key), known)}", source)
        arguments[key] = _convert(hints[key], value, source, name, complete=complete)
    for entry in entries:
        required = entry.default is dataclasses.MISSING and entry.default_factory is dataclasses.MISSING
        if entry.name not in arguments and (required or (complete and "later" not in entry.metadata)):
            raise SettingsError(f"{prefix}.{entry.name}" if prefix else entry.name, "is missing", source)
    try:
        return cls(**arguments)
    except SettingsError as error:
        # A dataclass names its own field only; the reader needs the whole path to it.
        raise error.inside(prefix, source) from error
    except (TypeError, ValueError) as error:
        raise SettingsError(prefix or "the top level", one_line(error), source) from error


def to_mapping(settings: Any) -> dict[str, Any]:
    """The plain mapping (dicts, lists, numbers, strings) of a dataclass tree; :func:`from_mapping` reads it back."""
    values = {entry: getattr(settings, entry.name) for entry in dataclasses.fields(settings) if entry.init}
    return {
        entry.name: _plain(value)
        for entry, value in values.items()
        if "later" not in entry.metadata or value != entry.default
    }


def read_settings(cls: type[T], path: str | Path, overrides: Sequence[tuple[str, str]] = ()) -> T:
    """Settings from a YAML file with those of a command line.

    Args:
        cls: a dataclass.
        path: YAML file with its fields; those left out keep their defaults.
        overrides: (dotted name, value as YAML text), e.g. ``("optim.lr", "1e-3")``.

    Raises:
        SettingsError: one line that names the file and the field.
    """
    settings = from_mapping(cls, read_yaml(path) or {}, str(path))
    if not overrides:
        return settings
    merged = to_mapping(settings)
    for dotted, text in overrides:
        _override(merged, dotted, parsed_yaml(text, f"command line: --{dotted} {text[:40]!r}")[1])
    return from_mapping(cls, merged, "command line")


def yaml_of_word(cls: type[Any], dotted: str, word: str) -> str:
    """A word of a command line as YAML text for :func:`read_settings`.

    Where the field is a text, or one of several or a list of texts, the word is taken as it stands, be it a path that
    YAML would take for a number, a comment or nothing; in quotes, as YAML has them, it is what stands between them.

    Args:
        cls: the dataclass of the settings.
        dotted: name of the field; one that does not exist is left to :func:`read_settings`.
        word: as the shell gave it.
    """
    kind = _kind_of(cls, dotted)
    choices = typing.get_args(kind)
    is_list = kind == tuple[str, ...]
    is_text = kind is str or (typing.get_origin(kind) is Literal and all(isinstance(one, str) for one in choices))
    if is_list:
        is_yaml = word.lstrip()[:1] == "[" or word.lstrip()[:2] == "- "
        return word if is_yaml else yaml.safe_dump([part.strip(" '\"") for part in word.split(",") if part.strip()])
    if not is_text or (len(word) > 1 and word[0] in "'\"" and word[-1] == word[0]):
        return word
    return yaml.safe_dump(word)


def _kind_of(cls: type[Any], dotted: str) -> Any:
    """The annotation of a field by its dotted name; None where there is none."""
    kind: Any = cls
    for name in dotted.split("."):
        kind = typing.get_type_hints(kind).get(name) if dataclasses.is_dataclass(kind) else None
    return kind


def read_yaml(path: str | Path) -> Any:
    """What a YAML file holds.

    Raises:
        SettingsError: if it cannot be read or is no YAML, naming the line.
    """
    return parsed_yaml(read_text(path), str(path))[1]


def read_text(path: str | Path) -> str:
    """The text of a file that a person wrote.

    Raises:
        SettingsError: if it cannot be read, is no text, or larger than anybody writes.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
        if len(content) > _LARGEST_FILE:
            raise SettingsError(str(path), f"is larger than {_LARGEST_FILE >> 20} MiB; is it the right file?")
        return content.decode("utf-8")
    except OSError as error:
        raise SettingsError(str(path), f"cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        problem = f"is no text in UTF-8 ({error.reason} at byte {error.start}); save it as such"
        raise SettingsError(str(path), problem) from error


def parsed_yaml(text: str, source: str) -> tuple[yaml.Node | None, Any]:
    """What a text in YAML holds: as its nodes, which know their lines, and as plain values; None, None if nothing.

    Raises:
        SettingsError: if it is no YAML, naming the line, if its references multiply it beyond all bounds, or if a
            mapping has a key twice, of which YAML would keep the last without a word.
    """
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None, None
        _refuse_multiplied(node, source)
        if twice := next(_written_twice(node, ""), None):
            raise SettingsError(*twice, source)
        return node, loader.construct_document(node)
    except yaml.YAMLError as error:
        raise SettingsError(source, f"is not YAML: {_yaml_cause(error)}") from error
    except RecursionError as error:
        raise SettingsError(source, "is nested too deeply; is it the right file?") from error
    except SettingsError:
        raise
    except ValueError as error:  # a date such as 2026-13-45, or a number of thousands of digits
        raise SettingsError(source, f"is not YAML: {one_line(error)}") from error


def _written_twice(node: yaml.Node, name: str) -> Iterator[tuple[str, str]]:
    """Name and problem of each key that a mapping has twice."""
    if isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            dotted = f"{name}.{key.value}" if name else str(key.value)
            if key.value in lines:
                yield dotted, f"is written twice, in lines {lines[key.value]} and {key.start_mark.line + 1}"
            lines[key.value] = key.start_mark.line + 1
            yield from _written_twice(value, dotted)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield from _written_twice(value, f"{name}.{number}")


def _refuse_multiplied(root: yaml.Node, source: str) -> None:
    """References may repeat values, but neither themselves nor so often that walking through them never ends."""
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()

    def size(node: yaml.Node) -> int:
        if id(node) in open_nodes:
            line = node.start_mark.line + 1
            raise SettingsError(source, f"has a reference in line {line} that holds itself; write out what is meant")
        if id(node) not in sizes:
            open_nodes.add(id(node))
            inner = node.value if isinstance(node, yaml.CollectionNode) else ()
            parts = [part for one in inner for part in (one if isinstance(one, tuple) else (one,))]
            sizes[id(node)] = 1 + sum(map(size, parts))
            open_nodes.remove(id(node))
        return sizes[id(node)]

    if (values := size(root)) > _MOST_VALUES:
        raise SettingsError(source, f"holds {values:.0e} values by its references (&, *); write out what is meant")


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A tree of plain mappings as values by dotted names; a mapping without entries has none."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return found


def write_settings(settings: Any, path: Path) -> None:
    """Write settings as YAML that :func:`read_settings` reads back to equal ones."""
    write_whole(path, yaml.safe_dump(to_mapping(settings), sort_keys=False))


@dataclass(frozen=True)
class Leaf:
    """One value in a tree of settings, as whoever declares parameters or options needs it.

    Attributes:
        name: dotted name.
        default: its default; a tuple for lists.
        description: from the ``Attributes:`` section of the dataclass that holds it, on one line.
        bounds: (low, high) of a number, None where it has none.
    """

    name: str
    default: Any
    description: str
    bounds: tuple[float, float] | None


def leaves(settings: Any, prefix: str = "") -> Iterator[Leaf]:
    """The values of an instance of a settings dataclass, nested ones by dotted names, in their order."""
    descriptions = attribute_descriptions(type(settings))
    for entry in dataclasses.fields(settings):
        value, name = getattr(settings, entry.name), f"{prefix}.{entry.name}" if prefix else entry.name
        if dataclasses.is_dataclass(value):
            yield from leaves(value, name)
        else:
            yield Leaf(name, value, descriptions.get(entry.name, entry.name), entry.metadata.get("bounds"))


def with_values(settings: T, values: Mapping[str, Any], source: str, prefix: str = "") -> T:
    """The same settings with the values of some leaves replaced.

    Args:
        settings: an instance of a settings dataclass.
        values: dotted name to value; a group of fields may also be a mapping of those of its fields that change.
        source: file or origin named in messages.
        prefix: dotted name of these settings in the source, for messages.

    Raises:
        SettingsError: as :func:`from_mapping`.
    """
    merged = to_mapping(settings)
    for dotted, value in _changes(settings, values):
        _override(merged, dotted, _plain(value))
    return from_mapping(type(settings), merged, source, prefix)


def with_words(settings: T, words: Sequence[str], source: str, prefix: str) -> T:
    """:func:`with_values` of words such as ``depth.unit=0.001``, values being YAML.

    Raises:
        SettingsError: a word is not of this form, or as :func:`from_mapping`.
    """
    values = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise SettingsError(prefix, f"has {word[:60]!r}, expected field=value", source)
        values[key] = parsed_yaml(value, f"{prefix}.{key[:60]}")[1]
    return with_values(settings, values, source, prefix)


def attribute_descriptions(kind: type) -> dict[str, str]:
    """Descriptions from the ``Attributes:`` section of a class's docstring, each on one line."""
    text = inspect.getdoc(kind) or ""
    _, _, section = text.partition("Attributes:\n")
    descriptions: dict[str, str] = {}
    for entry in re.split(r"\n    (?=\w)", "\n" + section):
        names, colon, description = entry.strip().partition(":")
        if colon:
            for name in names.split(","):
                descriptions[name.strip()] = " ".join(description.split())
    return descriptions


def _changes(settings: Any, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Dotted name and value of each change, those inside groups of fields one by one."""
    for name, value in values.items():
        group = getattr(settings, name, None)
        if isinstance(value, Mapping) and dataclasses.is_dataclass(group):
            yield from ((f"{name}.{inner}", change) for inner, change in _changes(group, value))
        else:
            yield name, value


def _override(values: dict[str, Any], dotted: str, value: object) -> None:
    """Set the field of a dotted name in a tree of plain mappings, in place, making mappings on the way."""
    *parents, last = dotted.split(".")
    for parent in parents:
        child = values.setdefault(parent, {})
        if not isinstance(child, dict):
            raise SettingsError(f"--{dotted}", f"does not exist: {parent} is {child!r}, not a group", "command line")
        values = child
    values[last] = value


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return to_mapping(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return value


def _convert(hint: Any, value: object, source: str, name: str, *, complete: bool = False) -> Any:
    origin = typing.get_origin(hint)
    if dataclasses.is_dataclass(hint):
        if isinstance(value, typing.cast(type, hint)):
            return value
        return from_mapping(typing.cast(type[Any], hint), value, source, name, complete=complete)
    if origin is Literal:
        choices = typing.get_args(hint)
        if value in choices and type(value) in map(type, choices):
            return value
        raise not_expected(name, value, "one of " + ", ".join(map(repr, choices)), source)
    if origin in (UnionType, typing.Union):
        choices = typing.get_args(hint)
        if value is None and NoneType in choices:
            return None
        inner = next(choice for choice in choices if choice is not NoneType)
        return _convert(inner, value, source, name, complete=complete)
    if origin is tuple:
        return _convert_tuple(typing.get_args(hint), value, source, name, complete=complete)
    if origin is list:
        if isinstance(value, str):
            raise not_expected(name, value, "a list", source)
        parts = (*typing.get_args(hint), Ellipsis)
        return list(_convert_tuple(parts, value, source, name, complete=complete))
    if origin in (dict, Mapping) or hint is dict:
        if isinstance(value, Mapping):
            for key in value:
                if not isinstance(key, str):
                    raise SettingsError(name, f"has {key!r} as a name, expected a text", source)
            kind = (typing.get_args(hint) or (str, Any))[1]
            return {k: _convert(kind, item, source, f"{name}.{k}", complete=complete) for k, item in value.items()}
        raise not_expected(name, value, "a mapping", source)
    return _convert_scalar(hint, value, source, name)


def _convert_tuple(parts: tuple[Any, ...], value: object, source: str, name: str, *, complete: bool) -> tuple[Any, ...]:
    if isinstance(value, str) and parts[-1] is Ellipsis and parts[0] is str:
        value = [item for item in value.split(",") if item]  # --data.tasks a,b
    if not isinstance(value, (list, tuple)):
        raise not_expected(name, value, "a list", source)
    if parts[-1] is Ellipsis:
        parts = parts[:1] * len(value)
    if len(parts) != len(value):
        raise not_expected(name, value, f"a list of {len(parts)}", source)
    items = zip(parts, value, strict=True)
    return tuple(
        _convert(part, item, source, f"{name}[{i}]", complete=complete) for i, (part, item) in enumerate(items)
    )


def _convert_scalar(hint: Any, value: object, source: str, name: str) -> Any:
    if hint is Any:
        return value
    if hint is float:
        return _convert_float(value, source, name)
    if isinstance(value, hint) and (hint is bool or not isinstance(value, bool)):
        return value
    words = {int: "a whole number", bool: "true or false", str: "a text"}
    raise not_expected(name, value, words.get(hint, str(hint)), source)


def _convert_float(value: object, source: str, name: str) -> float:
    number = value
    if isinstance(value, str):
        # YAML 1.1 reads 1e-3 (no dot) as a string, which is how everybody writes a learning rate.
        try:
            number = float(value)
        except ValueError:
            raise not_expected(name, value, "a number", source) from None
    if not isinstance(number, (int, float)) or isinstance(number, bool):
        raise not_expected(name, value, "a number", source)
    if not abs(number) <= sys.float_info.max:  # also of a whole number that no float holds
        raise not_expected(name, value, "a finite number", source)
    return float(number)


def _yaml_cause(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "unreadable"
    return f"{problem} in line {mark.line + 1}" if mark else str(problem)
