"""The verbs of `ros2 service`."""

from __future__ import annotations

import argparse

from pocketros.commands import show
from pocketros.commands.session import (
    cli_node,
    find_names,
    list_names,
    load_type,
    result_of,
    show_types,
    spin_for,
    spin_until,
    types_of,
)
from pocketros.errors import PocketrosError
from pocketros.interfaces.plain import fill
from pocketros.rcl_yaml import read_yaml

Options = argparse.Namespace


def service_list(options: Options) -> None:
    with cli_node() as node:
        spin_for(node, options.spin_time)
        found = node.get_service_names_and_types()
        list_names(found, options.include_hidden_services, options.show_types, options.count_services)


def service_type(options: Options) -> None:
    with cli_node() as node:
        kinds = types_of(node, options.service, node.get_service_names_and_types, options.spin_time)
        show_types(options.service, "service", kinds)


def service_find(options: Options) -> None:
    with cli_node() as node:
        spin_for(node, options.spin_time)
        found = node.get_service_names_and_types()
        find_names(found, options.type, options.include_hidden_services, options.count_services)


def service_call(options: Options) -> None:
    kind = load_type(options.type, "srv")
    request = fill(kind.Request(), read_yaml(options.values or "{}", texts=True))
    with cli_node() as node:
        client = node.create_client(kind, options.service)
        if not spin_until(node, client.service_is_ready, 1.0):
            show("waiting for service to become available...")
            if not spin_until(node, client.service_is_ready, options.timeout):
                raise PocketrosError(f"service '{options.service}' is not available")
        show(f"requester: making request: {request!r}\n")
        show(f"response:\n{result_of(node, client.call_async(request), options.timeout)!r}\n")
