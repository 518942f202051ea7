"""Substitutions about ROS packages."""

from __future__ import annotations

from ament_index_python.packages import PackageNotFoundError, get_package_prefix, get_package_share_directory
from launch.core import LaunchContext, SomeSubstitutionsType, Substitution, SubstitutionFailure, perform_substitutions
from rosless.errors import left_out


class FindPackagePrefix(Substitution):
    """The prefix a package is installed in."""

    _find = staticmethod(get_package_prefix)

    def __init__(self, package: SomeSubstitutionsType) -> None:
        self._package = package

    def perform(self, context: LaunchContext) -> str:
        try:
            return self._find(perform_substitutions(context, self._package))
        except PackageNotFoundError as error:
            raise SubstitutionFailure(str(error)) from error


class FindPackageShare(FindPackagePrefix):
    """The share directory of a package."""

    _find = staticmethod(get_package_share_directory)


__getattr__ = left_out(__name__)
