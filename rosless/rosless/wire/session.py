"""A participant with its readers, its writers and the one thread that waits for all of them."""

from __future__ import annotations

import ctypes
import itertools
import logging
import threading
from collections.abc import Callable
from typing import Any

from cyclonedds._clayer import ddspy_take, ddspy_write
from cyclonedds.core import DDSException, DDSStatus, Entity, GuardCondition, ReadCondition, WaitSet
from cyclonedds.internal import dds_infinity
from cyclonedds.pub import DataWriter
from cyclonedds.qos import Policy, Qos
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic

from rosless.errors import RoslessError
from rosless.wire.domain import close_participant, open_participant
from rosless.wire.entities import delete_entity
from rosless.wire.types import dds_type

ANY_SAMPLE = 0x7F
TAKE_AT_ONCE = 64

logger = logging.getLogger(__name__)

OnSample = Callable[[bytes, Any], None]


class Endpoint:
    """A reader or a writer of one topic, with the topic entity that it needs."""

    def __init__(self, session: Session, topic: Topic, entity: Any, type_name: str, topic_name: str) -> None:
        self.session, self.topic, self.entity = session, topic, entity
        self.type_name, self.topic_name = type_name, topic_name
        self.gid: bytes = entity.guid.bytes
        self.closed = False

    def close(self) -> None:
        """Delete the DDS entities; harmless when called twice or after the session's end."""
        if not self.closed:
            self.closed = True
            self.session.forget(self)
            delete_entity(self.entity)
            delete_entity(self.topic)


class Writer(Endpoint):
    """Writes encoded samples."""

    def write(self, data: bytes | bytearray) -> None:
        """Write one encoded sample.

        Raises:
            RoslessError: DDS refuses it, or the writer is closed.
        """
        if self.closed:
            raise RoslessError(f"the writer of '{self.topic_name}' is closed")
        result = ddspy_write(self.entity._ref, data)
        if result < 0 and not self.closed:
            raise RoslessError(f"writing {len(data)} bytes to '{self.topic_name}': {DDSException(result)}")

    @property
    def matched_count(self) -> int:
        """How many readers are matched."""
        return 0 if self.closed else int(self.entity.get_publication_matched_status().current_count)


class Reader(Endpoint):
    """Hands every sample, as encoded bytes, to a function on the session's thread."""

    condition: ReadCondition
    on_sample: OnSample

    def take(self) -> None:
        """Take all samples that have arrived."""
        while not self.closed:
            samples = ddspy_take(self.entity._ref, ANY_SAMPLE, TAKE_AT_ONCE)
            if isinstance(samples, int):
                return
            for data, info in samples:
                if info.valid_data:
                    self.on_sample(data, info)
            if len(samples) < TAKE_AT_ONCE:
                return

    @property
    def matched_count(self) -> int:
        """How many writers are matched."""
        return 0 if self.closed else int(self.entity.get_subscription_matched_status().current_count)


