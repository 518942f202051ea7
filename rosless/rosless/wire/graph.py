"""The ROS graph: what this context announces (`ros_discovery_info`), and what others do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from cyclonedds.builtin import BuiltinDataReader, BuiltinTopicDcpsPublication, BuiltinTopicDcpsSubscription
from cyclonedds.core import InstanceState
from cyclonedds.internal import dds_infinity
from cyclonedds.qos import Policy, Qos

from rosless.errors import CodecError
from rosless.interfaces.messages import message_class, message_codec
from rosless.wire.session import Endpoint, Reader, Session, Writer

DISCOVERY_TYPE = "rmw_dds_common/msg/ParticipantEntitiesInfo"
DISCOVERY_QOS = Qos(
    Policy.Reliability.Reliable(dds_infinity), Policy.Durability.TransientLocal, Policy.History.KeepLast(1)
)
# One sample of each participant must reach the reader, and all of them belong to one instance
LISTENING_QOS = Qos(Policy.Reliability.Reliable(dds_infinity), Policy.Durability.TransientLocal, Policy.History.KeepAll)
MOST_ENDPOINTS = 100_000

# The three kinds of DDS topic names and the suffixes of services
TOPIC, REQUEST, REPLY = "rt", "rq", "rr"


@dataclass(frozen=True)
class RemoteEndpoint:
    """A reader or a writer somewhere in the domain."""

    gid: bytes
    participant: bytes
    topic_name: str
    type_name: str
    is_writer: bool
    qos: Qos

    @property
    def ros_type(self) -> str:
        """`package/kind/Name`; the DDS name when it is no ROS type."""
        package, _, rest = self.type_name.partition("::")
        kind, _, name = rest.partition("::dds_::")
        return f"{package}/{kind}/{name.removesuffix('_')}" if name else self.type_name


class Graph:
    """Announces the nodes of a session and lists those of the others."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._nodes: dict[tuple[str, str], tuple[set[Endpoint], set[Endpoint]]] = {}
        self._lock = threading.RLock()
        self._codec = message_codec(message_class(DISCOVERY_TYPE))
        self._writer: Writer = session.writer("ros_discovery_info", DISCOVERY_TYPE, DISCOVERY_QOS)
        self._remote: dict[bytes, list[tuple[str, str]]] = {}
        self._owners: dict[bytes, tuple[str, str]] = {}
        self._reader: Reader | None = None
        self._on_change: list[Callable[[], None]] = []
        self._builtin: tuple[BuiltinDataReader, BuiltinDataReader] | None = None

    def add_node(self, namespace: str, name: str) -> None:
        """Announce a node."""
        with self._lock:
            self._nodes[namespace, name] = (set(), set())
            self._announce()

    def remove_node(self, namespace: str, name: str) -> None:
        """Withdraw a node."""
        with self._lock:
            if self._nodes.pop((namespace, name), None) is not None:
                self._announce()

    def add_endpoints(self, namespace: str, name: str, endpoints: Iterable[Endpoint]) -> None:
        """Announce that endpoints belong to a node."""
        with self._lock:
            readers, writers = self._nodes[namespace, name]
            for endpoint in endpoints:
                (readers if isinstance(endpoint, Reader) else writers).add(endpoint)
            self._announce()

    def remove_endpoints(self, namespace: str, name: str, endpoints: Iterable[Endpoint]) -> None:
        """Withdraw endpoints of a node."""
        with self._lock:
            if node := self._nodes.get((namespace, name)):
                for endpoint in endpoints:
                    node[0].discard(endpoint)
                    node[1].discard(endpoint)
                self._announce()

    def _announce(self) -> None:
        if self.session.closed:
            return
        gid_class = message_class("rmw_dds_common/msg/Gid")
        length = len(gid_class().data)  # type: ignore[attr-defined]

        def gid(value: bytes) -> Any:
            return gid_class(data=value.ljust(length, b"\0"))

        node_class = message_class("rmw_dds_common/msg/NodeEntitiesInfo")
        nodes = [
            node_class(
                node_namespace=namespace,
                node_name=name,
                reader_gid_seq=[gid(one.gid) for one in readers],
                writer_gid_seq=[gid(one.gid) for one in writers],
            )
            for (namespace, name), (readers, writers) in self._nodes.items()
        ]
        info = message_class(DISCOVERY_TYPE)(gid=gid(self.session.gid), node_entities_info_seq=nodes)
        self._writer.write(self._codec.encode(info))

    def watch_nodes(self) -> None:
        """Begin to collect the node names of the other participants."""
        with self._lock:
            if self._reader is None:
                self._reader = self.session.reader("ros_discovery_info", DISCOVERY_TYPE, LISTENING_QOS, self._heard)

    def _heard(self, data: bytes, info: Any) -> None:
        try:
            message = self._codec.decode(data)
        except CodecError:
            return
        nodes = [(node.node_namespace, node.node_name) for node in message.node_entities_info_seq]
        with self._lock:
            self._remote[bytes(message.gid.data)[:16]] = nodes
            self._owners.update(
                {
                    bytes(gid.data)[:16]: (node.node_namespace, node.node_name)
                    for node in message.node_entities_info_seq
                    for gid in (*node.reader_gid_seq, *node.writer_gid_seq)
                }
            )

    def nodes(self) -> list[tuple[str, str]]:
        """(namespace, name) of all nodes of the domain whose participant is alive."""
        self.watch_nodes()
        alive = {endpoint.participant for endpoint in self.endpoints()} | {self.session.gid}
        with self._lock:
            own = list(self._nodes)
            others = [
                node
                for gid, nodes in self._remote.items()
                if gid in alive and gid != self.session.gid
                for node in nodes
            ]
        return sorted([*own, *others])

    def owner(self, gid: bytes) -> tuple[str, str] | None:
        """The node that an endpoint belongs to, as far as it has been announced."""
        with self._lock:
            for node, (readers, writers) in self._nodes.items():
                if any(endpoint.gid == gid for endpoint in (*readers, *writers)):
                    return node
            return self._owners.get(gid)

    def endpoints(self) -> list[RemoteEndpoint]:
        """All endpoints of the domain, own ones included."""
        with self._lock:
            if self.session.closed:
                return []
            if self._builtin is None:
                participant = self.session.participant
                self._builtin = (
                    BuiltinDataReader(participant, BuiltinTopicDcpsPublication),
                    BuiltinDataReader(participant, BuiltinTopicDcpsSubscription),
                )
            found = []
            for reader, is_writer in zip(self._builtin, (True, False), strict=True):
                for sample in reader.read(MOST_ENDPOINTS):
                    if sample.sample_info.instance_state == InstanceState.Alive and sample.topic_name:
                        found.append(
                            RemoteEndpoint(
                                sample.key.bytes,
                                sample.participant_key.bytes,
                                sample.topic_name,
                                sample.type_name,
                                is_writer,
                                sample.qos,
                            )
                        )
            return found

    def names_and_types(self, prefix: str, suffix: str = "") -> dict[str, set[str]]:
        """ROS names with their types, of the DDS topics with this prefix (rt, rq, rr) and suffix."""
        found: dict[str, set[str]] = {}
        for endpoint in self.endpoints():
            kind, slash, name = endpoint.topic_name.partition("/")
            if kind == prefix and slash and name.endswith(suffix):
                name = "/" + (name.removesuffix(suffix) if suffix else name)
                found.setdefault(name, set()).add(endpoint.ros_type)
        return found
