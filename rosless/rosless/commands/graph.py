"""The verbs of `ros2` that join the graph: topics, nodes, services, actions, parameters."""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import rclpy
import yaml
from action_msgs.msg import GoalStatus
from rcl_interfaces import srv
from rcl_interfaces.msg import Parameter as ParameterMessage
from rclpy.action import ActionClient
from rclpy.duration import Duration
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.parameter import Parameter, get_parameter_value, parameter_value_to_python
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from rosless.arguments import read_yaml
from rosless.errors import RoslessError
from rosless.interfaces.messages import interface_class
from rosless.interfaces.plain import fill, to_plain

POLL = 0.02
ANSWER_TIMEOUT = 5.0

Options = argparse.Namespace


def show(text: str) -> None:
    """Write a line to the standard output, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


@contextmanager
def cli_node() -> Iterator[Node]:
    """A node for the time of a command, ended by Ctrl-C and SIGTERM."""
    rclpy.init(args=[])
    node = Node(f"_ros2cli_{os.getpid()}", start_parameter_services=False, enable_rosout=False)
    try:
        yield node
    except ExternalShutdownException:
        raise KeyboardInterrupt from None
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


def spin_until(node: Node, ready: Callable[[], Any], seconds: float = math.inf) -> Any:
    """The first true value of a function while the node's callbacks run; what it is when the time is over."""
    end = time.monotonic() + seconds
    while not (value := ready()) and time.monotonic() < end:
        rclpy.spin_once(node, timeout_sec=POLL)
    return value


def result_of(node: Node, future: Any, seconds: float) -> Any:
    """The result of a future.

    Raises:
        RoslessError: the time is over.
    """
    if not spin_until(node, future.done, seconds):
        raise RoslessError(f"no answer within {seconds} s")
    return future.result()


def load_type(name: str, kind: str) -> Any:
    """The class of an interface, with the kind (msg, srv, action) filled in if it is missing."""
    parts = name.split("/")
    if len(parts) not in (2, 3) or parts[1:-1] not in ([], [kind]):
        raise RoslessError(f"'{name}' is not the name of a {kind} interface; expected package/{kind}/Name")
    return interface_class(f"{parts[0]}/{kind}/{parts[-1]}")


def as_yaml(value: Any, longest: int | None = None) -> str:
    """A message, or a value of one, as YAML."""
    plain = to_plain(value, longest)
    if not isinstance(plain, dict | list):
        return str(plain)
    style = None if isinstance(plain, list) else False
    return str(yaml.safe_dump(plain, sort_keys=False, default_flow_style=style, allow_unicode=True)).rstrip("\n")


def absolute(name: str) -> str:
    """A name from a command line, which begins at the root."""
    return name if name.startswith("/") else f"/{name}"


def chosen_qos(options: Options, reliable: bool, latched: bool) -> QoSProfile:
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


def topic_list(options: Options) -> None:
    with cli_node() as node:
        spin_until(node, lambda: False, options.spin_time)
        for name, kinds in node.get_topic_names_and_types():
            if options.include_hidden_topics or "/_" not in name:
                show(f"{name} [{', '.join(kinds)}]" if options.show_types else name)


def node_list(options: Options) -> None:
    with cli_node() as node:
        node.get_node_names()  # begins to listen
        spin_until(node, lambda: False, options.spin_time)
        for name, namespace in node.get_node_names_and_namespaces():
            if options.all or not name.startswith("_"):
                show(f"{namespace.rstrip('/')}/{name}")


def _subscribe(node: Node, options: Options, heard: Callable[[Any], None], raw: bool = False) -> None:
    """Listen to a topic with its type and a QoS that all its present publishers can serve."""
    topic = absolute(options.topic)
    known = [options.type] if options.type else None
    kinds = known or spin_until(node, lambda: dict(node.get_topic_names_and_types()).get(topic), options.timeout)
    if not kinds:
        raise RoslessError(f"topic '{topic}' does not appear to be published yet; its type is unknown")
    if len(kinds) > 1:
        raise RoslessError(f"topic '{topic}' has more than one type: {', '.join(kinds)}")
    infos = spin_until(node, lambda: node.get_publishers_info_by_topic(topic), 0.5)
    profiles = [info.qos_profile for info in infos]
    reliable = bool(profiles) and all(one.reliability == ReliabilityPolicy.RELIABLE for one in profiles)
    latched = bool(profiles) and all(one.durability == DurabilityPolicy.TRANSIENT_LOCAL for one in profiles)
    qos = chosen_qos(options, reliable, latched)
    node.create_subscription(load_type(kinds[0], "msg"), topic, heard, qos, raw=raw)


