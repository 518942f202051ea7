"""Messages as plain Python values and back, for YAML on command lines."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np

from pocketros.errors import InterfaceError
from pocketros.interfaces.definitions import PLACEHOLDER, FieldType
from pocketros.interfaces.messages import Message
from pocketros.rcl_yaml import scalar


def to_plain(value: Any, longest: int | None = None) -> Any:
    """A message as dictionaries, lists, numbers and texts; long arrays are cut after `longest` values."""
    if isinstance(value, Message):
        return {name: to_plain(getattr(value, name), longest) for name in value._factories if name != PLACEHOLDER}
    if isinstance(value, bytes):
        return value[0] if len(value) == 1 else list(value)
    if isinstance(value, np.ndarray | array | list):
        cut = len(value) if longest is None else longest
        shown = [to_plain(item, longest) for item in (value[:cut] if isinstance(value, list) else value[:cut].tolist())]
        return shown + ["..."] * (len(value) > cut)
    return value


def fill(message: Message, values: Any, path: str = "", now: Any = None) -> Message:
    """Set fields of a message from plain values.

    Args:
        now: the stamp that `auto` for a header and `now` for a stamp stand for.

    Raises:
        InterfaceError: naming the field that does not exist or whose value does not fit.
    """
    values = {} if values in (None, "") else values
    if not isinstance(values, dict):
        raise InterfaceError(f"{path or type(message).__name__}: expected a mapping of fields, not {values!r}")
    kinds = {field.name: field.type for field in message._definition.fields}
    for name, value in values.items():
        where = f"{path}.{name}" if path else str(name)
        if name not in kinds:
            raise InterfaceError(f"{message._definition.name} has no field '{where}'; it has {', '.join(kinds)}")
        try:
            setattr(message, name, _from_plain(message, kinds[name], value, where, now))
        except AssertionError as error:
            raise InterfaceError(str(error)) from None
    return message


def _from_plain(message: Message, kind: FieldType, value: Any, path: str, now: Any) -> Any:
    if kind.shape != "scalar":
        if isinstance(value, str | dict) or not hasattr(value, "__iter__"):
            raise InterfaceError(f"{path}: expected a list, not {value!r}")
        return [_from_plain(message, kind.element, item, f"{path}[{index}]", now) for index, item in enumerate(value)]
    if kind.is_message:
        if now is not None and (kind.base, value) == ("std_msgs/msg/Header", "auto"):
            value = {"stamp": "now"}
        if now is not None and (kind.base, value) == ("builtin_interfaces/msg/Time", "now"):
            return now
        return fill(message._classes[kind.base](), value, path, now)
    if kind.base == "string":
        return str(value)
    value = scalar(value) if isinstance(value, str) else value
    if kind.base.startswith("float") and type(value) is int:
        return float(value)
    return bytes((value,)) if kind.base == "byte" and isinstance(value, int) else value
