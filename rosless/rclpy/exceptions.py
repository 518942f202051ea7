"""Exceptions of rclpy."""

from __future__ import annotations

from typing import Any


class RCLError(RuntimeError):
    """Misuse of a context or an entity, such as a second shutdown."""


class NotInitializedException(Exception):  # noqa: N818 - the name is rclpy's
    """rclpy is used before `rclpy.init` or after its shutdown."""

    def __init__(self, *args: object) -> None:
        super().__init__("rclpy.init() has not been called", *args)


class InvalidHandle(Exception):  # noqa: N818
    """An entity is used after it was destroyed."""


class NameValidationException(Exception):  # noqa: N818
    """A topic, node or namespace name breaks the naming rules."""

    def __init__(self, name_type: str, name: str, error_msg: str, invalid_index: int) -> None:
        super().__init__(f"Invalid {name_type}: {error_msg}:\n  '{name}'\n   {' ' * invalid_index}^")
        self.name_type, self.name, self.error_msg, self.invalid_index = name_type, name, error_msg, invalid_index


class InvalidNamespaceException(NameValidationException):
    def __init__(self, name: str, error_msg: str, invalid_index: int) -> None:
        super().__init__("namespace", name, error_msg, invalid_index)


class InvalidNodeNameException(NameValidationException):
    def __init__(self, name: str, error_msg: str, invalid_index: int) -> None:
        super().__init__("node name", name, error_msg, invalid_index)


class InvalidTopicNameException(NameValidationException):
    def __init__(self, name: str, error_msg: str, invalid_index: int) -> None:
        super().__init__("topic name", name, error_msg, invalid_index)


class InvalidServiceNameException(NameValidationException):
    def __init__(self, name: str, error_msg: str, invalid_index: int) -> None:
        super().__init__("service name", name, error_msg, invalid_index)


class ParameterException(Exception):  # noqa: N818
    """Base of the errors about parameters."""

    def __init__(self, error_msg: str, parameters: Any, *args: object) -> None:
        super().__init__(f"{error_msg}: {parameters}", *args)


class ParameterNotDeclaredException(ParameterException):
    def __init__(self, parameters: Any, *args: object) -> None:
        super().__init__("Invalid access to undeclared parameter(s)", parameters, *args)


class ParameterAlreadyDeclaredException(ParameterException):
    def __init__(self, parameters: Any, *args: object) -> None:
        super().__init__("Parameter(s) already declared", parameters, *args)


class InvalidParameterException(ParameterException):
    def __init__(self, parameter: Any, *args: object) -> None:
        super().__init__("Invalid parameter name", parameter, *args)


class InvalidParameterTypeException(ParameterException):
    """A value of another type than the parameter was declared with."""

    def __init__(self, desired_parameter: Any, expected_type: Any, *args: object) -> None:
        Exception.__init__(
            self,
            f"Trying to set parameter '{desired_parameter.name}' to '{desired_parameter.value}' of type "
            f"'{desired_parameter.type_.name}', expecting type '{expected_type}'",
            *args,
        )


class InvalidParameterValueException(ParameterException):
    """A value which the descriptor or a callback refuses."""

    def __init__(self, parameter: Any, value: Any, reason: str, *args: object) -> None:
        Exception.__init__(
            self,
            f"Invalid parameter value ({value}) for parameter. Reason: {reason}"
            if not parameter
            else f"Invalid parameter value ({value}) for parameter '{parameter}'. Reason: {reason}",
            *args,
        )


class ParameterImmutableException(ParameterException):
    def __init__(self, parameter: Any, *args: object) -> None:
        super().__init__("Attempted to modify read-only parameter", parameter, *args)


class ParameterUninitializedException(ParameterException):
    def __init__(self, parameter: Any, *args: object) -> None:
        Exception.__init__(self, f"The parameter '{parameter}' is not initialized", *args)


class ROSInterruptException(Exception):  # noqa: N818
    """Raised when a wait ends because of a shutdown."""

    def __init__(self) -> None:
        super().__init__("rclpy.shutdown() has been called")
