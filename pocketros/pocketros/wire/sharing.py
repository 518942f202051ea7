"""Large samples between processes of one user on one machine pass through memory that both map.

For topics on which samples may be lost: best effort, volatile, the last ones kept. With its first large sample a writer
opens a second one, of the places where samples lie; its topic bears the realm, which only those have who can look into
each other's memory. A reader that discovers it opens a second reader there, which tells whose it is. If all readers of
the writer have one, its large samples go into memory and their places to those; otherwise it writes the samples
themselves, so that a reader that knows nothing of this gets nothing else. One that is overwritten before it was read is
lost, and so is one whose writer ended.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from cyclonedds.core import DDSException
from cyclonedds.internal import dds_infinity
from cyclonedds.qos import Policy, Qos

from pocketros.errors import PocketrosError
from pocketros.interfaces.codec import Parts
from pocketros.wire import native
from pocketros.wire.native import Sample
from pocketros.wire.session import Reader, Session, Writer
from pocketros.wire.shared_memory import KEPT_BESIDE, Inbox, Outbox, Place, PlaceError
from pocketros.wire.types import PLACE

LEAST = 2**16  # bytes: what is smaller fits one datagram, and costs no more there
OWNER = "of"  # in USER_DATA of a reader of places: the gid of the reader that it belongs to, in hexadecimal
PLACES_KEPT = 64  # of which the last ones can still be looked up
GUID_PREFIX = 12  # bytes of a gid that tell the participant
FAILURES = (
    3  # places of a writer in a row that cannot be looked into, until a reader wants the samples themselves again
)

logger = logging.getLogger(__name__)


def _places(realm: str, topic_name: str) -> tuple[str, str]:
    return f"pocketros/{realm}/{topic_name}", PLACE


def _may_be_lost(qos: Qos) -> bool:
    return Policy.Reliability.BestEffort in qos and Policy.Durability.Volatile in qos


class SharingWriter(Writer):
    """Writes encoded samples; large ones into shared memory, if all readers look there."""

    def __init__(self, session: Session, topic_name: str, type_name: str, qos: Qos, **options: Any) -> None:
        super().__init__(session, topic_name, type_name, qos, **options)
        depths = [policy.depth for policy in qos if isinstance(policy, Policy.History.KeepLast)]
        expires = any(isinstance(policy, Policy.Lifespan) and policy.lifespan != dds_infinity for policy in qos)
        shares = bool(depths and session.realm) and _may_be_lost(qos) and not expires
        self._outbox = Outbox(depths[0]) if shares else None
        self._places: Writer | None = None
        self._asking = threading.Lock()
        self._asked: tuple[list[int], list[int]] = [], []
        self._all_look = False

    @property
    def shares(self) -> bool:
        """Whether large samples may go into memory."""
        return self._outbox is not None

    def write(self, data: bytes | bytearray) -> None:
        place = places = None
        if self._outbox is not None:
            size = data.size if isinstance(data, Parts) else len(data)
            # While large ones go into memory, small ones do, too: two ways would not keep their order
            places = self._shared_with_all() if size >= LEAST or self._all_look else None
            pieces = data.pieces() if isinstance(data, Parts) else (memoryview(data),)
            place = self._outbox.put(pieces, size) if places is not None else None
        if place is not None and places is not None:
            places.write(place.encoded())
        else:
            super().write(data.joined() if isinstance(data, Parts) else data)

    def _shared_with_all(self) -> Writer | None:
        """The writer of places, if there are readers and all of them look there."""
        with self._asking, suppress(DDSException):  # the entities may be deleted meanwhile
            if self.closed:
                return None
            if self._places is None:
                qos = Qos(Policy.Reliability.BestEffort, Policy.History.KeepLast(1))
                self._places = Writer(self.session, *_places(self.session.realm, self.topic_name), qos)
            asked = self.counterparts(), self._places.counterparts()
            if asked != self._asked:  # whoever comes and whoever goes has another handle
                readers = [native.counterpart(self.entity._ref, handle, is_writer=False) for handle in asked[0]]
                look = _owners(self._places, asked[1])
                self._all_look = bool(readers) and all(one is not None and one.gid.hex() in look for one in readers)
                self._asked = asked
            return self._places if self._all_look else None
        return None

    def close(self) -> None:
        super().close()
        with self._asking:  # one that is being opened is closed, too
            if self._places is not None:
                self._places.close()
        if self._outbox is not None:
            self._outbox.close()


def _owners(places: Writer, handles: list[int]) -> set[str]:
    """Whose readers look at places, by their gids, each as far as it is of the participant that says so."""
    found = [native.counterpart(places.entity._ref, handle, is_writer=False) for handle in handles]
    told = [(one.user_data.get(OWNER, ""), one.gid[:GUID_PREFIX].hex()) for one in found if one is not None]
    return {owner for owner, participant in told if owner.startswith(participant)}


class SharingReader(Reader):
    """Hands every sample to a function on the session's thread, wherever it lies."""

    def __init__(
        self,
        session: Session,
        topic_name: str,
        type_name: str,
        qos: Qos,
        *,
        on_sample: Callable[[Sample], None],
        **options: Any,
    ) -> None:
        self._hand_over = on_sample
        self._looks = bool(session.realm) and _may_be_lost(qos)
        self._depth = next((policy.depth for policy in qos if isinstance(policy, Policy.History.KeepLast)), None)
        self._places: Reader | None = None
        self._copies = False
        self._inbox, self._failures = Inbox(), Counter[int]()
        self._opening = threading.Lock()
        super().__init__(session, topic_name, type_name, qos, on_sample=on_sample, **options)

    def discovered_places(self, topic_name: str) -> None:
        names = _places(self.session.realm, self.topic_name)
        if not self._looks or topic_name != names[0]:
            return
        policies = Policy.Reliability.BestEffort, Policy.History.KeepLast(PLACES_KEPT)
        owner = Policy.Userdata(f"{OWNER}={self.gid.hex()};".encode())
        with self._opening, suppress(PocketrosError):  # the context may be shut down meanwhile
            if self._places is None and not self.closed:
                self._places = Reader(self.session, *names, Qos(*policies, owner), on_sample=self._look)

    def _look(self, sample: Sample) -> None:
        """Hand over the sample whose place was told, if it is there still."""
        if (places := self._places) is None or self.closed:
            return
        self._inbox.forget_others(sample.writer, places.counterparts)
        try:
            place = Place.decoded(sample.data)
            shown = self._inbox.get(place, sample.writer)
        except PlaceError as error:
            self._failures[sample.writer] += 1
            if self._failures[sample.writer] == FAILURES:
                self._look_no_more(error)
            return
        self._failures.pop(sample.writer, None)
        if shown is not None:
            self._show(Sample(shown.data, sample.writer, sample.stamp, shown.number, place.number), place.kept)

    def _show(self, sample: Sample, kept: int) -> None:
        """Hand over a sample where it lies, or a copy if more wait here than are kept there, or for too long."""
        if self._copies or self._depth is None or self._depth + KEPT_BESIDE > kept:
            sample = sample._replace(data=memoryview(bytes(sample.data)))
            if sample.is_lost:
                return
            sample = sample._replace(number=None)
        self._hand_over(sample)

    def take_copies(self) -> None:
        """Copy samples as they come from now on, as whoever got them reads more slowly than they are overwritten."""
        self._copies = True

    def _look_no_more(self, error: PlaceError) -> None:
        logger.warning("%s: '%s' is read as it is sent from now on", error, self.topic_name)
        self._looks = False
        if self._places is not None:
            self._places.close()

    def close(self) -> None:
        super().close()
        with self._opening:
            if self._places is not None:
                self._places.close()
        self._inbox = Inbox()
