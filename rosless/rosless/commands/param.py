"""`ros2 param`."""

from __future__ import annotations

import argparse
from typing import Any

import yaml
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.srv import DescribeParameters, GetParameters, ListParameters, SetParameters
from rclpy.node import Node
from rclpy.parameter import Parameter, get_parameter_value, parameter_value_to_python

from rosless.arguments import read_parameter_file
from rosless.commands.session import cli_node, discover, show, spin_until
from rosless.errors import RoslessError

ANSWER_TIMEOUT = 5.0


def _ask(node: Node, target: str, kind: Any, service: str, **request: Any) -> Any:
    """The response of a parameter service of a node.

    Raises:
        RoslessError: the node is not there, or does not answer.
    """
    name = target if target.startswith("/") else f"/{target}"
    client = node.create_client(kind, f"{name}/{service}")
    if not client.wait_for_service(ANSWER_TIMEOUT):
        raise RoslessError(f"node '{name}' not found, or it has no parameter services")
    return spin_until(node, client.call_async(kind.Request(**request)), ANSWER_TIMEOUT)


def _names(node: Node, target: str) -> list[str]:
    return sorted(_ask(node, target, ListParameters, "list_parameters").result.names)


def list_parameters(options: argparse.Namespace) -> int:
    with cli_node() as node:
        targets = [options.node] if options.node else []
        if not targets:
            discover(node, options.spin_time)
            services = [name for name, _ in node.get_service_names_and_types()]
            targets = [name.removesuffix("/list_parameters") for name in services if name.endswith("/list_parameters")]
        for target in targets:
            names = _names(node, target)
            if not options.node:
                show(f"{target}:")
            for name in names:
                show(f"  {name}")
    return 0


def get(options: argparse.Namespace) -> int:
    with cli_node() as node:
        value = _ask(node, options.node, GetParameters, "get_parameters", names=[options.name]).values[0]
        if value.type == 0:
            raise RoslessError(f"parameter '{options.name}' of node '{options.node}' is not set")
        label = Parameter.Type(value.type).name.replace("_", " ").capitalize()
        plain = parameter_value_to_python(value)
        verb = "values are" if label.endswith("array") else "value is"
        show(str(plain) if options.hide_type else f"{label} {verb}: {plain}")
    return 0


def _set(node: Node, target: str, parameters: list[Any]) -> int:
    failed = 0
    results = _ask(node, target, SetParameters, "set_parameters", parameters=parameters).results
    for parameter, result in zip(parameters, results, strict=True):
        if result.successful:
            show(f"Set parameter {parameter.name} successful" + (f": {result.reason}" if result.reason else ""))
        else:
            failed = 1
            show(f"Setting parameter {parameter.name} failed: {result.reason}")
    return failed


def set_parameter(options: argparse.Namespace) -> int:
    with cli_node() as node:
        return _set(node, options.node, [ParameterMessage(name=options.name, value=get_parameter_value(options.value))])
    return 130


def load(options: argparse.Namespace) -> int:
    values: dict[str, Any] = {}
    for _, part in read_parameter_file(options.file):
        values.update(part)
    with cli_node() as node:
        return _set(
            node, options.node, [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
        )
    return 130


def describe(options: argparse.Namespace) -> int:
    with cli_node() as node:
        for one in _ask(node, options.node, DescribeParameters, "describe_parameters", names=options.names).descriptors:
            if not one.name:
                raise RoslessError(f"node '{options.node}' has no such parameter among {', '.join(options.names)}")
            show(f"Parameter name: {one.name}\n  Type: {Parameter.Type(one.type).name.lower().replace('_', ' ')}")
            if one.description:
                show(f"  Description: {one.description}")
            show("  Constraints:")
            if one.read_only:
                show("    Read only: true")
            for bounds in (*one.integer_range, *one.floating_point_range):
                show(f"    Min value: {bounds.from_value}\n    Max value: {bounds.to_value}")
                if bounds.step:
                    show(f"    Step: {bounds.step}")
            if one.additional_constraints:
                show(f"    Additional constraints: {one.additional_constraints}")
    return 0


def dump(options: argparse.Namespace) -> int:
    with cli_node() as node:
        names = _names(node, options.node)
        values = _ask(node, options.node, GetParameters, "get_parameters", names=names).values
        plain = {name: parameter_value_to_python(value) for name, value in zip(names, values, strict=True)}
        name = options.node if options.node.startswith("/") else f"/{options.node}"
        show(yaml.safe_dump({name: {"ros__parameters": plain}}, sort_keys=True).rstrip())
    return 0


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="ros2 param")
    verbs = parser.add_subparsers(required=True, metavar="verb")
    verb = verbs.add_parser("list", help="list the parameters")
    verb.add_argument("node", nargs="?")
    verb.add_argument("--spin-time", type=float, default=0.5)
    verb.set_defaults(run=list_parameters)
    verb = verbs.add_parser("get", help="show a parameter")
    verb.add_argument("node")
    verb.add_argument("name")
    verb.add_argument("--hide-type", action="store_true")
    verb.set_defaults(run=get)
    verb = verbs.add_parser("set", help="set a parameter")
    verb.add_argument("node")
    verb.add_argument("name")
    verb.add_argument("value")
    verb.set_defaults(run=set_parameter)
    verb = verbs.add_parser("describe", help="explain parameters")
    verb.add_argument("node")
    verb.add_argument("names", nargs="+")
    verb.set_defaults(run=describe)
    verb = verbs.add_parser("dump", help="show all parameters as YAML")
    verb.add_argument("node")
    verb.set_defaults(run=dump)
    verb = verbs.add_parser("load", help="set parameters from a YAML file")
    verb.add_argument("node")
    verb.add_argument("file", type=_existing)
    verb.set_defaults(run=load)
    options = parser.parse_args(words)
    return int(options.run(options))


def _existing(text: str) -> Any:
    from pathlib import Path

    path = Path(text)
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"file '{text}' does not exist")
    return path
