"""The verbs of `ros2 topic`."""

from __future__ import annotations

import argparse
import contextlib
import math
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from rclpy.duration import Duration
from rclpy.node import Node, TopicEndpointInfo
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.time import Time

from pocketros.commands import show
from pocketros.commands.session import (
    PATIENCE,
    absolute,
    as_yaml,
    cli_node,
    find_names,
    list_names,
    load_type,
    show_types,
    spin_for,
    spin_until,
    types_of,
)
from pocketros.errors import PocketrosError
from pocketros.interfaces.plain import fill
from pocketros.rcl_yaml import read_yaml

Options = argparse.Namespace
KEEP_ALIVE = 0.1  # seconds that a publisher stays after its last message, for those that do not acknowledge


def topic_list(options: Options) -> None:
    with cli_node() as node:
        spin_for(node, options.spin_time)
        found = node.get_topic_names_and_types()
        if not options.verbose or options.count_topics:
            list_names(found, options.include_hidden_topics, options.show_types, options.count_topics)
            return
        for title, count_of, what in (
            ("Published", node.count_publishers, "publisher"),
            ("Subscribed", node.count_subscribers, "subscriber"),
        ):
            show(f"{title} topics:")
            for name, kinds in found:
                if (count := count_of(name)) and (options.include_hidden_topics or "/_" not in name):
                    show(f" * {name} [{', '.join(kinds)}] {count} {what}{'s' * (count > 1)}")
            show("")


def _types_of(node: Node, options: Options) -> list[str]:
    return types_of(node, options.topic, node.get_topic_names_and_types, options.spin_time)


def topic_type(options: Options) -> None:
    with cli_node() as node:
        show_types(options.topic, "topic", _types_of(node, options))


def topic_find(options: Options) -> None:
    with cli_node() as node:
        spin_for(node, options.spin_time)
        found = node.get_topic_names_and_types()
        find_names(found, options.type, options.include_hidden_topics, options.count_topics)


def topic_info(options: Options) -> None:
    topic = absolute(options.topic)
    with cli_node() as node:
        if not (kinds := _types_of(node, options)):
            raise PocketrosError(f"unknown topic '{topic}'")
        show(f"Type: {kinds[0] if len(kinds) == 1 else kinds}")
        for label, infos in (
            ("Publisher", node.get_publishers_info_by_topic(topic)),
            ("Subscription", node.get_subscriptions_info_by_topic(topic)),
        ):
            if not options.verbose:
                show(f"{label} count: {len(infos)}")
                continue
            show(f"\n{label} count: {len(infos)}\n")
            if infos:
                show("\n\n".join(map(_described, infos)))


def _described(info: TopicEndpointInfo) -> str:
    qos = info.qos_profile
    return "\n".join(
        (
            f"Node name: {info.node_name}",
            f"Node namespace: {info.node_namespace}",
            f"Topic type: {info.topic_type}",
            f"Topic type hash: {info.topic_type_hash}",
            f"Endpoint type: {info.endpoint_type}",
            f"GID: {'.'.join(f'{byte:02x}' for byte in info.endpoint_gid)}",
            "QoS profile:",
            f"  Reliability: {qos.reliability.name}",
            f"  History (Depth): {qos.history.name}",
            f"  Durability: {qos.durability.name}",
            f"  Lifespan: {qos.lifespan}",
            f"  Deadline: {qos.deadline}",
            f"  Liveliness: {qos.liveliness.name}",
            f"  Liveliness lease duration: {qos.liveliness_lease_duration}",
        )
    )


def _subscribe(
    node: Node, options: Options, heard: Callable[[Any], None], patience: float = math.inf, raw: bool = False
) -> None:
    """Listen to a topic with its type and a QoS that all its present publishers can serve."""
    topic = absolute(options.topic)
    named = [options.type] if options.type else None
    kinds = named or spin_until(node, lambda: dict(node.get_topic_names_and_types()).get(topic), patience)
    if not kinds:
        raise PocketrosError(f"topic '{topic}' does not appear to be published yet; its type is unknown")
    if len(kinds) > 1:
        raise PocketrosError(f"topic '{topic}' has more than one type: {', '.join(kinds)}")
    profiles = [info.qos_profile for info in spin_until(node, lambda: node.get_publishers_info_by_topic(topic), 0.5)]
    qos = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
    if profiles and all(one.reliability == ReliabilityPolicy.RELIABLE for one in profiles):
        qos.reliability = ReliabilityPolicy.RELIABLE
    if profiles and all(one.durability == DurabilityPolicy.TRANSIENT_LOCAL for one in profiles):
        qos.durability = DurabilityPolicy.TRANSIENT_LOCAL
    node.create_subscription(load_type(kinds[0], "msg"), topic, heard, qos, raw=raw)


def topic_echo(options: Options) -> None:
    seen: list[bool] = []

    def heard(message: Any) -> None:
        if options.once and seen:
            return
        for part in filter(None, options.field.split(".")):
            message = getattr(message, part)
        show(as_yaml(message, None if options.full_length else options.truncate_length) + "\n---")
        seen.append(True)

    with cli_node() as node:
        _subscribe(node, options, heard, min(PATIENCE, options.timeout))
        spin_until(node, lambda: options.once and seen, options.timeout)


def topic_hz(options: Options) -> None:
    times: deque[float] = deque(maxlen=options.window)
    with contextlib.suppress(KeyboardInterrupt), cli_node() as node:
        _subscribe(node, options, lambda data: times.append(time.monotonic()), raw=True)
        shown = 0.0
        while True:
            spin_for(node, 1.0)
            gaps = [later - earlier for earlier, later in zip(list(times), list(times)[1:], strict=False)]
            if gaps and times[-1] != shown:
                mean, shown = sum(gaps) / len(gaps), times[-1]
                deviation = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
                spread = f"min: {min(gaps):.3f}s max: {max(gaps):.3f}s std dev: {deviation:.5f}s window: {len(gaps)}"
                show(f"average rate: {1 / mean:.3f}\n\t{spread}")


def topic_pub(options: Options) -> None:
    kind = load_type(options.type, "msg")
    values = read_yaml(options.values or "{}", texts=True)
    fill(kind(), values, now=Time().to_msg())  # what is wrong is told before anything begins
    times = 1 if options.once else options.times
    with cli_node() as node:
        qos = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        publisher = node.create_publisher(kind, options.topic, qos)
        if times and not spin_until(node, publisher.get_subscription_count, 1.0):
            show("Waiting for at least 1 matching subscription(s)...")
            spin_until(node, publisher.get_subscription_count)
        show("publisher: beginning loop")
        count = 0
        while not times or count < times:
            spin_for(node, 1.0 / options.rate if count else 0.0)
            count += 1
            message = fill(kind(), values, now=node.get_clock().now().to_msg())
            show(f"publishing #{count}: {message!r}\n")
            publisher.publish(message)
        publisher.wait_for_all_acked(Duration(seconds=1))
        spin_for(node, KEEP_ALIVE)
