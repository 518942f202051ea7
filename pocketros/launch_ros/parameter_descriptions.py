"""Parameters of nodes in launch files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from launch.core import LaunchContext, SomeSubstitutionsType, is_substitution, perform_substitutions
from pocketros.arguments import flatten
from pocketros.errors import left_out, refuse
from pocketros.rcl_yaml import read_yaml


class ParameterValue:
    """A parameter with a type: str, int, float or bool; None to let YAML decide."""

    def __init__(self, value: Any, *, value_type: Any = None) -> None:
        self.value, self.value_type = value, value_type

    def evaluate(self, context: LaunchContext) -> Any:
        """The value.

        Raises:
            ValueError: it is not of the type.
        """
        kind = self.value_type if isinstance(self.value_type, type) else None
        if not is_substitution(self.value):
            return kind(self.value) if kind else self.value
        text = perform_substitutions(context, self.value)
        value = text if kind is str else read_yaml(text)
        value = float(value) if kind is float and type(value) is int else value
        if kind is not None and not isinstance(value, kind):
            raise ValueError(f"parameter value '{text}' is not of type {kind.__name__}")
        return value


class ParameterFile:
    """A YAML file of parameters."""

    def __init__(self, param_file: SomeSubstitutionsType | Path, *, allow_substs: bool = False) -> None:
        refuse(allow_substs=allow_substs)
        self.param_file = param_file


def evaluate_parameter_dict(context: LaunchContext, parameters: dict[Any, Any]) -> dict[str, Any]:
    """Plain values with dotted names."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {perform_substitutions(context, name): plain(one) for name, one in value.items()}
        if isinstance(value, ParameterValue):
            return value.evaluate(context)
        if is_substitution(value):
            return read_yaml(perform_substitutions(context, value))
        # A sequence of sequences is a list of texts, a flat one with a substitution is one text
        if isinstance(value, list | tuple):
            return [perform_substitutions(context, one) if is_substitution(one) else one for one in value]
        return value

    return flatten(plain(parameters))


__getattr__ = left_out(__name__)
