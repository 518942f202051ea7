"""Substitutions: texts that become known while launching."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable
from typing import Any

from launch.core import (
    LaunchContext,
    SomeSubstitutionsType,
    Substitution,
    SubstitutionFailure,
    describe_substitutions,
    perform_substitutions,
)

TRUE, FALSE = ("true", "1"), ("false", "0")


def to_bool(text: str, what: str) -> bool:
    """The truth of `true`, `false`, `1` or `0` in any case.

    Raises:
        SubstitutionFailure: another text.
    """
    if (clean := text.strip().lower()) in (*TRUE, *FALSE):
        return clean in TRUE
    raise SubstitutionFailure(f"{what} is '{text}'; expected one of true, false, 1, 0")


class TextSubstitution(Substitution):
    """A fixed text."""

    def __init__(self, *, text: str) -> None:
        if not isinstance(text, str):
            raise TypeError(f"TextSubstitution expected str object got '{type(text)}' instead.")
        self.text = text

    def perform(self, context: LaunchContext) -> str:
        return self.text

    def describe(self) -> str:
        return f"'{self.text}'"


class LaunchConfiguration(Substitution):
    """The value of a launch argument."""

    def __init__(self, variable_name: SomeSubstitutionsType, *, default: Any = None) -> None:
        self._name, self._default = variable_name, default

    @property
    def variable_name(self) -> SomeSubstitutionsType:
        return self._name

    def perform(self, context: LaunchContext) -> str:
        name = perform_substitutions(context, self._name)
        if name in context.launch_configurations:
            return context.launch_configurations[name]
        if self._default is None:
            raise SubstitutionFailure(f"launch configuration '{name}' does not exist")
        if isinstance(self._default, bool | int | float):
            return str(self._default)
        return perform_substitutions(context, self._default)

    def describe(self) -> str:
        return f"LaunchConfig({describe_substitutions(self._name)})"


class PathJoinSubstitution(Substitution):
    """Parts of a path, joined."""

    def __init__(self, substitutions: Iterable[SomeSubstitutionsType]) -> None:
        self._parts = list(substitutions)

    def perform(self, context: LaunchContext) -> str:
        return os.path.join(*(perform_substitutions(context, part) for part in self._parts))

    def __truediv__(self, part: SomeSubstitutionsType) -> PathJoinSubstitution:
        return PathJoinSubstitution([*self._parts, part])

    def describe(self) -> str:
        return f"PathJoin({', '.join(describe_substitutions(part) for part in self._parts)})"


class PythonExpression(Substitution):
    """The value of a Python expression, such as `["'", LaunchConfiguration('robot'), "' == 'sim'"]`."""

    def __init__(self, expression: SomeSubstitutionsType, python_modules: SomeSubstitutionsType = ("math",)) -> None:
        self._expression = expression
        self._modules = [python_modules] if isinstance(python_modules, str | Substitution) else list(python_modules)

    def perform(self, context: LaunchContext) -> str:
        expression = perform_substitutions(context, self._expression)
        known: dict[str, Any] = {}
        for module in self._modules:
            name = perform_substitutions(context, module)
            imported = importlib.import_module(name)
            known[name] = imported
            if name == "math":
                known.update(vars(imported))
        try:
            return str(eval(expression, {}, known))
        except Exception as error:
            raise SubstitutionFailure(f"cannot evaluate '{expression}': {error}") from error

    def describe(self) -> str:
        return f"PythonExpr({describe_substitutions(self._expression)})"


class EnvironmentVariable(Substitution):
    """An environment variable."""

    def __init__(self, name: SomeSubstitutionsType, *, default_value: SomeSubstitutionsType | None = None) -> None:
        self._name, self._default = name, default_value

    def perform(self, context: LaunchContext) -> str:
        name = perform_substitutions(context, self._name)
        if name in context.environment:
            return context.environment[name]
        if self._default is None:
            raise SubstitutionFailure(f"environment variable '{name}' does not exist")
        return perform_substitutions(context, self._default)

    def describe(self) -> str:
        return f"EnvVar({describe_substitutions(self._name)})"


class ThisLaunchFile(Substitution):
    """The path of the launch file."""

    def perform(self, context: LaunchContext) -> str:
        return str(context.locals.current_launch_file_path)


class ThisLaunchFileDir(Substitution):
    """The directory of the launch file."""

    def perform(self, context: LaunchContext) -> str:
        return os.path.dirname(context.locals.current_launch_file_path)


def __getattr__(name: str) -> object:
    from rosless.errors import refuse_attribute

    refuse_attribute("launch.substitutions", name)
