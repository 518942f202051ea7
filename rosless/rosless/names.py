"""Names of nodes, topics and services: rules, expansion, remapping."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rosless.arguments import RemapRule

TOKEN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
SUBSTITUTIONS = {"node", "ns", "namespace"}


def fault_of_topic(name: str) -> tuple[str, int] | None:
    """What is wrong with a topic or service name, and where; None if nothing."""
    if not name:
        return "topic name must not be empty", 0
    if name.endswith("/") and name != "/":
        return "topic name must not end with a forward slash", len(name) - 1
    if found := re.search(r"[^A-Za-z0-9_/~{}]", name):
        return "topic name must not contain characters other than alphanumerics, '_', '~', '{', or '}'", found.start()
    if found := re.search(r"(?<!^)~|^~(?=[^/])", name):
        return "topic name has a tilde '~' that is not its first token", found.start()
    if found := re.search(r"//", name):
        return "topic name must not contain repeated '/'", found.start() + 1
    if found := re.search(r"(?:^|/)\d", name):
        return "topic name token must not start with a number", found.end() - 1
    if name.count("{") != name.count("}"):
        return "topic name must not have unbalanced curly braces '{}'", max(name.find("{"), 0)
    return None


def fault_of_node_name(name: str) -> tuple[str, int] | None:
    """What is wrong with a node name, and where; None if nothing."""
    if not name:
        return "node name must not be empty", 0
    if found := re.search(r"[^A-Za-z0-9_]", name):
        return "node name must not contain characters other than alphanumerics or '_'", found.start()
    if name[0].isdigit():
        return "node name must not start with a number", 0
    return None


def fault_of_namespace(namespace: str) -> tuple[str, int] | None:
    """What is wrong with an absolute namespace, and where; None if nothing."""
    if not namespace.startswith("/"):
        return "namespace must be absolute, it must lead with a '/'", 0
    if namespace == "/":
        return None
    for token in namespace[1:].split("/"):
        if not TOKEN.fullmatch(token):
            return (
                "namespace must be made of tokens of alphanumerics and '_' that do not start with a number",
                namespace.find(token),
            )
    return None


def join(namespace: str, name: str) -> str:
    """`name` in `namespace`."""
    return f"{namespace.rstrip('/')}/{name}"


def expand(name: str, node_name: str, namespace: str) -> str:
    """The absolute form of a topic or service name."""
    name = name.replace("{node}", node_name).replace("{ns}", namespace).replace("{namespace}", namespace)
    name = re.sub("/+", "/", name)
    if name.startswith("/"):
        return name
    if name == "~" or name.startswith("~/"):
        return join(namespace, node_name) + name[1:]
    return join(namespace, name)


def remap(absolute: str, rules: Sequence[RemapRule], node_name: str, namespace: str) -> str:
    """The absolute name after the first rule that matches."""
    for rule in rules:
        if rule.match.startswith("__") or rule.node not in ("", node_name):
            continue
        if expand(rule.match, node_name, namespace) == absolute:
            return expand(rule.replacement, node_name, namespace)
    return absolute
