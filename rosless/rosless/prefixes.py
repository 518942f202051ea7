"""Installation prefixes: where packages keep their `share`, `lib` and `bin`."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def install_prefixes() -> list[Path]:
    """Prefixes in the order of their precedence: AMENT_PREFIX_PATH, then the Python environment."""
    named = [Path(entry) for entry in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if entry]
    prefixes: list[Path] = []
    for prefix in [*named, Path(sys.prefix)]:
        if prefix not in prefixes:
            prefixes.append(prefix)
    return prefixes


def share_directories() -> dict[str, Path]:
    """Every installed ROS package and its share directory, the first prefix winning.

    A package is a directory `share/<name>` with a package.xml or interface files, or one which the
    ament index names.
    """
    found: dict[str, Path] = {}
    for prefix in install_prefixes():
        index = prefix / "share" / "ament_index" / "resource_index" / "packages"
        indexed = {entry.name for entry in index.iterdir()} if index.is_dir() else set()
        share = prefix / "share"
        for directory in sorted(share.iterdir()) if share.is_dir() else []:
            known = directory.name in indexed or (directory / "package.xml").is_file()
            if directory.is_dir() and (known or has_interfaces(directory)):
                found.setdefault(directory.name, directory)
    return found


def has_interfaces(share: Path) -> bool:
    """Whether a share directory holds .msg, .srv or .action files."""
    return any(next((share / kind).glob(f"*.{kind}"), None) for kind in ("msg", "srv", "action"))
