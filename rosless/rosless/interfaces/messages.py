"""Message classes with the behaviour of those which rosidl generates for Python.

Fields are properties over slots `_name`; setters accept what rosidl's accept and raise AssertionError naming the
field.  Sequences of numbers are `array.array` (numpy arrays, bytes and lists are converted), arrays of numbers
are numpy arrays, `byte` is a bytes object of length 1.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Collection
from typing import Any, ClassVar

import numpy as np

from rosless.errors import InterfaceError
from rosless.interfaces.codec import PRIMITIVES, Codec, codec
from rosless.interfaces.definitions import PLACEHOLDER, Definition, FieldType, definitions

IDL_NAMES = {"float64": "double", "float32": "float", "bool": "boolean", "byte": "octet", "char": "uint8"}
FLOAT32_MAX = float(np.finfo(np.float32).max)

Check = Callable[[str, Any], Any]


class Message:
    """Base of all message classes."""

    __slots__: ClassVar[tuple[str, ...]] = ()
    _definition: ClassVar[Definition]
    _factories: ClassVar[dict[str, Callable[[], Any]]]

    def __init__(self, **fields: Any) -> None:
        factories = self._factories
        if unknown := [name for name in fields if name not in factories]:
            raise AssertionError(f"Invalid arguments passed to constructor: {', '.join(sorted(unknown))}")
        for name, factory in factories.items():
            if name in fields:
                setattr(self, name, fields[name])
            else:
                setattr(self, f"_{name}", factory())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, self.__class__):
            return False
        return all(_equal(getattr(self, slot), getattr(other, slot)) for slot in self.__slots__)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._factories if name != PLACEHOLDER)
        return f"{self.__class__.__module__}.{self.__class__.__name__}({shown})"

    @classmethod
    def get_fields_and_field_types(cls) -> dict[str, str]:
        """Field names and their IDL types, in wire order."""
        return {field.name: idl_type(field.type) for field in cls._definition.fields if field.name != PLACEHOLDER}


def _equal(left: Any, right: Any) -> bool:
    return np.array_equal(left, right) if isinstance(left, np.ndarray) else bool(left == right)


def idl_type(kind: FieldType) -> str:
    """The name that `get_fields_and_field_types` gives to a type, such as `sequence<double, 3>`."""
    if kind.is_message:
        package, _, name = kind.base.split("/")
        base = f"{package}/{name}"
    else:
        base = IDL_NAMES.get(kind.base, kind.base)
        base += f"<{kind.string_bound}>" if kind.string_bound else ""
    if kind.shape == "array":
        return f"{base}[{kind.size}]"
    if kind.shape == "sequence":
        return f"sequence<{base}, {kind.size}>" if kind.size else f"sequence<{base}>"
    return base


def _scalar_check(kind: FieldType) -> Check:
    """A function (field, value) -> value which raises AssertionError for a value of a wrong type or range."""
    base = kind.base
    if kind.is_message:
        cls = message_class(base)

        def check_message(field: str, value: Any) -> Any:
            if not isinstance(value, cls):
                raise AssertionError(
                    f"The '{field}' field must be a sub message of type '{cls.__name__}', not {type(value).__name__}"
                )
            return value

        return check_message
    if base == "string":
        bound = kind.string_bound or math.inf

        def check_string(field: str, value: Any) -> Any:
            if not isinstance(value, str):
                raise AssertionError(f"The '{field}' field must be of type 'str', not {type(value).__name__}")
            if len(value) > bound:
                raise AssertionError(f"The '{field}' field must be a string of at most {bound} characters")
            return value

        return check_string
    if base == "byte":

        def check_byte(field: str, value: Any) -> Any:
            if not isinstance(value, bytes | bytearray) or len(value) != 1:
                raise AssertionError(f"The '{field}' field must be of type 'bytes' with length 1, not {value!r}")
            return bytes(value)

        return check_byte
    if base == "bool":

        def check_bool(field: str, value: Any) -> Any:
            if not isinstance(value, bool):
                raise AssertionError(f"The '{field}' field must be of type 'bool', not {type(value).__name__}")
            return value

        return check_bool
    if base in ("float32", "float64"):
        limit = FLOAT32_MAX if base == "float32" else math.inf

        def check_float(field: str, value: Any) -> Any:
            if not isinstance(value, float):
                raise AssertionError(f"The '{field}' field must be of type 'float', not {type(value).__name__}")
            if abs(value) > limit and not math.isinf(value):
                raise AssertionError(f"The '{field}' field must be a float within +-{limit}, not {value}")
            return value

        return check_float
    signed = base.startswith("int")
    bits = 8 * PRIMITIVES[base][1]
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)

    def check_int(field: str, value: Any) -> Any:
        if not isinstance(value, int):
            raise AssertionError(f"The '{field}' field must be of type 'int', not {type(value).__name__}")
        if not low <= value <= high:
            raise AssertionError(f"The '{field}' field must be an integer in [{low}, {high}], not {value}")
        return value

    return check_int


def _many_check(kind: FieldType) -> Check:
    element, bound = kind.element, kind.size
    fixed = kind.shape == "array"
    typecode = "" if element.is_message or element.base == "string" else PRIMITIVES[element.base][2]
    check_element = _scalar_check(element)

    def check_size(field: str, value: Any) -> None:
        if fixed and len(value) != bound:
            raise AssertionError(f"The '{field}' field must have {bound} values, not {len(value)}")
        if not fixed and bound and len(value) > bound:
            raise AssertionError(f"The '{field}' field must have at most {bound} values, not {len(value)}")

    def check_list(field: str, value: Any) -> Any:
        if isinstance(value, str) or not isinstance(value, Collection):
            raise AssertionError(f"The '{field}' field must be a set or sequence, not {type(value).__name__}")
        check_size(field, value)
        items = value if isinstance(value, list) else list(value)
        for item in items:
            check_element(field, item)
        return items

    def check_numbers(field: str, value: Any) -> Any:
        numbers = value if isinstance(value, array) and value.typecode == typecode else _numbers(field, value)
        check_size(field, numbers)
        return np.array(numbers, typecode) if fixed else numbers

    def _numbers(field: str, value: Any) -> array[Any]:
        if isinstance(value, bytes | bytearray | memoryview | np.ndarray):
            given = np.frombuffer(value, np.uint8) if not isinstance(value, np.ndarray) else value
            if not np.can_cast(given.dtype, typecode, "safe" if typecode in "fd" else "equiv"):
                raise AssertionError(
                    f"The '{field}' field must hold values of type '{element.base}', not {given.dtype}"
                )
            made = array(typecode)
            made.frombytes(np.ascontiguousarray(given, typecode).reshape(-1).view(np.uint8).data)
            return made
        if isinstance(value, str) or not isinstance(value, Collection):
            raise AssertionError(
                f"The '{field}' field must be a set or sequence of '{element.base}', not {type(value).__name__}"
            )
        try:
            return array(typecode, [check_element(field, item) for item in value])
        except OverflowError as error:
            raise AssertionError(f"The '{field}' field must hold values of type '{element.base}': {error}") from None

    return check_numbers if typecode else check_list


def _factory(kind: FieldType, default: Any, check: Check, name: str) -> Callable[[], Any]:
    """A function which makes the default value of a field."""
    if kind.shape == "scalar":
        if kind.is_message:
            return message_class(kind.base)
        if kind.base == "byte":
            value: Any = bytes((int(default or 0),))
        else:
            maker: Any = {"string": str, "bool": bool, "float32": float, "float64": float}.get(kind.base, int)
            value = maker(default) if default is not None else maker()
        return lambda: value
    if kind.shape == "sequence" and default is None:
        typecode = "" if kind.is_message or kind.base == "string" else PRIMITIVES[kind.base][2]
        return (lambda: array(typecode)) if typecode else list
    make_element = _factory(kind.element, None, check, name)
    if default is None:
        return lambda: check(name, [make_element() for _ in range(kind.size)])
    values = [float(item) if kind.base.startswith("float") else item for item in default]
    return lambda: check(name, list(values))


def _make_property(name: str, slot: Any, check: Check) -> property:
    def set_field(message: Message, value: Any) -> None:
        slot.__set__(message, check(name, value))

    return property(slot.__get__, set_field)


def _constant(base: str, value: Any) -> Any:
    return bytes((int(value),)) if base == "byte" else value


_classes: dict[str, type[Message]] = {}


def message_class(name: str) -> type[Message]:
    """The class of `package/kind/Name`, made at its first use.

    Raises:
        InterfaceError: there is no definition of that name.
    """
    if name in _classes:
        return _classes[name]
    definition = definitions.get(name)
    package, kind, short = name.split("/")
    slots = tuple(f"_{field.name}" for field in definition.fields)
    body: dict[str, Any] = {
        constant.name: _constant(constant.base, constant.value) for constant in definition.constants
    }
    body |= {"__slots__": slots, "__module__": f"{package}.{kind}", "__doc__": f"The interface {name}."}
    made: type[Message] = type(short, (Message,), body)
    made._definition, made._factories = definition, {}
    for field in definition.fields:
        check = _scalar_check(field.type) if field.type.shape == "scalar" else _many_check(field.type)
        made._factories[field.name] = _factory(field.type, field.default, check, field.name)
        setattr(made, field.name, _make_property(field.name, made.__dict__[f"_{field.name}"], check))
    _classes[name] = made
    return made


def message_codec(cls: type) -> Codec:
    """The codec of a message class.

    Raises:
        TypeError: the class is no message of rosless.
    """
    definition = getattr(cls, "_definition", None)
    if not (isinstance(cls, type) and issubclass(cls, Message) and isinstance(definition, Definition)):
        raise TypeError(f"{cls!r} is not a message class; expected one like std_msgs.msg.String")
    return codec(definition.name, definitions.get, message_class)


class ServiceMeta(type):
    """Shows a service or an action type by its interface name."""

    def __repr__(cls) -> str:
        return f"<interface {getattr(cls, '_name', cls.__name__)}>"


def service_class(name: str) -> type:
    """The class of a service, with `Request`, `Response` and `Event`."""
    if name not in _interfaces:
        package, kind, short = name.split("/")
        parts = {part: message_class(f"{name}_{part}") for part in ("Request", "Response", "Event")}
        _interfaces[name] = ServiceMeta(short, (), {"__module__": f"{package}.{kind}", "_name": name, **parts})
    return _interfaces[name]


def action_class(name: str) -> type:
    """The class of an action, with `Goal`, `Result`, `Feedback` and the types which carry them (`Impl`)."""
    if name not in _interfaces:
        package, kind, short = name.split("/")
        from rosless.interfaces.definitions import names_in

        if short not in names_in(package, "action"):
            raise InterfaceError(f"no definition of '{name}' among the installed packages and rosless")
        implementation = type(
            "Impl",
            (),
            {
                "SendGoalService": service_class(f"{name}_SendGoal"),
                "GetResultService": service_class(f"{name}_GetResult"),
                "FeedbackMessage": message_class(f"{name}_FeedbackMessage"),
                "CancelGoalService": service_class("action_msgs/srv/CancelGoal"),
                "GoalStatusMessage": message_class("action_msgs/msg/GoalStatusArray"),
            },
        )
        parts = {part: message_class(f"{name}_{part}") for part in ("Goal", "Result", "Feedback")}
        _interfaces[name] = ServiceMeta(
            short, (), {"__module__": f"{package}.{kind}", "_name": name, "Impl": implementation, **parts}
        )
    return _interfaces[name]


_interfaces: dict[str, type] = {}


def interface_class(name: str) -> type:
    """The class of any interface by its name `package/kind/Name` or `package/Name` (a message).

    Raises:
        InterfaceError: no such interface.
    """
    parts = name.split("/")
    if len(parts) == 2:
        parts.insert(1, "msg")
    if len(parts) != 3 or parts[1] not in ("msg", "srv", "action"):
        raise InterfaceError(f"'{name}' is not an interface name; expected package/msg/Name")
    make = {"msg": message_class, "srv": service_class, "action": action_class}[parts[1]]
    return make("/".join(parts))
