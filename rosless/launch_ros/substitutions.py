"""Substitutions about ROS packages."""

from __future__ import annotations

import os

from ament_index_python.packages import PackageNotFoundError, get_package_prefix, get_package_share_directory
from launch.core import (
    LaunchContext,
    SomeSubstitutionsType,
    Substitution,
    SubstitutionFailure,
    describe_substitutions,
    perform_substitutions,
)
from launch.substitutions import PathJoinSubstitution
from rosless.executables import find_executable


class FindPackage(Substitution):
    """Something of a package; the subclasses say what."""

    def __init__(self, package: SomeSubstitutionsType) -> None:
        self._package = package

    def find(self, package_name: str) -> str:
        raise NotImplementedError  # pragma: no cover - launch_ros' abstract method

    def perform(self, context: LaunchContext) -> str:
        try:
            return self.find(perform_substitutions(context, self._package))
        except PackageNotFoundError as error:
            raise SubstitutionFailure(str(error)) from error

    def __truediv__(self, part: SomeSubstitutionsType) -> PathJoinSubstitution:
        return PathJoinSubstitution([self, part])

    def describe(self) -> str:
        return f"{type(self).__name__}(pkg={describe_substitutions(self._package)})"


class FindPackagePrefix(FindPackage):
    """The prefix a package is installed in."""

    def find(self, package_name: str) -> str:
        return get_package_prefix(package_name)


class FindPackageShare(FindPackage):
    """The share directory of a package."""

    def find(self, package_name: str) -> str:
        return get_package_share_directory(package_name)


class ExecutableInPackage(Substitution):
    """The path of an executable of a package."""

    def __init__(self, executable: SomeSubstitutionsType, package: SomeSubstitutionsType) -> None:
        self._executable, self._package = executable, package

    def perform(self, context: LaunchContext) -> str:
        package = perform_substitutions(context, self._package)
        return os.fspath(find_executable(package, perform_substitutions(context, self._executable)))


def __getattr__(name: str) -> object:
    from rosless.errors import refuse_attribute

    refuse_attribute("launch_ros.substitutions", name)
