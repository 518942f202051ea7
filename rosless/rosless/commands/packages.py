"""The verbs of `ros2` about installed packages: what they have to run, and their interfaces."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from ament_index_python.packages import get_package_prefix, get_package_share_path, get_packages_with_prefixes

from rosless.commands import show
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
