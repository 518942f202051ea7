"""`ros2 launch` and `ros2 run`: what packages have to start."""

from __future__ import annotations

import argparse
import os
import shlex
from pathlib import Path
from typing import Any

from ament_index_python.packages import get_package_prefix, get_package_share_path

from pocketros.commands import show
from pocketros.errors import PocketrosError
from pocketros.packages import find_executable

Options = argparse.Namespace


def run(options: Options) -> None:
    """Become an executable of a package."""
    path = find_executable(Path(get_package_prefix(options.package)), options.package, options.executable)
    words = [*shlex.split(options.prefix), os.fspath(path), *options.arguments]
    os.execvp(words[0], words)


def launch(options: Options) -> int:
    """Run a launch file, or show its arguments."""
    from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
    from launch.core import LaunchDescription, descendants
    from launch.execute_process import TIMEOUTS
    from launch.service import LaunchService

    words, file_name = list(options.launch_arguments), options.launch_file
    if file_name is not None and (":=" in file_name or Path(options.package_or_file).is_file()):
        words, file_name = [file_name, *words], None
    include = IncludeLaunchDescription(str(_find_launch_file(options.package_or_file, file_name)))
    entities = list(descendants(include))
    declared = {one.name: one for one in entities if isinstance(one, DeclareLaunchArgument)}
    if options.show_args:
        _show_arguments(list(declared.values()))
        return 0
    given = _parse_launch_arguments(words)
    unknown = sorted(set(given) - set(declared) - set(TIMEOUTS))
    includes = [one for one in entities if isinstance(one, IncludeLaunchDescription)]
    # As far as all of them are known before launching
    if unknown and all(one.describe_sub_entities() for one in includes):
        known = ", ".join(sorted(declared)) or "no arguments"
        raise PocketrosError(f"unknown launch argument '{unknown[0]}'; the launch file declares {known}")
    service = LaunchService(argv=words, noninteractive=options.noninteractive, debug=options.debug)
    service.context.launch_configurations.update(given)
    service.include_launch_description(LaunchDescription([include]))
    return service.run()


def _find_launch_file(first: str, second: str | None) -> Path:
    """The launch file from a path, or from a package and a file name.

    Raises:
        PackageNotFoundError, PocketrosError
    """
    if second is None:
        if not Path(first).is_file():
            raise PocketrosError(f"launch file '{first}' does not exist")
        return Path(first).resolve()
    share = get_package_share_path(first)
    found = sorted(share.rglob(second))
    if len(found) != 1:
        known = ", ".join(sorted(path.name for path in share.rglob("*.launch.py"))) or "no launch files"
        what = "was not found" if not found else "was found more than once"
        raise PocketrosError(
            f"file '{second}' {what} in the share directory of '{first}', '{share}', which has {known}"
        )
    return found[0]


def _parse_launch_arguments(words: list[str]) -> dict[str, str]:
    """`name:=value` words.

    Raises:
        PocketrosError: another word.
    """
    parsed = {}
    for word in words:
        name, divided, value = word.partition(":=")
        if not divided or not name:
            raise PocketrosError(f"malformed launch argument '{word}', expected format '<name>:=<value>'")
        parsed[name] = value
    return parsed


def _show_arguments(arguments: list[Any]) -> None:
    show("Arguments (pass arguments as '<name>:=<value>'):" + ("" if arguments else "\n\n  No arguments."))
    for argument in arguments:
        end = "" if argument.description.endswith(".") else "."
        choices = f"{end} Valid choices are: {argument.choices}" if argument.choices else ""
        show(f"\n    '{argument.name}':\n        {argument.description}{choices}")
        if argument.default_value is not None:
            show(f"        (default: {argument.default_value!r})")
