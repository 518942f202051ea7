"""Substitutions: texts that become known while launching."""

from __future__ import annotations

import getpass
import importlib
import math
import os
import shlex
import shutil
import socket
import subprocess
from collections.abc import Iterable
from typing import Any

from rosless.errors import left_out

from launch.core import (
    InvalidConditionExpressionError,
    LaunchContext,
    SomeSubstitutionsType,
    Substitution,
    SubstitutionFailure,
    perform_bool,
    perform_substitutions,
)
from launch.logging import logger


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
        self.variable_name = variable_name
        self.default = str(default) if isinstance(default, bool | int | float) else default

    def perform(self, context: LaunchContext) -> str:
        values = context.launch_configurations
        return _look_up(context, values, "launch configuration", self.variable_name, self.default)


class EnvironmentVariable(Substitution):
    """An environment variable."""

    def __init__(self, name: SomeSubstitutionsType, *, default_value: SomeSubstitutionsType | None = None) -> None:
        self.name, self.default_value = name, default_value

    def perform(self, context: LaunchContext) -> str:
        return _look_up(context, context.environment, "environment variable", self.name, self.default_value)


def _look_up(context: LaunchContext, values: Any, what: str, name: Any, default: Any) -> str:
    name = perform_substitutions(context, name)
    if name not in values and default is None:
        raise SubstitutionFailure(f"{what} '{name}' does not exist")
    return values[name] if name in values else perform_substitutions(context, default)


class PathJoinSubstitution(Substitution):
    """Parts of a path, joined."""

    def __init__(self, substitutions: Iterable[SomeSubstitutionsType]) -> None:
        self.substitutions = list(substitutions)

    def perform(self, context: LaunchContext) -> str:
        return os.path.join(*(perform_substitutions(context, part) for part in self.substitutions))


class PythonExpression(Substitution):
    """The value of a Python expression, such as `["'", LaunchConfiguration('robot'), "' == 'sim'"]`."""

    def __init__(self, expression: SomeSubstitutionsType, python_modules: Iterable[str] = ("math",)) -> None:
        self.expression, self._modules = expression, tuple(python_modules)

    def perform(self, context: LaunchContext) -> str:
        expression = perform_substitutions(context, self.expression)
        known: dict[str, Any] = {name: importlib.import_module(name) for name in self._modules}
        known.update(vars(known["math"]) if "math" in known else {})
        try:
            return str(eval(expression, {}, known))
        except Exception as error:
            raise SubstitutionFailure(f"cannot evaluate '{expression}': {error}") from error


class Command(Substitution):
    """What a program writes to its standard output.

    Args:
        command: split like the words of a shell.
        on_stderr: what a text on the standard error means: "fail", "warn", "ignore", or "capture" to append it.
    """

    def __init__(self, command: SomeSubstitutionsType, *, on_stderr: SomeSubstitutionsType = "fail") -> None:
        self.command, self.on_stderr = command, on_stderr

    def perform(self, context: LaunchContext) -> str:
        command, reaction = (perform_substitutions(context, one) for one in (self.command, self.on_stderr))
        if reaction not in ("fail", "warn", "ignore", "capture"):
            raise SubstitutionFailure(f"on_stderr is '{reaction}'; expected one of fail, warn, ignore, capture")
        stderr = subprocess.STDOUT if reaction == "capture" else subprocess.PIPE
        try:
            done = subprocess.run(shlex.split(command), stdout=subprocess.PIPE, stderr=stderr, text=True)
        except OSError as error:
            raise SubstitutionFailure(f"command '{command}' cannot be run: {error}") from error
        said = (done.stderr or "").strip()
        if done.returncode != 0 or (said and reaction == "fail"):
            raise SubstitutionFailure(f"command '{command}' ended with exit code {done.returncode}: {said}")
        if said and reaction == "warn":
            logger.warning(f"command '{command}' showed: {said}")
        return done.stdout


class FindExecutable(Substitution):
    """The path of a program on PATH."""

    def __init__(self, *, name: SomeSubstitutionsType) -> None:
        self.name = name

    def perform(self, context: LaunchContext) -> str:
        name = perform_substitutions(context, self.name)
        if (found := shutil.which(name)) is None:
            raise SubstitutionFailure(f"executable '{name}' not found on the PATH")
        return found


