"""ROS actions: nodes, and what holds for the nodes to come up to the end of the group."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml
from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch.core import Action, LaunchContext, LaunchError, SomeSubstitutionsType, Substitution, perform_substitutions
from launch.execute_process import ExecuteProcess
from rosless.errors import left_out
from rosless.names import join
from rosless.packages import find_executable

from launch_ros.parameter_descriptions import ParameterFile, evaluate_parameter_dict

# Launch configurations that hold what is set for the nodes to come, by the names that launch_ros gives them
NAMESPACE, PARAMETERS, REMAPS = "ros_namespace", "global_params", "ros_remaps"


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
        set_before = context.launch_configurations
        yield from (perform_substitutions(context, one) for one in self._ros_arguments)
        if self._node_name is not None:
            yield from ("-r", f"__node:={perform_substitutions(context, self._node_name)}")
        if namespace := _inside(context, perform_substitutions(context, self._namespace or "")):
            yield from ("-r", f"__ns:={namespace}")
        for entry in (*set_before.get(PARAMETERS, ()), *self._parameters):
            yield from ("--params-file", _parameter_file(context, entry))
        for pair in (*set_before.get(REMAPS, ()), *self._remappings):
            yield from ("-r", ":=".join(perform_substitutions(context, one) for one in pair))


def _inside(context: LaunchContext, namespace: str) -> str:
    """The namespace of a node or a group: absolute, or inside of that which holds already ("" for none)."""
    outer: str = context.launch_configurations.get(NAMESPACE, "")
    is_whole = namespace.startswith("/") or not (namespace or outer)
    return namespace if is_whole else join(outer, namespace).rstrip("/")


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
    """A namespace for the nodes to come."""

    def __init__(self, namespace: SomeSubstitutionsType, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._namespace = namespace

    def execute(self, context: LaunchContext) -> None:
        namespace = _inside(context, perform_substitutions(context, self._namespace))
        context.launch_configurations[NAMESPACE] = namespace.removesuffix("/")


PushROSNamespace = PushRosNamespace


class _ForNodes(Action):
    """Adds what a function of the context gives to what holds for the nodes to come."""

    def __init__(self, kind: str, entry: Callable[[LaunchContext], Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._kind, self._entry = kind, entry

    def execute(self, context: LaunchContext) -> None:
        settings = context.launch_configurations
        settings[self._kind] = [*settings.get(self._kind, ()), self._entry(context)]


class SetParameter(_ForNodes):
    """A parameter of the nodes to come, which their own override."""

    def __init__(self, name: SomeSubstitutionsType, value: Any, **kwargs: Any) -> None:
        key: Any = name if isinstance(name, str | Substitution) else tuple(name)
        super().__init__(PARAMETERS, lambda context: evaluate_parameter_dict(context, {key: value}), **kwargs)


class SetUseSimTime(SetParameter):
    """Whether the nodes to come take their time from /clock."""

    def __init__(self, value: Any, **kwargs: Any) -> None:
        super().__init__("use_sim_time", value, **kwargs)


class SetParametersFromFile(_ForNodes):
    """A parameter file for the nodes to come, which their own parameters override."""

    def __init__(self, filename: SomeSubstitutionsType, **kwargs: Any) -> None:
        super().__init__(PARAMETERS, lambda context: perform_substitutions(context, filename), **kwargs)


class SetRemap(_ForNodes):
    """A remapping rule of the nodes to come."""

    def __init__(self, src: SomeSubstitutionsType, dst: SomeSubstitutionsType, **kwargs: Any) -> None:
        rule = (src, dst)
        super().__init__(REMAPS, lambda context: [perform_substitutions(context, one) for one in rule], **kwargs)


__getattr__ = left_out(__name__)
