"""`ros2 topic`."""

from __future__ import annotations

import argparse
import time
from collections import deque
from typing import Any

import rclpy
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from rosless.commands.session import (
    add_spin_time,
    as_yaml,
    cli_node,
    discover,
    load_type,
    parse_values,
    show,
    wait_until,
)
from rosless.errors import RoslessError
from rosless.interfaces.plain import fill


def _topic_type(node: Node, topic: str, seconds: float | None = None) -> str:
    """The type of a topic, waiting for it to appear."""

    def known() -> list[str]:
        return dict(node.get_topic_names_and_types()).get(topic, [])

    kinds = wait_until(node, known, seconds)
    if not kinds:
        raise RoslessError(f"topic '{topic}' does not appear to be published yet; its type is unknown")
    if len(kinds) > 1:
        raise RoslessError(f"cannot echo topic '{topic}', as it contains more than one type: {', '.join(kinds)}")
    return str(kinds[0])


def _qos_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--qos-reliability", choices=["reliable", "best_effort"])
    parser.add_argument("--qos-durability", choices=["volatile", "transient_local"])
    parser.add_argument("--qos-depth", type=int, default=10)


def _qos(options: argparse.Namespace, reliability: ReliabilityPolicy, durability: DurabilityPolicy) -> QoSProfile:
    if options.qos_reliability:
        reliability = ReliabilityPolicy[options.qos_reliability.upper()]
    if options.qos_durability:
        durability = DurabilityPolicy[options.qos_durability.upper()]
    return QoSProfile(depth=options.qos_depth, reliability=reliability, durability=durability)


