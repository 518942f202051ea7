"""Executables of packages."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_prefix

from rosless.errors import RoslessError


class ExecutableNotFoundError(RoslessError):
    """A package has no executable of that name."""


def find_executable(package: str, executable: str) -> Path:
    """The executable `<prefix>/lib/<package>/<executable>`, else the console script of that name.

    Raises:
        PackageNotFoundError: the package is not installed.
        ExecutableNotFoundError: it has no such executable.
    """
    prefix = Path(get_package_prefix(package))
    places = [prefix / "lib" / package / executable, prefix / "bin" / executable, Path(sys.prefix) / "bin" / executable]
    for place in places:
        if place.is_file() and os.access(place, os.X_OK):
            return place
    raise ExecutableNotFoundError(
        f"executable '{executable}' of package '{package}' not found; looked for {', '.join(map(str, places[:2]))}"
    )


__all__ = ["ExecutableNotFoundError", "PackageNotFoundError", "find_executable"]
