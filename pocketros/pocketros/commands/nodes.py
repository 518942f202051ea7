"""The verbs of `ros2 node`."""

from __future__ import annotations

import argparse

from rclpy.action import get_action_client_names_and_types_by_node, get_action_server_names_and_types_by_node

from pocketros.commands import show
from pocketros.commands.session import absolute, cli_node, known, spin_for
from pocketros.errors import PocketrosError

Options = argparse.Namespace


def node_list(options: Options) -> None:
    with cli_node() as node:
        spin_for(node, options.spin_time)
        names = node.get_node_names_and_namespaces()
    chosen = [f"{space.rstrip('/')}/{name}" for name, space in names if options.all or not name.startswith("_")]
    for line in [str(len(chosen))] if options.count_nodes else chosen:
        show(line)


def node_info(options: Options) -> None:
    full = absolute(options.node)
    namespace, _, name = full.rpartition("/")
    owner = (name, namespace or "/")
    with cli_node() as node:
        if not known(node, lambda: owner in node.get_node_names_and_namespaces(), options.spin_time):
            raise PocketrosError(f"unable to find node '{full}'")
        show(full)
        for title, found in (
            ("Subscribers", node.get_subscriber_names_and_types_by_node(*owner)),
            ("Publishers", node.get_publisher_names_and_types_by_node(*owner)),
            ("Service Servers", node.get_service_names_and_types_by_node(*owner)),
            ("Service Clients", node.get_client_names_and_types_by_node(*owner)),
            ("Action Servers", get_action_server_names_and_types_by_node(node, *owner)),
            ("Action Clients", get_action_client_names_and_types_by_node(node, *owner)),
        ):
            chosen = ((topic, kinds) for topic, kinds in found if options.include_hidden or "/_" not in topic)
            show(f"  {title}:")
            show("\n".join(f"    {topic}: {', '.join(kinds)}" for topic, kinds in chosen))
