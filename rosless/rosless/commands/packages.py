"""The verbs of `ros2` about installed packages: what they have to launch and to run, their interfaces."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from ament_index_python.packages import get_package_prefix, get_package_share_path, get_packages_with_prefixes
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.core import LaunchDescription, descendants, describe
from launch.execute_process import PREFIX, PREFIX_FILTER, SETTINGS
from launch.launch_description_sources import AnyLaunchDescriptionSource
from launch.service import LaunchService

from rosless.commands.session import show
from rosless.errors import RoslessError
from rosless.interfaces.definitions import SECTIONS, UNTIL_COMMENT, definition, interface_files, parse_message
from rosless.packages import ExecutableNotFoundError, find_executable

Options = argparse.Namespace


def run(options: Options) -> None:
    """Become an executable of a package."""
    try:
        path = find_executable(Path(get_package_prefix(options.package)), options.package, options.executable)
    except ExecutableNotFoundError as error:
        raise RoslessError(f"{error}; it has {', '.join(_executables(options.package)) or 'none'}") from None
    words = [*shlex.split(options.prefix), os.fspath(path), *options.arguments]
    os.execvp(words[0], words)


def pkg_list(options: Options) -> None:
    show("\n".join(sorted(get_packages_with_prefixes())))


def pkg_prefix(options: Options) -> None:
    show(str(get_package_share_path(options.package) if options.share else get_package_prefix(options.package)))


def pkg_executables(options: Options) -> None:
    for package in [options.package] if options.package else sorted(get_packages_with_prefixes()):
        for name, path in _executables(package).items():
            show(str(path) if options.full_path else f"{package} {name}")


def _executables(package: str) -> dict[str, Path]:
    """The executables of a package: those below its `lib`, and the console scripts of its Python distribution."""
    prefix = Path(get_package_prefix(package))
    found = {path.name: path for path in (prefix / "lib" / package).glob("*") if os.access(path, os.X_OK)}
    try:
        scripts = metadata.distribution(package).entry_points.select(group="console_scripts")
    except metadata.PackageNotFoundError:
        scripts = metadata.EntryPoints()
    places = {script.name: shutil.which(script.name, path=os.fspath(prefix / "bin")) for script in scripts}
    return dict(sorted({**{name: Path(place) for name, place in places.items() if place}, **found}.items()))


def interface_show(options: Options) -> None:
    parts = options.type.split("/")
    if len(parts) != 3 or parts[1] not in SECTIONS:
        raise RoslessError(f"'{options.type}' is not the name of an interface; expected package/msg|srv|action/Name")
    for line in _interface_lines(options.type, not options.no_comments, options.all_comments):
        show(line)


def _interface_lines(name: str, comments: bool, all_comments: bool, indent: str = "") -> Iterator[str]:
    """The text of an interface, each field of a message type followed by the fields of that type.

    Raises:
        InterfaceError: no source knows the name.
    """
    package, kind, short = name.split("/")
    path = interface_files(package)[kind].get(short)
    lines = _written_out(name, kind) if path is None else path.read_text(encoding="utf-8").splitlines()
    for line in lines:
        bare = UNTIL_COMMENT.match(line)[0].strip()  # type: ignore[index]
        if comments or bare:
            yield indent + (line if comments else bare)
        for field in () if bare.startswith("---") else parse_message(name, bare).fields:
            if field.type.is_message:
                yield from _interface_lines(field.type.base, all_comments, all_comments, indent + "\t")


def _written_out(name: str, section: str) -> Iterator[str]:
    """The text of an interface of which only the fields are known."""
    for number, part in enumerate(SECTIONS[section]):
        known = definition(name + part)
        yield from ["---"] * bool(number)
        yield from (f"{base} {constant}={value}" for constant, base, value in known.constants)
        for field in known.fields:
            kind, default = field.type, "" if field.default is None else f" {field.default}"
            limit = ("<=" if kind.shape == "sequence" else "") + str(kind.size) if kind.size else ""
            brackets = "" if kind.shape == "scalar" else f"[{limit}]"
            bound = f"<={kind.string_bound}" if kind.string_bound else ""
            yield f"{kind.base.replace('/msg/', '/')}{bound}{brackets} {field.name}{default}"


def launch(options: Options) -> int:
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
