"""ROS actions: nodes and namespaces."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch.core import Action, LaunchContext, LaunchError
from launch.core import SomeSubstitutionsType as Text
from launch.core import perform_substitutions as perform
from launch.execute_process import ExecuteProcess
from pocketros.errors import left_out
from pocketros.names import join
from pocketros.packages import find_executable
from pocketros.rcl_yaml import write_yaml

from launch_ros.parameter_descriptions import ParameterFile, evaluate_parameter_dict

NAMESPACE = "ros_namespace"  # the launch configuration that holds that of the group


@dataclass(eq=False, kw_only=True)
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

    executable: Text = field(kw_only=True)
    package: Text | None = None
    namespace: Text | None = None
    exec_name: Text | None = None
    parameters: Iterable[Any] | None = None
    remappings: Iterable[tuple[Text, Text]] | None = None
    ros_arguments: Iterable[Text] | None = None
    arguments: Iterable[Text] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.parameters, dict | str):
            raise TypeError("'parameters' must be a list of dictionaries and files")

    def _label(self) -> Text | None:
        return self.exec_name

    def _command(self, context: LaunchContext) -> list[str]:
        executable = perform(context, self.executable)
        if self.package is not None:
            package = perform(context, self.package)
            try:
                executable = os.fspath(find_executable(Path(get_package_prefix(package)), package, executable))
            except PackageNotFoundError as error:
                raise LaunchError(str(error)) from error
        ros = list(self._ros_words(context))
        own = [perform(context, one) for one in self.arguments or ()]
        return [executable, *own, *(["--ros-args"] if ros else []), *ros]

    def _ros_words(self, context: LaunchContext) -> Iterator[str]:
        yield from (perform(context, one) for one in self.ros_arguments or ())
        if self.name is not None:
            yield from ("-r", f"__node:={perform(context, self.name)}")
        if namespace := _inside(context, perform(context, self.namespace or "")):
            yield from ("-r", f"__ns:={namespace}")
        for entry in self.parameters or ():
            yield from ("--params-file", _parameter_file(context, entry))
        for pair in self.remappings or ():
            yield from ("-r", ":=".join(perform(context, one) for one in pair))


def _inside(context: LaunchContext, namespace: str) -> str:
    """The namespace of a node or a group: absolute, or inside of that which holds already ("" for none)."""
    outer = context.launch_configurations.get(NAMESPACE, "")
    is_whole = namespace.startswith("/") or not (namespace or outer)
    return namespace if is_whole else join(outer, namespace).rstrip("/")


def _parameter_file(context: LaunchContext, entry: Any) -> str:
    """The path of a YAML file with parameters: one that is given, or one written for a dictionary."""
    if isinstance(entry, dict):
        values = evaluate_parameter_dict(context, entry)
        return context.service.scratch_file(write_yaml({"/**": {"ros__parameters": values}}))
    path = perform(context, entry.param_file if isinstance(entry, ParameterFile) else entry)
    if not Path(path).is_file():
        raise LaunchError(f"Parameter file path is not a file: {path}")
    return path


@dataclass(eq=False)
class PushRosNamespace(Action):
    """A namespace for the nodes to come, up to the end of the group."""

    namespace: Text

    def execute(self, context: LaunchContext) -> None:
        context.launch_configurations[NAMESPACE] = _inside(context, perform(context, self.namespace)).rstrip("/")


PushROSNamespace = PushRosNamespace
__getattr__ = left_out(__name__)
