"""The parameters of a node: declaration, limits, callbacks, services and events."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any

from rcl_interfaces.msg import ListParametersResult, ParameterDescriptor, ParameterEvent, SetParametersResult
from rcl_interfaces.srv import (
    DescribeParameters,
    GetParameters,
    GetParameterTypes,
    ListParameters,
    SetParameters,
    SetParametersAtomically,
)

from rclpy.exceptions import (
    InvalidParameterException,
    InvalidParameterTypeException,
    InvalidParameterValueException,
    ParameterAlreadyDeclaredException,
    ParameterImmutableException,
    ParameterNotDeclaredException,
    ParameterUninitializedException,
)
from rclpy.parameter import PARAMETER_SEPARATOR_STRING, Parameter
from rclpy.qos import qos_profile_parameter_events, qos_profile_parameters

SetCallback = Callable[[list[Parameter]], Any]


class NodeParameters:
    """Mixed into Node."""

    def _setup_parameters(self, overrides: dict[str, Parameter], allow_undeclared: bool) -> None:
        self._parameters: dict[str, Parameter] = {}
        self._descriptors: dict[str, Any] = {}
        self._parameter_overrides, self._allow_undeclared_parameters = overrides, allow_undeclared
        self._pre_callbacks: list[SetCallback] = []
        self._on_callbacks: list[SetCallback] = []
        self._post_callbacks: list[SetCallback] = []
        self._parameter_events: Any = None

    def _start_parameter_interfaces(self: Any, services: bool) -> None:
        self._parameter_events = self.create_publisher(
            ParameterEvent, "/parameter_events", qos_profile_parameter_events
        )
        self._publish_event(new=list(self._parameters.values()))
        if not services:
            return
        for kind, name, answer in (
            (DescribeParameters, "describe_parameters", self._answer_describe),
            (GetParameters, "get_parameters", self._answer_get),
            (GetParameterTypes, "get_parameter_types", self._answer_types),
            (ListParameters, "list_parameters", self._answer_list),
            (SetParameters, "set_parameters", self._answer_set),
            (SetParametersAtomically, "set_parameters_atomically", self._answer_set_atomically),
        ):
            self.create_service(kind, f"~/{name}", answer, qos_profile=qos_profile_parameters)

    # --- declaring ---

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
        args: tuple[Any, ...] = (name, value) if descriptor is None else (name, value, descriptor)
        return self.declare_parameters("", [args], ignore_override)[0]

    def declare_parameters(
        self, namespace: str, parameters: Sequence[tuple[Any, ...]], ignore_override: bool = False
    ) -> list[Parameter]:
        """Declare several parameters: tuples of name, optional default and optional descriptor."""
        prefix = f"{namespace}{PARAMETER_SEPARATOR_STRING}" if namespace else ""
        declared = []
        for entry in parameters:
            name, value, descriptor = self._declaration(prefix, entry)
            declared.append(self._declare(name, value, descriptor, ignore_override))
        if self._parameter_events is not None:
            self._publish_event(new=declared)
        return declared

    def _declaration(self, prefix: str, entry: tuple[Any, ...]) -> tuple[str, Any, Any]:
        if not isinstance(entry, tuple) or not 1 <= len(entry) <= 3:
            raise TypeError(f"Invalid parameter tuple {entry!r}; expected (name[, value[, descriptor]])")
        name = entry[0]
        if not isinstance(name, str):
            raise TypeError(f"First element {name!r} is not a str.")
        if not name:
            raise InvalidParameterException(name)
        name = prefix + name
        if name in self._parameters:
            raise ParameterAlreadyDeclaredException(name)
        descriptor = copy.deepcopy(entry[2]) if len(entry) > 2 else ParameterDescriptor()
        if not isinstance(descriptor, ParameterDescriptor):
            raise TypeError(f"Third element of parameter '{name}' is not a ParameterDescriptor")
        return name, entry[1] if len(entry) > 1 else None, descriptor

    def _declare(self, name: str, value: Any, descriptor: Any, ignore_override: bool) -> Parameter:
        if isinstance(value, Parameter.Type):
            descriptor.type, value = value.value, None
        elif value is not None and not descriptor.dynamic_typing:
            descriptor.type = Parameter.Type.from_parameter_value(value).value
        elif value is None and descriptor.type == 0 and not descriptor.dynamic_typing:
            descriptor.dynamic_typing = True
        descriptor.name = name
        parameter = Parameter(name, value=value)
        if not ignore_override and name in self._parameter_overrides:
            parameter = self._parameter_overrides[name]
        unset = parameter.type_ is Parameter.Type.NOT_SET
        self._descriptors[name] = descriptor
        if unset:
            self._parameters[name] = parameter
            return parameter
        parameter = _match_empty_list(parameter, descriptor)
        try:
            if not descriptor.dynamic_typing and descriptor.type not in (0, parameter.type_.value):
                raise InvalidParameterTypeException(parameter, Parameter.Type(descriptor.type).name)
            result = self._check_descriptor(parameter, descriptor)
            if result.successful:
                result = self._ask_callbacks([parameter])
            if not result.successful:
                raise InvalidParameterValueException(name, parameter.value, result.reason)
        except Exception:
            del self._descriptors[name]
            raise
        self._parameters[name] = parameter
        return parameter

    def undeclare_parameter(self, name: str) -> None:
        """Forget a parameter.

        Raises:
            ParameterNotDeclaredException, ParameterImmutableException
        """
        if name not in self._parameters:
            raise ParameterNotDeclaredException(name)
        if self._descriptors[name].read_only:
            raise ParameterImmutableException(name)
        removed = self._parameters.pop(name)
        del self._descriptors[name]
        self._publish_event(deleted=[removed])

    # --- reading ---

    def has_parameter(self, name: str) -> bool:
        return name in self._parameters

    def get_parameter(self, name: str) -> Parameter:
        """A declared parameter.

        Raises:
            ParameterNotDeclaredException, ParameterUninitializedException
        """
        if name in self._parameters:
            parameter = self._parameters[name]
            descriptor = self._descriptors[name]
            if parameter.type_ is Parameter.Type.NOT_SET and not descriptor.dynamic_typing:
                raise ParameterUninitializedException(name)
            return parameter
        if self._allow_undeclared_parameters:
            return Parameter(name, Parameter.Type.NOT_SET, None)
        raise ParameterNotDeclaredException(name)

    def get_parameters(self, names: list[str]) -> list[Parameter]:
        """Declared parameters, in the order of their names."""
        if not all(isinstance(name, str) for name in names):
            raise TypeError("All names must be instances of type str")
        return [self.get_parameter(name) for name in names]

    def get_parameter_or(self, name: str, alternative_value: Parameter | None = None) -> Parameter:
        """A parameter, or the alternative when it is not set."""
        found = self._parameters.get(name)
        if found is None or found.type_ is Parameter.Type.NOT_SET:
            return alternative_value or Parameter(name, Parameter.Type.NOT_SET, None)
        return found

    def get_parameter_type(self, name: str) -> Parameter.Type:
        return self.get_parameter(name).type_

    def get_parameters_by_prefix(self, prefix: str) -> dict[str, Parameter]:
        """Parameters below a prefix, under their names without it."""
        start = f"{prefix}{PARAMETER_SEPARATOR_STRING}" if prefix else ""
        return {name[len(start) :]: parameter for name, parameter in self._parameters.items() if name.startswith(start)}

    def describe_parameter(self, name: str) -> Any:
        """The descriptor of a parameter."""
        if name in self._descriptors:
            return self._descriptors[name]
        if self._allow_undeclared_parameters:
            return ParameterDescriptor()
        raise ParameterNotDeclaredException(name)

    def describe_parameters(self, names: list[str]) -> list[Any]:
        return [self.describe_parameter(name) for name in names]

    def list_parameters(self, prefixes: list[str], depth: int) -> Any:
        """Names and prefixes of parameters, as rcl_interfaces/ListParametersResult."""
        result = ListParametersResult()
        separator = PARAMETER_SEPARATOR_STRING
        for name in self._parameters:
            matching = [prefix for prefix in prefixes if name == prefix or name.startswith(prefix + separator)]
            if prefixes and not matching:
                continue
            below = name[len(matching[0]) :].count(separator) if matching else name.count(separator) + 1
            if depth and below > depth:
                continue
            result.names.append(name)
            parent = name.rpartition(separator)[0]
            if parent and parent not in result.prefixes:
                result.prefixes.append(parent)
        return result

    # --- setting ---

    def set_parameters(self, parameter_list: list[Parameter]) -> list[Any]:
        """Set parameters one by one; a SetParametersResult for each.

        Raises:
            ParameterNotDeclaredException: one of them was not declared.
        """
        return [self._set([parameter]) for parameter in parameter_list]

    def set_parameters_atomically(self, parameter_list: list[Parameter]) -> Any:
        """Set all parameters, or none of them."""
        return self._set(parameter_list)

    def _set(self, parameters: list[Parameter]) -> Any:
        for callback in list(self._pre_callbacks):
            parameters = list(callback(parameters))
        undeclared = [one.name for one in parameters if one.name not in self._parameters]
        if undeclared and not self._allow_undeclared_parameters:
            raise ParameterNotDeclaredException(undeclared)
        parameters = [_match_empty_list(one, self._descriptors.get(one.name)) for one in parameters]
        for parameter in parameters:
            result = self._check_set(parameter)
            if not result.successful:
                return result
        result = self._ask_callbacks(parameters)
        if not result.successful:
            return result
        known = set(self._parameters)
        for parameter in parameters:
            self._descriptors.setdefault(parameter.name, ParameterDescriptor(name=parameter.name, dynamic_typing=True))
            self._parameters[parameter.name] = parameter
            self._time_source.parameter_changed(parameter)  # type: ignore[attr-defined]
        self._publish_event(
            new=[one for one in parameters if one.name not in known],
            changed=[one for one in parameters if one.name in known],
        )
        for callback in list(self._post_callbacks):
            callback(parameters)
        return result

    def _check_set(self, parameter: Parameter) -> Any:
        descriptor = self._descriptors.get(parameter.name)
        if descriptor is None:
            return SetParametersResult(successful=True)
        if descriptor.read_only:
            return _refused(f"Trying to set a read-only parameter: {parameter.name}.")
        if not descriptor.dynamic_typing and descriptor.type not in (0, parameter.type_.value):
            return _refused(
                f"Wrong parameter type, expected '{Parameter.Type(descriptor.type)}' got '{parameter.type_}'"
            )
        return self._check_descriptor(parameter, descriptor)

    def _check_descriptor(self, parameter: Parameter, descriptor: Any) -> Any:
        ranges = {
            Parameter.Type.INTEGER: descriptor.integer_range,
            Parameter.Type.DOUBLE: descriptor.floating_point_range,
        }.get(parameter.type_)
        return _check_range(parameter, ranges[0]) if ranges else SetParametersResult(successful=True)

    def _ask_callbacks(self, parameters: list[Parameter]) -> Any:
        for callback in list(self._on_callbacks):
            result = callback(parameters)
            if not isinstance(result, SetParametersResult):
                raise TypeError(
                    "a callback of add_on_set_parameters_callback must return a SetParametersResult, not "
                    f"{type(result).__name__}"
                )
            if not result.successful:
                return result
        return SetParametersResult(successful=True)

    def add_on_set_parameters_callback(self, callback: SetCallback) -> None:
        """Ask a function for every change; the one added last is asked first."""
        self._on_callbacks.insert(0, callback)

    def remove_on_set_parameters_callback(self, callback: SetCallback) -> None:
        self._on_callbacks.remove(callback)

    def add_pre_set_parameters_callback(self, callback: SetCallback) -> None:
        """Let a function amend the list of parameters before it is checked."""
        self._pre_callbacks.insert(0, callback)

    def remove_pre_set_parameters_callback(self, callback: SetCallback) -> None:
        self._pre_callbacks.remove(callback)

    def add_post_set_parameters_callback(self, callback: SetCallback) -> None:
        """Tell a function of every change after it was made."""
        self._post_callbacks.insert(0, callback)

    def remove_post_set_parameters_callback(self, callback: SetCallback) -> None:
        self._post_callbacks.remove(callback)

    def _publish_event(
        self: Any, new: Sequence[Parameter] = (), changed: Sequence[Parameter] = (), deleted: Sequence[Parameter] = ()
    ) -> None:
        if self._parameter_events is None or not (new or changed or deleted) or not self.context.ok():
            return
        self._parameter_events.publish(
            ParameterEvent(
                stamp=self.get_clock().now().to_msg(),
                node=self.get_fully_qualified_name(),
                new_parameters=[one.to_parameter_msg() for one in new],
                changed_parameters=[one.to_parameter_msg() for one in changed],
                deleted_parameters=[one.to_parameter_msg() for one in deleted],
            )
        )

    # --- services ---

    def _answer_describe(self, request: Any, response: Any) -> Any:
        response.descriptors = [self._descriptors.get(name) or ParameterDescriptor() for name in request.names]
        return response

    def _answer_get(self, request: Any, response: Any) -> Any:
        response.values = [self.get_parameter_or(name).get_parameter_value() for name in request.names]
        return response

    def _answer_types(self, request: Any, response: Any) -> Any:
        response.types = [self.get_parameter_or(name).type_.value for name in request.names]
        return response

    def _answer_list(self, request: Any, response: Any) -> Any:
        response.result = self.list_parameters(request.prefixes, request.depth)
        return response

    def _answer_set(self, request: Any, response: Any) -> Any:
        response.results = [self._set_from_message([message]) for message in request.parameters]
        return response

    def _answer_set_atomically(self, request: Any, response: Any) -> Any:
        response.result = self._set_from_message(request.parameters)
        return response

    def _set_from_message(self, messages: list[Any]) -> Any:
        try:
            return self._set([Parameter.from_parameter_msg(message) for message in messages])
        except ParameterNotDeclaredException as error:
            return _refused(str(error))
        except (TypeError, ValueError, RuntimeError) as error:
            return _refused(f"Invalid parameter: {error}")


def _refused(reason: str) -> Any:
    return SetParametersResult(successful=False, reason=reason)


def _match_empty_list(parameter: Parameter, descriptor: Any) -> Parameter:
    """An empty list fits any array type; give it the declared one."""
    declared = Parameter.Type(descriptor.type) if descriptor is not None else Parameter.Type.NOT_SET
    empty = isinstance(parameter.value, list | tuple) and not parameter.value
    if empty and declared.name.endswith("_ARRAY"):
        return Parameter(parameter.name, declared, parameter.value)
    return parameter


def _check_range(parameter: Parameter, bounds: Any) -> Any:
    value, low, high, step = parameter.value, bounds.from_value, bounds.to_value, bounds.step
    if math.isclose(value, low) or math.isclose(value, high):
        return SetParametersResult(successful=True)
    if not low <= value <= high:
        return _refused(f"Parameter {parameter.name} out of range Min: {low}, Max: {high}, value: {value}")
    if step and not math.isclose(value, low + round((value - low) / step) * step, abs_tol=1e-9 * abs(step)):
        return _refused(
            f"Parameter {parameter.name} out of range. The parameter value {value} is not a valid step. "
            f"Min: {low}, max: {high}, step: {step}"
        )
    return SetParametersResult(successful=True)
