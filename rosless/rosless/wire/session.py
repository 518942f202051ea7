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
from rosless.wire.domain import close_participant, delete_entity, open_participant
from rosless.wire.types import dds_type

ANY_SAMPLE = 0x7F
TAKE_AT_ONCE = 64
TRIGGERED_AT_ONCE = 256
# Parameters of mallopt, and the bytes that freed memory may take before the kernel gets it back
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT_MEMORY = 2**25

logger = logging.getLogger(__name__)


class Endpoint:
    """A reader or a writer of one DDS topic.

    Args:
        on_incompatible: is told the DDS id of a policy that keeps a counterpart from matching.
        is_service: whether samples carry the identity of a call.
    """

    entity: Any
    # The statuses of matched and of incompatible counterparts, as the entity names them
    _matched = _incompatible = ""
    _mask = 0

    def __init__(
        self,
        session: Session,
        topic_name: str,
        type_name: str,
        qos: Qos,
        *,
        on_incompatible: Callable[[int], None] | None = None,
        is_service: bool = False,
    ) -> None:
        if session.closed:
            raise RoslessError("the context is shut down")
        self.session, self.topic_name, self.type_name, self.closed = session, topic_name, type_name, False
        self.keys: list[tuple[int, Entity]] = []
        try:
            self._topic = Topic(session.participant, topic_name, dds_type(type_name, is_service))
            self.entity = self._create(qos + Qos(Policy.DataRepresentation(use_cdrv0_representation=True)))
        except DDSException as error:
            raise RoslessError(f"cannot use topic '{topic_name}' with type {type_name}: {error}") from error
        self.gid: bytes = self.entity.guid.bytes
        session.endpoints.add(self)
        self._on_incompatible = on_incompatible
        if on_incompatible is not None:
            self.entity.set_status_mask(self._mask)
            session.watch(self.entity, self._report_incompatible, self)

    def _create(self, qos: Qos) -> Any:
        raise NotImplementedError  # pragma: no cover - both subclasses define it

    def _report_incompatible(self) -> None:
        details = getattr(self.entity, self._incompatible)() if not self.closed else None
        if self._on_incompatible is not None and details and details.total_count_change > 0:
            self._on_incompatible(int(details.last_policy_id))

    @property
    def matched_count(self) -> int:
        """How many counterparts are matched."""
        return 0 if self.closed else int(getattr(self.entity, self._matched)().current_count)

    def close(self) -> None:
        """Delete the DDS entities; harmless when called twice or after the session's end."""
        if not self.closed:
            self.closed = True
            self.session.forget(self)
            delete_entity(self.entity)
            delete_entity(self._topic)


class Writer(Endpoint):
    """Writes encoded samples."""

    _matched, _incompatible = "get_publication_matched_status", "get_offered_incompatible_qos_status"
    _mask = DDSStatus.OfferedIncompatibleQos

    def _create(self, qos: Qos) -> DataWriter:
        kept = Qos(Policy.WriterDataLifecycle(autodispose=False))
        return DataWriter(self.session.participant, self._topic, qos + kept)

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


class Reader(Endpoint):
    """Hands every sample, as encoded bytes with its DDS sample info, to a function on the session's thread."""

    _matched, _incompatible = "get_subscription_matched_status", "get_requested_incompatible_qos_status"
    _mask = DDSStatus.RequestedIncompatibleQos

    def __init__(self, session: Session, *names: Any, on_sample: Callable[[bytes, Any], None], **options: Any) -> None:
        super().__init__(session, *names, **options)
        self._on_sample = on_sample
        session.watch(ReadCondition(self.entity, ANY_SAMPLE), self._take, self)

    def _create(self, qos: Qos) -> DataReader:
        return DataReader(self.session.participant, self._topic, qos)

    def _take(self) -> None:
        samples: Any = ()
        while not self.closed and not isinstance(samples, int):
            samples = ddspy_take(self.entity._ref, ANY_SAMPLE, TAKE_AT_ONCE)
            for data, info in samples if not isinstance(samples, int) else ():
                if info.valid_data:
                    self._on_sample(data, info)
            if not isinstance(samples, int) and len(samples) < TAKE_AT_ONCE:
                return


def keep_freed_memory() -> None:
    """Let the C library reuse the memory of images, instead of giving it back and asking for it with every sample."""
    if (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)) is not None:
        mallopt(M_TRIM_THRESHOLD, KEPT_MEMORY)
        mallopt(M_MMAP_THRESHOLD, KEPT_MEMORY)


class Session:
    """Joins a ROS domain.  All callbacks run on the session's thread and must be short."""

    def __init__(self, domain_id: int) -> None:
        keep_freed_memory()
        self.domain_id, self.closed = domain_id, False
        self.participant = open_participant(domain_id)
        self.gid: bytes = self.participant.guid.bytes
        self.endpoints: set[Endpoint] = set()
        self._waitset, self._stop = WaitSet(self.participant), GuardCondition(self.participant)
        self._handlers: dict[int, Callable[[], None]] = {}
        self._counter = itertools.count(1)
        self._lock = threading.Lock()
        self.watch(self._stop, lambda: None)
        self._thread = threading.Thread(target=self._wait, name=f"rosless domain {domain_id}", daemon=True)
        self._thread.start()

    def watch(self, entity: Entity, handler: Callable[[], None], owner: Endpoint | None = None) -> None:
        """Call `handler` whenever an entity triggers, until its owner is closed."""
        key = next(self._counter)
        self._handlers[key] = handler
        if owner is not None:
            owner.keys.append((key, entity))
        result = self._waitset._waitset_attach(self._waitset._ref, entity._ref, ctypes.c_void_p(key))
        if result < 0:
            raise RoslessError(f"cannot wait for {entity!r}: {DDSException(result)}")

    def forget(self, endpoint: Endpoint) -> None:
        """Stop waiting for an endpoint."""
        self.endpoints.discard(endpoint)
        for key, entity in endpoint.keys:
            self._handlers.pop(key, None)
            self._waitset._waitset_detach(self._waitset._ref, entity._ref)
            if entity is not endpoint.entity:
                delete_entity(entity)

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
        with self._lock:
            if self.closed:
                return
            self.closed = True
        self._stop.set(True)
        if threading.current_thread() is not self._thread:
            self._thread.join()
        for endpoint in list(self.endpoints):
            endpoint.close()
        self._waitset.attached.clear()
        delete_entity(self._waitset)
        delete_entity(self._stop)
        close_participant(self.domain_id, self.participant)
