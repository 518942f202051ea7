"""`ros2 node`."""

from __future__ import annotations

import argparse

from rosless.commands.session import add_spin_time, cli_node, discover, show
from rosless.errors import RoslessError


def list_nodes(options: argparse.Namespace) -> int:
    with cli_node() as node:
        discover(node, options.spin_time)
        names = [
            name
            for name in node.get_fully_qualified_node_names()
            if options.all or not name.rpartition("/")[2].startswith("_")
        ]
    for name in names:
        show(name)
    return 0


def info(options: argparse.Namespace) -> int:
    name = options.node if options.node.startswith("/") else f"/{options.node}"
    with cli_node() as node:
        discover(node, options.spin_time)
        if name not in node.get_fully_qualified_node_names():
            raise RoslessError(f"unable to find node '{name}'")
        graph = node.context.graph
        own = []
        for one in graph.endpoints():
            owner = graph.owner(one.gid)
            if owner is not None and f"{owner[0].rstrip('/')}/{owner[1]}" == name:
                own.append(one)
    show(name)
    for title, prefix, writers, suffix in (
        ("Subscribers", "rt/", False, ""),
        ("Publishers", "rt/", True, ""),
        ("Service Servers", "rq/", False, "Request"),
        ("Service Clients", "rq/", True, "Request"),
    ):
        show(f"  {title}:")
        for one in sorted(own, key=lambda one: one.topic_name):
            if one.topic_name.startswith(prefix) and one.is_writer == writers:
                ros_name = "/" + one.topic_name.removeprefix(prefix).removesuffix(suffix)
                show(f"    {ros_name}: {one.ros_type.removesuffix('_Request')}")
    return 0


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="ros2 node")
    verbs = parser.add_subparsers(required=True, metavar="verb")
    verb = verbs.add_parser("list", help="list the nodes")
    verb.add_argument("-a", "--all", action="store_true", help="hidden nodes too")
    add_spin_time(verb)
    verb.set_defaults(run=list_nodes)
    verb = verbs.add_parser("info", help="show what a node has")
    verb.add_argument("node")
    add_spin_time(verb)
    verb.set_defaults(run=info)
    options = parser.parse_args(words)
    return int(options.run(options))
