"""Substitutions about ROS packages."""

from __future__ import annotations

import os
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_prefix, get_package_share_directory
from launch.core import LaunchContext, SomeSubstitutionsType, Substitution, SubstitutionFailure, perform_substitutions
from rosless.errors import left_out
from rosless.packages import find_executable


class FindPackagePrefix(Substitution):
    """The prefix a package is installed in."""

    _find = staticmethod(get_package_prefix)

    def __init__(self, package: SomeSubstitutionsType) -> None:
        self.package = package

    def perform(self, context: LaunchContext) -> str:
        try:
            return self._find(perform_substitutions(context, self.package))
        except PackageNotFoundError as error:
            raise SubstitutionFailure(str(error)) from error


FindPackage = FindPackagePrefix


class FindPackageShare(FindPackagePrefix):
    """The share directory of a package."""

    _find = staticmethod(get_package_share_directory)


class ExecutableInPackage(FindPackagePrefix):
    """The path of an executable of a package."""

    def __init__(self, executable: SomeSubstitutionsType, package: SomeSubstitutionsType) -> None:
        super().__init__(package)
        self.executable = executable

    def perform(self, context: LaunchContext) -> str:
        package, executable = (perform_substitutions(context, one) for one in (self.package, self.executable))
        return os.fspath(find_executable(Path(super().perform(context)), package, executable))


__getattr__ = left_out(__name__)
