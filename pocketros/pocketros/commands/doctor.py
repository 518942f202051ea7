"""`ros2 doctor`: what this rclpy is, where it listens, who is there, and who cannot be talked to for which reason."""

from __future__ import annotations

import argparse
import os
import platform
from collections import Counter
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import rclpy
from rcl_interfaces.srv import ListParameters
from rclpy.node import Node

from pocketros.commands import show
from pocketros.commands.session import cli_node, spin_for, spin_until
from pocketros.wire.domain import discovery_range
from pocketros.wire.graph import DISCOVERY, Graph
from pocketros.wire.native import RemoteEndpoint
from pocketros.wire.types import PLACE

Options = argparse.Namespace
# The first two bytes of the name that a participant gives itself
VENDORS = {
    b"\x01\x01": "RTI Connext DDS",
    b"\x01\x02": "OpenSplice DDS",
    b"\x01\x03": "OpenDDS",
    b"\x01\x0f": "Fast DDS",
    b"\x01\x10": "Cyclone DDS",
    b"\x01\x11": "GurumDDS",
}
OURS = "Cyclone DDS"
REACHES = {
    "LOCALHOST": "this machine; ROS_AUTOMATIC_DISCOVERY_RANGE=SUBNET for nodes of other machines",
    "SUBNET": "the network",
    "OFF": "nobody, as ROS_AUTOMATIC_DISCOVERY_RANGE is OFF",
    "SYSTEM_DEFAULT": "what Cyclone DDS does by itself",
}


def doctor(options: Options) -> int:
    """1 if something is wrong."""
    with cli_node() as node:
        spin_for(node, options.spin_time)
        graph: Graph = node.context.graph
        others = [one for one in graph.endpoints() if one.participant != graph.session.gid]
        _tell("ROS 2", _installation(node))
        silent = _silent(node, options.timeout)
        _tell("NODES", _nodes(graph, others, silent))
    problems = [*_of_environment(), *_of_vendors(graph, others), *_of_topics(others), *_of_nodes(graph, silent)]
    _tell("PROBLEMS", (("", problem) for problem in problems or ["none"]))
    return int(bool(problems))


def _tell(title: str, rows: Iterable[tuple[str, str]]) -> None:
    listed = list(rows)
    width = max((len(label) for label, _ in listed), default=0)
    show(f"   {title}")
    for label, text in listed:
        show(f"{label:{width}} : {text}" if label else text)
    show("")


def _installation(node: Node) -> Iterator[tuple[str, str]]:
    yield "rclpy", f"pocketros {version('pocketros')}, {Path(str(rclpy.__file__)).parent}"
    yield "python", platform.python_version()
    yield "middleware", f"Cyclone DDS (cyclonedds {version('cyclonedds')}), as rmw_cyclonedds_cpp"
    yield "definitions", os.environ.get("ROS_DISTRO", "jazzy")
    yield "domain", str(node.context.get_domain_id())
    yield "reach", "as CYCLONEDDS_URI says" if os.environ.get("CYCLONEDDS_URI") else REACHES[discovery_range()]


def _vendor(participant: bytes) -> str:
    return VENDORS.get(participant[:2], "another DDS")


def _full(owner: tuple[str, str]) -> str:
    namespace, name = owner
    return f"{namespace.rstrip('/')}/{name}"


def _by_node(graph: Graph, others: list[RemoteEndpoint]) -> dict[tuple[bytes, str], list[RemoteEndpoint]]:
    """Endpoints by participant and full name of the node, which is empty where nobody has announced one."""
    found: dict[tuple[bytes, str], list[RemoteEndpoint]] = {}
    for one in others:
        owner = graph.owner(one.gid)
        if one.topic_name != DISCOVERY[0] and one.ros_type != PLACE:
            found.setdefault((one.participant, _full(owner) if owner else ""), []).append(one)
    return found


def _nodes(graph: Graph, others: list[RemoteEndpoint], silent: set[str]) -> Iterator[tuple[str, str]]:
    rows = []
    for (participant, name), endpoints in _by_node(graph, others).items():
        vendor = _vendor(participant)
        known = name or f"a participant that names no node, {'.'.join(f'{byte:02x}' for byte in participant[:12])}"
        answer = ", does not answer" if name in silent else ""
        rows.append((known, f"{vendor}, {len(endpoints)} endpoints{answer}"))
    yield from sorted(rows) or [("", "nobody")]


