"""Interfaces as people read them: their files, or what would stand there, with the messages in them unfolded."""

from __future__ import annotations

from collections.abc import Iterator

from pocketros.errors import InterfaceError
from pocketros.interfaces.definitions import (
    SECTIONS,
    UNTIL_COMMENT,
    Definition,
    FieldType,
    definition,
    interface_files,
    names_in,
    parse_message,
)


def interface_text(name: str, comments: bool = True, depth: int = 0) -> Iterator[str]:
    """The lines of `package/kind/Name`; below a field that is a message those of the message, without comments.

    Raises:
        InterfaceError: no source knows the name.
    """
    for text, base in _lines(name):
        line = text if comments and not depth else UNTIL_COMMENT.match(text)[0].rstrip()  # type: ignore[index]
        if line or (comments and not depth):
            yield "\t" * depth + line
        if base:
            yield from interface_text(base, comments, depth + 1)


def full_name(text: str) -> str:
    """`package/kind/Name` of a name in which the kind may be missing.

    Raises:
        InterfaceError: it is no such name.
    """
    package, *kind, short = text.split("/") if text.count("/") in (1, 2) else ("", "", "")
    for one in kind or SECTIONS:
        if one in SECTIONS and short in names_in(package, one):
            return f"{package}/{one}/{short}"
    raise InterfaceError(f"no interface '{text}'; expected package/msg/Name, as `ros2 interface list` shows them")


def _lines(name: str) -> Iterator[tuple[str, str]]:
    """Each line with the message that the field on it is, if it is one."""
    package, kind, short = name.split("/")
    path = interface_files(package).get(kind, {}).get(short)
    if path is None:
        yield from _written(definition(name))
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        fields = () if line.startswith("---") else parse_message(name, line).fields
        yield line.rstrip(), fields[0].type.base if fields and fields[0].type.is_message else ""


def _written(message: Definition) -> Iterator[tuple[str, str]]:
    for constant, base, value in message.constants:
        yield f"{base} {constant}={value}", ""
    for field in message.fields:
        default = "" if field.default is None else f" {field.default}"
        yield f"{_type_text(field.type)} {field.name}{default}", field.type.base if field.type.is_message else ""


def _type_text(kind: FieldType) -> str:
    base = kind.base.replace("/msg/", "/") + (f"<={kind.string_bound}" if kind.string_bound else "")
    if kind.shape == "scalar":
        return base
    bound = "<=" if kind.shape == "sequence" and kind.size else ""
    return f"{base}[{bound}{kind.size or ''}]"
