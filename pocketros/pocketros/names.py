"""Names of nodes, topics and services: rules, expansion, remapping."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pocketros.arguments import RemapRule

# What a name must not match, and what to say if it does
Rules = tuple[tuple[str, str], ...]
TOPIC: Rules = (
    (r"^$", "topic name must not be empty"),
    (r"(?<=.)/$", "topic name must not end with a forward slash"),
    (r"[^A-Za-z0-9_/~{}]", "topic name must not contain characters other than alphanumerics, '_', '~', '{', or '}'"),
    (r"(?<!^)~|^~(?=[^/])", "topic name has a tilde '~' that is not its first token"),
    (r"(?<=/)/", "topic name must not contain repeated '/'"),
    (r"(?:^|(?<=/))\d", "topic name token must not start with a number"),
    (r"\{(?![^{}]*\})|(?<!\w)\}", "topic name must not have unbalanced curly braces '{}'"),
)
TOKEN = "(?!__)[A-Za-z_][A-Za-z0-9_]*"
PARAMETER: Rules = ((rf"^(?!/?{TOKEN}(?:(?:/|\./?){TOKEN})*$)", "expected words joined by dots"),)
NODE: Rules = (
    (r"^$", "node name must not be empty"),
    (r"[^A-Za-z0-9_]", "node name must not contain characters other than alphanumerics or '_'"),
    (r"^\d", "node name must not start with a number"),
)
NAMESPACE: Rules = (
    (r"^(?!/)", "namespace must be absolute, it must lead with a '/'"),
    (r"[^A-Za-z0-9_/]|/(?=/|\d|.*//|(?<!^/)$)", "namespace must be tokens of alphanumerics and '_', no number first"),
)


def fault(rules: Rules, name: str) -> tuple[str, int] | None:
    """What is wrong with a name, and where; None if nothing."""
    for pattern, text in rules:
        if found := re.search(pattern, name):
            return text, found.start()
    return None


def join(namespace: str, name: str) -> str:
    """`name` in `namespace`."""
    return f"{namespace.rstrip('/')}/{name}"


def expand(name: str, node_name: str, namespace: str) -> str:
    """The absolute form of a topic or service name."""
    name = name.replace("{node}", node_name).replace("{ns}", namespace).replace("{namespace}", namespace)
    name = re.sub("/+", "/", name)
    if name == "~" or name.startswith("~/"):
        return join(namespace, node_name) + name[1:]
    return name if name.startswith("/") else join(namespace, name)


def remap(absolute: str, rules: Iterable[RemapRule], node_name: str, namespace: str, kind: str = "rostopic") -> str:
    """The absolute name, of a `rostopic` or `rosservice`, after the first rule that matches."""
    for rule in rules:
        meant = not rule.match.startswith("__") and rule.node in ("", node_name) and rule.kind in ("", kind)
        if meant and expand(rule.match, node_name, namespace) == absolute:
            return expand(rule.replacement, node_name, namespace)
    return absolute
