"""Parameters: typed values with names, and those of a node with their limits, callbacks, services and events."""

from __future__ import annotations

import copy
import math
from array import array
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import Enum
from functools import partial
from typing import Any

from pocketros.errors import ArgumentError
from pocketros.rcl_yaml import read_yaml
from rcl_interfaces import srv
from rcl_interfaces.msg import (
    ListParametersResult,
    ParameterDescriptor,
    ParameterEvent,
    ParameterValue,
    SetParametersResult,
)
from rcl_interfaces.msg import Parameter as ParameterMessage

from rclpy import exceptions
from rclpy.qos import qos_profile_parameter_events, qos_profile_parameters

# The scalar types by their number in rcl_interfaces/ParameterType; arrays of them are 5 further
SCALARS = {bool: 1, int: 2, float: 3, str: 4, bytes: 0}
RELATIVE_TOLERANCE = 1e-6
SetCallback = Callable[[list["Parameter"]], Any]


class Parameter:
    """A name with a value of one of the parameter types."""

    class Type(Enum):
        """The types that parameters can have, with their numbers in rcl_interfaces/ParameterType."""

        NOT_SET, BOOL, INTEGER, DOUBLE, STRING = range(5)
        BYTE_ARRAY, BOOL_ARRAY, INTEGER_ARRAY, DOUBLE_ARRAY, STRING_ARRAY = range(5, 10)

        @classmethod
        def from_parameter_value(cls, value: Any) -> Parameter.Type:
            """The type that fits a Python value.

            Raises:
                TypeError: none fits.
            """
            if isinstance(value, array):
                return cls.DOUBLE_ARRAY if value.typecode in "fd" else cls.INTEGER_ARRAY
            if isinstance(value, list | tuple):
                kinds = {_scalar_number(item) for item in value} or {0}
                if len(kinds) == 1 and None not in kinds:
                    return cls(5 + kinds.pop())  # type: ignore[operator]
            elif value is None or _scalar_number(value):
                return cls(_scalar_number(value) or 0)
            raise TypeError(f"The given value is not one of the allowed types '{value}'.")

        def check(self, value: Any) -> bool:
            """Whether a value has this type; an empty list fits any array."""
            if isinstance(value, list | tuple) and not value:
                return self.name.endswith("_ARRAY")
            try:
                return Parameter.Type.from_parameter_value(value) is self
            except TypeError:
                return False

        @property
        def _field(self) -> str:
            return f"{self.name.lower()}_value"

    def __init__(self, name: str, type_: Parameter.Type | None = None, value: Any = None) -> None:
        type_ = Parameter.Type.from_parameter_value(value) if type_ is None else type_
        if not type_.check(value):
            raise ValueError(f"Type '{type_}' and value '{value}' do not agree")
        self.name, self.type_, self.value = name, type_, value

    @classmethod
    def from_parameter_msg(cls, param_msg: Any) -> Parameter:
        """A parameter from rcl_interfaces/Parameter."""
        return cls(param_msg.name, cls.Type(param_msg.value.type), parameter_value_to_python(param_msg.value))

    def __repr__(self) -> str:
        return f"Parameter(name={self.name!r}, type_={self.type_}, value={self.value!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Parameter) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]

    def get_parameter_value(self) -> Any:
        """The value as rcl_interfaces/ParameterValue."""
        message = ParameterValue(type=self.type_.value)
        if self.type_ is not Parameter.Type.NOT_SET:
            setattr(message, self.type_._field, list(self.value) if isinstance(self.value, tuple) else self.value)
        return message

    def to_parameter_msg(self) -> Any:
        """The parameter as rcl_interfaces/Parameter."""
        return ParameterMessage(name=self.name, value=self.get_parameter_value())


def _scalar_number(value: Any) -> int | None:
    return next((number for kind, number in SCALARS.items() if isinstance(value, kind)), None)


def parameter_value_to_python(parameter_value: Any) -> Any:
    """The Python value of an rcl_interfaces/ParameterValue."""
    kind = Parameter.Type(parameter_value.type)
    value = getattr(parameter_value, kind._field, None)
    return list(value) if isinstance(value, array) else value


