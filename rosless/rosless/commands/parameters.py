"""The verbs of `ros2 param`, over the parameter services of nodes."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

import yaml
from rcl_interfaces import srv
from rcl_interfaces.msg import Parameter as ParameterMessage
from rclpy.node import Node
from rclpy.parameter import Parameter, get_parameter_value, parameter_value_to_python

from rosless.arguments import matches_node, read_parameter_file
from rosless.commands import show
from rosless.commands.session import PATIENCE, absolute, cli_node, result_of, spin_for, spin_until
from rosless.errors import RoslessError

Options = argparse.Namespace


def _ask(node: Node, target: str, service: str, kind: Any, **request: Any) -> Any:
    """The response of a parameter service of a node.

    Raises:
        RoslessError: the node is not there, or does not answer.
    """
    client = node.create_client(kind, f"{absolute(target)}/{service}")
    if not spin_until(node, client.service_is_ready, PATIENCE):
        raise RoslessError(f"node '{absolute(target)}' not found, or it has no parameter services")
    return result_of(node, client.call_async(kind.Request(**request)), PATIENCE)


def _names(node: Node, target: str) -> list[str]:
    return sorted(_ask(node, target, "list_parameters", srv.ListParameters).result.names)


def _values(node: Node, target: str, names: list[str]) -> list[Any]:
    return list(_ask(node, target, "get_parameters", srv.GetParameters, names=names).values)


def param_list(options: Options) -> None:
    with cli_node() as node:
        spin_for(node, options.spin_time)
        servers = [name for name, _ in node.get_service_names_and_types() if name.endswith("/list_parameters")]
        targets = [name.removesuffix("/list_parameters") for name in servers]
        for target in [absolute(options.node)] if options.node else sorted(targets):
            names = [one for one in _names(node, target) if re.match(options.filter, one)]
            if names and not options.node:
                show(f"{target}:")
            for name, value in zip(names, _values(node, target, names) if options.param_type else names, strict=True):
                show(f"  {name}" + (f" (type: {_type_name(value.type)})" if options.param_type else ""))


def _type_name(number: int) -> str:
    return Parameter.Type(number).name.lower().replace("_", " ").replace("bool", "boolean")


def param_get(options: Options) -> None:
    with cli_node() as node:
        value = _values(node, options.node, [options.name])[0]
    if value.type == 0:
        raise RoslessError(f"Parameter not set: node '{absolute(options.node)}' has no '{options.name}'")
    label, plain = _type_name(value.type).capitalize(), parameter_value_to_python(value)
    verb = f"{label.removesuffix(' array')} values are" if label.endswith("array") else f"{label} value is"
    show(f"{plain}" if options.hide_type else f"{verb}: {plain}")


def param_set(options: Options) -> None:
    asked = [ParameterMessage(name=options.name, value=get_parameter_value(options.value))]
    with cli_node() as node:
        result = _ask(node, options.node, "set_parameters", srv.SetParameters, parameters=asked).results[0]
    reason = f": {result.reason}" if result.reason else ""
    if not result.successful:
        raise RoslessError(f"Setting parameter failed{reason}")
    show(f"Set parameter successful{reason}")


def param_describe(options: Options) -> None:
    with cli_node() as node:
        found = _ask(node, options.node, "describe_parameters", srv.DescribeParameters, names=options.names)
    for one, name in zip(found.descriptors, options.names, strict=False):
        if not one.type and not one.description:
            raise RoslessError(f"node '{absolute(options.node)}' has no parameter '{name}'")
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
        names = _names(node, options.node)
        values = [parameter_value_to_python(one) for one in _values(node, options.node, names)]
    tree: dict[str, Any] = {}
    for name, value in zip(names, values, strict=True):
        *above, last = name.split(".")
        branch = tree
        for part in above:
            branch = branch.setdefault(part, {})
        branch[last] = value
    show(yaml.safe_dump({absolute(options.node): {"ros__parameters": tree}}, default_flow_style=False))


def param_load(options: Options) -> None:
    target, wanted = absolute(options.node), {}
    for pattern, values in read_parameter_file(Path(options.file)):
        if matches_node(pattern, target) and not (options.no_use_wildcard and pattern == "/**"):
            wanted.update(values)
    if not wanted:
        raise RoslessError(f"parameter file {options.file} has no parameters for node '{target}'")
    asked = [Parameter(name, value=value).to_parameter_msg() for name, value in wanted.items()]
    with cli_node() as node:
        results = _ask(node, target, "set_parameters", srv.SetParameters, parameters=asked).results
    for name, result in zip(wanted, results, strict=True):
        outcome = "successful" if result.successful else "failed"
        show(f"Set parameter {name} {outcome}" + (f": {result.reason}" if result.reason else ""))
    if not all(result.successful for result in results):
        raise RoslessError(f"parameters of '{target}' were refused")
