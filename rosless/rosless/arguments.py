"""The command line of nodes: `--ros-args`, remapping rules, parameters, log levels."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from rosless.errors import RoslessError


class _Yaml(yaml.SafeLoader):
    """YAML as rcl reads it: `1e-3` is a number, too."""


_Yaml.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def read_yaml(text: str) -> Any:
    """The plain values in a YAML text."""
    loader = _Yaml(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


class ArgumentError(RoslessError, ValueError):
    """Arguments after --ros-args which are malformed or unknown."""


@dataclass(frozen=True)
class RemapRule:
    """`[node:]match:=replacement`."""

    node: str
    match: str
    replacement: str


@dataclass
class RosArguments:
    """What `--ros-args` says.

    Attributes:
        rest: the arguments that are not for ROS.
        remaps: rules in their order, the first that matches applies.
        parameters: (node pattern, parameters), later ones override.
        log_levels: logger name ("" for all) to level name.
    """

    rest: list[str] = field(default_factory=list)
    remaps: list[RemapRule] = field(default_factory=list)
    parameters: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    log_levels: dict[str, str] = field(default_factory=dict)
    rosout: bool = True

    def remap_name(self, special: str, node_name: str, default: str) -> str:
        """`__node` or `__ns` of a node."""
        for rule in self.remaps:
            if rule.match == special and rule.node in ("", node_name):
                return rule.replacement
        return default

    def parameters_for(self, fully_qualified_name: str) -> dict[str, Any]:
        """Parameter overrides of a node such as `/namespace/name`."""
        found: dict[str, Any] = {}
        for pattern, values in self.parameters:
            if matches_node(pattern, fully_qualified_name):
                found.update(values)
        return found


def matches_node(pattern: str, fully_qualified_name: str) -> bool:
    """Whether a node pattern of a parameter file (`/**`, `name`, `/ns/*`) means the node."""
    if not pattern.startswith("/"):
        pattern = "/" + pattern
    expression = ""
    for part in pattern.split("/")[1:]:
        expression += "(/[^/]+)*" if part == "**" else "/" + re.escape(part).replace(r"\*", "[^/]*")
    return re.fullmatch(expression, fully_qualified_name) is not None


def parse_ros_arguments(arguments: Sequence[str] | None) -> RosArguments:
    """Parse a command line (None: that of the process).

    Raises:
        ArgumentError: naming the argument and what is expected.
    """
    parsed = RosArguments()
    words = list(sys.argv if arguments is None else arguments)
    inside = False
    while words:
        word = words.pop(0)
        if word == "--ros-args":
            inside = True
        elif word == "--" and inside:
            inside = False
        elif inside:
            _parse_one(word, words, parsed)
        else:
            parsed.rest.append(word)
    return parsed


def _parse_one(word: str, words: list[str], parsed: RosArguments) -> None:
    def value() -> str:
        if not words or words[0] == "--ros-args":
            raise ArgumentError(f"{word} needs a value")
        return words.pop(0)

    if word in ("-r", "--remap"):
        parsed.remaps.append(_parse_remap(value()))
    elif word in ("-p", "--param"):
        parsed.parameters.append(_parse_parameter(value()))
    elif word == "--params-file":
        parsed.parameters += read_parameter_file(Path(value()))
    elif word == "--log-level":
        name, divided, level = value().rpartition(":=")
        parsed.log_levels[name if divided else ""] = level
    elif word in ("-e", "--enclave", "--log-config-file", "--log-file-name"):
        value()
    elif word == "--disable-rosout-logs":
        parsed.rosout = False
    elif not re.fullmatch(r"--(en|dis)able-(rosout|stdout|external-lib)-logs", word):
        raise ArgumentError(f"unknown ROS argument '{word}'; known are -r -p --params-file --log-level")


def _parse_remap(text: str) -> RemapRule:
    match, divided, replacement = text.partition(":=")
    if not divided or not match or not replacement:
        raise ArgumentError(f"'{text}' is not a remapping rule; expected from:=to")
    node, colon, name = match.partition(":")
    if not colon:
        node, name = "", match
    if "://" in match:
        raise ArgumentError(f"rosless does not provide rules with a scheme, such as '{text}'")
    return RemapRule(node, {"__name": "__node"}.get(name, name), replacement)


def _parse_parameter(text: str) -> tuple[str, dict[str, Any]]:
    name, divided, value = text.partition(":=")
    if not divided or not name:
        raise ArgumentError(f"'{text}' is not a parameter assignment; expected name:=value")
    node, colon, parameter = name.partition(":")
    if not colon:
        node, parameter = "/**", name
    return node, {parameter: parse_yaml_value(value)}


def parse_yaml_value(text: str) -> Any:
    """The value that YAML reads from a command line."""
    try:
        value = read_yaml(text)
    except yaml.YAMLError as error:
        raise ArgumentError(f"'{text}' is not YAML: {str(error).splitlines()[0]}") from error
    return "" if value is None and not text.strip() else value


def read_parameter_file(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """Node patterns and parameters of a YAML file with `ros__parameters`.

    Raises:
        ArgumentError: naming the file and the fault.
    """
    try:
        content = read_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ArgumentError(f"cannot read parameter file {path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ArgumentError(f"parameter file {path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise ArgumentError(f"parameter file {path} has no node names at its top")
    found: list[tuple[str, dict[str, Any]]] = []

    def visit(prefix: str, tree: dict[str, Any]) -> None:
        for key, value in tree.items():
            if not isinstance(value, dict):
                raise ArgumentError(f"parameter file {path}: '{prefix}{key}' is not under ros__parameters")
            if key == "ros__parameters":
                found.append((prefix.rstrip("/") or "/**", flatten_parameters(value)))
            else:
                visit(f"{prefix}{key}/", value)

    visit("", content)
    return found


def flatten_parameters(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dictionaries as one with dotted names."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat.update(flatten_parameters(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat
