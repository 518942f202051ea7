"""Substitutions: texts that become known while launching."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable
from typing import Any

from rosless.errors import left_out

from launch.core import LaunchContext, SomeSubstitutionsType, Substitution, SubstitutionFailure, perform_substitutions


class TextSubstitution(Substitution):
    """A fixed text."""

    def __init__(self, *, text: str) -> None:
        self.text = text

    def perform(self, context: LaunchContext) -> str:
        return self.text

    def describe(self) -> str:
        return repr(self.text)


class LaunchConfiguration(Substitution):
    """The value of a launch argument."""

    def __init__(self, variable_name: SomeSubstitutionsType, *, default: Any = None) -> None:
        self.variable_name, self._default = variable_name, default

    def perform(self, context: LaunchContext) -> str:
        default = str(self._default) if isinstance(self._default, bool | int | float) else self._default
        return _look_up(context, context.launch_configurations, "launch configuration", self.variable_name, default)


class EnvironmentVariable(Substitution):
    """An environment variable."""

    def __init__(self, name: SomeSubstitutionsType, *, default_value: SomeSubstitutionsType | None = None) -> None:
        self.name, self._default = name, default_value

    def perform(self, context: LaunchContext) -> str:
        return _look_up(context, context.environment, "environment variable", self.name, self._default)


def _look_up(context: LaunchContext, values: dict[str, str], what: str, name: Any, default: Any) -> str:
    name = perform_substitutions(context, name)
    if name not in values and default is None:
        raise SubstitutionFailure(f"{what} '{name}' does not exist")
    return values[name] if name in values else perform_substitutions(context, default)


class PathJoinSubstitution(Substitution):
    """Parts of a path, joined."""

    def __init__(self, substitutions: Iterable[SomeSubstitutionsType]) -> None:
        self._parts = list(substitutions)

    def perform(self, context: LaunchContext) -> str:
        return os.path.join(*(perform_substitutions(context, part) for part in self._parts))


class PythonExpression(Substitution):
    """The value of a Python expression, such as `["'", LaunchConfiguration('robot'), "' == 'sim'"]`."""

    def __init__(self, expression: SomeSubstitutionsType, python_modules: Iterable[str] = ("math",)) -> None:
        self._expression, self._modules = expression, tuple(python_modules)

    def perform(self, context: LaunchContext) -> str:
        expression = perform_substitutions(context, self._expression)
        known: dict[str, Any] = {name: importlib.import_module(name) for name in self._modules}
        known.update(vars(known["math"]) if "math" in known else {})
        try:
            return str(eval(expression, {}, known))
        except Exception as error:
            raise SubstitutionFailure(f"cannot evaluate '{expression}': {error}") from error


class ThisLaunchFile(Substitution):
    """The path of the launch file."""

    def perform(self, context: LaunchContext) -> str:
        return str(context.locals.current_launch_file_path)


class ThisLaunchFileDir(Substitution):
    """The directory of the launch file."""

    def perform(self, context: LaunchContext) -> str:
        return os.path.dirname(context.locals.current_launch_file_path)


__getattr__ = left_out(__name__)
