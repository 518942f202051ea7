"""`ros2 launch`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ament_index_python.packages import get_package_share_directory
from launch.actions import IncludeLaunchDescription
from launch.core import LaunchDescription
from launch.launch_description_sources import AnyLaunchDescriptionSource
from launch.service import LaunchService, write_screen

from rosless.errors import RoslessError


def find_launch_file(first: str, second: str | None) -> Path:
    """The launch file from a path, or from a package and a file name.

    Raises:
        PackageNotFoundError, RoslessError
    """
    if second is None:
        path = Path(first)
        if not path.is_file():
            raise RoslessError(f"launch file '{first}' does not exist")
        return path.resolve()
    share = Path(get_package_share_directory(first))
    found = sorted(share.rglob(second))
    if not found:
        known = ", ".join(sorted(path.name for path in share.rglob("*.launch.py")))
        raise RoslessError(
            f"file '{second}' was not found in the share directory of package '{first}', which is at "
            f"'{share}' and has {known or 'no launch files'}"
        )
    if len(found) > 1:
        raise RoslessError(f"file '{second}' was found more than once in '{share}'")
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


def show_arguments(arguments: list[Any]) -> None:
    """Print the arguments of a launch file."""
    from launch.core import describe_substitutions

    write_screen("Arguments (pass arguments as '<name>:=<value>'):\n")
    for argument in arguments:
        choices = f" Valid choices are: {argument.choices}" if argument.choices else ""
        write_screen(f"    '{argument.name}':\n        {argument.description}{choices}")
        if argument.default_value is not None:
            write_screen(f"        (default: {describe_substitutions(argument.default_value)})")
        write_screen("")
    if not arguments:
        write_screen("  No arguments.")


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="ros2 launch", description="Run a launch file.")
    parser.add_argument("package_or_file", help="package, or path of a launch file")
    parser.add_argument("launch_file", nargs="?", help="name of a launch file of the package")
    parser.add_argument("launch_arguments", nargs="*", help="arguments <name>:=<value>")
    parser.add_argument("-s", "--show-args", "--show-arguments", action="store_true", help="show the arguments")
    parser.add_argument("-n", "--noninteractive", action="store_true", help="no terminal sends signals to the nodes")
    parser.add_argument("-d", "--debug", action="store_true", help="show tracebacks")
    options = parser.parse_intermixed_args(words)
    rest = list(options.launch_arguments)
    file_name = options.launch_file
    if file_name is not None and (":=" in file_name or Path(options.package_or_file).is_file()):
        rest.insert(0, file_name)
        file_name = None
    path = find_launch_file(options.package_or_file, file_name)
    given = parse_launch_arguments(rest)
    source = AnyLaunchDescriptionSource(str(path))
    if options.show_args:
        description = source.try_get_launch_description_without_context()
        show_arguments(description.get_launch_arguments() if description else [])
        return 0
    service = LaunchService(argv=words, noninteractive=options.noninteractive, debug=options.debug)
    service.context.launch_configurations.update(given)
    service.include_launch_description(
        LaunchDescription([IncludeLaunchDescription(source, launch_arguments=list(given.items()))])
    )
    return service.run()
