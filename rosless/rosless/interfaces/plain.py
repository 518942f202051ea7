"""Messages as plain Python values and back, for YAML on command lines."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np

from rosless.errors import InterfaceError
from rosless.interfaces.definitions import PLACEHOLDER, FieldType
from rosless.interfaces.messages import Message, message_class

LONG = 128


def to_plain(value: Any, longest: int | None = None) -> Any:
    """A message as dictionaries, lists, numbers and texts; long arrays are cut after `longest` values."""
    if isinstance(value, Message):
        return {name: to_plain(getattr(value, name), longest) for name in value._factories if name != PLACEHOLDER}
    if isinstance(value, bytes):
        return value[0] if len(value) == 1 else list(value)
    if isinstance(value, np.ndarray | array):
        value = value.tolist()
    if isinstance(value, list):
        if longest is not None and len(value) > longest:
            return [*(to_plain(item, longest) for item in value[:longest]), "..."]
        return [to_plain(item, longest) for item in value]
    return value


def fill(message: Message, values: Any, path: str = "") -> Message:
    """Set fields of a message from plain values.

    Raises:
        InterfaceError: naming the field that does not exist or whose value does not fit.
    """
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise InterfaceError(f"{path or type(message).__name__}: expected a mapping of fields, not {values!r}")
    kinds = {field.name: field.type for field in message._definition.fields}
    for name, value in values.items():
        where = f"{path}.{name}" if path else str(name)
        if name not in kinds:
            raise InterfaceError(f"{message._definition.name} has no field '{where}'; it has {', '.join(kinds)}")
        setattr_checked(message, name, _from_plain(kinds[name], value, where))
    return message


def setattr_checked(message: Message, name: str, value: Any) -> None:
    """Set a field, with the errors of this module."""
    try:
        setattr(message, name, value)
    except AssertionError as error:
        raise InterfaceError(str(error)) from None


def _from_plain(kind: FieldType, value: Any, path: str) -> Any:
    if kind.shape != "scalar":
        if isinstance(value, str | dict) or not hasattr(value, "__iter__"):
            raise InterfaceError(f"{path}: expected a list, not {value!r}")
        return [_from_plain(kind.element, item, f"{path}[{index}]") for index, item in enumerate(value)]
    if kind.is_message:
        if value == "now" or (value == "auto" and kind.base.endswith("Header")):
            raise InterfaceError(f"rosless does not provide the value '{value}' of {path}")
        return fill(message_class(kind.base)(), value, path)
    if kind.base.startswith("float") and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind.base == "byte" and isinstance(value, int):
        return bytes((value,))
    if kind.base == "string" and not isinstance(value, str):
        return str(value)
    return value