def _matching_qos(node: Node, topic: str, options: argparse.Namespace) -> QoSProfile:
    """What all present publishers can serve."""
    profiles = [info.qos_profile for info in node.get_publishers_info_by_topic(topic)]
    reliable = profiles and all(one.reliability == ReliabilityPolicy.RELIABLE for one in profiles)
    latched = profiles and all(one.durability == DurabilityPolicy.TRANSIENT_LOCAL for one in profiles)
    return _qos(
        options,
        ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


def _absolute(topic: str) -> str:
    return topic if topic.startswith("/") else f"/{topic}"


def list_topics(options: argparse.Namespace) -> int:
    with cli_node() as node:
        discover(node, options.spin_time)
        found = [
            (name, kinds)
            for name, kinds in node.get_topic_names_and_types()
            if options.include_hidden_topics or not any(part.startswith("_") for part in name.split("/"))
        ]
    for name, kinds in found:
        show(f"{name} [{', '.join(kinds)}]" if options.show_types else name)
    if options.count_topics:
        show(str(len(found)))
    return 0


def show_type(options: argparse.Namespace) -> int:
    with cli_node() as node:
        discover(node, options.spin_time)
        show(_topic_type(node, _absolute(options.topic), 0.0))
    return 0


def info(options: argparse.Namespace) -> int:
    topic = _absolute(options.topic)
    with cli_node() as node:
        discover(node, options.spin_time)
        show(f"Type: {_topic_type(node, topic, 0.0)}")
        for label, infos in (
            ("Publisher", node.get_publishers_info_by_topic(topic)),
            ("Subscription", node.get_subscriptions_info_by_topic(topic)),
        ):
            show(f"{label} count: {len(infos)}")
            for one in infos if options.verbose else []:
                gid = ".".join(f"{byte:02x}" for byte in one.endpoint_gid)
                show(
                    f"\nNode name: {one.node_name}\nNode namespace: {one.node_namespace}\n"
                    f"Topic type: {one.topic_type}\nEndpoint type: {one.endpoint_type}\nGID: {gid}\nQoS profile:\n"
                    f"  Reliability: {one.qos_profile.reliability.name}\n"
                    f"  Durability: {one.qos_profile.durability.name}\n"
                )
    return 0


def _find_topic(node: Node, options: argparse.Namespace) -> tuple[str, Any]:
    topic = _absolute(options.topic)
    name = options.type or _topic_type(node, topic, getattr(options, "timeout", None))
    return topic, load_type(name, "msg")


def echo(options: argparse.Namespace) -> int:
    with cli_node() as node:
        topic, kind = _find_topic(node, options)
        wait_until(node, lambda: node.get_publishers_info_by_topic(topic), 0.5)
        seen: deque[Any] = deque()

        def heard(message: Any) -> None:
            value = message
            for part in (options.field or "").split("."):
                value = getattr(value, part) if part else value
            show(as_yaml(value, None if options.full_length else options.truncate_length))
            show("---")
            seen.append(1)

        node.create_subscription(kind, topic, heard, _matching_qos(node, topic, options))
        end = None if options.timeout is None else time.monotonic() + options.timeout
        while not (options.once and seen):
            rclpy.spin_once(node, timeout_sec=None if end is None else max(end - time.monotonic(), 0.0))
            if end is not None and time.monotonic() > end:
                return 0 if seen else 1
    return 0


def pub(options: argparse.Namespace) -> int:
    topic, kind = options.topic, load_type(options.type, "msg")
    message = fill(kind(), parse_values(options.values))
    once = options.once or options.times == 1
    times = 1 if options.once else options.times
    wanted = options.wait_matching_subscriptions
    if wanted is None:
        wanted = 1 if once or times else 0
    with cli_node() as node:
        publisher = node.create_publisher(
            kind, topic, _qos(options, ReliabilityPolicy.RELIABLE, DurabilityPolicy.TRANSIENT_LOCAL)
        )
        start = time.monotonic()
        while publisher.get_subscription_count() < wanted and node.context.ok():
            if options.max_wait_time_secs is not None and time.monotonic() - start > options.max_wait_time_secs:
                raise RoslessError(
                    f"timed out waiting for subscribers of '{topic}': expected {wanted}, found "
                    f"{publisher.get_subscription_count()}"
                )
            if time.monotonic() - start > 1.0:
                show("Waiting for at least 1 matching subscription(s)...")
                start = time.monotonic() if options.max_wait_time_secs is None else start
                time.sleep(0.9)
            time.sleep(0.02)
        show("publisher: beginning loop")
        count = 0
        while node.context.ok():
            count += 1
            show(f"publishing #{count}: {message!r}\n")
            publisher.publish(message)
            if times and count >= times:
                break
            time.sleep(1.0 / options.rate)
        publisher.wait_for_all_acked(rclpy.duration.Duration(seconds=1))
        time.sleep(options.keep_alive if once else 0.0)
    return 0


def hz(options: argparse.Namespace) -> int:
    with cli_node() as node:
        topic, kind = _find_topic(node, options)
        wait_until(node, lambda: node.get_publishers_info_by_topic(topic), 0.5)
        times: deque[float] = deque(maxlen=options.window)
        node.create_subscription(
            kind, topic, lambda data: times.append(time.monotonic()), _matching_qos(node, topic, options), raw=True
        )
        shown = time.monotonic()
        while True:
            rclpy.spin_once(node, timeout_sec=0.1)
            if time.monotonic() - shown >= 1.0 and len(times) > 1:
                shown = time.monotonic()
                gaps = [later - earlier for earlier, later in zip(list(times), list(times)[1:], strict=False)]
                mean = sum(gaps) / len(gaps)
                deviation = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
                show(
                    f"average rate: {1 / mean:.3f}\n\tmin: {min(gaps):.3f}s max: {max(gaps):.3f}s std dev: "
                    f"{deviation:.5f}s window: {len(times)}"
                )
    return 0


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="ros2 topic")
    verbs = parser.add_subparsers(required=True, metavar="verb")
    verb = verbs.add_parser("list", help="list the topics")
    verb.add_argument("-t", "--show-types", action="store_true")
    verb.add_argument("-c", "--count-topics", action="store_true")
    verb.add_argument("--include-hidden-topics", action="store_true")
    add_spin_time(verb)
    verb.set_defaults(run=list_topics)
    verb = verbs.add_parser("type", help="show the type of a topic")
    verb.add_argument("topic")
    add_spin_time(verb)
    verb.set_defaults(run=show_type)
    verb = verbs.add_parser("info", help="show publishers and subscriptions of a topic")
    verb.add_argument("topic")
    verb.add_argument("-v", "--verbose", action="store_true")
    add_spin_time(verb)
    verb.set_defaults(run=info)
    verb = verbs.add_parser("echo", help="print the messages of a topic")
    verb.add_argument("topic")
    verb.add_argument("type", nargs="?")
    verb.add_argument("--once", action="store_true", help="end after the first message")
    verb.add_argument("--field", help="print this field only")
    verb.add_argument("--timeout", type=float, help="end after so many seconds")
    verb.add_argument("-f", "--full-length", action="store_true")
    verb.add_argument("-l", "--truncate-length", type=int, default=128)
    _qos_options(verb)
    verb.set_defaults(run=echo)
    verb = verbs.add_parser("pub", help="publish messages")
    verb.add_argument("topic")
    verb.add_argument("type")
    verb.add_argument("values", nargs="?", default="{}")
    verb.add_argument("-r", "--rate", type=float, default=1.0)
    verb.add_argument("-1", "--once", action="store_true")
    verb.add_argument("-t", "--times", type=int, default=0)
    verb.add_argument("-w", "--wait-matching-subscriptions", type=int)
    verb.add_argument("--max-wait-time-secs", type=float)
    verb.add_argument("--keep-alive", type=float, default=0.1)
    _qos_options(verb)
    verb.set_defaults(run=pub)
    verb = verbs.add_parser("hz", help="measure the rate of a topic")
    verb.add_argument("topic")
    verb.add_argument("-w", "--window", type=int, default=10000)
    verb.set_defaults(type=None)
    _qos_options(verb)
    verb.set_defaults(run=hz)
    options = parser.parse_args(words)
    return int(options.run(options))
