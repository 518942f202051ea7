"""Calls of the Cyclone DDS library that the cyclonedds package makes too slowly, without letting other threads run, or
without freeing what it was given: writing, taking, and reading what remote endpoints tell of themselves.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from cyclonedds.core import InstanceState
from cyclonedds.internal import DDS, dds_c_t
from cyclonedds.topic import Topic
from numpy.typing import NDArray

# Loaded again, for signatures of its own
library: Any = ctypes.CDLL(DDS._dll_handle._name)
Pointer = ctypes.c_void_p
for name, result, arguments in (
    ("dds_write", ctypes.c_int32, (ctypes.c_int32, Pointer)),
    ("dds_takecdr", ctypes.c_int32, (ctypes.c_int32, Pointer, ctypes.c_uint32, Pointer, ctypes.c_uint32)),
    ("ddsi_serdata_size", ctypes.c_uint32, (Pointer,)),
    ("ddsi_serdata_to_ser", None, (Pointer, ctypes.c_size_t, ctypes.c_size_t, Pointer)),
    ("ddsi_serdata_unref", None, (Pointer,)),
    ("dds_qget_userdata", ctypes.c_bool, (Pointer, Pointer, Pointer)),
    ("dds_qget_reliability", ctypes.c_bool, (Pointer, Pointer, Pointer)),
    ("dds_qget_durability", ctypes.c_bool, (Pointer, Pointer)),
    ("dds_qget_deadline", ctypes.c_bool, (Pointer, Pointer)),
    ("dds_qget_lifespan", ctypes.c_bool, (Pointer, Pointer)),
    ("dds_qget_liveliness", ctypes.c_bool, (Pointer, Pointer, Pointer)),
    ("dds_free", None, (Pointer,)),
    ("dds_take", ctypes.c_int32, (ctypes.c_int32, Pointer, Pointer, ctypes.c_size_t, ctypes.c_uint32)),
    ("dds_return_loan", ctypes.c_int32, (ctypes.c_int32, Pointer, ctypes.c_int32)),
    ("dds_get_matched_publications", ctypes.c_int32, (ctypes.c_int32, Pointer, ctypes.c_size_t)),
    ("dds_get_matched_subscriptions", ctypes.c_int32, (ctypes.c_int32, Pointer, ctypes.c_size_t)),
    ("dds_get_matched_publication_data", Pointer, (ctypes.c_int32, ctypes.c_uint64)),
    ("dds_get_matched_subscription_data", Pointer, (ctypes.c_int32, ctypes.c_uint64)),
    ("dds_builtintopic_free_endpoint", None, (Pointer,)),
    ("dds_get_entity_sertype", ctypes.c_int32, (ctypes.c_int32, Pointer)),
    ("ddsi_sertype_ref", Pointer, (Pointer,)),
    ("ddsi_sertype_unref", None, (Pointer,)),
    ("dds_create_topic_sertype", ctypes.c_int32, (ctypes.c_int32, ctypes.c_char_p, Pointer, Pointer, Pointer, Pointer)),
):
    function = getattr(library, name)
    function.restype, function.argtypes = result, arguments

ANY_SAMPLE = 0x7F
TAKE_AT_ONCE = 64
HEADER_SIZE = 4  # bytes; Cyclone DDS relies on them
BAD_PARAMETER = -3
GID_SIZE = 16
INFINITE = 2**63 - 1  # nanoseconds


def topic_like(topic: Topic, participant: int, name: str) -> Topic:
    """A topic of the same type under another name; cyclonedds leaks memory when it makes a second one of a type."""
    kind = Pointer()
    library.dds_get_entity_sertype(topic._ref, ctypes.byref(kind))
    kind = Pointer(library.ddsi_sertype_ref(kind))
    created = library.dds_create_topic_sertype(participant, name.encode(), ctypes.byref(kind), None, None, None)
    if created < 0:
        library.ddsi_sertype_unref(kind)
    made = Topic._init_from_retcode(created)
    made.data_type = topic.data_type
    return made


class Sample(NamedTuple):
    """What arrived.

    Attributes:
        data: encoded bytes.
        writer: its handle.
        stamp: when it was written, nanoseconds of the system time.
        number, own: what stands before data that lie in memory of the writer's, and what stood there; others mean that
            the data have been overwritten.
    """

    data: memoryview
    writer: int
    stamp: int
    number: NDArray[np.uint64] | None = None
    own: int = 0

    @property
    def is_lost(self) -> bool:
        """Whether what was read of the data until now may have been overwritten meanwhile."""
        return self.number is not None and int(self.number[0]) != self.own


def write(writer: int, data: bytes | bytearray) -> int:
    """Write one encoded sample; negative for an error of DDS.  Other threads run meanwhile."""
    if len(data) < HEADER_SIZE:
        return BAD_PARAMETER
    buffer = dds_c_t.sample_buffer(_address(np.frombuffer(data, np.uint8)), len(data))
    return int(library.dds_write(writer, ctypes.byref(buffer)))


def take(reader: int) -> Iterator[Sample]:
    """Take all samples of a reader."""
    found: Any = (Pointer * TAKE_AT_ONCE)()
    infos = (dds_c_t.sample_info * TAKE_AT_ONCE)()
    count = TAKE_AT_ONCE
    while count == TAKE_AT_ONCE:
        count = library.dds_takecdr(reader, found, TAKE_AT_ONCE, infos, ANY_SAMPLE)
        for one, info in zip(found[: max(count, 0)], infos, strict=False):
            data = _copy(one) if info.valid_data else None
            library.ddsi_serdata_unref(one)
            if data is not None:
                yield Sample(data, info.publication_handle, info.source_timestamp)


def _copy(serialized: int) -> memoryview:
    size = library.ddsi_serdata_size(serialized)
    data: Any = np.empty(size, np.uint8)
    library.ddsi_serdata_to_ser(serialized, 0, size, _address(data))
    return memoryview(data)


def _address(data: NDArray[np.uint8]) -> int:
    return int(data.__array_interface__["data"][0])


@dataclass(frozen=True)
class RemoteEndpoint:
    """A reader or a writer somewhere in the domain, this process included.

    Attributes:
        gid, participant: 16 bytes each.
        user_data: items such as `typehash` and `clientid`.
        deadline, lifespan, lease: nanoseconds.
        manual: whether its user has to tell that it is alive.
    """

    is_writer: bool
    gid: bytes
    participant: bytes
    topic_name: str
    type_name: str
    user_data: dict[str, str]
    reliable: bool
    latched: bool
    deadline: int
    lifespan: int
    manual: bool
    lease: int

    @property
    def ros_type(self) -> str:
        """`package/kind/Name`; the DDS name when it is no ROS type."""
        package, _, rest = self.type_name.partition("::")
        kind, _, name = rest.partition("::dds_::")
        return f"{package}/{kind}/{name.removesuffix('_')}" if name else self.type_name


class _Described(ctypes.Structure):
    """dds_builtintopic_endpoint_t of the library."""

    _fields_ = (
        ("gid", ctypes.c_uint8 * GID_SIZE),
        ("participant", ctypes.c_uint8 * GID_SIZE),
        ("participant_handle", ctypes.c_uint64),
        ("topic_name", ctypes.c_char_p),
        ("type_name", ctypes.c_char_p),
        ("qos", Pointer),
    )


def discovered(reader: int, is_writer: bool) -> Iterator[tuple[bytes, RemoteEndpoint | None]]:
    """Endpoints that came, or went (None), since the last call, by their gids; of a reader of the built-in topics."""
    found: Any = (Pointer * TAKE_AT_ONCE)()
    infos = (dds_c_t.sample_info * TAKE_AT_ONCE)()
    count = TAKE_AT_ONCE
    while count == TAKE_AT_ONCE:
        found[0] = None  # DDS fills in its own memory, which it gets back below
        count = library.dds_take(reader, found, infos, TAKE_AT_ONCE, TAKE_AT_ONCE)
        if count > 0:
            for one, info in zip(found[:count], infos, strict=False):
                details = _Described.from_address(one)
                alive = info.instance_state == InstanceState.Alive and info.valid_data
                yield bytes(details.gid), _endpoint(details, is_writer) if alive else None
            library.dds_return_loan(reader, found, count)


def counterparts(entity: int, is_writer: bool) -> list[int]:
    """Handles of the writers (or readers) that a reader (or writer) is matched with; none of a deleted one."""
    kind, room = "publications" if is_writer else "subscriptions", TAKE_AT_ONCE
    while True:
        found: Any = (ctypes.c_uint64 * room)()
        count = getattr(library, f"dds_get_matched_{kind}")(entity, found, room)
        if count <= room:
            return list(found[: max(count, 0)])
        room = count


def counterpart(entity: int, handle: int, is_writer: bool) -> RemoteEndpoint | None:
    """A writer (or reader) that a reader (or writer) is matched with; None when it is gone."""
    kind = "publication" if is_writer else "subscription"
    address = getattr(library, f"dds_get_matched_{kind}_data")(entity, handle)
    if not address:
        return None
    try:
        return _endpoint(_Described.from_address(address), is_writer)
    finally:
        library.dds_builtintopic_free_endpoint(address)


def _endpoint(details: _Described, is_writer: bool) -> RemoteEndpoint:
    data, size, kind, span = Pointer(), ctypes.c_size_t(), ctypes.c_int(), ctypes.c_int64()
    items: dict[str, str] = {}
    if library.dds_qget_userdata(details.qos, ctypes.byref(data), ctypes.byref(size)) and data.value:
        text = ctypes.string_at(data.value, size.value).decode("ascii", "replace")
        library.dds_free(data)
        items = {key: value.strip() for key, _, value in (item.partition("=") for item in text.split(";")) if value}
    reliable = library.dds_qget_reliability(details.qos, ctypes.byref(kind), ctypes.byref(span)) and kind.value
    latched = library.dds_qget_durability(details.qos, ctypes.byref(kind)) and kind.value
    deadline, lifespan, lease = ctypes.c_int64(INFINITE), ctypes.c_int64(INFINITE), ctypes.c_int64(INFINITE)
    library.dds_qget_deadline(details.qos, ctypes.byref(deadline))
    library.dds_qget_lifespan(details.qos, ctypes.byref(lifespan))
    has_liveliness = library.dds_qget_liveliness(details.qos, ctypes.byref(kind), ctypes.byref(lease))
    return RemoteEndpoint(
        is_writer=is_writer,
        gid=bytes(details.gid),
        participant=bytes(details.participant),
        topic_name=(details.topic_name or b"").decode(),
        type_name=(details.type_name or b"").decode(),
        user_data=items,
        reliable=bool(reliable),
        latched=bool(latched),
        deadline=deadline.value,
        lifespan=lifespan.value,
        manual=bool(has_liveliness and kind.value),
        lease=lease.value,
    )
