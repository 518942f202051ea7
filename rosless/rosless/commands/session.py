"""What the verbs share: a node for a moment, its spin time, printing."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import rclpy
import yaml
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node

from rosless.errors import RoslessError
from rosless.interfaces.messages import interface_class
from rosless.interfaces.plain import LONG, to_plain

SPIN_TIME = 0.5
SETTLED = 0.2


def show(text: str) -> None:
    """Write a line to the standard output, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


@contextmanager
def cli_node(name: str = "") -> Iterator[Node]:
    """A node for the time of a command, ended by Ctrl-C and SIGTERM."""
    rclpy.init(args=[])
    node = Node(f"_ros2cli_{name}{os.getpid()}", start_parameter_services=False, enable_rosout=False)
    try:
        yield node
    except (ExternalShutdownException, KeyboardInterrupt):
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


def add_spin_time(parser: argparse.ArgumentParser) -> None:
    """The option --spin-time."""
    parser.add_argument("--spin-time", type=float, default=SPIN_TIME, help="seconds to wait for discovery")
    parser.add_argument("--no-daemon", action="store_true", help="there never is a daemon")


def discover(node: Node, seconds: float) -> None:
    """Wait for discovery."""
    node.context.graph.watch_nodes()
    end = time.monotonic() + seconds
    while node.context.ok() and time.monotonic() < end:
        time.sleep(min(0.05, max(end - time.monotonic(), 0.0)))


def wait_until(node: Node, ready: Callable[[], Any], seconds: float | None) -> Any:
    """Wait until a function returns something true; its value, or None when the time is over."""
    end = None if seconds is None else time.monotonic() + seconds
    while node.context.ok():
        if value := ready():
            return value
        if end is not None and time.monotonic() >= end:
            return None
        time.sleep(0.02)
    return None


def load_type(name: str, kind: str) -> Any:
    """The class of an interface, with the kind filled in if it is missing.

    Raises:
        RoslessError: no such interface.
    """
    parts = name.split("/")
    if len(parts) == 2:
        parts.insert(1, kind)
    if len(parts) != 3 or parts[1] != kind:
        raise RoslessError(f"'{name}' is not the name of a {kind} interface; expected package/{kind}/Name")
    return interface_class("/".join(parts))


def parse_values(text: str) -> Any:
    """The plain values in a YAML text.

    Raises:
        RoslessError: it is not YAML.
    """
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RoslessError(f"'{text}' is not YAML: {' '.join(str(error).split())}") from error


def as_yaml(value: Any, longest: int | None = LONG) -> str:
    """A message, or a value of one, as YAML."""
    plain = to_plain(value, longest)
    if not isinstance(plain, dict | list):
        return str(plain)
    return yaml.safe_dump(
        plain, sort_keys=False, default_flow_style=None if isinstance(plain, list) else False, allow_unicode=True
    ).rstrip("\n")


def spin_until(node: Node, future: Any, seconds: float | None = None) -> Any:
    """The result of a future.

    Raises:
        RoslessError: the time is over.
    """
    rclpy.spin_until_future_complete(node, future, timeout_sec=seconds)
    if not future.done():
        if not node.context.ok():
            raise KeyboardInterrupt
        raise RoslessError(f"no answer within {seconds} s")
    return future.result()