def topic_echo(options: Options) -> int:
    seen: list[bool] = []

    def heard(message: Any) -> None:
        if options.once and seen:
            return
        for part in filter(None, options.field.split(".")):
            message = getattr(message, part)
        show(as_yaml(message, None if options.full_length else options.truncate_length) + "\n---")
        seen.append(True)

    with cli_node() as node:
        _subscribe(node, options, heard)
        spin_until(node, lambda: options.once and seen, options.timeout)
    return 0 if seen else 1


def topic_hz(options: Options) -> None:
    times: deque[float] = deque(maxlen=options.window)
    with cli_node() as node:
        _subscribe(node, options, lambda data: times.append(time.monotonic()), raw=True)
        end = time.monotonic() + options.timeout
        while time.monotonic() < end:
            spin_until(node, lambda: False, 1.0)
            gaps = [later - earlier for earlier, later in zip(list(times), list(times)[1:], strict=False)]
            if gaps:
                mean = sum(gaps) / len(gaps)
                deviation = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
                spread = f"min: {min(gaps):.3f}s max: {max(gaps):.3f}s std dev: {deviation:.5f}s window: {len(times)}"
                show(f"average rate: {1 / mean:.3f}\n\t{spread}")


def topic_pub(options: Options) -> None:
    kind = load_type(options.type, "msg")
    message = fill(kind(), read_yaml(options.values or "{}"))
    times = 1 if options.once else options.times
    wanted = options.wait_matching_subscriptions
    wanted = int(times > 0) if wanted < 0 else wanted
    with cli_node() as node:
        publisher = node.create_publisher(kind, options.topic, chosen_qos(options, True, True))

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
            spin_until(node, lambda: False, 1.0 / options.rate if count else 0.0)
            count += 1
            show(f"publishing #{count}: {message!r}\n")
            publisher.publish(message)
        publisher.wait_for_all_acked(Duration(seconds=1))
        spin_until(node, lambda: False, options.keep_alive)


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


def action_send_goal(options: Options) -> int:
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
            return 1
        show(f"Goal accepted with ID: {bytes(handle.goal_id.uuid).hex()}\n")
        result = result_of(node, handle.get_result_async(), options.timeout)
        shown("Result", result.result)
        names = {value: name for name, value in vars(GoalStatus).items() if name.startswith("STATUS_")}
        show(f"Goal finished with status: {names[result.status].removeprefix('STATUS_')}")
        return 0 if result.status == GoalStatus.STATUS_SUCCEEDED else 1


def _ask(node: Node, target: str, service: str, kind: Any, **request: Any) -> Any:
    """The response of a parameter service of a node.

    Raises:
        RoslessError: the node is not there, or does not answer.
    """
    client = node.create_client(kind, f"{absolute(target)}/{service}")
    if not spin_until(node, client.service_is_ready, ANSWER_TIMEOUT):
        raise RoslessError(f"node '{absolute(target)}' not found, or it has no parameter services")
    return result_of(node, client.call_async(kind.Request(**request)), ANSWER_TIMEOUT)


def param_get(options: Options) -> None:
    with cli_node() as node:
        value = _ask(node, options.node, "get_parameters", srv.GetParameters, names=[options.name]).values[0]
    if value.type == 0:
        raise RoslessError(f"parameter '{options.name}' of node '{options.node}' is not set")
    label = Parameter.Type(value.type).name.replace("_", " ").capitalize()
    verb = "values are" if label.endswith("array") else "value is"
    plain = parameter_value_to_python(value)
    show(f"{plain}" if options.hide_type else f"{label} {verb}: {plain}")


def param_set(options: Options) -> int:
    asked = [ParameterMessage(name=options.name, value=get_parameter_value(options.value))]
    with cli_node() as node:
        result = _ask(node, options.node, "set_parameters", srv.SetParameters, parameters=asked).results[0]
    done = f"Set parameter {options.name} successful" + (f": {result.reason}" if result.reason else "")
    show(done if result.successful else f"Setting parameter {options.name} failed: {result.reason}")
    return 0 if result.successful else 1


def param_describe(options: Options) -> None:
    with cli_node() as node:
        found = _ask(node, options.node, "describe_parameters", srv.DescribeParameters, names=options.names)
    for one in found.descriptors:
        if not one.name:
            raise RoslessError(f"node '{options.node}' has no such parameter among {', '.join(options.names)}")
        limits = [("Read only", "true")] * one.read_only
        for bounds in (*one.integer_range, *one.floating_point_range):
            limits += [("Min value", bounds.from_value), ("Max value", bounds.to_value)]
            limits += [("Step", bounds.step)] * bool(bounds.step)
        limits += [("Additional constraints", one.additional_constraints)] * bool(one.additional_constraints)
        kind = Parameter.Type(one.type).name.lower().replace("_", " ")
        show(f"Parameter name: {one.name}\n  Type: {kind}\n  Description: {one.description}\n  Constraints:")
        for label, value in limits:
            show(f"    {label}: {value}")
