"""Installed packages: prefixes with `share`, `lib` and `bin`, and what packages keep there."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pocketros.errors import PocketrosError

# Written out: the import hook asks at every failed import of a process, which must not load rosbags
ROSBAGS_PACKAGES = {
    "action_msgs", "builtin_interfaces", "diagnostic_msgs", "geometry_msgs", "lifecycle_msgs", "nav_msgs",
    "rcl_interfaces", "rmw_dds_common", "rosgraph_msgs", "sensor_msgs", "service_msgs", "shape_msgs",
    "statistics_msgs", "std_msgs", "stereo_msgs", "tf2_msgs", "trajectory_msgs", "unique_identifier_msgs",
    "visualization_msgs",
}  # fmt: skip
SHIPPED = Path(__file__).parent / "interfaces" / "shipped"
KINDS = ("msg", "srv", "action")


class ExecutableNotFoundError(PocketrosError):
    """A package has no executable of that name."""


def install_prefixes() -> list[Path]:
    """Prefixes in the order of their precedence: AMENT_PREFIX_PATH, then the Python environment."""
    named = [Path(entry) for entry in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if entry]
    return list(dict.fromkeys([*named, Path(sys.prefix)]))


def has_interfaces(package: str) -> bool:
    """Whether an installed package, pocketros or rosbags defines interfaces of a package."""
    places = [SHIPPED, *(prefix / "share" for prefix in install_prefixes())]
    return package in ROSBAGS_PACKAGES or any((place / package / kind).is_dir() for place in places for kind in KINDS)


def interface_packages() -> list[str]:
    """All packages of which installed packages, pocketros or rosbags define interfaces."""
    places = [SHIPPED, *(prefix / "share" for prefix in install_prefixes())]
    found = {path.parent.parent.name for place in places for kind in KINDS for path in place.glob(f"*/{kind}/*.{kind}")}
    return sorted(found | ROSBAGS_PACKAGES)


def share_directories() -> dict[str, Path]:
    """Every installed package and its share directory: one with a package.xml, interfaces or an ament index entry."""
    found: dict[str, Path] = {}
    for prefix in install_prefixes():
        index = prefix / "share" / "ament_index" / "resource_index" / "packages"
        for directory in sorted((prefix / "share").glob("*/")):
            marks = [directory / "package.xml", index / directory.name]
            interfaces = (path for kind in KINDS for path in directory.glob(f"{kind}/*.{kind}"))
            if any(mark.exists() for mark in marks) or any(interfaces):
                found.setdefault(directory.name, directory)
    return found


def find_executable(prefix: Path, package: str, executable: str) -> Path:
    """The executable `<prefix>/lib/<package>/<executable>`, else the console script of that name.

    Raises:
        ExecutableNotFoundError: there is none.
    """
    places = [prefix / "lib" / package / executable, prefix / "bin" / executable, Path(sys.prefix) / "bin" / executable]
    for place in places:
        if place.is_file() and os.access(place, os.X_OK):
            return place
    raise ExecutableNotFoundError(
        f"executable '{executable}' of package '{package}' not found; looked for {places[0]}, {places[1]}"
    )
