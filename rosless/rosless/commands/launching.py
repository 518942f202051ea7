"""`ros2 launch`."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from ament_index_python.packages import get_package_share_path
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.core import LaunchDescription, descendants, describe
from launch.execute_process import PREFIX, PREFIX_FILTER, SETTINGS
from launch.launch_description_sources import AnyLaunchDescriptionSource
from launch.service import LaunchService

from rosless.commands import show
from rosless.errors import RoslessError


def launch(options: argparse.Namespace) -> int:
    """Run a launch file, or show its arguments."""
    words, file_name = list(options.launch_arguments), options.launch_file
    if file_name is not None and (":=" in file_name or Path(options.package_or_file).is_file()):
        words, file_name = [file_name, *words], None
    path = _find_launch_file(options.package_or_file, file_name)
    include = IncludeLaunchDescription(AnyLaunchDescriptionSource(str(path)))
    if options.show_args:
        _show_arguments(LaunchDescription([include]).get_launch_arguments())
        return 0
    given = _parse_launch_arguments(words)
    _refuse_unknown(given, include)
    given |= {PREFIX: options.launch_prefix} if options.launch_prefix else {}
    given |= {PREFIX_FILTER: options.launch_prefix_filter} if options.launch_prefix_filter else {}
    if options.show_all_subprocesses_output:
        os.environ["OVERRIDE_LAUNCH_PROCESS_OUTPUT"] = "both"
    service = LaunchService(argv=words, noninteractive=options.noninteractive, debug=options.debug)
    service.context.launch_configurations.update(given)
    service.include_launch_description(LaunchDescription([include]))
    return service.run()


def _find_launch_file(first: str, second: str | None) -> Path:
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


def _parse_launch_arguments(words: list[str]) -> dict[str, str]:
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


def _refuse_unknown(given: dict[str, str], include: IncludeLaunchDescription) -> None:
    """Refuse arguments that no launch file declares, as far as all of them are known before launching."""
    entities = list(descendants(include))
    known = {one.name for one in entities if isinstance(one, DeclareLaunchArgument)}
    includes = [one for one in entities if isinstance(one, IncludeLaunchDescription)]
    unknown = sorted(set(given) - known - set(SETTINGS))
    if unknown and all(one.describe_sub_entities() for one in includes):
        declared = ", ".join(sorted(known)) or "no arguments"
        raise RoslessError(f"unknown launch argument '{unknown[0]}'; the launch file declares {declared}")


def _show_arguments(arguments: list[DeclareLaunchArgument]) -> None:
    show("Arguments (pass arguments as '<name>:=<value>'):" + ("" if arguments else "\n\n  No arguments."))
    for argument in arguments:
        end = "" if argument.description.endswith(".") else "."
        choices = f"{end} Valid choices are: {argument.choices}" if argument.choices else ""
        show(f"\n    '{argument.name}':\n        {argument.description}{choices}")
        if argument.default_value is not None:
            show(f"        (default: {describe(argument.default_value)})")
