"""`ros2 interface`."""

from __future__ import annotations

import argparse
from dataclasses import replace

from rosless.commands.session import show
from rosless.errors import RoslessError
from rosless.interfaces.definitions import (
    KINDS,
    PLACEHOLDER,
    ROSBAGS_PACKAGES,
    SHIPPED,
    FieldType,
    definitions,
    interface_files,
    is_interface_package,
    names_in,
)
from rosless.prefixes import share_directories

SECTIONS = {"msg": ("",), "srv": ("_Request", "_Response"), "action": ("_Goal", "_Result", "_Feedback")}


def _field_text(kind: FieldType) -> str:
    base = kind.base.replace("/msg/", "/") + (f"<={kind.string_bound}" if kind.string_bound else "")
    size = {"scalar": "", "array": f"[{kind.size}]", "sequence": f"[<={kind.size}]" if kind.size else "[]"}
    return base + size[kind.shape]


def _lines(name: str, indent: str = "") -> list[str]:
    definition = definitions.get(name)
    lines = [f"{indent}{one.base} {one.name}={one.value}" for one in definition.constants]
    for field in definition.fields:
        if field.name == PLACEHOLDER:
            continue
        default = "" if field.default is None else f" {field.default}"
        lines.append(f"{indent}{_field_text(field.type)} {field.name}{default}")
        if field.type.is_message:
            lines += _lines(replace(field.type, shape="scalar").base, indent + "\t")
    return lines


def show_interface(options: argparse.Namespace) -> int:
    parts = options.name.split("/")
    if len(parts) == 2:
        kinds = [kind for kind in KINDS if parts[1] in names_in(parts[0], kind)]
        parts.insert(1, kinds[0] if kinds else "msg")
    if len(parts) != 3 or parts[1] not in KINDS:
        raise RoslessError(f"'{options.name}' is not an interface name; expected package/msg/Name")
    package, kind, short = parts
    path = interface_files(package)[kind].get(short)
    if path is not None and not options.no_comments and not path.is_relative_to(SHIPPED):
        show(path.read_text(encoding="utf-8").rstrip())
        return 0
    show("\n---\n".join("\n".join(_lines("/".join(parts) + section)) for section in SECTIONS[kind]))
    return 0


def list_interfaces(options: argparse.Namespace) -> int:
    shipped = {path.name for path in SHIPPED.iterdir() if path.is_dir()}
    packages = {*ROSBAGS_PACKAGES, *shipped, *(name for name in share_directories() if is_interface_package(name))}
    wanted = [options.package] if options.package else sorted(packages)
    for kind in KINDS:
        for package in wanted:
            for name in names_in(package, kind):
                show(f"{package}/{kind}/{name}")
    return 0


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="ros2 interface")
    verbs = parser.add_subparsers(required=True, metavar="verb")
    verb = verbs.add_parser("show", help="show the definition of an interface")
    verb.add_argument("name")
    verb.add_argument("--no-comments", action="store_true")
    verb.set_defaults(run=show_interface)
    verb = verbs.add_parser("list", help="list the interfaces")
    verb.add_argument("package", nargs="?")
    verb.set_defaults(run=list_interfaces)
    verb = verbs.add_parser("package", help="list the interfaces of a package")
    verb.add_argument("package")
    verb.set_defaults(run=list_interfaces)
    options = parser.parse_args(words)
    return int(options.run(options))
