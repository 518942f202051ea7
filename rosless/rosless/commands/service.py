"""`ros2 service`."""

from __future__ import annotations

import argparse

from rosless.commands.session import add_spin_time, cli_node, discover, load_type, parse_values, show, spin_until
from rosless.errors import RoslessError
from rosless.interfaces.plain import fill


def list_services(options: argparse.Namespace) -> int:
    with cli_node() as node:
        discover(node, options.spin_time)
        found = [
            (name, kinds)
            for name, kinds in node.get_service_names_and_types()
            if options.include_hidden_services or not any(part.startswith("_") for part in name.split("/"))
        ]
    for name, kinds in found:
        show(f"{name} [{', '.join(kinds)}]" if options.show_types else name)
    return 0


def show_type(options: argparse.Namespace) -> int:
    with cli_node() as node:
        discover(node, options.spin_time)
        name = options.service if options.service.startswith("/") else f"/{options.service}"
        kinds = dict(node.get_service_names_and_types()).get(name)
    if not kinds:
        raise RoslessError(f"unknown service '{name}'")
    for kind in kinds:
        show(kind)
    return 0


def call(options: argparse.Namespace) -> int:
    kind = load_type(options.type, "srv")
    request = fill(kind.Request(), parse_values(options.values))
    with cli_node() as node:
        client = node.create_client(kind, options.service)
        if not client.wait_for_service(options.wait if options.wait is not None else 1.0):
            show("waiting for service to become available...")
            if not client.wait_for_service(options.timeout):
                raise RoslessError(f"service '{options.service}' is not available")
        show(f"requester: making request: {request!r}\n")
        show(f"response:\n{spin_until(node, client.call_async(request), options.timeout)!r}\n")
    return 0


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="ros2 service")
    verbs = parser.add_subparsers(required=True, metavar="verb")
    verb = verbs.add_parser("list", help="list the services")
    verb.add_argument("-t", "--show-types", action="store_true")
    verb.add_argument("--include-hidden-services", action="store_true")
    add_spin_time(verb)
    verb.set_defaults(run=list_services)
    verb = verbs.add_parser("type", help="show the type of a service")
    verb.add_argument("service")
    add_spin_time(verb)
    verb.set_defaults(run=show_type)
    verb = verbs.add_parser("call", help="call a service")
    verb.add_argument("service")
    verb.add_argument("type")
    verb.add_argument("values", nargs="?", default="{}")
    verb.add_argument("--timeout", type=float, help="seconds to wait at most")
    verb.set_defaults(run=call, wait=None)
    options = parser.parse_args(words)
    return int(options.run(options))
