"""Where launch descriptions come from."""

from __future__ import annotations

import importlib.util
import itertools
from pathlib import Path
from typing import Any

from launch.core import LaunchContext, LaunchDescription, LaunchError, SomeSubstitutionsType, perform_substitutions

_numbers = itertools.count()


class InvalidPythonLaunchFileError(LaunchError):
    """A file that defines no launch description."""


class LaunchDescriptionSource:
    """A launch description, or a file that defines one."""

    def __init__(
        self,
        launch_description: LaunchDescription | None = None,
        location: SomeSubstitutionsType = "<no location>",
        method: str = "unspecified mechanism",
    ) -> None:
        self._description, self._location, self.method = launch_description, location, method

    @property
    def location(self) -> str:
        return self._location if isinstance(self._location, str) else "<substitution>"

    def get_launch_description(self, context: LaunchContext) -> LaunchDescription:
        """The launch description; sets the location."""
        self._location = perform_substitutions(context, self._location)
        if self._description is None:
            self._description = self._load(self._location)
        return self._description

    def try_get_launch_description_without_context(self) -> LaunchDescription | None:
        """The launch description, if it is known before launching."""
        if self._description is None and isinstance(self._location, str):
            self._description = self._load(self._location)
        return self._description

    def _load(self, location: str) -> LaunchDescription:
        raise LaunchError(f"no launch description at {location}")


class PythonLaunchDescriptionSource(LaunchDescriptionSource):
    """A Python file with `generate_launch_description`."""

    def __init__(self, launch_file_path: SomeSubstitutionsType) -> None:
        super().__init__(None, launch_file_path, "interpreted python launch file")

    def _load(self, location: str) -> LaunchDescription:
        return get_launch_description_from_python_launch_file(location)


class AnyLaunchDescriptionSource(PythonLaunchDescriptionSource):
    """A launch file of any kind; rosless has Python ones only."""

    def _load(self, location: str) -> LaunchDescription:
        if not location.endswith(".py"):
            raise LaunchError(f"rosless does not provide XML and YAML launch files, such as {location}")
        return super()._load(location)


def get_launch_description_from_python_launch_file(python_launch_file_path: str) -> Any:
    """The launch description of a Python file.

    Raises:
        InvalidPythonLaunchFileError: the file is missing, or defines none.
    """
    path = Path(python_launch_file_path)
    if not path.is_file():
        raise InvalidPythonLaunchFileError(f"launch file '{path}' does not exist")
    spec = importlib.util.spec_from_file_location(f"rosless_launch_file_{next(_numbers)}", path)
    if spec is None or spec.loader is None:
        raise InvalidPythonLaunchFileError(f"launch file '{path}' is not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, "generate_launch_description"):
        raise InvalidPythonLaunchFileError(f"launch file '{path}' has no function generate_launch_description()")
    return module.generate_launch_description()
