"""What the verbs that join the graph share: a node, one loop to wait in, types by name, YAML."""

from __future__ import annotations

import math
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import rclpy
import yaml
from rclpy.exceptions import NameValidationException
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from pocketros.commands import show
from pocketros.errors import PocketrosError
from pocketros.interfaces.messages import interface_class
from pocketros.interfaces.plain import to_plain

POLL = 0.02
GRACE = 2.0  # seconds for something to be discovered, after which it counts as not there
PATIENCE = 5.0  # seconds for others to be discovered, and to answer


@contextmanager
def cli_node() -> Iterator[Node]:
    """A node for the time of a command.  Ctrl-C raises KeyboardInterrupt, SIGTERM ends with the exit code 15."""

    def terminate(number: int, frame: FrameType | None) -> None:
        sys.exit(number)

    before = signal.signal(signal.SIGTERM, terminate)
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    node = Node(f"_ros2cli_{os.getpid()}", start_parameter_services=False, enable_rosout=False)
    try:
        node.get_node_names()  # begins to listen to the graph
        yield node
    except NameValidationException as error:
        raise PocketrosError(str(error)) from None
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
        signal.signal(signal.SIGTERM, before)


def spin_until(node: Node, ready: Callable[[], Any], seconds: float = math.inf) -> Any:
    """The first true value of a function while the node's callbacks run; what it is when the time is over."""
    end = time.monotonic() + seconds
    while not (value := ready()) and time.monotonic() < end:
        rclpy.spin_once(node, timeout_sec=POLL)
    return value


def spin_for(node: Node, seconds: float) -> None:
    """Run the node's callbacks for some time."""
    spin_until(node, lambda: False, seconds)


def result_of(node: Node, future: Any, seconds: float = math.inf) -> Any:
    """The result of a future.

    Raises:
        PocketrosError: the time is over.
    """
    if not spin_until(node, future.done, seconds):
        raise PocketrosError(f"no answer within {seconds} s")
    return future.result()


def known(node: Node, look: Callable[[], Any], spin_time: float) -> Any:
    """What a look at the graph finds: after some time in which all of it comes in, or later if it finds nothing."""
    spin_for(node, spin_time)
    return spin_until(node, look, GRACE)


def types_of(node: Node, name: str, look: Callable[[], Iterable[tuple[str, list[str]]]], spin_time: float) -> list[str]:
    """Types of what a look at the graph finds under a name; none if nothing is called so."""
    wanted = absolute(name)
    return known(node, lambda: dict(look()).get(wanted), spin_time) or []


def list_names(found: Iterable[tuple[str, list[str]]], hidden_too: bool, types: bool, count: bool) -> None:
    """Show names of the graph, with their types or only their number."""
    chosen = [(name, kinds) for name, kinds in found if hidden_too or "/_" not in name]
    if count:
        show(str(len(chosen)))
    else:
        for name, kinds in chosen:
            show(f"{name} [{', '.join(kinds)}]" if types else name)


def show_types(name: str, what: str, kinds: list[str]) -> None:
    """Show the types of a name, one a line.

    Raises:
        PocketrosError: there are none.
    """
    if not kinds:
        raise PocketrosError(f"unknown {what} '{name}'")
    for kind in kinds:
        show(kind)


def find_names(found: Iterable[tuple[str, list[str]]], kind: str, hidden_too: bool, count: bool) -> None:
    """Show the names that have a type."""
    list_names(((name, kinds) for name, kinds in found if kind in kinds), hidden_too, False, count)


def absolute(name: str) -> str:
    """A name from a command line, which begins at the root."""
    return name if name.startswith("/") else f"/{name}"


def load_type(name: str, kind: str) -> Any:
    """The class of an interface, in whose name the kind (msg, srv, action) may be missing.

    Raises:
        PocketrosError: it is not the name of such an interface.
    """
    parts = name.split("/")
    if len(parts) not in (2, 3) or parts[1:-1] not in ([], [kind]):
        raise PocketrosError(f"'{name}' is not the name of a {kind} interface; expected package/{kind}/Name")
    return interface_class(f"{parts[0]}/{kind}/{parts[-1]}")


def as_yaml(value: Any, longest: int | None = None) -> str:
    """A message, or a value of one, as YAML."""
    plain = to_plain(value, longest)
    if not isinstance(plain, dict | list):
        return str(plain)
    style = None if isinstance(plain, list) else False
    return str(yaml.safe_dump(plain, sort_keys=False, default_flow_style=style, allow_unicode=True)).rstrip("\n")
