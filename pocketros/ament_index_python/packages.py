"""Packages by name: below the prefixes of AMENT_PREFIX_PATH, and below that of the Python environment."""

from __future__ import annotations

from pathlib import Path

from pocketros.packages import install_prefixes, share_directories


class PackageNotFoundError(KeyError):
    """No package of that name is installed."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


def get_packages_with_prefixes() -> dict[str, str]:
    """All packages and the prefixes they are installed in."""
    return {name: str(share.parents[1]) for name, share in share_directories().items()}


def get_package_share_path(package_name: str, print_warning: bool = True) -> Path:
    """The directory `share/<package>` of a package.

    Raises:
        PackageNotFoundError: it is not installed.
    """
    found = share_directories().get(package_name)
    if found is None:
        searched = [str(prefix) for prefix in install_prefixes()]
        raise PackageNotFoundError(f"package '{package_name}' not found, searching: {searched}")
    return found


def get_package_share_directory(package_name: str, print_warning: bool = True) -> str:
    """The same as a text."""
    return str(get_package_share_path(package_name))


def get_package_prefix(package_name: str) -> str:
    """The prefix a package is installed in."""
    return str(get_package_share_path(package_name).parents[1])
