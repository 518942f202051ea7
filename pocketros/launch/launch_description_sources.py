"""Where launch descriptions come from."""

from __future__ import annotations

import runpy
from pathlib import Path

from pocketros.errors import left_out

from launch.core import LaunchContext, LaunchDescription, LaunchError, SomeSubstitutionsType, perform_substitutions


class LaunchDescriptionSource:
    """A launch description, or the Python file that defines one with `generate_launch_description`."""

    def __init__(
        self, launch_description: LaunchDescription | None = None, location: SomeSubstitutionsType = "<no location>"
    ) -> None:
        self._description, self.location = launch_description, location

    def get_launch_description(self, context: LaunchContext) -> LaunchDescription:
        """The launch description.

        Raises:
            LaunchError: the file is missing, or defines none.
        """
        if self._description is None:
            self._description = _load(perform_substitutions(context, self.location))
        return self._description

    def try_get_launch_description_without_context(self) -> LaunchDescription | None:
        """The launch description, if it is known before launching."""
        if self._description is None and isinstance(self.location, str):
            self._description = _load(self.location)
        return self._description


class PythonLaunchDescriptionSource(LaunchDescriptionSource):
    """A Python launch file."""

    def __init__(self, launch_file_path: SomeSubstitutionsType) -> None:
        super().__init__(None, launch_file_path)


AnyLaunchDescriptionSource = PythonLaunchDescriptionSource


def _load(location: str) -> LaunchDescription:
    if not Path(location).is_file():
        raise LaunchError(f"launch file '{location}' does not exist")
    if not location.endswith(".py"):
        raise LaunchError(f"pocketros does not provide XML and YAML launch files, such as '{location}'")
    try:
        module = runpy.run_path(location, run_name="launch_file")
        description: LaunchDescription = module["generate_launch_description"]()
    except Exception as error:
        if isinstance(error, KeyError) and error.args == ("generate_launch_description",):
            raise LaunchError(f"launch file '{location}' has no function generate_launch_description()") from error
        raise LaunchError(f"launch file '{location}' failed: {type(error).__name__}: {error}") from error
    return description


__getattr__ = left_out(__name__)