class AnonName(Substitution):
    """A name made unique by host and process."""

    def __init__(self, name: SomeSubstitutionsType) -> None:
        self.name = name

    def perform(self, context: LaunchContext) -> str:
        parts = (perform_substitutions(context, self.name), socket.gethostname(), os.getpid(), getpass.getuser())
        return "_".join(str(part) for part in parts).translate(str.maketrans("-.", "__"))


class ThisLaunchFile(Substitution):
    """The path of the launch file."""

    def perform(self, context: LaunchContext) -> str:
        path: str | None = getattr(context.locals, "current_launch_file_path", None)
        if path is None:
            raise SubstitutionFailure("ThisLaunchFile used outside of a launch file")
        return path


class ThisLaunchFileDir(ThisLaunchFile):
    """The directory of the launch file."""

    def perform(self, context: LaunchContext) -> str:
        return os.path.dirname(super().perform(context))


class _Truth(Substitution):
    """The text "true" or "false", from several values."""

    def __init__(self, *values: Any) -> None:
        self.values = values

    def perform(self, context: LaunchContext) -> str:
        try:
            return str(self.holds(context)).lower()
        except InvalidConditionExpressionError as error:
            raise SubstitutionFailure(str(error)) from error

    def holds(self, context: LaunchContext) -> bool:
        raise NotImplementedError  # pragma: no cover - abstract


class NotSubstitution(_Truth):
    """Whether a text is false."""

    def __init__(self, value: SomeSubstitutionsType) -> None:
        super().__init__(value)

    def holds(self, context: LaunchContext) -> bool:
        return not perform_bool(context, self.values[0])


class AllSubstitution(_Truth):
    """Whether all texts are true."""

    def holds(self, context: LaunchContext) -> bool:
        return all(perform_bool(context, one) for one in self.values)


class AnySubstitution(_Truth):
    """Whether one of several texts is true."""

    def holds(self, context: LaunchContext) -> bool:
        return any(perform_bool(context, one) for one in self.values)


class AndSubstitution(AllSubstitution):
    """Whether both texts are true."""

    def __init__(self, left: SomeSubstitutionsType, right: SomeSubstitutionsType) -> None:
        super().__init__(left, right)


class OrSubstitution(AnySubstitution):
    """Whether one of two texts is true."""

    def __init__(self, left: SomeSubstitutionsType, right: SomeSubstitutionsType) -> None:
        super().__init__(left, right)


class EqualsSubstitution(_Truth):
    """Whether two values are equal: as truth values, as numbers, or as texts."""

    def __init__(self, left: Any, right: Any) -> None:
        super().__init__(left, right)

    def holds(self, context: LaunchContext) -> bool:
        left, right = (_text(context, value) for value in self.values)
        try:
            return perform_bool(context, left) == perform_bool(context, right)
        except InvalidConditionExpressionError:
            pass
        try:
            return math.isclose(float(left), float(right))
        except ValueError:
            return left == right


def _text(context: LaunchContext, value: Any) -> str:
    """The text of a plain value, or of substitutions."""
    if value is None or isinstance(value, bool | int | float):
        return "" if value is None else str(value)
    return perform_substitutions(context, value)


class NotEqualsSubstitution(EqualsSubstitution):
    """Whether two values differ."""

    def holds(self, context: LaunchContext) -> bool:
        return not super().holds(context)


class IfElseSubstitution(Substitution):
    """One of two texts, by the truth of a third."""

    def __init__(
        self,
        condition: SomeSubstitutionsType,
        if_value: SomeSubstitutionsType = "",
        else_value: SomeSubstitutionsType = "",
    ) -> None:
        self.condition, self.if_value, self.else_value = condition, if_value, else_value

    def perform(self, context: LaunchContext) -> str:
        chosen = self.if_value if perform_bool(context, self.condition) else self.else_value
        return perform_substitutions(context, chosen)


__getattr__ = left_out(__name__)
