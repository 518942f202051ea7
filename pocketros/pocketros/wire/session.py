"""A participant with its readers, its writers and the one thread that waits for all of them."""

from __future__ import annotations

import ctypes
import itertools
import logging
import threading
from collections.abc import Callable
from typing import Any

from cyclonedds.builtin import BuiltinDataReader, BuiltinTopicDcpsPublication, BuiltinTopicDcpsSubscription
from cyclonedds.core import DDSException, DDSStatus, Entity, GuardCondition, ReadCondition, WaitSet
from cyclonedds.internal import dds_infinity
from cyclonedds.pub import DataWriter
from cyclonedds.qos import Policy, Qos
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic

from pocketros.errors import PocketrosError
from pocketros.wire import native
from pocketros.wire.domain import close_participant, delete_entity, open_participant
from pocketros.wire.native import ANY_SAMPLE, RemoteEndpoint, Sample
from pocketros.wire.shared_memory import realm
from pocketros.wire.types import PLACE, dds_type

TRIGGERED_AT_ONCE = 256
# Parameters of mallopt, and the bytes that freed memory may take before the kernel gets it back
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT_MEMORY = 2**25

logger = logging.getLogger(__name__)


class Endpoint:
    """A reader or a writer of one DDS topic.

    Args:
        on_incompatible: is told the DDS id of a policy that keeps a counterpart from matching.
        on_other_type: is told the type of a counterpart that has another one.
        is_service: whether samples carry the identity of a call.
    """

    entity: Any
    # The statuses of matched and of incompatible counterparts, as the entity names them
    _kind: Any
    _mask = 0
    _matched = _incompatible = ""

    def __init__(
        self,
        session: Session,
        topic_name: str,
        type_name: str,
        qos: Qos,
        *,
        on_incompatible: Callable[[int], None] | None = None,
        on_other_type: Callable[[str], None] | None = None,
        is_service: bool = False,
    ) -> None:
        if session.closed:
            raise PocketrosError("the context is shut down")
        self.session, self.topic_name, self.type_name, self.closed = session, topic_name, type_name, False
        self.on_other_type, self._on_incompatible = on_other_type, on_incompatible
        self.keys: list[tuple[int, Entity]] = []
        fixed = Qos(Policy.DataRepresentation(use_cdrv0_representation=True))
        if self.is_writer:
            fixed += Qos(Policy.WriterDataLifecycle(autodispose=False))
        try:
            self._topic = session.topic(topic_name, type_name, is_service)
            self.entity = self._kind(session.participant, self._topic, qos + fixed)
        except DDSException as error:
            raise PocketrosError(f"cannot use topic '{topic_name}' with type {type_name}: {error}") from error
        self.gid: bytes = self.entity.guid.bytes
        session.add(self)
        if on_incompatible is not None:
            self.entity.set_status_mask(self._mask)
            session.watch(self.entity, self._report_incompatible, self)
            self._report_incompatible()  # what was found before anybody watched

    @property
    def is_writer(self) -> bool:
        return self._kind is DataWriter

    def _report_incompatible(self) -> None:
        details = getattr(self.entity, self._incompatible)() if not self.closed else None
        if self._on_incompatible is not None and details and details.total_count_change > 0:
            self._on_incompatible(int(details.last_policy_id))

    def discovered_places(self, topic_name: str) -> None:
        """Hear that somebody writes on a topic of places in shared memory."""

    @property
    def matched_count(self) -> int:
        """How many counterparts are matched."""
        return 0 if self.closed else int(getattr(self.entity, self._matched)().current_count)

    def counterparts(self) -> list[int]:
        """Handles of the matched endpoints."""
        return [] if self.closed else native.counterparts(self.entity._ref, not self.is_writer)

    def counterpart(self, handle: int) -> dict[str, str]:
        """What a matched endpoint tells of itself, empty when it is gone."""
        found = None if self.closed else native.counterpart(self.entity._ref, handle, not self.is_writer)
        return found.user_data if found is not None else {}

    def close(self) -> None:
        """Delete the DDS entities; harmless when called twice or after the session's end."""
        if not self.closed:
            self.closed = True
            self.session.forget(self)
            delete_entity(self.entity)
            delete_entity(self._topic)


class Writer(Endpoint):
    """Writes encoded samples."""

    _kind, _mask = DataWriter, DDSStatus.OfferedIncompatibleQos
    _matched, _incompatible = "get_publication_matched_status", "get_offered_incompatible_qos_status"

    def write(self, data: bytes | bytearray) -> None:
        """Write one encoded sample.

        Raises:
            PocketrosError: DDS refuses it, or the writer is closed.
        """
        if self.closed:
            raise PocketrosError(f"the writer of '{self.topic_name}' is closed")
        result = native.write(self.entity._ref, data)
        if result < 0 and not self.closed:
            raise PocketrosError(f"writing {len(data)} bytes to '{self.topic_name}': {DDSException(result)}")


class Reader(Endpoint):
    """Hands every sample to a function on the session's thread."""

    _kind, _mask = DataReader, DDSStatus.RequestedIncompatibleQos
    _matched, _incompatible = "get_subscription_matched_status", "get_requested_incompatible_qos_status"

    def __init__(self, session: Session, *names: Any, on_sample: Callable[[Sample], None], **options: Any) -> None:
        super().__init__(session, *names, **options)
        self._on_sample = on_sample
        session.watch(ReadCondition(self.entity, ANY_SAMPLE), self._take, self)

    def _take(self) -> None:
        for sample in native.take(self.entity._ref) if not self.closed else ():
            self._on_sample(sample)


