"""The verbs of `ros2` about topics, nodes, services and actions."""

from __future__ import annotations

import argparse
import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from action_msgs.msg import GoalStatus
from rclpy.action import ActionClient
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from rosless.arguments import read_yaml
from rosless.commands import show
from rosless.commands.session import (
    PATIENCE,
    absolute,
    as_yaml,
    cli_node,
    load_type,
    result_of,
    spin_for,
    spin_until,
)
from rosless.errors import RoslessError
from rosless.interfaces.plain import fill
from rosless.wire.graph import RemoteEndpoint

Options = argparse.Namespace
Names = list[tuple[str, list[str]]]
# What a node takes part in: a title, whether it is the one that writes, prefix and ending of the DDS topic, ending of
# its type.  Of a service that is the topic of the requests, which the server reads.
SENDS_GOALS = ("rq", "/_action/send_goalRequest", "_SendGoal_Request")
ROLES = (
    ("Subscribers", False, ("rt", "", "")),
    ("Publishers", True, ("rt", "", "")),
    ("Service Servers", False, ("rq", "Request", "_Request")),
    ("Service Clients", True, ("rq", "Request", "_Request")),
    ("Action Servers", False, SENDS_GOALS),
    ("Action Clients", True, SENDS_GOALS),
)


def _names(endpoints: Iterable[RemoteEndpoint], prefix: str, ending: str, type_ending: str) -> Names:
    """Names and types of what endpoints belong to."""
    found: dict[str, set[str]] = {}
    for one in endpoints:
        kind, _, name = one.topic_name.partition("/")
        if kind == prefix and name.endswith(ending):
            found.setdefault("/" + name.removesuffix(ending), set()).add(one.ros_type.removesuffix(type_ending))
    return [(name, sorted(kinds)) for name, kinds in sorted(found.items())]


def _owner(node: Node, endpoint: RemoteEndpoint) -> str:
    namespace, name = node.context.graph.owner(endpoint.gid) or ("", "")
    return f"{namespace.rstrip('/')}/{name}"


def _nodes(node: Node, hidden: bool = False) -> list[str]:
    """Full names of the nodes."""
    found = node.get_node_names_and_namespaces()
    return sorted(f"{space.rstrip('/')}/{name}" for name, space in found if hidden or not name.startswith("_"))


def _show_names(options: Options, names: Names, hidden: bool) -> None:
    shown = [(name, kinds) for name, kinds in names if hidden or "/_" not in name]
    if options.count:
        show(str(len(shown)))
        return
    for name, kinds in shown:
        show(f"{name} [{', '.join(kinds)}]" if options.show_types else name)


def topic_list(options: Options) -> None:
    with cli_node() as node:
        spin_for(node, options.spin_time)
        _show_names(options, node.get_topic_names_and_types(), options.include_hidden_topics)


def service_list(options: Options) -> None:
    with cli_node() as node:
        spin_for(node, options.spin_time)
        _show_names(options, node.get_service_names_and_types(), options.include_hidden_services)


def action_list(options: Options) -> None:
    with cli_node() as node:
        spin_for(node, options.spin_time)
        _show_names(options, _names(node.context.graph.endpoints(), *SENDS_GOALS), hidden=True)


def node_list(options: Options) -> None:
    with cli_node() as node:
        spin_for(node, options.spin_time)
        names = _nodes(node, options.all)
    show(str(len(names)) if options.count else "\n".join(names))


def topic_info(options: Options) -> None:
    topic = absolute(options.topic)
    with cli_node() as node:
        kinds = spin_until(node, lambda: dict(node.get_topic_names_and_types()).get(topic), PATIENCE)
        if not kinds:
            raise RoslessError(f"Unknown topic '{topic}'")
        spin_for(node, options.spin_time)
        show(f"Type: {kinds[0] if len(kinds) == 1 else kinds}")
        for title, infos in (
            ("Publisher", node.get_publishers_info_by_topic(topic)),
            ("Subscription", node.get_subscriptions_info_by_topic(topic)),
        ):
            show(f"{title} count: {len(infos)}")
            for one in infos if options.verbose else ():
                qos = one.qos_profile
                policies = f"  Reliability: {qos.reliability.name}\n  Durability: {qos.durability.name}"
                names = f"Node name: {one.node_name}\nNode namespace: {one.node_namespace}"
                show(f"\n{names}\nTopic type: {one.topic_type}\nQoS profile:\n{policies}\n")


def node_info(options: Options) -> None:
    wanted = absolute(options.node)
    with cli_node() as node:
        if not spin_until(node, lambda: wanted in _nodes(node, hidden=True), PATIENCE):
            raise RoslessError(f"Unable to find node '{wanted}'; there are {', '.join(_nodes(node)) or 'none'}")
        spin_for(node, options.spin_time)
        own = [one for one in node.context.graph.endpoints() if _owner(node, one) == wanted]
    show(wanted)
    for title, writes, pattern in ROLES:
        show(f"  {title}:")
        for name, kinds in _names((one for one in own if one.is_writer == writes), *pattern):
            if options.include_hidden or "/_" not in name:
                show(f"    {name}: {', '.join(kinds)}")


def action_info(options: Options) -> None:
    name = absolute(options.action)
    with cli_node() as node:
        spin_for(node, options.spin_time)
        ends = [one for one in node.context.graph.endpoints() if (name, _type(one)) in _names([one], *SENDS_GOALS)]
        show(f"Action: {name}")
        for title, writes in (("clients", True), ("servers", False)):
            chosen = [one for one in ends if one.is_writer == writes]
            show(f"Action {title}: {len(chosen)}")
            for one in () if options.count else chosen:
                show(f"    {_owner(node, one)}" + (f" [{_type(one)[0]}]" if options.show_types else ""))


