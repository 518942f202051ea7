"""ROS actions: nodes, namespaces, parameters and remappings."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from launch.core import Action, LaunchContext, LaunchError, SomeSubstitutionsType, perform_substitutions
from launch.execute_process import ExecuteProcess
from rosless.executables import find_executable
from rosless.names import join

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
        namespace: SomeSubstitutionsType | None = None,
        exec_name: SomeSubstitutionsType | None = None,
        parameters: Iterable[Any] | None = None,
        remappings: Iterable[tuple[SomeSubstitutionsType, SomeSubstitutionsType]] | None = None,
        ros_arguments: Iterable[SomeSubstitutionsType] | None = None,
        arguments: Iterable[SomeSubstitutionsType] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(cmd=[], name=exec_name, **kwargs)
        if isinstance(parameters, dict | str):
            raise TypeError("'parameters' must be a list of dictionaries and files")
        self._package, self._executable = package, executable
        self._node_name, self._node_namespace = name, namespace
        self._parameters, self._remappings = list(parameters or []), list(remappings or [])
        self._ros_arguments, self._arguments = list(ros_arguments or []), list(arguments or [])
        self.node_name = ""

    def _command(self, context: LaunchContext) -> list[str]:
        executable = perform_substitutions(context, self._executable)
        if self._package is not None:
            package = perform_substitutions(context, self._package)
            try:
                executable = os.fspath(find_executable(package, executable))
            except KeyError as error:
                raise LaunchError(str(error)) from error
        self._cmd = [executable, *self._arguments]
        return [*super()._command(context), *self._ros_words(context)]

    def _label(self, context: LaunchContext, words: list[str]) -> str:
        if self._process_label is not None:
            return perform_substitutions(context, self._process_label)
        return os.path.basename(perform_substitutions(context, self._executable))

    def _ros_words(self, context: LaunchContext) -> list[str]:
        words = [perform_substitutions(context, one) for one in self._ros_arguments]
        if self._node_name is not None:
            words += ["-r", f"__node:={perform_substitutions(context, self._node_name)}"]
        namespace = self._full_namespace(context)
        if namespace:
            words += ["-r", f"__ns:={namespace}"]
        self.node_name = join(namespace or "/", perform_substitutions(context, self._node_name or "<unspecified>"))
        for entry in [*context.ros["parameters"], *self._parameters]:
            words += self._parameter_words(context, entry)
        for match, replacement in [*context.ros["remaps"], *self._remappings]:
            words += ["-r", f"{perform_substitutions(context, match)}:={perform_substitutions(context, replacement)}"]
        return ["--ros-args", *words] if words else []

    def _full_namespace(self, context: LaunchContext) -> str:
        pushed = context.ros["namespace"]
        if self._node_namespace is None:
            return str(pushed)
        own = perform_substitutions(context, self._node_namespace)
        if own.startswith("/") or not own:
            return own or str(pushed)
        return join(pushed or "/", own)

    def _parameter_words(self, context: LaunchContext, entry: Any) -> list[str]:
        if isinstance(entry, ParameterFile):
            path = entry.evaluate(context)
        elif isinstance(entry, dict):
            values = evaluate_parameter_dict(context, entry)
            path = _parameter_file(context, values)
        else:
            path = Path(perform_substitutions(context, entry))
        if not path.is_file():
            raise LaunchError(f"Parameter file path is not a file: {path}")
        return ["--params-file", os.fspath(path)]


def _parameter_file(context: LaunchContext, values: dict[str, Any]) -> Path:
    """A temporary YAML file with parameters for any node, which ends with the launch."""
    service = context._service
    if service is None:
        raise LaunchError("parameters of a node need a running LaunchService")
    directory = service.scratch_directory()
    handle, name = tempfile.mkstemp(prefix="launch_params_", suffix=".yaml", dir=directory)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        yaml.safe_dump({"/**": {"ros__parameters": values}}, file)
    return Path(name)


class PushRosNamespace(Action):
    """A namespace for the nodes to come, up to the end of the group."""

    def __init__(self, namespace: SomeSubstitutionsType, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._namespace = namespace

    def execute(self, context: LaunchContext) -> None:
        namespace = perform_substitutions(context, self._namespace)
        if namespace:
            absolute = namespace.startswith("/")
            context.ros["namespace"] = namespace if absolute else join(context.ros["namespace"] or "/", namespace)


PushROSNamespace = PushRosNamespace


class SetParameter(Action):
    """A parameter of the nodes to come, up to the end of the group."""

    def __init__(self, name: SomeSubstitutionsType, value: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._name, self._value = name, value

    def execute(self, context: LaunchContext) -> None:
        context.ros["parameters"].append(evaluate_parameter_dict(context, {self._name: self._value}))


class SetUseSimTime(SetParameter):
    """Whether the nodes to come follow /clock."""

    def __init__(self, value: Any, **kwargs: Any) -> None:
        super().__init__("use_sim_time", value, **kwargs)


class SetRemap(Action):
    """A remapping for the nodes to come, up to the end of the group."""

    def __init__(self, src: SomeSubstitutionsType, dst: SomeSubstitutionsType, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._pair = (src, dst)

    def execute(self, context: LaunchContext) -> None:
        source, target = (perform_substitutions(context, one) for one in self._pair)
        context.ros["remaps"].append((source, target))


__all__ = ["Node", "PushROSNamespace", "PushRosNamespace", "SetParameter", "SetRemap", "SetUseSimTime"]


def __getattr__(name: str) -> object:
    from rosless.errors import refuse_attribute

    refuse_attribute("launch_ros.actions", name)