def get_parameter_value(string_value: str) -> Any:
    """The ParameterValue that a text on a command line stands for."""
    try:
        return Parameter("", value=read_yaml(string_value)).get_parameter_value()
    except (TypeError, ArgumentError):
        return Parameter("", value=string_value).get_parameter_value()


class NodeParameters:
    """The parameters of a node; mixed into Node."""

    def _setup_parameters(self, overrides: dict[str, Parameter], allow_undeclared: bool) -> None:
        self._parameters: dict[str, Parameter] = {}
        self._descriptors: dict[str, Any] = {}
        self._overrides, self._allow_undeclared = overrides, allow_undeclared
        self._on_callbacks: list[SetCallback] = []
        self._events: Any = None

    def _start_parameter_interfaces(self: Any, services: bool) -> None:
        self._events = self.create_publisher(ParameterEvent, "/parameter_events", qos_profile_parameter_events)
        self._publish_event(new_parameters=list(self._parameters.values()))
        answers: dict[str, Callable[[Any], dict[str, Any]]] = {
            "DescribeParameters": lambda asked: {"descriptors": self.describe_parameters(asked.names)},
            "GetParameters": lambda asked: {
                "values": [one.get_parameter_value() for one in self.get_parameters(asked.names)]
            },
            "GetParameterTypes": lambda asked: {"types": [self.get_parameter_type(name).value for name in asked.names]},
            "ListParameters": lambda asked: {"result": self.list_parameters(asked.prefixes, asked.depth)},
            "SetParameters": lambda asked: {"results": [self._set_messages([one]) for one in asked.parameters]},
            "SetParametersAtomically": lambda asked: {"result": self._set_messages(asked.parameters)},
        }

        def answer(fields: Callable[[Any], dict[str, Any]], request: Any, response: Any) -> Any:
            # Who asks for a parameter that is not there gets no answer for any
            with suppress(exceptions.ParameterNotDeclaredException, exceptions.ParameterUninitializedException):
                return type(response)(**fields(request))
            return response

        for name, fields in answers.items() if services else ():
            topic = "~/" + "".join(f"_{one.lower()}" if one.isupper() else one for one in name).lstrip("_")
            self.create_service(getattr(srv, name), topic, partial(answer, fields), qos_profile=qos_profile_parameters)

    def declare_parameter(
        self, name: str, value: Any = None, descriptor: Any = None, ignore_override: bool = False
    ) -> Parameter:
        """Declare a parameter with its default.

        Args:
            value: the default, or a Parameter.Type for a parameter that must be given.
            descriptor: rcl_interfaces/ParameterDescriptor with description, ranges, read_only, dynamic_typing.
            ignore_override: do not take the value of the command line.

        Raises:
            ParameterAlreadyDeclaredException, InvalidParameterException, InvalidParameterTypeException,
            InvalidParameterValueException
        """
        if not isinstance(name, str) or not name:
            raise exceptions.InvalidParameterException(name)
        if name in self._parameters:
            raise exceptions.ParameterAlreadyDeclaredException(name)
        descriptor = ParameterDescriptor() if descriptor is None else copy.deepcopy(descriptor)
        descriptor.name = name
        if isinstance(value, Parameter.Type):
            descriptor.type, value = value.value, None
        elif value is not None and not descriptor.dynamic_typing:
            descriptor.type = Parameter.Type.from_parameter_value(value).value
        elif descriptor.type == 0:
            descriptor.dynamic_typing = True
        parameter = Parameter(name, value=value)
        if not ignore_override:
            parameter = _as_declared(self._overrides.get(name, parameter), descriptor)
        if parameter.type_ is not Parameter.Type.NOT_SET:
            if not descriptor.dynamic_typing and descriptor.type not in (0, parameter.type_.value):
                expected = Parameter.Type(descriptor.type).name
                raise exceptions.InvalidParameterTypeException(parameter, expected)
            if reason := _range_fault(parameter, descriptor) or self._refusal([parameter]):
                raise exceptions.InvalidParameterValueException(name, parameter.value, reason)
        self._parameters[name], self._descriptors[name] = parameter, descriptor
        self._publish_event(new_parameters=[parameter])
        return parameter

    def declare_parameters(
        self, namespace: str, parameters: Sequence[tuple[Any, ...]], ignore_override: bool = False
    ) -> list[Parameter]:
        """Declare several parameters: tuples of name, optional default and optional descriptor."""
        prefix = f"{namespace}." if namespace else ""
        return [
            self.declare_parameter(prefix + name, *details, ignore_override=ignore_override)
            for name, *details in parameters
        ]

    def undeclare_parameter(self, name: str) -> None:
        """Forget a parameter.

        Raises:
            ParameterNotDeclaredException, ParameterImmutableException
        """
        if self.describe_parameter(name).read_only:
            raise exceptions.ParameterImmutableException(name)
        self._descriptors.pop(name, None)
        self._publish_event(deleted_parameters=[self._parameters.pop(name)])

    def has_parameter(self, name: str) -> bool:
        return name in self._parameters

    def get_parameter(self, name: str) -> Parameter:
        """A declared parameter.

        Raises:
            ParameterNotDeclaredException, ParameterUninitializedException
        """
        descriptor, parameter = self.describe_parameter(name), self.get_parameter_or(name)
        if parameter.type_ is Parameter.Type.NOT_SET and name in self._parameters and not descriptor.dynamic_typing:
            raise exceptions.ParameterUninitializedException(name)
        return parameter

    def get_parameters(self, names: list[str]) -> list[Parameter]:
        """Declared parameters, in the order of their names."""
        return [self.get_parameter(name) for name in names]

    def get_parameter_or(self, name: str, alternative_value: Parameter | None = None) -> Parameter:
        """A parameter, or the alternative when it is not set."""
        unset = Parameter(name, Parameter.Type.NOT_SET, None)
        found = self._parameters.get(name, unset)
        return alternative_value if found == unset and alternative_value is not None else found

    def get_parameter_type(self, name: str) -> Parameter.Type:
        """The type of a declared parameter's value."""
        self.describe_parameter(name)
        return self.get_parameter_or(name).type_

    def get_parameters_by_prefix(self, prefix: str) -> dict[str, Parameter]:
        """Parameters below a prefix, under their names without it."""
        start = f"{prefix}." if prefix else ""
        return {name[len(start) :]: one for name, one in self._parameters.items() if name.startswith(start)}

    def describe_parameter(self, name: str) -> Any:
        """The descriptor of a parameter."""
        if name not in self._descriptors and not self._allow_undeclared:
            raise exceptions.ParameterNotDeclaredException(name)
        descriptor = self._descriptors.get(name) or ParameterDescriptor()
        if descriptor.dynamic_typing and name in self._parameters:
            descriptor.type = self._parameters[name].type_.value
        return descriptor

    def describe_parameters(self, names: list[str]) -> list[Any]:
        return [self.describe_parameter(name) for name in names]

    def list_parameters(self, prefixes: list[str], depth: int) -> Any:
        """Names and prefixes of parameters, as rcl_interfaces/ListParametersResult."""
        result = ListParametersResult()
        for name in self._parameters:
            matching = [prefix for prefix in prefixes if f"{name}.".startswith(f"{prefix}.")]
            below = name[len(matching[0]) :].count(".") if matching else name.count(".") + 1
            if (matching or not prefixes) and (not depth or below <= depth):
                result.names.append(name)
        parents = (name.rpartition(".")[0] for name in result.names)
        result.prefixes = list(dict.fromkeys(parent for parent in parents if parent))
        return result

    def set_parameters(self, parameter_list: list[Parameter]) -> list[Any]:
        """Set parameters one by one; a SetParametersResult for each.

        Raises:
            ParameterNotDeclaredException: one of them was not declared.
        """
        return [self.set_parameters_atomically([parameter]) for parameter in parameter_list]

    def set_parameters_atomically(self: Any, parameter_list: list[Parameter]) -> Any:
        """Set all parameters, or none of them; one of type NOT_SET is undeclared."""
        described = [(one, self.describe_parameter(one.name)) for one in parameter_list]
        parameters = [_as_declared(one, descriptor) for one, descriptor in described]
        faults = (_set_fault(one, descriptor) for one, (_, descriptor) in zip(parameters, described, strict=True))
        if reason := next(filter(None, faults), None) or self._refusal(parameters):
            return SetParametersResult(successful=False, reason=reason)
        known = set(self._parameters)
        gone = [one for one in parameters if one.type_ is Parameter.Type.NOT_SET]
        parameters = [one for one in parameters if one not in gone]
        for parameter in gone:
            self._descriptors.pop(parameter.name, None)
            self._parameters.pop(parameter.name, None)
        for parameter in parameters:
            self._descriptors.setdefault(parameter.name, ParameterDescriptor(name=parameter.name, dynamic_typing=True))
            self._parameters[parameter.name] = parameter
            self._time_source.parameter_changed(parameter)
        self._publish_event(
            new_parameters=[one for one in parameters if one.name not in known],
            changed_parameters=[one for one in parameters if one.name in known],
            deleted_parameters=gone,
        )
        return SetParametersResult(successful=True)

    def _set_messages(self, messages: list[Any]) -> Any:
        try:
            return self.set_parameters_atomically([Parameter.from_parameter_msg(message) for message in messages])
        except (exceptions.ParameterException, TypeError, ValueError) as error:
            return SetParametersResult(successful=False, reason=str(error))

    def _refusal(self, parameters: list[Parameter]) -> str | None:
        """Why a callback refuses parameters, None if all agree."""
        for callback in list(self._on_callbacks):
            result = callback(parameters)
            if not isinstance(result, SetParametersResult):
                raise TypeError(f"{callback!r} must return a SetParametersResult, not {type(result).__name__}")
            if not result.successful:
                return str(result.reason) or "refused by a callback"
        return None

    def add_on_set_parameters_callback(self, callback: SetCallback) -> None:
        """Ask a function for every change; the one added last is asked first."""
        self._on_callbacks.insert(0, callback)

    def remove_on_set_parameters_callback(self, callback: SetCallback) -> None:
        self._on_callbacks.remove(callback)

    def _publish_event(self: Any, **changes: list[Parameter]) -> None:
        if self._events is not None and any(changes.values()) and self.context.ok():
            lists = {name: [one.to_parameter_msg() for one in parameters] for name, parameters in changes.items()}
            stamp, name = self.get_clock().now().to_msg(), self.get_fully_qualified_name()
            self._events.publish(ParameterEvent(stamp=stamp, node=name, **lists))