def _silent(node: Node, timeout: float) -> set[str]:
    """Nodes with parameter services that do not answer them."""
    ending = "/list_parameters"
    served = {
        name.removesuffix(ending): node.create_client(ListParameters, name)
        for name, _ in node.get_service_names_and_types()
        if name.endswith(ending)
    }
    asked: dict[str, Any] = {}

    def answered() -> bool:
        for name, client in served.items():
            if name not in asked and client.service_is_ready():
                asked[name] = client.call_async(ListParameters.Request())
        return len(asked) == len(served) and all(future.done() for future in asked.values())

    spin_until(node, answered, timeout)
    return {name for name in served if name not in asked or not asked[name].done()}


def _of_environment() -> Iterator[str]:
    asked = os.environ.get("RMW_IMPLEMENTATION", "rmw_cyclonedds_cpp")
    if asked != "rmw_cyclonedds_cpp":
        yield f"RMW_IMPLEMENTATION is {asked} here, and pocketros is Cyclone DDS always: unset it, or source a ROS 2"


def _of_vendors(graph: Graph, others: list[RemoteEndpoint]) -> Iterator[str]:
    for (participant, name), endpoints in _by_node(graph, others).items():
        if (vendor := _vendor(participant)) != OURS:
            topics = sorted({f"/{one.topic_name[3:]}" for one in endpoints if one.topic_name.startswith("rt/")})
            who = name or f"who is at {', '.join(topics[:3])}{' and others' * (len(topics) > 3)}"
            yield (
                f"{who} is on {vendor}: its topics pass; its services, actions and parameters do not, as it carries "
                "the identity of a request elsewhere: export RMW_IMPLEMENTATION=rmw_cyclonedds_cpp there"
            )


def _of_topics(others: list[RemoteEndpoint]) -> Iterator[str]:
    by_topic: dict[str, list[RemoteEndpoint]] = {}
    for one in others:
        if one.topic_name.startswith(("rt/", "rq/")):
            by_topic.setdefault(one.topic_name, []).append(one)
    for topic, endpoints in sorted(by_topic.items()):
        name = topic[2:].removesuffix("Request") if topic.startswith("rq/") else topic[2:]
        kinds = sorted({one.ros_type.removesuffix("_Request") for one in endpoints})
        hashes = {one.user_data["typehash"] for one in endpoints if "typehash" in one.user_data}
        if len(kinds) > 1:
            yield f"{name} has several types, {', '.join(kinds)}: between them nothing passes; rename one of the topics"
        elif len(hashes) > 1:
            yield (
                f"{name}: {kinds[0]} is defined differently by those who use it: build the same version of its package "
                "on all sides, and set ROS_DISTRO to that of the robot"
            )
        writers = [one for one in endpoints if one.is_writer]
        readers = [one for one in endpoints if not one.is_writer]
        for asked, offered, lacks in (
            ("RELIABLE", "BEST_EFFORT", _lack(writers, readers, "reliable")),
            ("TRANSIENT_LOCAL", "VOLATILE", _lack(writers, readers, "latched")),
        ):
            if lacks:
                yield f"{name}: a subscription asks for {asked}, a publisher offers {offered}: they do not match"


def _lack(writers: list[RemoteEndpoint], readers: list[RemoteEndpoint], policy: str) -> bool:
    """Whether a writer does not offer what a reader asks for."""
    return any(getattr(one, policy) for one in readers) and not all(getattr(one, policy) for one in writers)


def _of_nodes(graph: Graph, silent: set[str]) -> Iterator[str]:
    for name, count in sorted(Counter(map(_full, graph.nodes())).items()):
        if count > 1:
            yield f"{count} nodes are called {name}: who asks one may be answered by another; rename with -r __node:="
    for name in sorted(silent):
        yield (
            f"{name} does not answer: it is stopped, busy in a callback, on another middleware, or was killed within "
            "the last 10 s"
        )
