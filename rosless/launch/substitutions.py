"""Substitutions: texts that become known while launching."""

from __future__ import annotations

import importlib
import os
import random
import shlex
import shutil
import subprocess
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


class FindExecutable(Substitution):
    """The path of a program on PATH."""

    def __init__(self, *, name: SomeSubstitutionsType) -> None:
        self._name = name

    def perform(self, context: LaunchContext) -> str:
        name = perform_substitutions(context, self._name)
        if (found := shutil.which(name, path=context.environment.get("PATH"))) is None:
            raise SubstitutionFailure(f"executable '{name}' not found on the PATH")
        return found

    def describe(self) -> str:
        return f"FindExec({describe_substitutions(self._name)})"


class Command(Substitution):
    """What a program writes to its standard output; the words of the command are split as a shell does."""

    def __init__(self, command: SomeSubstitutionsType, *, on_stderr: SomeSubstitutionsType = "fail") -> None:
        self._command, self._on_stderr = command, on_stderr

    def perform(self, context: LaunchContext) -> str:
        words = shlex.split(perform_substitutions(context, self._command))
        try:
            done = subprocess.run(words, capture_output=True, text=True, env=context.environment, check=False)
        except OSError as error:
            raise SubstitutionFailure(f"cannot run '{shlex.join(words)}': {error}") from error
        if done.returncode or (done.stderr and perform_substitutions(context, self._on_stderr) == "fail"):
            raise SubstitutionFailure(f"'{shlex.join(words)}' failed with {done.returncode}: {done.stderr.strip()}")
        return done.stdout


class ThisLaunchFile(Substitution):
    """The path of the launch file."""

    def perform(self, context: LaunchContext) -> str:
        return str(context.locals.current_launch_file_path)


class ThisLaunchFileDir(Substitution):
    """The directory of the launch file."""

    def perform(self, context: LaunchContext) -> str:
        return os.path.dirname(context.locals.current_launch_file_path)


class AnonName(Substitution):
    """A name with a random ending, the same for the same name."""

    def __init__(self, name: SomeSubstitutionsType) -> None:
        self._name = name

    def perform(self, context: LaunchContext) -> str:
        name = perform_substitutions(context, self._name)
        key = f"anon{name}"
        if key not in context.launch_configurations:
            context.launch_configurations[key] = f"{name}_{os.getpid()}_{random.randrange(2**32)}"
        return context.launch_configurations[key]


class _Comparison(Substitution):
    negate = False

    def __init__(self, left: Any, right: Any) -> None:
        self._left, self._right = left, right

    def perform(self, context: LaunchContext) -> str:
        def text(value: Any) -> str:
            return str(value) if isinstance(value, bool | int | float) else perform_substitutions(context, value)

        left, right = text(self._left), text(self._right)
        equal = left == right or {left.lower(), right.lower()} in ({"true", "1"}, {"false", "0"})
        if not equal:
            try:
                equal = float(left) == float(right)
            except ValueError:
                equal = left.lower() == right.lower() and left.lower() in (*TRUE, *FALSE)
        return str(equal != self.negate).lower()


class EqualsSubstitution(_Comparison):
    """`true` when two texts, numbers or booleans are equal."""


class NotEqualsSubstitution(_Comparison):
    """`true` when two texts, numbers or booleans differ."""

    negate = True


class NotSubstitution(Substitution):
    """The contrary of a boolean."""

    def __init__(self, value: SomeSubstitutionsType) -> None:
        self._value = value

    def perform(self, context: LaunchContext) -> str:
        return str(not to_bool(perform_substitutions(context, self._value), "the operand of not")).lower()


class AnySubstitution(Substitution):
    """`true` when any of the booleans is."""

    def __init__(self, *values: SomeSubstitutionsType) -> None:
        self._values = values

    def _truths(self, context: LaunchContext) -> list[bool]:
        return [to_bool(perform_substitutions(context, one), "an operand") for one in self._values]

    def perform(self, context: LaunchContext) -> str:
        return str(any(self._truths(context))).lower()


class AllSubstitution(AnySubstitution):
    """`true` when all of the booleans are."""

    def perform(self, context: LaunchContext) -> str:
        return str(all(self._truths(context))).lower()


class AndSubstitution(AllSubstitution):
    """`true` when both booleans are."""

    def __init__(self, left: SomeSubstitutionsType, right: SomeSubstitutionsType) -> None:
        super().__init__(left, right)


class OrSubstitution(AnySubstitution):
    """`true` when one of two booleans is."""

    def __init__(self, left: SomeSubstitutionsType, right: SomeSubstitutionsType) -> None:
        super().__init__(left, right)


class IfElseSubstitution(Substitution):
    """One of two texts, by a boolean."""

    def __init__(
        self,
        condition: SomeSubstitutionsType,
        if_value: SomeSubstitutionsType = "",
        else_value: SomeSubstitutionsType = "",
    ) -> None:
        self._condition, self._if, self._else = condition, if_value, else_value

    def perform(self, context: LaunchContext) -> str:
        truth = to_bool(perform_substitutions(context, self._condition), "the condition")
        return perform_substitutions(context, self._if if truth else self._else)


class LocalSubstitution(Substitution):
    """A value of the launch context, such as `event.returncode`."""

    def __init__(self, expression: str, description: str | None = None) -> None:
        self._expression = expression

    def perform(self, context: LaunchContext) -> str:
        value: Any = context.locals
        for name in self._expression.split("."):
            value = getattr(value, name)
        return str(value)


def __getattr__(name: str) -> object:
    from rosless.errors import refuse_attribute

    refuse_attribute("launch.substitutions", name)
