"""A person's own file of ROS parameters: what in it no node of the launch would ever read."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from mini_diffuser_ros.bringup.errors import BringupError
from mini_diffuser_ros.support.settings import SettingsError, read_yaml

PARAMETERS = "ros__parameters"


def check_parameter_file(path: str, namespace: str, nodes: Collection[str]) -> None:
    """Refuse what ROS would drop without a word: a section for a node that there is not, or one written twice.

    Args:
        path: of the file.
        namespace: of the launch's nodes.
        nodes: names of those that a launch may start; one that this one does not start may have a section all the same.

    Raises:
        BringupError: in one line, naming the section and the nearest that would be read.
    """
    try:
        content = read_yaml(path)
    except SettingsError as error:
        raise BringupError(f"params:={error}") from error
    if not isinstance(content, Mapping):
        raise BringupError(f"params:={path} holds no sections of nodes; expected /**/motion_node: with {PARAMETERS}:")
    below = f"/{namespace.strip('/')}".rstrip("/")
    for name, section in _sections(content, ""):
        if section is None:
            raise BringupError(f"params:={path}: {name or 'the file'} has no {PARAMETERS}, so that nobody reads it")
        if not any(_pattern(name).fullmatch(f"{below}/{node}") for node in nodes):
            last = name.rpartition("/")[2]
            near = difflib.get_close_matches(last, sorted(nodes), n=1)
            meant = near[0] if near else "motion_node"
            raise BringupError(
                f"params:={path}: the section {name} is of no node here, whose names are "
                f"{below}/perception_node and the like; did you mean /**/{meant}?"
            )


def _sections(content: Mapping[Any, Any], name: str) -> Iterator[tuple[str, Any]]:
    """Name and parameters of each section; None where there are none. Namespaces may be levels of their own."""
    if PARAMETERS in content:
        yield name, content[PARAMETERS]
        return
    if not content:
        yield name, None
    for key, inner in content.items():
        below = f"{name}/{str(key).strip('/')}"
        if isinstance(inner, Mapping):
            yield from _sections(inner, below)
        else:
            yield below, None


def _pattern(name: str) -> re.Pattern[str]:
    """Which full names a section is for: * stands for one part of a name, ** for any number of them."""
    parts = [part for part in name.split("/") if part]
    matched = {"**": "(/[^/]+)*", "*": "/[^/]+"}
    return re.compile("".join(matched.get(part, re.escape(f"/{part}")) for part in parts))
