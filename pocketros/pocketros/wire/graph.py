"""The ROS graph: what this context announces (`ros_discovery_info`), and what others do."""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterable
from typing import Any

from cyclonedds.internal import dds_infinity
from cyclonedds.qos import Policy, Qos

from pocketros.errors import CodecError
from pocketros.interfaces.codec import decode, encode
from pocketros.interfaces.definitions import type_hash
from pocketros.interfaces.messages import message_class
from pocketros.wire.native import HEADER_SIZE, RemoteEndpoint, Sample
from pocketros.wire.session import Endpoint, Reader, Session, Writer

DISCOVERY = ("ros_discovery_info", "rmw_dds_common/msg/ParticipantEntitiesInfo")
GID_SIZE = 16  # bytes that DDS uses; ROS before Iron announces more
COUNT = struct.Struct("<I")
RELIABLE = Policy.Reliability.Reliable(dds_infinity)
LATCHED = (RELIABLE, Policy.Durability.TransientLocal, Policy.Userdata(f"typehash={type_hash(DISCOVERY[1])};".encode()))

Owner = tuple[str, str]
"""Namespace and name of a node."""


class Graph:
    """Announces the nodes of a session and lists those of the others."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._nodes: dict[Owner, list[Endpoint]] = {}
        self._parts: dict[Owner, bytes] = {}  # encoded
        self._remote: dict[bytes, dict[Owner, set[bytes]]] = {}
        self._lock = threading.RLock()
        self._message: Any = message_class(DISCOVERY[1])
        self._writer = Writer(session, *DISCOVERY, Qos(*LATCHED, Policy.History.KeepLast(1)))
        self._listening = False

    def add_node(self, owner: Owner, endpoints: Iterable[Endpoint]) -> None:
        """Announce a node with all that it begins with, in one message: each lists all nodes of the session."""
        with self._lock:
            self._nodes[owner] = [*self._nodes.get(owner, ()), *endpoints]
            self._announce(owner)

    def remove_node(self, owner: Owner, endpoints: Iterable[Endpoint]) -> None:
        """Withdraw a node with its endpoints; another one of the same name keeps its own."""
        gone = set(endpoints)
        with self._lock:
            if (own := self._nodes.pop(owner, None)) is not None:
                if left := [one for one in own if one not in gone]:
                    self._nodes[owner] = left
                self._announce(owner)

    def update(self, owner: Owner, added: Iterable[Endpoint] = (), removed: Iterable[Endpoint] = ()) -> None:
        """Announce which endpoints belong to a node."""
        added, removed = list(added), list(removed)
        with self._lock:
            if (own := self._nodes.get(owner)) is not None and (added or removed):
                self._nodes[owner] = [one for one in [*own, *added] if one not in removed]
                self._announce(owner)

    def _announce(self, changed: Owner) -> None:
        """Tell of all nodes, one of which has changed. A node's part of the message begins and ends at a multiple of
        four bytes, as its strings and lists are aligned: those of the others are used again."""
        if self.session.closed:
            return
        if changed in self._nodes:
            self._parts[changed] = self._encoded(changed, self._nodes[changed])
        else:
            self._parts.pop(changed, None)
        head = encode(self._message, self._message(gid=self._gid(self.session)))[: -COUNT.size]
        self._writer.write(head + COUNT.pack(len(self._parts)) + b"".join(self._parts.values()))

    def _encoded(self, owner: Owner, endpoints: Iterable[Endpoint]) -> bytes:
        namespace, name = owner
        own = list(endpoints)
        kind: Any = message_class("rmw_dds_common/msg/NodeEntitiesInfo")
        message = kind(
            node_namespace=namespace,
            node_name=name,
            reader_gid_seq=[self._gid(one) for one in own if isinstance(one, Reader)],
            writer_gid_seq=[self._gid(one) for one in own if isinstance(one, Writer)],
        )
        return bytes(encode(kind, message)[HEADER_SIZE:])

    @staticmethod
    def _gid(one: Any) -> Any:
        kind: Any = message_class("rmw_dds_common/msg/Gid")
        return kind(data=one.gid.ljust(len(kind().data), b"\0"))

    def listen(self) -> None:
        """Begin to collect the node names of the other participants."""
        with self._lock:
            if not self._listening:
                self._listening = True
                # One sample of each participant must reach the reader, and all of them belong to one instance
                Reader(self.session, *DISCOVERY, Qos(*LATCHED, Policy.History.KeepAll), on_sample=self._heard)

    def _heard(self, sample: Sample) -> None:
        try:
            message = decode(self._message, sample.data)
        except CodecError:
            return
        nodes = {
            (one.node_namespace, one.node_name): {
                bytes(gid.data)[:GID_SIZE] for gid in (*one.reader_gid_seq, *one.writer_gid_seq)
            }
            for one in message.node_entities_info_seq
        }
        alive = {endpoint.participant for endpoint in self.endpoints()}
        with self._lock:
            # What is known of participants that are gone goes with the next that announces something
            self._remote = {gid: nodes for gid, nodes in self._remote.items() if gid in alive}
            self._remote[bytes(message.gid.data)[:GID_SIZE]] = nodes

    def endpoints(self) -> list[RemoteEndpoint]:
        """All endpoints of the domain, own ones included."""
        return self.session.endpoints()

    def nodes(self) -> list[Owner]:
        """All nodes of the domain whose participant is alive."""
        self.listen()
        alive = {endpoint.participant for endpoint in self.endpoints()} - {self.session.gid}
        with self._lock:
            return sorted([*self._nodes, *(node for gid in alive for node in self._remote.get(gid, ()))])

    def owner(self, gid: bytes) -> Owner | None:
        """The node that an endpoint belongs to, as far as it has been announced."""
        self.listen()
        with self._lock:
            own = ((owner, [one.gid for one in endpoints]) for owner, endpoints in self._nodes.items())
            others = (node for nodes in self._remote.values() for node in nodes.items())
            return next((owner for owner, gids in (*own, *others) if gid in gids), None)

    def endpoints_of(self, owner: Owner) -> list[RemoteEndpoint] | None:
        """The endpoints of a node; None when nobody has announced such a node."""
        self.listen()
        endpoints = self.endpoints()
        alive = {endpoint.participant for endpoint in endpoints}
        with self._lock:
            announced = [nodes[owner] for gid, nodes in self._remote.items() if gid in alive and owner in nodes]
            if owner in self._nodes:
                announced.append({one.gid for one in self._nodes[owner]})
        gids: set[bytes] = set().union(*announced)
        return [endpoint for endpoint in endpoints if endpoint.gid in gids] if announced else None

    def names_and_types(
        self, prefix: str, suffix: str = "", endpoints: Iterable[RemoteEndpoint] | None = None
    ) -> list[tuple[str, list[str]]]:
        """ROS names with their types, of the DDS topics with this prefix (rt, rq, rr) and suffix.

        Args:
            endpoints: among which to look; None for all of the domain.
        """
        found: dict[str, set[str]] = {}
        for endpoint in self.endpoints() if endpoints is None else endpoints:
            kind, slash, name = endpoint.topic_name.partition("/")
            if kind == prefix and slash and name.endswith(suffix):
                found.setdefault("/" + name.removesuffix(suffix), set()).add(endpoint.ros_type)
        return [(name, sorted(kinds)) for name, kinds in sorted(found.items())]