def keep_freed_memory() -> None:
    """Let the C library reuse the memory of images, instead of giving it back and asking for it with every sample."""
    if (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)) is not None:
        mallopt(M_TRIM_THRESHOLD, KEPT_MEMORY)
        mallopt(M_MMAP_THRESHOLD, KEPT_MEMORY)


class Session:
    """Joins a ROS domain.  All callbacks run on the session's thread and must be short.

    Attributes:
        realm: of the processes that can look into this one's memory, empty for none.
    """

    def __init__(self, domain_id: int) -> None:
        keep_freed_memory()
        self.domain_id, self.closed, self.realm = domain_id, False, realm()
        self.participant = open_participant(domain_id)
        self.gid: bytes = self.participant.guid.bytes
        self._own: set[Endpoint] = set()
        self._known: dict[bytes, RemoteEndpoint] = {}
        self._types: dict[type, Topic] = {}
        self._places: set[str] = set()  # topics of places in shared memory
        self._handlers: dict[int, Callable[[], None]] = {}
        self._counter = itertools.count(1)
        self._closing, self._discovering = threading.Lock(), threading.Lock()
        self._waitset, self._stop = WaitSet(self.participant), GuardCondition(self.participant)
        topics = ((BuiltinTopicDcpsPublication, True), (BuiltinTopicDcpsSubscription, False))
        self._builtin = [(BuiltinDataReader(self.participant, topic), is_writer) for topic, is_writer in topics]
        self._conditions: list[Any] = [reader._next_condition for reader, _ in self._builtin]
        for condition in self._conditions:
            self.watch(condition, self._discover)
        self.watch(self._stop, lambda: None)
        self._thread = threading.Thread(target=self._wait, name=f"pocketros domain {domain_id}", daemon=True)
        self._thread.start()

    def topic(self, name: str, type_name: str, is_service: bool) -> Topic:
        """A new topic."""
        kind = dds_type(type_name, is_service)
        if kind not in self._types:
            self._types[kind] = Topic(self.participant, f"pocketros_{len(self._types)}", kind)
        return native.topic_like(self._types[kind], self.participant._ref, name)

    def watch(self, entity: Entity, handler: Callable[[], None], owner: Endpoint | None = None) -> None:
        """Call `handler` whenever an entity triggers, until its owner is closed."""
        key = next(self._counter)
        self._handlers[key] = handler
        if owner is not None:
            owner.keys.append((key, entity))
        result = self._waitset._waitset_attach(self._waitset._ref, entity._ref, ctypes.c_void_p(key))
        if result < 0:
            raise PocketrosError(f"cannot wait for {entity!r}: {DDSException(result)}")

    def add(self, endpoint: Endpoint) -> None:
        """Take care of a new endpoint."""
        with self._discovering:
            self._own.add(endpoint)
            known, places = list(self._known.values()), set(self._places)
        self._compare([endpoint], known)
        for topic_name in places:
            endpoint.discovered_places(topic_name)

    def forget(self, endpoint: Endpoint) -> None:
        """Stop waiting for an endpoint."""
        with self._discovering:
            self._own.discard(endpoint)
        for key, entity in endpoint.keys:
            self._handlers.pop(key, None)
            self._waitset._waitset_detach(self._waitset._ref, entity._ref)
            if entity is not endpoint.entity:
                delete_entity(entity)

    def endpoints(self) -> list[RemoteEndpoint]:
        """All endpoints of the domain that have been discovered, own ones included."""
        self._discover()
        with self._discovering:
            return list(self._known.values())

    def _discover(self) -> None:
        came = []
        with self._discovering:
            for reader, is_writer in self._builtin if not self.closed else ():
                for gid, endpoint in native.discovered(reader._ref, is_writer):
                    self._known.pop(gid, None)
                    if endpoint is not None:
                        self._known[gid] = endpoint
                        came.append(endpoint)
            own = list(self._own)
            places = {one.topic_name for one in came if one.is_writer and one.ros_type == PLACE}
            self._places |= places
        self._compare(own, came)
        for endpoint, topic_name in itertools.product(own, places):
            endpoint.discovered_places(topic_name)

    @staticmethod
    def _compare(own: list[Endpoint], found: list[RemoteEndpoint]) -> None:
        for endpoint in own:
            for other in found:
                meets = other.topic_name == endpoint.topic_name and other.is_writer != endpoint.is_writer
                if meets and other.ros_type != endpoint.type_name and endpoint.on_other_type is not None:
                    endpoint.on_other_type(other.ros_type)

    def _wait(self) -> None:
        triggered = (ctypes.c_void_p * TRIGGERED_AT_ONCE)()
        pointer = ctypes.cast(triggered, ctypes.POINTER(ctypes.c_void_p))
        while not self.closed:
            count = self._waitset._waitset_wait(self._waitset._ref, pointer, len(triggered), dds_infinity)
            for key in triggered[: max(min(count, len(triggered)), 0)]:
                try:
                    self._handlers.get(key or 0, lambda: None)()
                except Exception:
                    if not self.closed:
                        logger.exception("a handler of incoming data failed")
            if count < 0:
                return

    def close(self) -> None:
        """Leave the domain: end the thread, delete everything.  Harmless when called twice."""
        with self._closing:
            if self.closed:
                return
            self.closed = True
        self._stop.set(True)
        if threading.current_thread() is not self._thread:
            self._thread.join()
        for endpoint in list(self._own):
            endpoint.close()
        self._waitset.attached.clear()
        with self._discovering:
            readers = [reader for reader, _ in self._builtin]
            for entity in (self._waitset, self._stop, *self._conditions, *readers, *self._types.values()):
                delete_entity(entity)
        close_participant(self.domain_id, self.participant)
