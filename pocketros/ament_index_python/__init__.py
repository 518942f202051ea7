"""Where packages are installed: a part of pocketros."""

from ament_index_python.packages import (
    PackageNotFoundError,
    get_package_prefix,
    get_package_share_directory,
    get_packages_with_prefixes,
)

__all__ = ["PackageNotFoundError", "get_package_prefix", "get_package_share_directory", "get_packages_with_prefixes"]
