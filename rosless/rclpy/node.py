"""Nodes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from rcl_interfaces.msg import Log, ParameterDescriptor
from rosless.interfaces.definitions import definitions
from rosless.wire.session import Endpoint

from rclpy import logging
from rclpy.callback_groups import CallbackGroup, MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ROSClock
from rclpy.context import Context
from rclpy.duration import S_TO_NS
from rclpy.entities import (
    Client,
    Entity,
    GuardCondition,
    Publisher,
    Rate,
    Service,
    Subscription,
    Timer,
)
from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
from rclpy.exceptions import (
    InvalidNamespaceException,
    InvalidNodeNameException,
    InvalidServiceNameException,
    InvalidTopicNameException,
    NotInitializedException,
)
from rclpy.logging import LoggingSeverity, RcutilsLogger
from rclpy.parameter import Parameter
from rclpy.parameters import NodeParameters
from rclpy.qos import (
    QoSProfile,
    profile_from,
    profile_of,
    qos_profile_rosout_default,
    qos_profile_services_default,
)
from rclpy.time_source import TimeSource
from rclpy.utilities import get_default_context
from rosless import names


@lru_cache(maxsize=512)
def type_hash(interface: str) -> str:
    """The RIHS01 hash of an interface."""
    return definitions.rihs01(interface)


class TopicEndpointInfo:
    """One publisher or subscription of a topic, anywhere in the domain."""

    def __init__(
        self,
        node_name: str,
        node_namespace: str,
        topic_type: str,
        endpoint_type: str,
        gid: bytes,
        qos_profile: QoSProfile,
    ) -> None:
        self.node_name, self.node_namespace, self.topic_type = node_name, node_namespace, topic_type
        self.endpoint_type, self.endpoint_gid, self.qos_profile = endpoint_type, list(gid), qos_profile


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
        self._context = context or get_default_context()
        if not self._context.ok():
            raise NotInitializedException()
        if enable_logger_service:
            raise AttributeError("rosless does not provide enable_logger_service; it needs a genuine ROS 2")
        from rosless.arguments import RosArguments, parse_ros_arguments

        arguments = RosArguments()
        for source in ([parse_ros_arguments(cli_args)] if cli_args else []) + (
            [self._context.arguments] if use_global_arguments else []
        ):
            arguments.remaps += source.remaps
            arguments.parameters = source.parameters + arguments.parameters
            arguments.rosout = arguments.rosout and source.rosout
        self._arguments = arguments
        self._name = arguments.remap_name("__node", node_name, node_name)
        given = arguments.remap_name("__ns", node_name, namespace or "/")
        self._namespace = given if given.startswith("/") else f"/{given}"
        if fault := names.fault_of_node_name(self._name):
            raise InvalidNodeNameException(self._name, *fault)
        if fault := names.fault_of_namespace(self._namespace):
            raise InvalidNamespaceException(self._namespace, *fault)
        self._lock = threading.RLock()
        self._entities: list[Entity] = []
        self._executor: Any = None
        self._destroyed = False
        self._default_callback_group: CallbackGroup = MutuallyExclusiveCallbackGroup()
        self._clock = ROSClock()
        self._logger = logging.get_logger(self.get_fully_qualified_name().strip("/").replace("/", "."))
        self._context.graph.add_node(self._namespace, self._name)
        self._context.track_node(self)
        overrides = {parameter.name: parameter for parameter in parameter_overrides or []}
        for name, value in arguments.parameters_for(self.get_fully_qualified_name()).items():
            overrides[name] = Parameter(name, value=value)
        self._setup_parameters(overrides, allow_undeclared_parameters)
        self._rosout: Publisher | None = None
        if enable_rosout and arguments.rosout:
            self._rosout = self.create_publisher(Log, "/rosout", qos_profile_rosout_default)
            logging._handlers[self._logger.name] = self._publish_log
        if automatically_declare_parameters_from_overrides:
            for name, parameter in list(overrides.items()):
                self.declare_parameter(name, parameter.value, ParameterDescriptor(dynamic_typing=True))
        self._time_source = TimeSource(self, self._clock)
        self._time_source.attach()
        self._start_parameter_interfaces(start_parameter_services)

    # --- who and where ---

    @property
    def context(self) -> Context:
        return self._context

    @property
    def handle(self) -> Any:
        raise AttributeError("rosless does not provide Node.handle; it needs a genuine ROS 2")

    @property
    def executor(self) -> Any:
        """The executor that serves the node, if any."""
        return self._executor

    @executor.setter
    def executor(self, new: Any) -> None:
        current = self._executor
        if current is new:
            return
        self._executor = new
        if current is not None and self in current.get_nodes():
            current.remove_node(self)
        if new is not None:
            new.add_node(self)

    @property
    def default_callback_group(self) -> CallbackGroup:
        return self._default_callback_group

    def get_name(self) -> str:
        return self._name

    def get_namespace(self) -> str:
        return self._namespace

    def get_fully_qualified_name(self) -> str:
        return names.join(self._namespace, self._name)

    def get_clock(self) -> Clock:
        return self._clock

    def get_logger(self) -> RcutilsLogger:
        return self._logger

    def __repr__(self) -> str:
        return f"<Node {self.get_fully_qualified_name()}>"

    # --- names ---

    def _resolve(self, name: str, error: type[Exception], only_expand: bool = False) -> str:
        if fault := names.fault_of_topic(name):
            raise error(name, *fault)
        expanded = names.expand(name, self._name, self._namespace)
        if only_expand:
            return expanded
        return names.remap(expanded, self._arguments.remaps, self._name, self._namespace)

    def resolve_topic_name(self, topic: str, *, only_expand: bool = False) -> str:
        """The full name of a topic after expansion and remapping.

        Raises:
            InvalidTopicNameException: the name breaks the rules.
        """
        return self._resolve(topic, InvalidTopicNameException, only_expand)

    def resolve_service_name(self, service: str, *, only_expand: bool = False) -> str:
        """The full name of a service after expansion and remapping."""
        return self._resolve(service, InvalidServiceNameException, only_expand)

    # --- entities ---

    def _user_data(self, interface: str) -> bytes:
        """The USER_DATA of an endpoint; parts of services and actions tell the hash of the whole."""
        return f"typehash={type_hash(interface)};".encode()

    def _add(self, entity: Any) -> Any:
        with self._lock:
            self._entities = [*self._entities, entity]
        self._announce(entity._endpoints)
        self._wake()
        return entity

    def _forget(self, entity: Entity) -> None:
        with self._lock:
            self._entities = [one for one in self._entities if one is not entity]
        self._withdraw(entity._endpoints)

    def _announce(self, endpoints: Iterable[Endpoint]) -> None:
        if endpoints := list(endpoints):
            self._context.graph.add_endpoints(self._namespace, self._name, endpoints)

    def _withdraw(self, endpoints: Iterable[Endpoint]) -> None:
        if endpoints := list(endpoints):
            self._context.graph.remove_endpoints(self._namespace, self._name, endpoints)

    def _waitables(self) -> list[Entity]:
        """Entities with callbacks, timers first."""
        entities = [one for one in self._entities if one.callback_group is not None]
        return sorted(entities, key=lambda one: not isinstance(one, Timer))

    @property
    def _timers(self) -> list[Timer]:
        return [one for one in self._entities if isinstance(one, Timer)]

    def _of(self, kind: type) -> Iterator[Any]:
        return iter([one for one in self._entities if isinstance(one, kind)])

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
        event_callbacks: PublisherEventCallbacks | None = None,
        qos_overriding_options: Any = None,
        publisher_class: type[Publisher] = Publisher,
    ) -> Any:
        """A publisher of a topic.

        Args:
            qos_profile: a profile, or the depth of a reliable one.
        """
        _refuse(qos_overriding_options=qos_overriding_options)
        return self._add(
            publisher_class(self, msg_type, self.resolve_topic_name(topic), profile_from(qos_profile), event_callbacks)
        )

    def create_subscription(
        self,
        msg_type: Any,
        topic: str,
        callback: Callable[..., Any],
        qos_profile: QoSProfile | int,
        *,
        callback_group: CallbackGroup | None = None,
        event_callbacks: SubscriptionEventCallbacks | None = None,
        qos_overriding_options: Any = None,
        raw: bool = False,
        content_filter_options: Any = None,
    ) -> Subscription:
        """A subscription of a topic; `callback` gets the message, and its stamps if it takes two arguments."""
        _refuse(qos_overriding_options=qos_overriding_options, content_filter_options=content_filter_options)
        made: Subscription = self._add(
            Subscription(
                self,
                msg_type,
                self.resolve_topic_name(topic),
                callback,
                profile_from(qos_profile),
                callback_group or self._default_callback_group,
                raw,
                event_callbacks,
            )
        )
        return made

    def create_client(
        self,
        srv_type: Any,
        srv_name: str,
        *,
        qos_profile: QoSProfile = qos_profile_services_default,
        callback_group: CallbackGroup | None = None,
    ) -> Client:
        """A client of a service."""
        _check_service_type(srv_type)
        made: Client = self._add(
            Client(
                self,
                srv_type,
                self.resolve_service_name(srv_name),
                profile_from(qos_profile),
                callback_group or self._default_callback_group,
            )
        )
        return made

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
        _check_service_type(srv_type)
        made: Service = self._add(
            Service(
                self,
                srv_type,
                self.resolve_service_name(srv_name),
                callback,
                profile_from(qos_profile),
                callback_group or self._default_callback_group,
            )
        )
        return made

    def create_timer(
        self,
        timer_period_sec: float,
        callback: Callable[..., Any] | None,
        callback_group: CallbackGroup | None = None,
        clock: Clock | None = None,
        autostart: bool = True,
    ) -> Timer:
        """A timer that calls a function every `timer_period_sec` seconds of the node's clock."""
        made: Timer = self._add(
            Timer(
                self,
                callback,
                int(float(timer_period_sec) * S_TO_NS),
                clock or self._clock,
                callback_group or self._default_callback_group,
                autostart,
            )
        )
        return made

    def create_guard_condition(
        self, callback: Callable[..., Any] | None, callback_group: CallbackGroup | None = None
    ) -> GuardCondition:
        """A guard condition that calls a function after its trigger."""
        made: GuardCondition = self._add(GuardCondition(self, callback, callback_group or self._default_callback_group))
        return made

    def create_rate(self, frequency: float, clock: Clock | None = None) -> Rate:
        """A rate in Hz.

        Raises:
            ValueError: the frequency is not positive.
        """
        if frequency <= 0:
            raise ValueError("frequency must be > 0")
        from rclpy.callback_groups import ReentrantCallbackGroup

        return Rate(self.create_timer(1.0 / frequency, None, ReentrantCallbackGroup(), clock), context=self._context)

    def add_waitable(self, waitable: Any) -> None:
        """Let an action server or client take part."""
        self._add(waitable)

    def remove_waitable(self, waitable: Any) -> None:
        self._forget(waitable)

    def _destroy(self, entity: Entity) -> bool:
        if entity not in self._entities:
            return False
        entity.destroy()
        return True

    destroy_publisher = destroy_subscription = destroy_client = destroy_service = _destroy
    destroy_timer = destroy_guard_condition = _destroy

    def destroy_rate(self, rate: Rate) -> bool:
        known = rate._timer in self._entities
        rate.destroy()
        return known

    def destroy_node(self) -> None:
        """Withdraw the node with everything that belongs to it; harmless when called twice."""
        if self._destroyed:
            return
        self._destroyed = True
        if self._executor is not None:
            self._executor.remove_node(self)
        logging._handlers.pop(self._logger.name, None)
        self._time_source.detach()
        for entity in reversed(self._entities):
            entity.destroy()
        self._context.graph.remove_node(self._namespace, self._name)
        self._context.untrack_node(self)

    def __enter__(self) -> Node:
        return self

    def __exit__(self, *_: object) -> None:
        self.destroy_node()

    def _publish_log(self, severity: LoggingSeverity, name: str, message: str, frame: Any) -> None:
        if self._rosout is None or self._rosout._destroyed or not self._context.ok():
            return
        entry = Log(stamp=self._clock.now().to_msg(), level=int(severity), name=name, msg=message)
        if frame is not None:
            entry.file, entry.function = frame.f_code.co_filename, frame.f_code.co_name
            entry.line = int(frame.f_lineno)
        self._rosout.publish(entry)

    # --- the graph ---

    def count_publishers(self, topic_name: str) -> int:
        """How many publishers a topic has in the domain."""
        return len(self.get_publishers_info_by_topic(topic_name))

    def count_subscribers(self, topic_name: str) -> int:
        """How many subscriptions a topic has in the domain."""
        return len(self.get_subscriptions_info_by_topic(topic_name))

    def _graph_endpoints(self) -> list[Any]:
        return self._context.graph.endpoints()

    def get_publishers_info_by_topic(self, topic_name: str, no_mangle: bool = False) -> list[TopicEndpointInfo]:
        """All publishers of a topic."""
        return self._endpoint_infos(topic_name, True, no_mangle)

    def get_subscriptions_info_by_topic(self, topic_name: str, no_mangle: bool = False) -> list[TopicEndpointInfo]:
        """All subscriptions of a topic."""
        return self._endpoint_infos(topic_name, False, no_mangle)

    def _endpoint_infos(self, topic_name: str, writers: bool, no_mangle: bool) -> list[TopicEndpointInfo]:
        full = topic_name if no_mangle else f"rt{self.resolve_topic_name(topic_name)}"
        infos = []
        for one in self._graph_endpoints():
            if one.topic_name == full and one.is_writer == writers:
                namespace, name = self._context.graph.owner(one.gid) or (
                    "_NODE_NAMESPACE_UNKNOWN_",
                    "_NODE_NAME_UNKNOWN_",
                )
                role = "PUBLISHER" if writers else "SUBSCRIPTION"
                infos.append(TopicEndpointInfo(name, namespace, one.ros_type, role, one.gid, profile_of(one.qos)))
        return infos

    def get_topic_names_and_types(self, no_demangle: bool = False) -> list[tuple[str, list[str]]]:
        """All topics of the domain with their types."""
        _refuse(no_demangle=no_demangle)
        return [(name, sorted(kinds)) for name, kinds in sorted(self._context.graph.names_and_types("rt").items())]

    def get_service_names_and_types(self) -> list[tuple[str, list[str]]]:
        """All services of the domain with their types."""
        found = self._context.graph.names_and_types("rq", "Request")
        return [
            (name, sorted(kind.removesuffix("_Request") for kind in kinds)) for name, kinds in sorted(found.items())
        ]

    def get_node_names_and_namespaces(self) -> list[tuple[str, str]]:
        """All nodes of the domain, as far as they have been heard of."""
        return [(name, namespace) for namespace, name in self._context.graph.nodes()]

    def get_node_names(self) -> list[str]:
        """Names of all nodes of the domain."""
        return [name for name, _ in self.get_node_names_and_namespaces()]

    def get_fully_qualified_node_names(self) -> list[str]:
        """Full names of all nodes of the domain."""
        return [names.join(namespace, name) for name, namespace in self.get_node_names_and_namespaces()]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        raise AttributeError(
            f"'{type(self).__name__}' object has no attribute '{name}' (rosless provides only a part "
            "of rclpy.node.Node)"
        )


def _refuse(**options: Any) -> None:
    for name, value in options.items():
        if value:
            raise AttributeError(f"rosless does not provide the option {name}; it needs a genuine ROS 2")


def _check_service_type(srv_type: Any) -> None:
    if not (hasattr(srv_type, "Request") and hasattr(srv_type, "Response")):
        raise TypeError(f"{srv_type!r} is not a service type; expected one like std_srvs.srv.Trigger")


__all__: Sequence[str] = ["Node", "TopicEndpointInfo"]
