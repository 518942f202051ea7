"""The verbs of `ros2 interface`."""

from __future__ import annotations

import argparse

from pocketros import packages
from pocketros.commands import show
from pocketros.errors import PocketrosError
from pocketros.interfaces.definitions import names_in
from pocketros.interfaces.text import full_name, interface_text

Options = argparse.Namespace
TITLES = {"msg": "Messages", "srv": "Services", "action": "Actions"}


def _kinds(options: Options) -> list[str]:
    chosen = {"msg": options.only_msgs, "srv": options.only_srvs, "action": options.only_actions}
    return [kind for kind in packages.KINDS if chosen[kind] or not any(chosen.values())]


def interface_list(options: Options) -> None:
    for kind in _kinds(options):
        show(f"{TITLES[kind]}:")
        for package in packages.interface_packages():
            for name in names_in(package, kind):
                show(f"    {package}/{kind}/{name}")


def interface_packages(options: Options) -> None:
    for package in packages.interface_packages():
        if any(names_in(package, kind) for kind in _kinds(options)):
            show(package)


def interface_package(options: Options) -> None:
    found = [f"{options.package}/{kind}/{name}" for kind in packages.KINDS for name in names_in(options.package, kind)]
    if not found:
        raise PocketrosError(f"unknown package '{options.package}', or it has no interfaces")
    for name in found:
        show(name)


def interface_show(options: Options) -> None:
    for line in interface_text(full_name(options.type), comments=not options.no_comments):
        show(line)