def _type(endpoint: RemoteEndpoint) -> list[str]:
    return [endpoint.ros_type.removesuffix(SENDS_GOALS[2])]


def _chosen_qos(options: Options, reliable: bool, latched: bool) -> QoSProfile:
    """The QoS that the options ask for, with defaults."""
    wanted = {
        ReliabilityPolicy: options.qos_reliability or ("reliable" if reliable else "best_effort"),
        DurabilityPolicy: options.qos_durability or ("transient_local" if latched else "volatile"),
    }
    for kind, name in wanted.items():
        if name.upper() not in kind.__members__:
            raise RoslessError(f"'{name}' is no QoS policy; expected one of {', '.join(kind.__members__).lower()}")
    reliability, durability = (kind[name.upper()] for kind, name in wanted.items())
    return QoSProfile(depth=options.qos_depth, reliability=reliability, durability=durability)


def _subscribe(
    node: Node, options: Options, heard: Callable[[Any], None], patience: float | None = None, raw: bool = False
) -> None:
    """Listen to a topic with its type and a QoS that all its present publishers can serve."""
    topic = absolute(options.topic)
    known = [options.type] if options.type else None
    waits = () if patience is None else (patience,)
    kinds = known or spin_until(node, lambda: dict(node.get_topic_names_and_types()).get(topic), *waits)
    if not kinds:
        raise RoslessError(f"topic '{topic}' does not appear to be published yet; its type is unknown")
    if len(kinds) > 1:
        raise RoslessError(f"topic '{topic}' has more than one type: {', '.join(kinds)}")
    infos = spin_until(node, lambda: node.get_publishers_info_by_topic(topic), 0.5)
    profiles = [info.qos_profile for info in infos]
    reliable = bool(profiles) and all(one.reliability == ReliabilityPolicy.RELIABLE for one in profiles)
    latched = bool(profiles) and all(one.durability == DurabilityPolicy.TRANSIENT_LOCAL for one in profiles)
    node.create_subscription(load_type(kinds[0], "msg"), topic, heard, _chosen_qos(options, reliable, latched), raw=raw)


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
    message = fill(kind(), read_yaml(options.values or "{}"))
    times = 1 if options.once else options.times
    wanted = options.wait_matching_subscriptions
    wanted = int(times > 0) if wanted < 0 else wanted
    with cli_node() as node:
        publisher = node.create_publisher(kind, options.topic, _chosen_qos(options, True, True))

        def matched() -> bool:
            return publisher.get_subscription_count() >= wanted

        if not spin_until(node, matched, 1.0):
            show(f"Waiting for at least {wanted} matching subscription(s)...")
            if not spin_until(node, matched, options.max_wait_time_secs):
                count = publisher.get_subscription_count()
                raise RoslessError(f"timed out waiting for {wanted} subscribers of '{options.topic}', found {count}")
        show("publisher: beginning loop")
        count = 0
        while not times or count < times:
            spin_for(node, 1.0 / options.rate if count else 0.0)
            count += 1
            if options.print and count % options.print == 0:
                show(f"publishing #{count}: {message!r}\n")
            publisher.publish(message)
        publisher.wait_for_all_acked(Duration(seconds=1))
        spin_for(node, options.keep_alive)


def service_call(options: Options) -> None:
    kind = load_type(options.type, "srv")
    request = fill(kind.Request(), read_yaml(options.values or "{}"))
    with cli_node() as node:
        client = node.create_client(kind, options.service)
        if not spin_until(node, client.service_is_ready, 1.0):
            show("waiting for service to become available...")
            if not spin_until(node, client.service_is_ready, options.timeout):
                raise RoslessError(f"service '{options.service}' is not available")
        show(f"requester: making request: {request!r}\n")
        show(f"response:\n{result_of(node, client.call_async(request), options.timeout)!r}\n")


def action_send_goal(options: Options) -> None:
    kind = load_type(options.type, "action")
    goal = fill(kind.Goal(), read_yaml(options.values or "{}"))

    def shown(title: str, message: Any) -> None:
        show(f"{title}:\n    " + as_yaml(message).replace("\n", "\n    ") + "\n")

    on_feedback = (lambda message: shown("Feedback", message.feedback)) if options.feedback else None
    with cli_node() as node:
        client = ActionClient(node, kind, options.action)
        show("Waiting for an action server to become available...")
        if not spin_until(node, client.server_is_ready, options.timeout):
            raise RoslessError(f"no action server '{options.action}' is available")
        shown("Sending goal", goal)
        handle = result_of(node, client.send_goal_async(goal, on_feedback), options.timeout)
        if not handle.accepted:
            show("Goal was rejected.")
            return
        try:
            show(f"Goal accepted with ID: {bytes(handle.goal_id.uuid).hex()}\n")
            result = result_of(node, handle.get_result_async(), options.timeout)
        except BaseException:  # Ctrl-C too: nobody is left to wait for the goal
            show("Canceling goal...")
            canceled = result_of(node, handle.cancel_goal_async(), PATIENCE).goals_canceling
            show("Goal canceled." if canceled else "Failed to cancel goal")
            raise
        shown("Result", result.result)
        names = {value: name for name, value in vars(GoalStatus).items() if name.startswith("STATUS_")}
        show(f"Goal finished with status: {names[result.status].removeprefix('STATUS_')}")
