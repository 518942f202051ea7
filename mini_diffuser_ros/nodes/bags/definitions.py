"""What foreign tools have to know of a message type: its definition, told from its class."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

SEPARATOR = "=" * 80
_BY_IDL = {"double": "float64", "float": "float32", "boolean": "bool", "octet": "byte"}
_SEQUENCE = re.compile(r"sequence<(?P<of>[^,]+?)(, (?P<most>\d+))?>")
_ARRAY = re.compile(r"(?P<of>.+)\[(?P<size>\d+)\]")
_STRING = re.compile(r"(?P<of>w?string)<(?P<most>\d+)>")


def type_name(kind: Any) -> str:
    """Of a message class, as ``sensor_msgs/msg/Image``."""
    return f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}"


def definition_of(kind: Any) -> str:
    """Definition of a message type and of all that it is made of, in the format ``ros2msg`` of MCAP.

    Its fields alone: constants and comments, which no decoder needs, are not known to the class on every distribution.
    """
    parts, pending = [_fields(kind)], _made_of(kind)
    told = {type_name(kind)}
    while pending:
        part = pending.pop(0)
        if part not in told:
            told.add(part)
            cls = _class(part)
            parts.append(f"{SEPARATOR}\nMSG: {part.replace('/msg/', '/')}\n{_fields(cls)}")
            pending += _made_of(cls)
    return "".join(parts)


def _fields(kind: Any) -> str:
    return "".join(f"{_written(idl)} {name}\n" for name, idl in kind.get_fields_and_field_types().items())


def _written(idl: str) -> str:
    """A field's type as a definition has it, ``float64[<=3]`` for ``sequence<double, 3>``."""
    if found := _SEQUENCE.fullmatch(idl):
        most = f"<={found['most']}" if found["most"] else ""
        return f"{_written(found['of'])}[{most}]"
    if found := _ARRAY.fullmatch(idl):
        return f"{_written(found['of'])}[{found['size']}]"
    if found := _STRING.fullmatch(idl):
        return f"{found['of']}<={found['most']}"
    return _BY_IDL.get(idl, idl)


def _made_of(kind: Any) -> list[str]:
    """Names of the message types of its fields, as of :func:`type_name`."""
    bases = [_written(idl).split("[")[0] for idl in kind.get_fields_and_field_types().values()]
    return [base.replace("/", "/msg/") for base in bases if "/" in base]


def _class(name: str) -> Any:
    package, _, kind = name.split("/")
    return getattr(import_module(f"{package}.msg"), kind)
