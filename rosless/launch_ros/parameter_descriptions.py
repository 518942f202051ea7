"""Parameters of nodes in launch files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from launch.core import LaunchContext, SomeSubstitutionsType, is_substitution, perform_substitutions
from rosless.arguments import parse_yaml_value


class ParameterValue:
    """A parameter with a type: str, int, float, bool, or List of these from typing; None to let YAML decide."""

    def __init__(self, value: Any, *, value_type: Any = None) -> None:
        self.value, self.value_type = value, value_type

    def evaluate(self, context: LaunchContext) -> Any:
        """The value.

        Raises:
            ValueError: it is not of the type.
        """
        if not is_substitution(self.value):
            return self.value_type(self.value) if isinstance(self.value_type, type) else self.value
        text = perform_substitutions(context, self.value)
        if self.value_type is str:
            return text
        value = parse_yaml_value(text)
        if self.value_type is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if isinstance(self.value_type, type) and not isinstance(value, self.value_type):
            raise ValueError(f"parameter value '{text}' is not of type {self.value_type.__name__}")
        return value


class ParameterFile:
    """A YAML file of parameters, with substitutions in its text if allowed."""

    def __init__(self, param_file: SomeSubstitutionsType | Path, *, allow_substs: bool = False) -> None:
        if allow_substs:
            raise AttributeError("rosless does not provide allow_substs of ParameterFile; it needs a genuine ROS 2")
        self.param_file = param_file

    def evaluate(self, context: LaunchContext) -> Path:
        return Path(perform_substitutions(context, self.param_file))  # type: ignore[arg-type]


Parameter = ParameterValue


def evaluate_parameter_dict(context: LaunchContext, parameters: dict[Any, Any], prefix: str = "") -> dict[str, Any]:
    """Plain values with dotted names."""
    plain: dict[str, Any] = {}
    for key, value in parameters.items():
        name = prefix + perform_substitutions(context, key)
        if isinstance(value, dict):
            plain.update(evaluate_parameter_dict(context, value, f"{name}."))
        elif isinstance(value, ParameterValue):
            plain[name] = value.evaluate(context)
        elif is_substitution(value) and not (isinstance(value, list | tuple) and _is_list_of_texts(value)):
            plain[name] = parse_yaml_value(perform_substitutions(context, value))
        elif isinstance(value, list | tuple):
            plain[name] = [perform_substitutions(context, one) if is_substitution(one) else one for one in value]
        else:
            plain[name] = value
    return plain


def _is_list_of_texts(value: Any) -> bool:
    """A sequence of sequences is a list of strings, a flat one with a substitution is one text."""
    return all(isinstance(one, list | tuple) for one in value)
