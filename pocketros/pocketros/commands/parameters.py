"""The verbs of `ros2 param`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rcl_interfaces import srv
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.msg import ParameterDescriptor, ParameterValue
from rclpy.node import Node
from rclpy.parameter import Parameter, get_parameter_value, parameter_value_to_python

from pocketros.arguments import RosArguments, read_parameter_file
from pocketros.commands import show
from pocketros.commands.session import PATIENCE, absolute, cli_node, result_of, spin_for, spin_until
from pocketros.errors import PocketrosError
from pocketros.rcl_yaml import write_yaml

Options = argparse.Namespace


def _ask(node: Node, target: str, service: str, kind: Any, **request: Any) -> Any:
    """The response of a parameter service of a node.

    Raises:
        PocketrosError: the node is not there, or does not answer.
    """
    client = node.create_client(kind, f"{absolute(target)}/{service}")
    if not spin_until(node, client.service_is_ready, PATIENCE):
        raise PocketrosError(f"node '{absolute(target)}' not found, or it has no parameter services")
    return result_of(node, client.call_async(kind.Request(**request)), PATIENCE)


def param_list(options: Options) -> None:
    with cli_node() as node:
        spin_for(node, options.spin_time)
        servers = [name for name, _ in node.get_service_names_and_types() if name.endswith("/list_parameters")]
        targets = [name.removesuffix("/list_parameters") for name in servers]
        for target in [absolute(options.node)] if options.node else sorted(targets):
            if not options.node:
                show(f"{target}:")
            for name in sorted(_ask(node, target, "list_parameters", srv.ListParameters).result.names):
                show(f"  {name}")


def _type_name(number: int) -> str:
    return Parameter.Type(number).name.lower().replace("_", " ").replace("bool", "boolean")


def param_get(options: Options) -> None:
    with cli_node() as node:
        values = _ask(node, options.node, "get_parameters", srv.GetParameters, names=[options.name]).values
    # A node without parameters of that name answers with nothing, or with a value of no type
    value = values[0] if values else ParameterValue()
    if value.type == 0:
        raise PocketrosError(f"Parameter not set: node '{absolute(options.node)}' has no '{options.name}'")
    label, plain = _type_name(value.type).capitalize(), parameter_value_to_python(value)
    verb = f"{label.removesuffix(' array')} values are" if label.endswith("array") else f"{label} value is"
    show(f"{verb}: {plain}")


def param_set(options: Options) -> None:
    asked = [ParameterMessage(name=options.name, value=get_parameter_value(options.value))]
    with cli_node() as node:
        result = _ask(node, options.node, "set_parameters", srv.SetParameters, parameters=asked).results[0]
    reason = f": {result.reason}" if result.reason else ""
    if not result.successful:
        raise PocketrosError(f"Setting parameter failed{reason}")
    show(f"Set parameter successful{reason}")


def param_describe(options: Options) -> None:
    with cli_node() as node:
        # A node without one of them answers with nothing, for all
        asked = {"service": "describe_parameters", "kind": srv.DescribeParameters}
        found = [_ask(node, options.node, **asked, names=[name]).descriptors for name in options.names]
    for name, descriptors in zip(options.names, found, strict=True):
        one = descriptors[0] if descriptors else ParameterDescriptor()
        if not one.name:
            raise PocketrosError(f"node '{absolute(options.node)}' has no parameter '{name}'")
        limits = [("Read only", "true")] * one.read_only
        for bounds in (*one.integer_range, *one.floating_point_range):
            limits += [("Min value", bounds.from_value), ("Max value", bounds.to_value)]
            limits += [("Step", bounds.step)] * bool(bounds.step)
        limits += [("Additional constraints", one.additional_constraints)] * bool(one.additional_constraints)
        show(f"Parameter name: {one.name}\n  Type: {_type_name(one.type)}")
        show(f"  Description: {one.description}\n  Constraints:" if one.description else "  Constraints:")
        for label, value in limits:
            show(f"    {label}: {value}")


def param_dump(options: Options) -> None:
    with cli_node() as node:
        names = sorted(_ask(node, options.node, "list_parameters", srv.ListParameters).result.names)
        values = _ask(node, options.node, "get_parameters", srv.GetParameters, names=names).values
        if len(values) != len(names):  # one without a value keeps rclpy's from answering for any
            each = [_ask(node, options.node, "get_parameters", srv.GetParameters, names=[one]).values for one in names]
            values = [one[0] if one else ParameterValue() for one in each]
    tree: dict[str, Any] = {}
    for name, value in zip(names, values, strict=True):
        if value.type:  # a file of parameters has no word for one without a value
            _grow(tree, name, parameter_value_to_python(value))
    content = {absolute(options.node): {"ros__parameters": tree}}
    show(write_yaml(content).rstrip("\n"))


def _grow(tree: dict[str, Any], name: str, value: Any) -> None:
    """Put a value below the parts of its name; below a parameter that has a value of its own, under its whole rest."""
    first, dot, rest = name.partition(".")
    if dot and isinstance(tree.setdefault(first, {}), dict):
        _grow(tree[first], rest, value)
    else:
        tree[name] = value


def param_load(options: Options) -> None:
    given = RosArguments(parameters=read_parameter_file(Path(options.parameter_file)))
    wanted = given.parameters_for(absolute(options.node))
    if not wanted:
        raise PocketrosError(f"parameter file {options.parameter_file} has nothing for '{absolute(options.node)}'")
    asked = [Parameter(name, value=value).to_parameter_msg() for name, value in wanted.items()]
    with cli_node() as node:
        results = _ask(node, options.node, "set_parameters", srv.SetParameters, parameters=asked).results
    failed = []
    for name, result in zip(wanted, results, strict=True):
        reason = f": {result.reason}" if result.reason else ""
        if result.successful:
            show(f"Set parameter {name} successful{reason}")
        else:
            failed.append(f"Set parameter {name} failed{reason}")
    if failed:
        raise PocketrosError("; ".join(failed))
