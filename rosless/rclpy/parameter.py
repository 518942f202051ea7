"""Parameters: typed values with names."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from enum import Enum
from typing import Any

from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.msg import ParameterType, ParameterValue
from rosless.arguments import parse_yaml_value

PARAMETER_SEPARATOR_STRING = "."

_FIELDS = (
    "",
    "bool_value",
    "integer_value",
    "double_value",
    "string_value",
    "byte_array_value",
    "bool_array_value",
    "integer_array_value",
    "double_array_value",
    "string_array_value",
)


class Parameter:
    """A name with a value of one of the parameter types."""

    class Type(Enum):
        """The types that parameters can have."""

        NOT_SET = ParameterType.PARAMETER_NOT_SET
        BOOL = ParameterType.PARAMETER_BOOL
        INTEGER = ParameterType.PARAMETER_INTEGER
        DOUBLE = ParameterType.PARAMETER_DOUBLE
        STRING = ParameterType.PARAMETER_STRING
        BYTE_ARRAY = ParameterType.PARAMETER_BYTE_ARRAY
        BOOL_ARRAY = ParameterType.PARAMETER_BOOL_ARRAY
        INTEGER_ARRAY = ParameterType.PARAMETER_INTEGER_ARRAY
        DOUBLE_ARRAY = ParameterType.PARAMETER_DOUBLE_ARRAY
        STRING_ARRAY = ParameterType.PARAMETER_STRING_ARRAY

        @classmethod
        def from_parameter_value(cls, value: Any) -> Parameter.Type:
            """The type that fits a Python value.

            Raises:
                TypeError: none fits.
            """
            if value is None:
                return cls.NOT_SET
            for kind, python in ((cls.BOOL, bool), (cls.INTEGER, int), (cls.DOUBLE, float), (cls.STRING, str)):
                if isinstance(value, python):
                    return kind
            if isinstance(value, array):
                return cls.DOUBLE_ARRAY if value.typecode in "fd" else cls.INTEGER_ARRAY
            if isinstance(value, list | tuple):
                if all(isinstance(item, bytes) for item in value):
                    return cls.BYTE_ARRAY
                for kind, python in (
                    (cls.BOOL_ARRAY, bool),
                    (cls.INTEGER_ARRAY, int),
                    (cls.DOUBLE_ARRAY, float),
                    (cls.STRING_ARRAY, str),
                ):
                    # bool is an int for Python, not for ROS
                    if all(
                        isinstance(item, python) and (python is bool or not isinstance(item, bool)) for item in value
                    ):
                        return kind
            raise TypeError(f"The given value is not one of the allowed types '{value}'.")

        def check(self, value: Any) -> bool:
            """Whether a value has this type."""
            if self is Parameter.Type.NOT_SET:
                return value is None
            if self.name.endswith("_ARRAY") and isinstance(value, list | tuple) and not value:
                return True
            try:
                return Parameter.Type.from_parameter_value(value) is self
            except TypeError:
                return False

    @classmethod
    def from_parameter_msg(cls, param_msg: Any) -> Parameter:
        """A parameter from rcl_interfaces/Parameter."""
        value = parameter_value_to_python(param_msg.value)
        return cls(param_msg.name, cls.Type(param_msg.value.type), value)

    def __init__(self, name: str, type_: Parameter.Type | None = None, value: Any = None) -> None:
        if type_ is None:
            type_ = Parameter.Type.from_parameter_value(value)
        if not isinstance(type_, Parameter.Type):
            raise TypeError("type must be an instance of 'Parameter.Type'")
        if not type_.check(value):
            raise ValueError(f"Type '{type_}' and value '{value}' do not agree")
        self._name, self._type, self._value = name, type_, value

    @property
    def name(self) -> str:
        return self._name

    @property
    def type_(self) -> Parameter.Type:
        return self._type

    @property
    def value(self) -> Any:
        return self._value

    def __repr__(self) -> str:
        return f"Parameter(name={self._name!r}, type_={self._type}, value={self._value!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Parameter) and (self._name, self._type, self._value) == (
            other._name,
            other._type,
            other._value,
        )

    __hash__ = None  # type: ignore[assignment]

    def get_parameter_value(self) -> Any:
        """The value as rcl_interfaces/ParameterValue."""
        message = ParameterValue(type=self._type.value)
        if self._type is not Parameter.Type.NOT_SET:
            value = list(self._value) if isinstance(self._value, tuple) else self._value
            setattr(message, _FIELDS[self._type.value], value)
        return message

    def to_parameter_msg(self) -> Any:
        """The parameter as rcl_interfaces/Parameter."""
        return ParameterMessage(name=self._name, value=self.get_parameter_value())


def parameter_value_to_python(parameter_value: Any) -> Any:
    """The Python value of an rcl_interfaces/ParameterValue.

    Raises:
        RuntimeError: the type is unknown.
    """
    if not 0 <= parameter_value.type < len(_FIELDS):
        raise RuntimeError(f"unexpected parameter type {parameter_value.type}")
    if parameter_value.type == 0:
        return None
    value = getattr(parameter_value, _FIELDS[parameter_value.type])
    return list(value) if isinstance(value, array) else value


def get_parameter_value(string_value: str) -> Any:
    """The ParameterValue that a text on a command line stands for."""
    value = parse_yaml_value(string_value)
    try:
        return Parameter("", value=value).get_parameter_value()
    except TypeError:
        return Parameter("", value=string_value).get_parameter_value()


__all__: Sequence[str] = ["PARAMETER_SEPARATOR_STRING", "Parameter", "get_parameter_value", "parameter_value_to_python"]
