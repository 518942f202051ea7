"""Substitutions about ROS packages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from ament_index_python.packages import PackageNotFoundError, get_package_prefix, get_package_share_directory
from launch.core import LaunchContext, SomeSubstitutionsType, Substitution, SubstitutionFailure, perform_substitutions
from pocketros.errors import left_out


@dataclass(eq=False)
class FindPackagePrefix(Substitution):
    """The prefix a package is installed in."""

    package: SomeSubstitutionsType
    find: ClassVar[Callable[[str], str]] = get_package_prefix

    def perform(self, context: LaunchContext) -> str:
        try:
            return type(self).find(perform_substitutions(context, self.package))
        except PackageNotFoundError as error:
            raise SubstitutionFailure(str(error)) from error


class FindPackageShare(FindPackagePrefix):
    """The share directory of a package."""

    find = get_package_share_directory


__getattr__ = left_out(__name__)
