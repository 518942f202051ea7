"""The ROS graph: what this context announces (`ros_discovery_info`), and what others do."""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterable
from dataclasses import dataclass
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


@dataclass(eq=False)
class Announced:
    """A node of this session, its endpoints, and its part of the message that tells of them."""

    owner: Owner
    endpoints: list[Endpoint]
    encoded: bytes = b""


class Graph:
    """Announces the nodes of a session and lists those of the others."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._nodes: list[Announced] = []
        self._remote: dict[bytes, list[tuple[Owner, set[bytes]]]] = {}
        self._lock = threading.RLock()
        self._message: Any = message_class(DISCOVERY[1])
        self._writer = Writer(session, *DISCOVERY, Qos(*LATCHED, Policy.History.KeepLast(1)))
        self._listening = False

    def add_node(self, owner: Owner, endpoints: Iterable[Endpoint]) -> Announced:
        """Announce a node with all that it begins with, in one message: each lists all nodes of the session."""
        node = Announced(owner, list(endpoints))
        with self._lock:
            self._nodes.append(node)
            self._announce(node)
        return node

    def remove_node(self, node: Announced) -> None:
        """Withdraw a node with its endpoints."""
        with self._lock:
            self._nodes.remove(node)
            self._announce()

    def update(self, node: Announced, added: Iterable[Endpoint] = (), removed: Iterable[Endpoint] = ()) -> None:
        """Announce which endpoints belong to a node."""
        added, removed = list(added), list(removed)
        with self._lock:
            if added or removed:
                node.endpoints = [one for one in [*node.endpoints, *added] if one not in removed]
                self._announce(node)

    def _announce(self, changed: Announced | None = None) -> None:
        """Tell of all nodes, one of which has changed. A node's part of the message begins and ends at a multiple of
        four bytes, as its strings and lists are aligned: those of the others are used again."""
        if self.session.closed:
            return
        if changed is not None:
            changed.encoded = self._encoded(changed.owner, changed.endpoints)
        head = encode(self._message, self._message(gid=self._gid(self.session)))[: -COUNT.size]
        self._writer.write(head + COUNT.pack(len(self._nodes)) + b"".join(one.encoded for one in self._nodes))

    def _encoded(self, owner: Owner, own: list[Endpoint]) -> bytes:
        namespace, name = owner
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
        nodes = [
            (
                (one.node_namespace, one.node_name),
                {bytes(gid.data)[:GID_SIZE] for gid in (*one.reader_gid_seq, *one.writer_gid_seq)},
            )
            for one in message.node_entities_info_seq
        ]
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
            others = (owner for gid in alive for owner, _ in self._remote.get(gid, ()))
            return sorted([*(one.owner for one in self._nodes), *others])

    def owner(self, gid: bytes) -> Owner | None:
        """The node that an endpoint belongs to, as far as it has been announced."""
        self.listen()
        with self._lock:
            own = ((node.owner, [one.gid for one in node.endpoints]) for node in self._nodes)
            others = (node for nodes in self._remote.values() for node in nodes)
            return next((owner for owner, gids in (*own, *others) if gid in gids), None)

    def endpoints_of(self, owner: Owner) -> list[RemoteEndpoint] | None:
        """The endpoints of a node; None when nobody has announced such a node."""
        self.listen()
        endpoints = self.endpoints()
        alive = {endpoint.participant for endpoint in endpoints}
        with self._lock:
            known = [node for gid, nodes in self._remote.items() if gid in alive for node in nodes]
            known += [(node.owner, {one.gid for one in node.endpoints}) for node in self._nodes]
        announced = [owned for one, owned in known if one == owner]
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
