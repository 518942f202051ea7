"""Definitions of message types as bags carry them, and whether two of them lay out the same bytes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

SEPARATOR = "=" * 80
_FIELD = re.compile(r"(?P<type>[\w/]+)(?P<string><=\d+)?(?P<array>\[[<=\d]*\])?\s+(?P<name>\w+)(?P<rest>[\s=].*)?")
_BUILT_IN = re.compile(r"bool|byte|u?int(8|16|32|64)|float(32|64)|w?string")
_ADDIBLE = re.compile(r"(bool|byte|u?int(8|16|32|64)|float(32|64)|[\w/]+(<=\d+)?\[(<=\d+)?\]) \w+")
_SAME_BYTES = {"char": "uint8"}

Fields = Mapping[str, tuple[str, ...]]
"""Type, as ``sensor_msgs/Image``: its fields, as ``uint8[] data``."""


def fields_of(definition: str, type_name: str) -> Fields:
    """The fields of a type and of all types that it is made of, without comments, constants and default values.

    Args:
        definition: in the format ``ros2msg`` of MCAP.
        type_name: of the first type in it, as ``sensor_msgs/msg/Image``.

    Raises:
        ValueError: it is no such definition.
    """
    own = type_name.replace("/msg/", "/")
    told: dict[str, list[str]] = {own: []}
    for line in definition.splitlines():
        if line.startswith(SEPARATOR):
            own = ""
        elif line.startswith("MSG: "):
            own = line.removeprefix("MSG: ").strip().replace("/msg/", "/")
            told[own] = []
        elif text := line.split("#", 1)[0].strip():
            if own not in told:
                raise ValueError(f"'{text[:80]}' belongs to no type")
            told[own] += _field(text, own)
    return {name: tuple(fields) for name, fields in told.items()}


def added_fields(recorded: Fields, here: Fields, type_name: str) -> tuple[str, ...] | None:
    """Names of the fields that a type has got at its end since it was recorded; None if more than that is different.

    Only numbers and sequences can come later: of both, zeros are a value. What came in the middle of a message, as into
    one that it is made of, moves all that follows.
    """
    top = type_name.replace("/msg/", "/")
    before, now = recorded.get(top, ()), here.get(top, ())
    if (before != now and not before) or top not in recorded or now[: len(before)] != before:
        return None
    added = now[len(before) :]
    same = all(same_layout(recorded, here, base) for base in _made_of(before))
    return tuple(field.split()[1] for field in added) if same and all(map(_ADDIBLE.fullmatch, added)) else None


def same_layout(one: Fields, other: Fields, type_name: str) -> bool:
    """Whether a type has the same fields in both, and so have all that it is made of."""
    pending, seen = [type_name.replace("/msg/", "/")], set[str]()
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        if name not in one or one[name] != other.get(name):
            return False
        pending += _made_of(one[name])
    return True


def _made_of(fields: Iterable[str]) -> list[str]:
    """The types of fields that are messages themselves."""
    return [base for field in fields if not _BUILT_IN.fullmatch(base := re.split(r"[\s<\[]", field)[0])]


def _field(text: str, own: str) -> Iterator[str]:
    """The field of a line as all write it; none if the line defines a constant."""
    found = _FIELD.fullmatch(text)
    if found is None:
        raise ValueError(f"'{text[:80]}' is no field of {own}")
    if (found["rest"] or "").lstrip().startswith("="):
        return
    base = found["type"].replace("/msg/", "/")
    base = _SAME_BYTES.get(base, base)
    if "/" not in base and not _BUILT_IN.fullmatch(base):
        base = f"{own.split('/')[0]}/{base}"  # of the same package
    yield f"{base}{found['string'] or ''}{found['array'] or ''} {found['name']}"
