"""Message classes with the behaviour of those which rosidl generates for Python.

Fields are properties over slots `_name`; setters accept what rosidl's accept and raise AssertionError naming the
field.  Sequences of numbers are `array.array` (numpy arrays, bytes and lists are converted), arrays of numbers are
numpy arrays, `byte` is a bytes object of length 1.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Collection
from functools import cache, partial
from typing import Any, ClassVar

import numpy as np

from pocketros.errors import InterfaceError
from pocketros.interfaces.codec import NUMBERS, typecode
from pocketros.interfaces.definitions import PLACEHOLDER, Definition, FieldType, definition, names_in

IDL_NAMES = {"float64": "double", "float32": "float", "bool": "boolean", "byte": "octet", "char": "uint8"}
FLOAT32_MAX = float(np.finfo(np.float32).max)
ZEROS: dict[str, Any] = {"string": "", "bool": False, "byte": b"\0", "float32": 0.0, "float64": 0.0}

Check = Callable[[str, Any], Any]


class Message:
    """Base of all message classes."""

    __slots__: ClassVar[tuple[str, ...]] = ()
    _definition: ClassVar[Definition]
    _classes: ClassVar[dict[str, type[Message]]]
    _factories: ClassVar[dict[str, Callable[[], Any]]]

    def __init__(self, **fields: Any) -> None:
        if unknown := sorted(fields.keys() - self._factories.keys()):
            raise AssertionError(f"Invalid arguments passed to constructor: {', '.join(unknown)}")
        for name, factory in self._factories.items():
            if name in fields:
                setattr(self, name, fields[name])
            else:
                setattr(self, f"_{name}", factory())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, self.__class__):
            return False
        pairs = ((getattr(self, slot), getattr(other, slot)) for slot in self.__slots__)
        return all(np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b for a, b in pairs)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        values = ((name, getattr(self, name)) for name in self._factories if name != PLACEHOLDER)
        shown = ", ".join(f"{name}={list(one) if isinstance(one, array) else one!r}" for name, one in values)
        return f"{self.__class__.__module__}.{self.__class__.__name__}({shown})"

    @classmethod
    def get_fields_and_field_types(cls) -> dict[str, str]:
        """Field names and their IDL types, in wire order."""
        return {field.name: idl_type(field.type) for field in cls._definition.fields if field.name != PLACEHOLDER}


def idl_type(kind: FieldType) -> str:
    """The name that `get_fields_and_field_types` gives to a type, such as `sequence<double, 3>`."""
    base = kind.base.replace("/msg/", "/").replace("/action/", "/") if kind.is_message else kind.base
    base = IDL_NAMES.get(base, base) + (f"<{kind.string_bound}>" if kind.string_bound else "")
    bound = f", {kind.size}" if kind.size else ""
    return {"scalar": base, "array": f"{base}[{kind.size}]", "sequence": f"sequence<{base}{bound}>"}[kind.shape]


def _scalar_check(kind: FieldType, cls: type | None) -> Check:
    """A function (field, value) -> value which raises AssertionError for a value of a wrong type or range."""
    base, expected, wanted, fits, limits = kind.base, cls, f"a sub message of type '{kind.base}'", None, ""
    if base == "string":
        expected, wanted = str, "of type 'str'"
        if kind.string_bound:
            fits, limits = lambda value: len(value) <= kind.string_bound, f"of at most {kind.string_bound} characters"
    elif base == "byte":
        expected, wanted, fits, limits = bytes, "of type 'bytes'", lambda value: len(value) == 1, "of length 1"
    elif base == "bool":
        expected, wanted = bool, "of type 'bool'"
    elif base.startswith("float"):
        expected, wanted = float, "of type 'float'"
        if base == "float32":
            fits, limits = lambda value: not FLOAT32_MAX < abs(value) < math.inf, f"within +-{FLOAT32_MAX}"
    elif cls is None:
        bits = 8 * NUMBERS[base][1]
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if base.startswith("int") else (0, 2**bits - 1)
        expected, wanted, fits, limits = int, "of type 'int'", lambda value: low <= value <= high, f"in [{low}, {high}]"

    def check(field: str, value: Any) -> Any:
        if not isinstance(value, expected):  # type: ignore[arg-type]
            raise AssertionError(f"The '{field}' field must be {wanted}, not {type(value).__name__}")
        if fits is not None and not fits(value):
            raise AssertionError(f"The '{field}' field must be {limits}, not {value!r:.80}")
        return value

    return check


def _many_check(kind: FieldType, check: Check) -> Check:
    """The same for an array or a sequence, converting what Python has for it."""
    code, fixed = typecode(kind), kind.shape == "array"

    def converted(field: str, value: Any) -> Any:
        if code and isinstance(value, bytes | bytearray | memoryview | np.ndarray):
            given = value if isinstance(value, np.ndarray) else np.frombuffer(value, np.uint8)
            if not np.can_cast(given.dtype, code, "safe" if code in "fd" else "equiv"):
                raise AssertionError(f"The '{field}' field must hold values of type '{kind.base}', not {given.dtype}")
            made = array(code)
            made.frombytes(np.ascontiguousarray(given, code).reshape(-1).view(np.uint8).data)
            return made
        if isinstance(value, str) or not isinstance(value, Collection):
            raise AssertionError(
                f"The '{field}' field must be a set or sequence of '{kind.base}', not {type(value).__name__}"
            )
        values = [check(field, item) for item in value]
        return array(code, values) if code else values

    def check_many(field: str, value: Any) -> Any:
        ready = code and isinstance(value, array) and value.typecode == code
        many = value if ready else converted(field, value)
        if (fixed and len(many) != kind.size) or (kind.size and len(many) > kind.size):
            expected = f"{'' if fixed else 'at most '}{kind.size}"
            raise AssertionError(f"The '{field}' field must have {expected} values, not {len(many)}")
        return np.array(many, code) if code and fixed else many

    return check_many


def _factory(kind: FieldType, default: Any, cls: Any, check: Check) -> Callable[[], Any]:
    """A function which makes the value of a field that is not given."""
    zero = cls if cls is not None else partial(_same, ZEROS.get(kind.base, 0))
    if kind.shape == "scalar":
        if default is None:
            return zero
        return partial(_same, bytes((default,)) if kind.base == "byte" else default)
    if default is not None:
        values = [float(item) if kind.base.startswith("float") else item for item in default]
    elif kind.shape == "sequence":
        return partial(array, code) if (code := typecode(kind)) else list
    return lambda: check("default", [zero() for _ in range(kind.size)] if default is None else values)


def _same(value: Any) -> Any:
    return value


@cache
def message_class(name: str) -> type[Message]:
    """The class of `package/kind/Name`, made at its first use.

    Raises:
        InterfaceError: there is no definition of that name.
    """
    layout = definition(name)
    package, kind, short = name.split("/")
    body: dict[str, Any] = {
        constant: bytes((value,)) if base == "byte" and isinstance(value, int) else value
        for constant, base, value in layout.constants
    }
    slots = tuple(f"_{field.name}" for field in layout.fields)
    body |= {"__slots__": slots, "__module__": f"{package}.{kind}", "__doc__": f"The interface {name}."}
    made: type[Message] = type(short, (Message,), body)
    made._definition, made._factories = layout, {}
    made._classes = {
        field.type.base: message_class(field.type.base) for field in layout.fields if field.type.is_message
    }
    for field in layout.fields:
        cls = made._classes.get(field.type.base)
        check = _scalar_check(field.type, cls)
        check = check if field.type.shape == "scalar" else _many_check(field.type, check)
        made._factories[field.name] = _factory(field.type, field.default, cls, check)
        setattr(made, field.name, _checked_property(made.__dict__[f"_{field.name}"], partial(check, field.name)))
    return made


def _checked_property(slot: Any, check: Callable[[Any], Any]) -> property:
    return property(slot.__get__, lambda message, value: slot.__set__(message, check(value)))


class Interface(type):
    """Class of services and actions; shows them by their interface name."""

    _name: str

    def __repr__(cls) -> str:
        return f"<interface {cls._name}>"


@cache
def interface_class(name: str) -> Any:
    """The class of any interface by its name `package/kind/Name` or `package/Name` (a message).

    Services have `Request`, `Response` and `Event`; actions `Goal`, `Result`, `Feedback` and their carriers in `Impl`.

    Raises:
        InterfaceError: no such interface.
    """
    package, *kinds, short = name.split("/")
    kind = kinds[0] if kinds else "msg"
    name = f"{package}/{kind}/{short}"
    if kind == "msg":
        return message_class(name)
    if kind not in ("srv", "action") or (short.partition("_")[0] not in names_in(package, kind)):
        raise InterfaceError(f"'{name}' is not the name of an interface; expected package/msg/Name")
    if kind == "srv":
        return _with_parts(name, {part: message_class(f"{name}_{part}") for part in ("Request", "Response", "Event")})
    parts: dict[str, Any] = {part: message_class(f"{name}_{part}") for part in ("Goal", "Result", "Feedback")}
    carriers = {
        "FeedbackMessage": message_class(f"{name}_FeedbackMessage"),
        "GoalStatusMessage": message_class("action_msgs/msg/GoalStatusArray"),
        "CancelGoalService": interface_class("action_msgs/srv/CancelGoal"),
    }
    for service in ("SendGoal", "GetResult"):
        inside = {part: message_class(f"{name}_{service}_{part}") for part in ("Request", "Response", "Event")}
        carriers[f"{service}Service"] = _with_parts(f"{name}_{service}", inside)
    return _with_parts(name, {**parts, "Impl": type("Impl", (), carriers)})


def _with_parts(name: str, parts: dict[str, Any]) -> Interface:
    package, kind, short = name.split("/")
    return Interface(short, (), {"__module__": f"{package}.{kind}", "_name": name, **parts})
