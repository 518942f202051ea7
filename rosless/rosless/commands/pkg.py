"""`ros2 pkg`."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from ament_index_python.packages import get_package_prefix, get_package_share_directory, get_packages_with_prefixes

from rosless.commands.session import show


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="ros2 pkg")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="verb")
    verbs.add_parser("list", help="list the packages")
    verb = verbs.add_parser("prefix", help="show where a package is installed")
    verb.add_argument("package")
    verb.add_argument("--share", action="store_true", help="its share directory")
    verb = verbs.add_parser("executables", help="list the executables of a package")
    verb.add_argument("package")
    options = parser.parse_args(words)
    if options.verb == "list":
        for name in sorted(get_packages_with_prefixes()):
            show(name)
    elif options.verb == "prefix":
        show(get_package_share_directory(options.package) if options.share else get_package_prefix(options.package))
    else:
        directory = Path(get_package_prefix(options.package)) / "lib" / options.package
        for path in sorted(directory.iterdir()) if directory.is_dir() else []:
            if path.is_file() and os.access(path, os.X_OK):
                show(f"{options.package} {path.name}")
    return 0
