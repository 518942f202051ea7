"""The ROS graph: what this context announces (`ros_discovery_info`), and what others do."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

from cyclonedds.internal import dds_infinity
from cyclonedds.qos import Policy, Qos

from pocketros.errors import CodecError
from pocketros.interfaces.codec import decode, encode
from pocketros.interfaces.definitions import type_hash
from pocketros.interfaces.messages import message_class
from pocketros.wire.native import RemoteEndpoint, Sample
from pocketros.wire.session import Endpoint, Reader, Session, Writer

DISCOVERY = ("ros_discovery_info", "rmw_dds_common/msg/ParticipantEntitiesInfo")
GID_SIZE = 16  # bytes that DDS uses; ROS before Iron announces more
RELIABLE = Policy.Reliability.Reliable(dds_infinity)
LATCHED = (RELIABLE, Policy.Durability.TransientLocal, Policy.Userdata(f"typehash={type_hash(DISCOVERY[1])};".encode()))

Owner = tuple[str, str]
"""Namespace and name of a node."""


class Graph:
    """Announces the nodes of a session and lists those of the others."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._nodes: dict[Owner, list[Endpoint]] = {}
        self._remote: dict[bytes, dict[Owner, set[bytes]]] = {}
        self._lock = threading.RLock()
        self._message: Any = message_class(DISCOVERY[1])
        self._writer = Writer(session, *DISCOVERY, Qos(*LATCHED, Policy.History.KeepLast(1)))
        self._listening = False

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