class Session:
    """Joins a ROS domain.  All callbacks run on the session's thread and must be short."""

    def __init__(self, domain_id: int) -> None:
        self.domain_id = domain_id
        self.participant = open_participant(domain_id)
        self.gid: bytes = self.participant.guid.bytes
        self._waitset = WaitSet(self.participant)
        self._stop = GuardCondition(self.participant)
        self._handlers: dict[int, Callable[[], None]] = {}
        self._keys: dict[int, list[tuple[int, Entity]]] = {}
        self._counter = itertools.count(1)
        self._lock = threading.Lock()
        self._endpoints: set[Endpoint] = set()
        self.closed = False
        self._attach(self._stop, lambda: None)
        self._thread = threading.Thread(target=self._wait, name=f"rosless domain {domain_id}", daemon=True)
        self._thread.start()

    def writer(
        self,
        topic_name: str,
        type_name: str,
        qos: Qos,
        *,
        is_service: bool = False,
        on_incompatible: Callable[[int], None] | None = None,
    ) -> Writer:
        """A writer of a DDS topic.  `on_incompatible` is told the DDS id of an incompatible policy."""
        topic = self._topic(topic_name, type_name, is_service)
        qos = qos + Qos(
            Policy.DataRepresentation(use_cdrv0_representation=True), Policy.WriterDataLifecycle(autodispose=False)
        )
        entity = self._create(DataWriter, topic, topic_name, qos)
        writer = Writer(self, topic, entity, type_name, topic_name)
        self._register(writer)
        if on_incompatible:
            self._watch_qos(writer, DDSStatus.OfferedIncompatibleQos, on_incompatible)
        return writer

    def reader(
        self,
        topic_name: str,
        type_name: str,
        qos: Qos,
        on_sample: OnSample,
        *,
        is_service: bool = False,
        on_incompatible: Callable[[int], None] | None = None,
    ) -> Reader:
        """A reader of a DDS topic."""
        topic = self._topic(topic_name, type_name, is_service)
        qos = qos + Qos(Policy.DataRepresentation(use_cdrv0_representation=True))
        entity = self._create(DataReader, topic, topic_name, qos)
        reader = Reader(self, topic, entity, type_name, topic_name)
        reader.on_sample = on_sample
        reader.condition = ReadCondition(entity, ANY_SAMPLE)
        self._register(reader)
        if on_incompatible:
            self._watch_qos(reader, DDSStatus.RequestedIncompatibleQos, on_incompatible)
        self._attach(reader.condition, reader.take, reader)
        return reader

    def _topic(self, topic_name: str, type_name: str, is_service: bool) -> Topic:
        if self.closed:
            raise RoslessError("the context is shut down")
        try:
            return Topic(self.participant, topic_name, dds_type(type_name, is_service))
        except DDSException as error:
            raise RoslessError(f"cannot use topic '{topic_name}' with type {type_name}: {error}") from error

    def _create(self, kind: type, topic: Topic, topic_name: str, qos: Qos) -> Any:
        try:
            return kind(self.participant, topic, qos)
        except DDSException as error:
            delete_entity(topic)
            raise RoslessError(f"cannot make an endpoint of '{topic_name}': {error}") from error

    def _register(self, endpoint: Endpoint) -> None:
        with self._lock:
            self._endpoints.add(endpoint)

    def _watch_qos(self, endpoint: Endpoint, status: int, on_incompatible: Callable[[int], None]) -> None:
        entity = endpoint.entity
        entity.set_status_mask(status)

        def report() -> None:
            if endpoint.closed:
                return
            if status == DDSStatus.RequestedIncompatibleQos:
                details = entity.get_requested_incompatible_qos_status()
            else:
                details = entity.get_offered_incompatible_qos_status()
            if details.total_count_change > 0:
                on_incompatible(int(details.last_policy_id))

        self._attach(entity, report, endpoint)

    def watch(self, condition: Entity, handler: Callable[[], None]) -> None:
        """Call `handler` on the session's thread whenever a condition triggers."""
        self._attach(condition, handler)

    def _attach(self, entity: Entity, handler: Callable[[], None], owner: Endpoint | None = None) -> None:
        key = next(self._counter)
        with self._lock:
            self._handlers[key] = handler
            if owner is not None:
                self._keys.setdefault(id(owner), []).append((key, entity))
        result = self._waitset._waitset_attach(self._waitset._ref, entity._ref, ctypes.c_void_p(key))
        if result < 0:
            raise RoslessError(f"cannot wait for {entity!r}: {DDSException(result)}")

    def forget(self, endpoint: Endpoint) -> None:
        """Stop waiting for an endpoint."""
        with self._lock:
            self._endpoints.discard(endpoint)
            keys = self._keys.pop(id(endpoint), [])
            for key, _ in keys:
                self._handlers.pop(key, None)
        for _, entity in keys:
            self._waitset._waitset_detach(self._waitset._ref, entity._ref)
            if entity is not endpoint.entity:
                delete_entity(entity)

    def _wait(self) -> None:
        triggered = (ctypes.c_void_p * 256)()
        pointer = ctypes.cast(triggered, ctypes.POINTER(ctypes.c_void_p))
        while not self.closed:
            count = self._waitset._waitset_wait(self._waitset._ref, pointer, len(triggered), dds_infinity)
            if count < 0:
                return
            for key in triggered[: min(count, len(triggered))]:
                handler = self._handlers.get(key or 0)
                if handler is None:
                    continue
                try:
                    handler()
                except Exception:
                    if not self.closed:
                        logger.exception("a handler of incoming data failed")

    def close(self) -> None:
        """Leave the domain: end the thread, delete everything.  Harmless when called twice."""
        with self._lock:
            if self.closed:
                return
            self.closed = True
            endpoints = list(self._endpoints)
        self._stop.set(True)
        if threading.current_thread() is not self._thread:
            self._thread.join()
        for endpoint in endpoints:
            endpoint.close()
        self._waitset.attached.clear()
        delete_entity(self._waitset)
        delete_entity(self._stop)
        close_participant(self.domain_id, self.participant)
