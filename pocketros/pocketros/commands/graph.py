"""The verbs of `ros2` that join the graph: topics, nodes, services, actions, parameters."""

from __future__ import annotations

import argparse
import contextlib
import math
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from action_msgs.msg import GoalStatus
from rcl_interfaces import srv
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.msg import ParameterDescriptor, ParameterValue
from rclpy.action import ActionClient
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.parameter import Parameter, get_parameter_value, parameter_value_to_python
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from pocketros.arguments import read_yaml
from pocketros.commands import show
from pocketros.commands.session import PATIENCE, absolute, as_yaml, cli_node, load_type, result_of, spin_for, spin_until
from pocketros.errors import PocketrosError
from pocketros.interfaces.plain import fill

Options = argparse.Namespace
KEEP_ALIVE = 0.1  # seconds that a publisher stays after its last message, for those that do not acknowledge


def topic_list(options: Options) -> None:
    with cli_node() as node:
        spin_for(node, options.spin_time)
        for name, kinds in node.get_topic_names_and_types():
            if options.include_hidden_topics or "/_" not in name:
                show(f"{name} [{', '.join(kinds)}]" if options.show_types else name)


def node_list(options: Options) -> None:
    with cli_node() as node:
        spin_for(node, options.spin_time)
        for name, namespace in node.get_node_names_and_namespaces():
            if options.all or not name.startswith("_"):
                show(f"{namespace.rstrip('/')}/{name}")


def _subscribe(
    node: Node, options: Options, heard: Callable[[Any], None], patience: float = math.inf, raw: bool = False
) -> None:
    """Listen to a topic with its type and a QoS that all its present publishers can serve."""
    topic = absolute(options.topic)
    known = [options.type] if options.type else None
    kinds = known or spin_until(node, lambda: dict(node.get_topic_names_and_types()).get(topic), patience)
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
    message = fill(kind(), read_yaml(options.values or "{}"))
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
            show(f"publishing #{count}: {message!r}\n")
            publisher.publish(message)
        publisher.wait_for_all_acked(Duration(seconds=1))
        spin_for(node, KEEP_ALIVE)


def service_call(options: Options) -> None:
    kind = load_type(options.type, "srv")
    request = fill(kind.Request(), read_yaml(options.values or "{}"))
    with cli_node() as node:
        client = node.create_client(kind, options.service)
        if not spin_until(node, client.service_is_ready, 1.0):
            show("waiting for service to become available...")
            if not spin_until(node, client.service_is_ready, options.timeout):
                raise PocketrosError(f"service '{options.service}' is not available")
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
            raise PocketrosError(f"no action server '{options.action}' is available")
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


def _ask(node: Node, target: str, service: str, kind: Any, **request: Any) -> Any:
    """The response of a parameter service of a node.

    Raises:
        PocketrosError: the node is not there, or does not answer.
    """
    client = node.create_client(kind, f"{absolute(target)}/{service}")
    if not spin_until(node, client.service_is_ready, PATIENCE):
        raise PocketrosError(f"node '{absolute(target)}' not found, or it has no parameter services")
    return result_of(node, client.call_async(kind.Request(**request)), PATIENCE)


def param_list(options: Options) -> None:
    with cli_node() as node:
        spin_for(node, options.spin_time)
        servers = [name for name, _ in node.get_service_names_and_types() if name.endswith("/list_parameters")]
        targets = [name.removesuffix("/list_parameters") for name in servers]
        for target in [absolute(options.node)] if options.node else sorted(targets):
            if not options.node:
                show(f"{target}:")
            for name in sorted(_ask(node, target, "list_parameters", srv.ListParameters).result.names):
                show(f"  {name}")


def _type_name(number: int) -> str:
    return Parameter.Type(number).name.lower().replace("_", " ").replace("bool", "boolean")


def param_get(options: Options) -> None:
    with cli_node() as node:
        values = _ask(node, options.node, "get_parameters", srv.GetParameters, names=[options.name]).values
    # A node without parameters of that name answers with nothing, or with a value of no type
    value = values[0] if values else ParameterValue()
    if value.type == 0:
        raise PocketrosError(f"Parameter not set: node '{absolute(options.node)}' has no '{options.name}'")
    label, plain = _type_name(value.type).capitalize(), parameter_value_to_python(value)
    verb = f"{label.removesuffix(' array')} values are" if label.endswith("array") else f"{label} value is"
    show(f"{verb}: {plain}")


def param_set(options: Options) -> None:
    asked = [ParameterMessage(name=options.name, value=get_parameter_value(options.value))]
    with cli_node() as node:
        result = _ask(node, options.node, "set_parameters", srv.SetParameters, parameters=asked).results[0]
    reason = f": {result.reason}" if result.reason else ""
    if not result.successful:
        raise PocketrosError(f"Setting parameter failed{reason}")
    show(f"Set parameter successful{reason}")


def param_describe(options: Options) -> None:
    with cli_node() as node:
        found = _ask(node, options.node, "describe_parameters", srv.DescribeParameters, names=options.names)
    # A node without one of them answers with nothing
    descriptors = found.descriptors or [ParameterDescriptor()] * len(options.names)
    for one, name in zip(descriptors, options.names, strict=False):
        if not one.type and not one.description:
            raise PocketrosError(f"node '{absolute(options.node)}' has no parameter '{name}'")
        limits = [("Read only", "true")] * one.read_only
        for bounds in (*one.integer_range, *one.floating_point_range):
            limits += [("Min value", bounds.from_value), ("Max value", bounds.to_value)]
            limits += [("Step", bounds.step)] * bool(bounds.step)
        limits += [("Additional constraints", one.additional_constraints)] * bool(one.additional_constraints)
        show(f"Parameter name: {one.name}\n  Type: {_type_name(one.type)}")
        show(f"  Description: {one.description}\n  Constraints:" if one.description else "  Constraints:")
        for label, value in limits:
            show(f"    {label}: {value}")
