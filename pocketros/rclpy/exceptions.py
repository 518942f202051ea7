"""Exceptions of rclpy."""

from __future__ import annotations

from typing import Any

# ruff: noqa: N818 - the names are rclpy's


class RCLError(RuntimeError):
    """Misuse of a context or an entity, such as a second shutdown."""


class NodeNameNonExistentError(RCLError):
    """Something is asked of a node that nobody knows."""


class NotInitializedException(Exception):
    """rclpy is used before `rclpy.init` or after its shutdown."""

    def __init__(self, *args: object) -> None:
        super().__init__("rclpy.init() has not been called", *args)


class InvalidHandle(Exception):
    """A node, or something of one, is used after it was destroyed."""

    def __init__(self, kind: str) -> None:
        super().__init__(f"cannot use Destroyable because destruction was requested: {kind}")


class NameValidationException(Exception):
    """A topic, node or namespace name breaks the naming rules."""

    name_type = "name"

    def __init__(self, name: str, error_msg: str, invalid_index: int) -> None:
        super().__init__(f"Invalid {self.name_type}: {error_msg}:\n  '{name}'\n   {' ' * invalid_index}^")
        self.name, self.error_msg, self.invalid_index = name, error_msg, invalid_index


class InvalidNamespaceException(NameValidationException):
    name_type = "namespace"


class InvalidNodeNameException(NameValidationException):
    name_type = "node name"


class InvalidTopicNameException(NameValidationException):
    name_type = "topic name"


class InvalidServiceNameException(NameValidationException):
    name_type = "service name"


class ParameterException(Exception):
    """Base of the errors about parameters: what is wrong, and with which."""

    text = ""

    def __init__(self, parameter: Any, *details: object) -> None:
        name = getattr(parameter, "name", parameter)
        super().__init__(f"{self.text.format(*details, it=parameter)}: {name}")


class ParameterNotDeclaredException(ParameterException):
    text = "Invalid access to undeclared parameter(s)"


class ParameterAlreadyDeclaredException(ParameterException):
    text = "Parameter(s) already declared"


class InvalidParameterException(ParameterException):
    text = "Invalid parameter name"


class InvalidParameterTypeException(ParameterException):
    """A value of another type than the parameter was declared with."""

    text = "Trying to set parameter '{it.name}' to '{it.value}' of type '{it.type_.name}', expecting type '{0}'"


class InvalidParameterValueException(ParameterException):
    """A value which the descriptor or a callback refuses."""

    text = "Invalid parameter value ({0}) for parameter. Reason: {1}"


class ParameterImmutableException(ParameterException):
    text = "Attempted to modify read-only parameter"


class ParameterUninitializedException(ParameterException):
    text = "The parameter '{it}' is not initialized"
