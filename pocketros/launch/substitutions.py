"""Substitutions: texts that become known while launching."""

from __future__ import annotations

import importlib
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pocketros.errors import left_out

from launch.core import LaunchContext, Substitution, SubstitutionFailure
from launch.core import SomeSubstitutionsType as Text
from launch.core import perform_substitutions as perform


@dataclass(eq=False)
class TextSubstitution(Substitution):
    """A fixed text."""

    text: str = field(kw_only=True)

    def perform(self, context: LaunchContext) -> str:
        return self.text


def _look_up(values: Any, what: str, name: str, default: str | None) -> str:
    if (value := values.get(name, default)) is None:
        raise SubstitutionFailure(f"{what} '{name}' does not exist")
    return str(value)


@dataclass(eq=False)
class LaunchConfiguration(Substitution):
    """The value of a launch argument."""

    variable_name: Text
    default: Any = field(default=None, kw_only=True)

    def perform(self, context: LaunchContext) -> str:
        plain = self.default is None or isinstance(self.default, bool | int | float)
        default = self.default if plain else perform(context, self.default)
        name = perform(context, self.variable_name)
        return _look_up(context.launch_configurations, "launch configuration", name, default)


@dataclass(eq=False)
class EnvironmentVariable(Substitution):
    """An environment variable."""

    name: Text
    default_value: Text | None = field(default=None, kw_only=True)

    def perform(self, context: LaunchContext) -> str:
        default = None if self.default_value is None else perform(context, self.default_value)
        return _look_up(context.environment, "environment variable", perform(context, self.name), default)


@dataclass(eq=False)
class PathJoinSubstitution(Substitution):
    """Parts of a path, joined."""

    substitutions: Iterable[Text]

    def perform(self, context: LaunchContext) -> str:
        return os.path.join(*(perform(context, part) for part in self.substitutions))


@dataclass(eq=False)
class PythonExpression(Substitution):
    """The value of a Python expression, such as `["'", LaunchConfiguration('robot'), "' == 'sim'"]`."""

    expression: Text
    python_modules: Iterable[str] = ("math",)

    def perform(self, context: LaunchContext) -> str:
        expression = perform(context, self.expression)
        known: dict[str, Any] = {name: importlib.import_module(name) for name in self.python_modules}
        known.update(vars(known["math"]) if "math" in known else {})
        try:
            return str(eval(expression, {}, known))
        except Exception as error:
            raise SubstitutionFailure(f"cannot evaluate '{expression}': {error}") from error


@dataclass(eq=False)
class Command(Substitution):
    """What a program, given like the words of a shell, writes to its standard output; it must not complain."""

    command: Text

    def perform(self, context: LaunchContext) -> str:
        command = perform(context, self.command)
        try:
            done = subprocess.run(shlex.split(command), capture_output=True, text=True)
        except OSError as error:
            raise SubstitutionFailure(f"command '{command}' cannot be run: {error}") from error
        if done.returncode != 0 or done.stderr:
            raise SubstitutionFailure(f"command '{command}' ended with exit code {done.returncode}: {done.stderr}")
        return done.stdout


@dataclass(eq=False)
class FindExecutable(Substitution):
    """The path of a program on PATH."""

    name: Text = field(kw_only=True)

    def perform(self, context: LaunchContext) -> str:
        name = perform(context, self.name)
        if (found := shutil.which(name)) is None:
            raise SubstitutionFailure(f"executable '{name}' not found on the PATH")
        return found


@dataclass(eq=False)
class ThisLaunchFile(Substitution):
    """The path of the launch file."""

    def perform(self, context: LaunchContext) -> str:
        path: str | None = context.locals.current_launch_file_path
        if path is None:
            raise SubstitutionFailure(f"{type(self).__name__} used outside of a launch file")
        return path


class ThisLaunchFileDir(ThisLaunchFile):
    """The directory of the launch file."""

    def perform(self, context: LaunchContext) -> str:
        return os.path.dirname(super().perform(context))


__getattr__ = left_out(__name__)
