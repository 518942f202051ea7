"""Nodes."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pocketros.arguments import RosArguments, parse_ros_arguments
from pocketros.errors import refuse
from pocketros.wire.graph import Announced
from pocketros.wire.session import Endpoint
from rcl_interfaces.msg import Log, ParameterDescriptor

from pocketros import names
from rclpy import logging
from rclpy.callback_groups import CallbackGroup, MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ROSClock
from rclpy.context import Context, get_default_context
from rclpy.duration import S_TO_NS
from rclpy.entities import Client, Entity, GuardCondition, Publisher, Service, Subscription, Timer, wait_until
from rclpy.exceptions import (
    InvalidHandle,
    InvalidNamespaceException,
    InvalidNodeNameException,
    InvalidParameterValueException,
    InvalidServiceNameException,
    InvalidTopicNameException,
    NodeNameNonExistentError,
    NotInitializedException,
    RCLError,
)
from rclpy.parameter import NodeParameters, Parameter
from rclpy.qos import QoSProfile, profile_from, profile_of, qos_profile_rosout_default, qos_profile_services_default
from rclpy.time_source import TimeSource

UNKNOWN_OWNER = ("_NODE_NAMESPACE_UNKNOWN_", "_NODE_NAME_UNKNOWN_")


@dataclass
class TopicEndpointInfo:
    """One publisher or subscription of a topic, anywhere in the domain."""

    node_name: str
    node_namespace: str
    topic_type: str
    endpoint_type: str
    endpoint_gid: list[int]
    qos_profile: QoSProfile
    topic_type_hash: str = "INVALID"


class Node(NodeParameters):
    """A node: the place where publishers, subscriptions, services, timers and parameters belong.

    Args:
        node_name: its name, which `-r __node:=` overrides.
        context: None for the default context.
        cli_args: further arguments, beginning with --ros-args.
        namespace: its namespace, which `-r __ns:=` overrides.
        use_global_arguments: whether the command line of the process applies.
        enable_rosout: whether its log goes to /rosout.
        start_parameter_services: whether others may read and set its parameters.
        parameter_overrides: initial values, before those of the command line.
        allow_undeclared_parameters: whether parameters need no declaration.
        automatically_declare_parameters_from_overrides: whether overrides declare themselves.
    """

    def __init__(
        self,
        node_name: str,
        *,
        context: Context | None = None,
        cli_args: list[str] | None = None,
        namespace: str | None = None,
        use_global_arguments: bool = True,
        enable_rosout: bool = True,
        start_parameter_services: bool = True,
        parameter_overrides: list[Parameter] | None = None,
        allow_undeclared_parameters: bool = False,
        automatically_declare_parameters_from_overrides: bool = False,
        enable_logger_service: bool = False,
    ) -> None:
        refuse(enable_logger_service=enable_logger_service)
        self.context = context or get_default_context()
        if not self.context.ok():
            raise NotInitializedException()
        own = parse_ros_arguments(cli_args or [])
        self._arguments = own.before(self.context.arguments if use_global_arguments else RosArguments())
        self._name = self._arguments.special("__node", node_name, node_name)
        self._namespace = "/" + self._arguments.special("__ns", node_name, namespace or "/").removeprefix("/")
        for rules, name, error in (
            (names.NODE, self._name, InvalidNodeNameException),
            (names.NAMESPACE, self._namespace, InvalidNamespaceException),
        ):
            if fault := names.fault(rules, name):
                raise error(name, *fault)
        self._lock = threading.RLock()
        self._entities: list[Entity] = []
        self._executor: Any = None
        self._destroyed = False
        self._announced: Announced | None = None
        self.default_callback_group: CallbackGroup = MutuallyExclusiveCallbackGroup()
        self._clock = ROSClock()
        self._logger = logging.get_logger(self.get_fully_qualified_name().strip("/").replace("/", "."))
        overrides = {parameter.name: parameter for parameter in parameter_overrides or []}
        for name, value in self._arguments.parameters_for(self.get_fully_qualified_name()).items():
            try:
                overrides[name] = Parameter(name, value=value)
            except TypeError as error:
                raise InvalidParameterValueException(name, value, error) from None
        self._setup_parameters(overrides, allow_undeclared_parameters)
        if enable_rosout and self._arguments.rosout:
            self._rosout = self.create_publisher(Log, "/rosout", qos_profile_rosout_default)
            logging._handlers[self._logger.name] = self._publish_log
        if automatically_declare_parameters_from_overrides:
            for name, parameter in overrides.items():
                self.declare_parameter(name, parameter.value, ParameterDescriptor(dynamic_typing=True))
        self._time_source = TimeSource(self, self._clock)
        self._start_parameter_interfaces(start_parameter_services)
        self._announced = self.context.graph.add_node((self._namespace, self._name), self._endpoints())

    def _endpoints(self) -> Iterator[Endpoint]:
        return (endpoint for entity in self._entities for endpoint in entity._endpoints)

    @property
    def executor(self) -> Any:
        """The executor that serves the node, if any."""
        return self._executor

    @executor.setter
    def executor(self, new: Any) -> None:
        current, self._executor = self._executor, new
        if current is not None and current is not new:
            current.remove_node(self)
        if new is not None:
            new.add_node(self)

    def _check_handle(self) -> None:
        if self._destroyed:
            raise InvalidHandle(type(self).__name__)

    def get_name(self) -> str:
        return self._name

    def get_namespace(self) -> str:
        return self._namespace

    def get_fully_qualified_name(self) -> str:
        return names.join(self._namespace, self._name)

    def get_clock(self) -> Clock:
        return self._clock

    def get_logger(self) -> logging.RcutilsLogger:
        return self._logger

    def resolve_topic_name(self, topic: str, *, only_expand: bool = False) -> str:
        """The full name of a topic after expansion and remapping.

        Raises:
            InvalidTopicNameException: the name breaks the rules.
        """
        return self._resolve(topic, InvalidTopicNameException, only_expand)

    def resolve_service_name(self, service: str, *, only_expand: bool = False) -> str:
        """The full name of a service after expansion and remapping."""
        return self._resolve(service, InvalidServiceNameException, only_expand)

    def _resolve(self, name: str, error: type[Exception], only_expand: bool) -> str:
        if fault := names.fault(names.TOPIC, name):
            raise error(name, *fault)
        expanded = names.expand(name, self._name, self._namespace)
        if unknown := re.search(r"\{\w*\}", expanded):
            raise RCLError(f"failed to resolve name: unknown substitution: {unknown[0]}")
        if only_expand:
            return expanded
        kind = "rosservice" if error is InvalidServiceNameException else "rostopic"
        return names.remap(expanded, self._arguments.remaps, self._name, self._namespace, kind)

    def _add(self, entity: Any) -> Any:
        with self._lock:
            # Timers first: they are served before what has arrived
            self._entities = [entity, *self._entities] if isinstance(entity, Timer) else [*self._entities, entity]
        self._announce(added=entity._endpoints)
        self._wake()
        return entity

    def _forget(self, entity: Entity) -> None:
        with self._lock:
            self._entities = [one for one in self._entities if one is not entity]
        self._announce(removed=entity._endpoints)

    def _announce(self, added: Iterable[Endpoint] = (), removed: Iterable[Endpoint] = ()) -> None:
        if self._announced is not None and not self._destroyed:  # before and after, all of it is told at once
            self.context.graph.update(self._announced, added, removed)

    def _waitables(self) -> Iterator[Entity]:
        return (one for one in self._entities if one.callback_group is not None)

    def _of(self, kind: type) -> Iterator[Any]:
        return (one for one in self._entities if isinstance(one, kind))

    publishers = property(lambda self: self._of(Publisher))
    subscriptions = property(lambda self: self._of(Subscription))
    services = property(lambda self: self._of(Service))
    clients = property(lambda self: self._of(Client))
    timers = property(lambda self: self._of(Timer))
    guards = property(lambda self: self._of(GuardCondition))

    def _wake(self) -> None:
        executor = self._executor
        if executor is not None:
            executor.wake()

    def create_publisher(
        self,
        msg_type: Any,
        topic: str,
        qos_profile: QoSProfile | int,
        *,
        callback_group: CallbackGroup | None = None,
        event_callbacks: Any = None,
        **options: Any,
    ) -> Publisher:
        """A publisher of a topic; `qos_profile` is a profile, or the depth of a reliable one."""
        refuse(**options)
        _check_type(msg_type, "_definition", "a message type; expected one like std_msgs.msg.String")
        name, group = self.resolve_topic_name(topic), callback_group or self.default_callback_group
        return self._add(Publisher(self, msg_type, name, profile_from(qos_profile), group, event_callbacks))

    def create_subscription(
        self,
        msg_type: Any,
        topic: str,
        callback: Callable[..., Any],
        qos_profile: QoSProfile | int,
        *,
        callback_group: CallbackGroup | None = None,
        event_callbacks: Any = None,
        raw: bool = False,
        **options: Any,
    ) -> Subscription:
        """A subscription of a topic; `callback` gets the message, and its stamps if it takes two arguments."""
        refuse(**options)
        _check_type(msg_type, "_definition", "a message type; expected one like std_msgs.msg.String")
        name, group = self.resolve_topic_name(topic), callback_group or self.default_callback_group
        qos = profile_from(qos_profile)
        return self._add(Subscription(self, msg_type, name, callback, qos, group, raw, event_callbacks))

    def create_client(
        self,
        srv_type: Any,
        srv_name: str,
        *,
        qos_profile: QoSProfile = qos_profile_services_default,
        callback_group: CallbackGroup | None = None,
    ) -> Client:
        """A client of a service."""
        return self._add(Client(*self._of_service(srv_type, srv_name, qos_profile, callback_group)))

    def create_service(
        self,
        srv_type: Any,
        srv_name: str,
        callback: Callable[..., Any],
        *,
        qos_profile: QoSProfile = qos_profile_services_default,
        callback_group: CallbackGroup | None = None,
    ) -> Service:
        """A service; `callback(request, response)` fills and returns the response."""
        details = self._of_service(srv_type, srv_name, qos_profile, callback_group)
        return self._add(Service(*details, callback=callback))

    def _of_service(self, srv_type: Any, name: str, qos: QoSProfile, group: CallbackGroup | None) -> tuple[Any, ...]:
        _check_type(srv_type, "Response", "a service type; expected one like std_srvs.srv.Trigger")
        group = group or self.default_callback_group
        return self, srv_type, self.resolve_service_name(name), profile_from(qos), group

    def create_timer(
        self,
        timer_period_sec: float,
        callback: Callable[..., Any] | None,
        callback_group: CallbackGroup | None = None,
        clock: Clock | None = None,
        autostart: bool = True,
    ) -> Timer:
        """A timer that calls a function every `timer_period_sec` seconds of the node's clock."""
        period, group = int(float(timer_period_sec) * S_TO_NS), callback_group or self.default_callback_group
        return self._add(Timer(self, callback, period, clock or self._clock, group, autostart))

    def create_guard_condition(
        self, callback: Callable[..., Any] | None, callback_group: CallbackGroup | None = None
    ) -> GuardCondition:
        """A guard condition that calls a function after its trigger."""
        return self._add(GuardCondition(self, callback, callback_group or self.default_callback_group))

    def _destroy(self, entity: Entity) -> bool:
        known = entity in self._entities
        entity.destroy()
        return known

    destroy_publisher = destroy_subscription = destroy_client = destroy_service = _destroy
    destroy_timer = destroy_guard_condition = _destroy

    def destroy_node(self) -> None:
        """Withdraw the node with everything that belongs to it; harmless when called twice."""
        if not self._destroyed:
            self._destroyed = True
            if self._executor is not None:
                self._executor.remove_node(self)
            logging._handlers.pop(self._logger.name, None)
            self._time_source.detach()
            if self._announced is not None:
                self.context.graph.remove_node(self._announced)
            for entity in reversed(self._entities):
                entity.destroy()

    def __enter__(self) -> Node:
        return self

    def __exit__(self, *_: object) -> None:
        self.destroy_node()

    def _publish_log(self, severity: int, name: str, message: str, frame: Any) -> None:
        if not self._rosout._destroyed and self.context.ok():
            entry = Log(stamp=self._clock.now().to_msg(), level=int(severity), name=name, msg=message)
            entry.file, entry.function, entry.line = frame.f_code.co_filename, frame.f_code.co_name, frame.f_lineno
            self._rosout.publish(entry)

    def count_publishers(self, topic_name: str) -> int:
        """How many publishers a topic has in the domain."""
        return len(self.get_publishers_info_by_topic(topic_name))

    def count_subscribers(self, topic_name: str) -> int:
        """How many subscriptions a topic has in the domain."""
        return len(self.get_subscriptions_info_by_topic(topic_name))

    def count_clients(self, service_name: str) -> int:
        """How many clients a service has in the domain."""
        return self._count(service_name, is_writer=True)

    def count_services(self, service_name: str) -> int:
        """How many nodes answer a service in the domain."""
        return self._count(service_name, is_writer=False)

    def _count(self, service_name: str, is_writer: bool) -> int:
        topic = f"rq{self.resolve_service_name(service_name)}Request"
        return sum((one.topic_name, one.is_writer) == (topic, is_writer) for one in self.context.graph.endpoints())

    def get_publishers_info_by_topic(self, topic_name: str, no_mangle: bool = False) -> list[TopicEndpointInfo]:
        """All publishers of a topic."""
        return self._endpoint_infos(topic_name, "PUBLISHER", no_mangle)

    def get_subscriptions_info_by_topic(self, topic_name: str, no_mangle: bool = False) -> list[TopicEndpointInfo]:
        """All subscriptions of a topic."""
        return self._endpoint_infos(topic_name, "SUBSCRIPTION", no_mangle)

    def _endpoint_infos(self, topic_name: str, role: str, no_mangle: bool) -> list[TopicEndpointInfo]:
        graph, full = self.context.graph, topic_name if no_mangle else f"rt{self.resolve_topic_name(topic_name)}"
        infos = []
        for one in graph.endpoints():
            if one.topic_name == full and one.is_writer == (role == "PUBLISHER"):
                namespace, name = graph.owner(one.gid) or UNKNOWN_OWNER
                qos = profile_of(one)
                kind, hashed = one.ros_type, one.user_data.get("typehash", "INVALID")
                infos.append(TopicEndpointInfo(name, namespace, kind, role, list(one.gid), qos, hashed))
        return infos

    def get_topic_names_and_types(self, no_demangle: bool = False) -> list[tuple[str, list[str]]]:
        """All topics of the domain with their types."""
        refuse(no_demangle=no_demangle)
        return self.context.graph.names_and_types("rt")

    def get_service_names_and_types(self) -> list[tuple[str, list[str]]]:
        """All services of the domain with their types."""
        found = self.context.graph.names_and_types("rq", "Request")
        return [(name, [kind.removesuffix("_Request") for kind in kinds]) for name, kinds in found]

    def get_publisher_names_and_types_by_node(
        self, node_name: str, node_namespace: str, no_demangle: bool = False
    ) -> list[tuple[str, list[str]]]:
        """What a node publishes.

        Raises:
            NodeNameNonExistentError: nothing is known of such a node, here and in the three that follow.
        """
        refuse(no_demangle=no_demangle)
        return self._names_by_node(node_name, node_namespace, "rt", is_writer=True)

    def get_subscriber_names_and_types_by_node(
        self, node_name: str, node_namespace: str, no_demangle: bool = False
    ) -> list[tuple[str, list[str]]]:
        """What a node is subscribed to."""
        refuse(no_demangle=no_demangle)
        return self._names_by_node(node_name, node_namespace, "rt", is_writer=False)

    def get_service_names_and_types_by_node(self, node_name: str, node_namespace: str) -> list[tuple[str, list[str]]]:
        """Which services a node answers."""
        return self._names_by_node(node_name, node_namespace, "rq", is_writer=False)

    def get_client_names_and_types_by_node(self, node_name: str, node_namespace: str) -> list[tuple[str, list[str]]]:
        """Which services a node calls."""
        return self._names_by_node(node_name, node_namespace, "rq", is_writer=True)

    def _names_by_node(self, name: str, namespace: str, prefix: str, is_writer: bool) -> list[tuple[str, list[str]]]:
        owned = self.context.graph.endpoints_of((namespace, name))
        if owned is None:
            raise NodeNameNonExistentError(f"Cannot get names and types for nonexistent node: {namespace}, {name}")
        suffix = "Request" if prefix == "rq" else ""
        found = self.context.graph.names_and_types(prefix, suffix, [one for one in owned if one.is_writer == is_writer])
        return [(topic, [kind.removesuffix(f"_{suffix}") for kind in kinds]) for topic, kinds in found]

    def get_node_names_and_namespaces(self) -> list[tuple[str, str]]:
        """All nodes of the domain, as far as they have been heard of."""
        return [(name, namespace) for namespace, name in self.context.graph.nodes()]

    def get_node_names(self) -> list[str]:
        """Names of all nodes of the domain."""
        return [name for name, _ in self.get_node_names_and_namespaces()]

    def get_fully_qualified_node_names(self) -> list[str]:
        """Names of all nodes of the domain, with their namespaces."""
        return [names.join(namespace, name) for name, namespace in self.get_node_names_and_namespaces()]

    def wait_for_node(self, fully_qualified_node_name: str, timeout: float) -> bool:
        """Wait until a node is there; whether it came within `timeout` seconds."""
        name = "/" + fully_qualified_node_name.removeprefix("/")
        return wait_until(lambda: name in self.get_fully_qualified_node_names(), self.context, timeout)

    def __getattr__(self, name: str) -> Any:
        part = "" if name.startswith("_") else " (pocketros provides only a part of rclpy.node.Node)"
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'{part}")


def _check_type(kind: Any, mark: str, expected: str) -> None:
    if not hasattr(kind, mark):
        raise TypeError(f"{kind!r} is not {expected}")
