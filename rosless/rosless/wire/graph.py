"""The ROS graph: what this context announces (`ros_discovery_info`), and what others do."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cyclonedds.builtin import BuiltinDataReader, BuiltinTopicDcpsPublication, BuiltinTopicDcpsSubscription
from cyclonedds.core import InstanceState
from cyclonedds.internal import dds_infinity
from cyclonedds.qos import Policy, Qos

from rosless.errors import CodecError
from rosless.interfaces.codec import decode, encode
from rosless.interfaces.messages import message_class
from rosless.wire.session import Endpoint, Reader, Session, Writer

DISCOVERY = ("ros_discovery_info", "rmw_dds_common/msg/ParticipantEntitiesInfo")
LATCHED = (Policy.Reliability.Reliable(dds_infinity), Policy.Durability.TransientLocal)
MOST_ENDPOINTS = 100_000

Owner = tuple[str, str]
"""Namespace and name of a node."""


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
        self._nodes: dict[Owner, list[Endpoint]] = {}
        self._remote: dict[bytes, list[Owner]] = {}
        self._owners: dict[bytes, Owner] = {}
        self._lock = threading.RLock()
        self._message: Any = message_class(DISCOVERY[1])
        self._writer = Writer(session, *DISCOVERY, Qos(*LATCHED, Policy.History.KeepLast(1)))
        self._listening = False
        self._builtin: list[tuple[BuiltinDataReader, bool]] = []

    def add_node(self, owner: Owner) -> None:
        """Announce a node."""
        with self._lock:
            self._nodes[owner] = []
            self._announce()

    def remove_node(self, owner: Owner) -> None:
        """Withdraw a node."""
        with self._lock:
            if self._nodes.pop(owner, None) is not None:
                self._announce()

    def update(self, owner: Owner, added: Iterable[Endpoint] = (), removed: Iterable[Endpoint] = ()) -> None:
        """Announce which endpoints belong to a node."""
        added, removed = list(added), list(removed)
        with self._lock:
            if (own := self._nodes.get(owner)) is not None and (added or removed):
                self._nodes[owner] = [one for one in [*own, *added] if one not in removed]
                self._announce()

    def _announce(self) -> None:
        if self.session.closed:
            return
        gid_class: Any = message_class("rmw_dds_common/msg/Gid")
        node_class = message_class("rmw_dds_common/msg/NodeEntitiesInfo")
        length = len(gid_class().data)

        def gids(endpoints: Iterable[Any]) -> list[Any]:
            return [gid_class(data=one.gid.ljust(length, b"\0")) for one in endpoints]

        nodes = [
            node_class(
                node_namespace=namespace,
                node_name=name,
                reader_gid_seq=gids(one for one in own if isinstance(one, Reader)),
                writer_gid_seq=gids(one for one in own if isinstance(one, Writer)),
            )
            for (namespace, name), own in self._nodes.items()
        ]
        message = self._message(gid=gids([self.session])[0], node_entities_info_seq=nodes)
        self._writer.write(encode(self._message, message))

    def listen(self) -> None:
        """Begin to collect the node names of the other participants."""
        with self._lock:
            if not self._listening:
                self._listening = True
                # One sample of each participant must reach the reader, and all of them belong to one instance
                Reader(self.session, *DISCOVERY, Qos(*LATCHED, Policy.History.KeepAll), on_sample=self._heard)

    def _heard(self, data: bytes, info: Any) -> None:
        try:
            message = decode(self._message, data)
        except CodecError:
            return
        owned = {(one.node_namespace, one.node_name): one for one in message.node_entities_info_seq}
        with self._lock:
            self._remote[bytes(message.gid.data)[:16]] = list(owned)
            for owner, node in owned.items():
                gids = (bytes(gid.data)[:16] for gid in (*node.reader_gid_seq, *node.writer_gid_seq))
                self._owners.update(dict.fromkeys(gids, owner))

    def nodes(self) -> list[Owner]:
        """All nodes of the domain whose participant is alive."""
        self.listen()
        alive = {endpoint.participant for endpoint in self.endpoints()} - {self.session.gid}
        with self._lock:
            return sorted([*self._nodes, *(node for gid in alive for node in self._remote.get(gid, []))])

    def owner(self, gid: bytes) -> Owner | None:
        """The node that an endpoint belongs to, as far as it has been announced."""
        with self._lock:
            found = (owner for owner, own in self._nodes.items() if any(one.gid == gid for one in own))
            return next(found, self._owners.get(gid))

    def endpoints(self) -> list[RemoteEndpoint]:
        """All endpoints of the domain, own ones included."""
        with self._lock:
            if self.session.closed:
                return []
            if not self._builtin:
                kinds = ((BuiltinTopicDcpsPublication, True), (BuiltinTopicDcpsSubscription, False))
                self._builtin = [(BuiltinDataReader(self.session.participant, kind), side) for kind, side in kinds]
            return [
                RemoteEndpoint(
                    one.key.bytes, one.participant_key.bytes, one.topic_name, one.type_name, is_writer, one.qos
                )
                for reader, is_writer in self._builtin
                for one in reader.read(MOST_ENDPOINTS)
                if one.sample_info.instance_state == InstanceState.Alive and one.topic_name
            ]

    def names_and_types(self, prefix: str, suffix: str = "") -> list[tuple[str, list[str]]]:
        """ROS names with their types, of the DDS topics with this prefix (rt, rq, rr) and suffix."""
        found: dict[str, set[str]] = {}
        for endpoint in self.endpoints():
            kind, slash, name = endpoint.topic_name.partition("/")
            if kind == prefix and slash and name.endswith(suffix):
                found.setdefault("/" + name.removesuffix(suffix), set()).add(endpoint.ros_type)
        return [(name, sorted(kinds)) for name, kinds in sorted(found.items())]
