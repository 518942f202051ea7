"""`ros2 launch` and `ros2 run`: what packages have to start."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from ament_index_python.packages import get_package_prefix, get_package_share_path
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.core import LaunchDescription, descendants, describe
from launch.execute_process import TIMEOUTS
from launch.launch_description_sources import AnyLaunchDescriptionSource
from launch.service import LaunchService, write_screen

from rosless.errors import RoslessError
from rosless.packages import find_executable


def run(options: argparse.Namespace) -> None:
    """Become an executable of a package."""
    path = find_executable(Path(get_package_prefix(options.package)), options.package, options.executable)
    os.execv(path, [os.fspath(path), *options.arguments])


def launch(options: argparse.Namespace) -> int:
    """Run a launch file, or show its arguments."""
    words, file_name = list(options.launch_arguments), options.launch_file
    if file_name is not None and (":=" in file_name or Path(options.package_or_file).is_file()):
        words, file_name = [file_name, *words], None
    path = find_launch_file(options.package_or_file, file_name)
    include = IncludeLaunchDescription(AnyLaunchDescriptionSource(str(path)))
    if options.show_args:
        show_arguments(LaunchDescription([include]).get_launch_arguments())
        return 0
    given = parse_launch_arguments(words)
    refuse_unknown(given, include)
    service = LaunchService(argv=words, noninteractive=options.noninteractive, debug=options.debug)
    service.context.launch_configurations.update(given)
    service.include_launch_description(LaunchDescription([include]))
    return service.run()


def find_launch_file(first: str, second: str | None) -> Path:
    """The launch file from a path, or from a package and a file name.

    Raises:
        PackageNotFoundError, RoslessError
    """
    if second is None:
        if not Path(first).is_file():
            raise RoslessError(f"launch file '{first}' does not exist")
        return Path(first).resolve()
    share = get_package_share_path(first)
    found = sorted(share.rglob(second))
    if len(found) != 1:
        known = ", ".join(sorted(path.name for path in share.rglob("*.launch.py"))) or "no launch files"
        what = "was not found" if not found else "was found more than once"
        raise RoslessError(f"file '{second}' {what} in the share directory of '{first}', '{share}', which has {known}")
    return found[0]


def parse_launch_arguments(words: list[str]) -> dict[str, str]:
    """`name:=value` words.

    Raises:
        RoslessError: another word.
    """
    parsed = {}
    for word in words:
        name, divided, value = word.partition(":=")
        if not divided or not name:
            raise RoslessError(f"malformed launch argument '{word}', expected format '<name>:=<value>'")
        parsed[name] = value
    return parsed


def refuse_unknown(given: dict[str, str], include: IncludeLaunchDescription) -> None:
    """Refuse arguments that no launch file declares, as far as all of them are known before launching."""
    entities = list(descendants(include))
    known = {one.name for one in entities if isinstance(one, DeclareLaunchArgument)}
    includes = [one for one in entities if isinstance(one, IncludeLaunchDescription)]
    unknown = sorted(set(given) - known - set(TIMEOUTS))
    if unknown and all(one.describe_sub_entities() for one in includes):
        declared = ", ".join(sorted(known)) or "no arguments"
        raise RoslessError(f"unknown launch argument '{unknown[0]}'; the launch file declares {declared}")


def show_arguments(arguments: list[DeclareLaunchArgument]) -> None:
    """Print the arguments of a launch file."""
    write_screen("Arguments (pass arguments as '<name>:=<value>'):\n")
    for argument in arguments:
        choices = f" Valid choices are: {argument.choices}" if argument.choices else ""
        write_screen(f"    '{argument.name}':\n        {argument.description}{choices}")
        if argument.default_value is not None:
            write_screen(f"        (default: {describe(argument.default_value)})")
        write_screen("")
    if not arguments:
        write_screen("  No arguments.")