def _as_declared(parameter: Parameter, descriptor: Any) -> Parameter:
    """The parameter; an empty list fits any array type and gets the declared one."""
    declared = Parameter.Type(descriptor.type)
    empty_list = isinstance(parameter.value, list | tuple) and not parameter.value and declared.check([])
    return Parameter(parameter.name, declared, parameter.value) if empty_list else parameter


def _set_fault(parameter: Parameter, descriptor: Any) -> str | None:
    if descriptor.read_only:
        return f"Trying to set a read-only parameter: {parameter.name}."
    if not descriptor.dynamic_typing and descriptor.type and parameter.type_ is Parameter.Type.NOT_SET:
        return "Static parameter cannot be undeclared"
    if not descriptor.dynamic_typing and descriptor.type not in (0, parameter.type_.value):
        return f"Wrong parameter type, expected '{Parameter.Type(descriptor.type)}' got '{parameter.type_}'"
    return _range_fault(parameter, descriptor)


def _range_fault(parameter: Parameter, descriptor: Any) -> str | None:
    ranges = {Parameter.Type.INTEGER: descriptor.integer_range, Parameter.Type.DOUBLE: descriptor.floating_point_range}
    for bounds in ranges.get(parameter.type_, ()):
        name, value, low, high, step = parameter.name, parameter.value, bounds.from_value, bounds.to_value, bounds.step
        close = partial(math.isclose, rel_tol=RELATIVE_TOLERANCE)
        if close(value, low) or close(value, high):
            return None
        if not low <= value <= high:
            return f"Parameter {name} out of range Min: {low}, Max: {high}, value: {value}"
        if step and not close(value, low + round((value - low) / step) * step):
            kind = (
                "not a valid step" if parameter.type_ is Parameter.Type.INTEGER else "not close enough to a valid step"
            )
            limits = f"Min: {low}, max: {high}, value: {value}, step: {step}"
            return f"The parameter value for {name} is {kind}. {limits}"
    return None
