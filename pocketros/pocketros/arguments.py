"""The command line of nodes: `--ros-args`, remapping rules, parameters, log levels."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pocketros import names
from pocketros.errors import ArgumentError
from pocketros.rcl_yaml import read_yaml


@dataclass(frozen=True)
class RemapRule:
    """`[node:][rostopic://|rosservice://]match:=replacement`; `kind` is the part before `://`."""

    node: str
    match: str
    replacement: str
    kind: str = ""


@dataclass
class RosArguments:
    """What `--ros-args` says.

    Attributes:
        rest: the arguments that are not for ROS.
        remaps: rules in their order, the first that matches applies.
        parameters: (node pattern, parameters), later ones override.
        log_levels: logger name ("" for all) to level name.
        rosout: whether logs go to /rosout.
    """

    rest: list[str] = field(default_factory=list)
    remaps: list[RemapRule] = field(default_factory=list)
    parameters: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    log_levels: dict[str, str] = field(default_factory=dict)
    rosout: bool = True

    def before(self, other: RosArguments) -> RosArguments:
        """These arguments, and others where these say nothing."""
        remaps, parameters = [*self.remaps, *other.remaps], [*other.parameters, *self.parameters]
        return RosArguments([], remaps, parameters, {}, self.rosout and other.rosout)

    def special(self, name: str, node_name: str, default: str) -> str:
        """`__node` or `__ns` of a node."""
        found = (rule.replacement for rule in self.remaps if rule.match == name and rule.node in ("", node_name))
        return next(found, default)

    def parameters_for(self, fully_qualified_name: str) -> dict[str, Any]:
        """Parameter overrides of a node such as `/namespace/name`."""
        found: dict[str, Any] = {}
        for pattern, values in self.parameters:
            if matches_node(pattern, fully_qualified_name):
                found.update(values)
        return found


def matches_node(pattern: str, fully_qualified_name: str) -> bool:
    """Whether a node pattern of a parameter file (`/**`, `name`, `/ns/*`) means the node."""
    parts = pattern.removeprefix("/").split("/")
    wanted = "".join("(/[^/]+)*" if one == "**" else "/" + re.escape(one).replace(r"\*", "[^/]*") for one in parts)
    return re.fullmatch(wanted, fully_qualified_name) is not None


def parse_ros_arguments(arguments: Sequence[str] | None) -> RosArguments:
    """Parse a command line (None: that of the process).

    Raises:
        ArgumentError: naming the argument and what is expected.
    """
    parsed, inside = RosArguments(), False
    words = iter(sys.argv if arguments is None else arguments)
    for word in words:
        if word == "--ros-args" or (word == "--" and inside):
            inside = word == "--ros-args"
        elif inside:
            _parse_one(word, words, parsed)
        else:
            parsed.rest.append(word)
    return parsed


def _parse_one(word: str, words: Iterator[str], parsed: RosArguments) -> None:
    def value() -> str:
        if (given := next(words, None)) is None:
            raise ArgumentError(f"{word} needs a value")
        return given

    if word in ("-r", "--remap"):
        parsed.remaps.append(_remap_rule(value()))
    elif word in ("-p", "--param"):
        found = re.fullmatch(r"(?:([^:]+):)?([^:]+):=(.*)", given := value(), re.DOTALL)
        if not found or names.fault(names.PARAMETER, found[2]) or names.fault(names.NODE, found[1] or "any"):
            raise ArgumentError(f"'{given}' is not a parameter assignment; expected name:=value")
        parsed.parameters.append((found[1] or "/**", {found[2]: read_yaml(found[3])}))
    elif word == "--params-file":
        parsed.parameters += read_parameter_file(Path(value()))
    elif word == "--log-level":
        name, _, level = value().rpartition(":=")
        parsed.log_levels[name] = level
    elif word in ("-e", "--enclave", "--log-config-file", "--log-file-name"):
        value()
    elif word == "--disable-rosout-logs":
        parsed.rosout = False
    elif not re.fullmatch(r"--(en|dis)able-(rosout|stdout|external-lib)-logs", word):
        raise ArgumentError(f"unknown ROS argument '{word}'; known are -r -p --params-file --log-level")


def _remap_rule(text: str) -> RemapRule:
    found = re.fullmatch(r"(?:(\w+):(?!//))?(?:(rostopic|rosservice)://)?([^:{}]+):=([^:{}]+)", text)
    if not found or re.match(r"__(?!node$|name$|ns$)", found[3]):
        raise ArgumentError(f"'{text}' is not a remapping rule; expected from:=to")
    node, kind, match, replacement = (part or "" for part in found.groups())
    match = "__node" if match == "__name" else match
    special = {"__node": names.NODE, "__ns": names.NAMESPACE}.get(match)
    sides = ((names.TOPIC, match), (names.TOPIC, replacement)) if special is None else ((special, replacement),)
    if fault := next(filter(None, (names.fault(*side) for side in sides)), None):
        raise ArgumentError(f"'{text}' is not a remapping rule: {fault[0]}")
    return RemapRule(node, match, replacement, kind)


def read_parameter_file(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """Node patterns and parameters of a YAML file with `ros__parameters`.

    Raises:
        ArgumentError: naming the file and the fault.
    """
    try:
        content = read_yaml(path.read_text(encoding="utf-8"), f"parameter file {path}")
    except OSError as error:
        raise ArgumentError(f"cannot read parameter file {path}: {error.strerror}") from error
    if not isinstance(content, dict) and content != "":
        raise ArgumentError(f"parameter file {path} has no node names at its top")

    def visit(prefix: str, tree: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        for key, value in tree.items():
            if not isinstance(value, dict):
                raise ArgumentError(f"parameter file {path}: '{prefix}{key}' is not under ros__parameters")
            if key == "ros__parameters":
                yield prefix.rstrip("/") or "/**", flatten(value)
            else:
                yield from visit(f"{prefix}{key}/", value)

    return list(visit("", content or {}))


def flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dictionaries as one with dotted names."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat.update(flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value})
    return flat
