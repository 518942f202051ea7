"""ROS actions: nodes and namespaces."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml
from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch.core import Action, LaunchContext, LaunchError, SomeSubstitutionsType, perform_substitutions
from launch.execute_process import ExecuteProcess
from rosless.errors import left_out
from rosless.names import join
from rosless.packages import find_executable

from launch_ros.parameter_descriptions import ParameterFile, evaluate_parameter_dict


class Node(ExecuteProcess):
    """Runs a node.

    Args:
        package, executable: what to run; without a package the executable is a path.
        name, namespace: override those of the node.
        parameters: dictionaries and YAML files, later ones override.
        remappings: pairs of names.
        ros_arguments: further arguments for ROS.
        arguments: further arguments for the program.
        exec_name: shown in the log instead of the executable.
    """

    def __init__(
        self,
        *,
        executable: SomeSubstitutionsType,
        package: SomeSubstitutionsType | None = None,
        name: SomeSubstitutionsType | None = None,
        namespace: SomeSubstitutionsType = "",
        exec_name: SomeSubstitutionsType | None = None,
        parameters: Iterable[Any] = (),
        remappings: Iterable[tuple[SomeSubstitutionsType, SomeSubstitutionsType]] = (),
        ros_arguments: Iterable[SomeSubstitutionsType] = (),
        arguments: Iterable[SomeSubstitutionsType] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(name=exec_name, **kwargs)
        if isinstance(parameters, dict | str):
            raise TypeError("'parameters' must be a list of dictionaries and files")
        self._package, self._executable, self._node_name, self._namespace = package, executable, name, namespace
        self._parameters, self._remappings = list(parameters or ()), list(remappings or ())
        self._ros_arguments, self._arguments = list(ros_arguments or ()), list(arguments or ())

    def _command(self, context: LaunchContext) -> list[str]:
        executable = perform_substitutions(context, self._executable)
        if self._package is not None:
            package = perform_substitutions(context, self._package)
            try:
                executable = os.fspath(find_executable(Path(get_package_prefix(package)), package, executable))
            except PackageNotFoundError as error:
                raise LaunchError(str(error)) from error
        ros = list(self._ros_words(context))
        self._cmd = [executable, *self._arguments, *(["--ros-args"] if ros else []), *ros]
        return super()._command(context)

    def _ros_words(self, context: LaunchContext) -> Iterator[str]:
        yield from (perform_substitutions(context, one) for one in self._ros_arguments)
        own = perform_substitutions(context, self._namespace or "")
        special = {
            "__node": None if self._node_name is None else perform_substitutions(context, self._node_name),
            "__ns": join(context.ros_namespace or "/", own) if own and own[0] != "/" else own or context.ros_namespace,
        }
        for match, replacement in special.items():
            yield from ("-r", f"{match}:={replacement}") if replacement else ()
        for entry in self._parameters:
            yield from ("--params-file", _parameter_file(context, entry))
        for pair in self._remappings:
            yield from ("-r", ":=".join(perform_substitutions(context, one) for one in pair))


def _parameter_file(context: LaunchContext, entry: Any) -> str:
    """The path of a YAML file with parameters: one that is given, or one written for a dictionary."""
    if isinstance(entry, dict):
        values = evaluate_parameter_dict(context, entry)
        return context.service.scratch_file(yaml.safe_dump({"/**": {"ros__parameters": values}}))
    path = perform_substitutions(context, entry.param_file if isinstance(entry, ParameterFile) else entry)
    if not Path(path).is_file():
        raise LaunchError(f"Parameter file path is not a file: {path}")
    return path


class PushRosNamespace(Action):
    """A namespace for the nodes to come, up to the end of the group."""

    def __init__(self, namespace: SomeSubstitutionsType, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._namespace = namespace

    def execute(self, context: LaunchContext) -> None:
        if namespace := perform_substitutions(context, self._namespace):
            outer = "/" if namespace.startswith("/") else context.ros_namespace or "/"
            context.ros_namespace = join(outer, namespace.removeprefix("/"))


PushROSNamespace = PushRosNamespace
__getattr__ = left_out(__name__)
