"""Messages of MCAP files, of our own and of rosbag2: what their checksums say was written, or one line."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from mini_diffuser_ros.data.bags.kinds import METADATA
from mini_diffuser_ros.data.bags.mcap import ABOUT, Channel, require_mcap
from mini_diffuser_ros.data.errors import DataError
from mini_diffuser_ros.support.errors import one_line

MOST_BYTES = 256 * 2**20  # of a record, a chunk before and after compression: 30 times the largest image of a camera
MOST_CHANNELS = 10_000
CDR = "cdr"
DEFINITION_FORMAT = "ros2msg"
_RECORD = struct.Struct("<BQ")  # what each record of MCAP begins with: opcode, bytes that follow
_LAST_NUMBER = re.compile(r"_\d+(?=\.mcap$)")
_MESSAGE, _BEFORE_DATA = 5, 22  # opcode of a message; bytes of its channel, number and stamps


@dataclass(frozen=True)
class BagMessage:
    """A message of a bag.

    Attributes:
        channel: its topic and type.
        data: CDR.
        stamp: nanoseconds of the clock of whoever recorded, when it came.
    """

    channel: Channel
    data: bytes
    stamp: int


def bag_files(path: Path) -> list[Path]:
    """The MCAP files of a bag, in order: one file, or the folder that ``ros2 bag record`` makes.

    Raises:
        DataError: if there is none.
    """
    if not path.is_dir():
        files = [path]
    elif not (files := sorted(path.glob("*.mcap"), key=_in_order)):
        raise DataError(f"{path}: holds no *.mcap; 'ros2 bag convert' makes them of other formats")
    return files


def bags_in(path: Path) -> list[Path]:
    """The bags at a path, in order: one, or each file of a folder that ``record:=bag`` or somebody's copies filled.

    Files of one bag of rosbag2 are told by its metadata.yaml, or, where its recorder was killed before it wrote that,
    by names that differ in their last number alone.

    Raises:
        DataError: as of :func:`bag_files`.
    """
    files = bag_files(path)
    bags_of_others = {_LAST_NUMBER.sub("", file.name) for file in files}
    is_one = len(files) == 1 or (path / METADATA).is_file() or len(bags_of_others) == 1
    return [path] if is_one and not (len(files) > 1 and any(_is_ours(file) for file in files)) else files


def _is_ours(file: Path) -> bool:
    with suppress(DataError):  # whoever reads it is told
        return bool(about_bag(file))
    return False


def read_bag(
    path: Path, topics: Collection[str] | None = None, types: Collection[str] | None = None, cut_off: bool = False
) -> Iterator[BagMessage]:
    """The messages of a bag, in the order in which they were written.

    Args:
        path: an MCAP file, or the folder of a rosbag2 bag.
        topics: those wanted, by their whole names; None for all.
        types: those wanted, as ``sensor_msgs/msg/Image``; None for all.
        cut_off: whether a file that ends early, of a recorder that was killed, ends the messages without an error.

    Yields:
        Each message. Those of a chunk come after all of it was found to be as it was written.

    Raises:
        DataError: it is no such file, damaged, cut off, or claims sizes beyond any reason; one line names it. Some
            messages may have come by then.
    """
    require_mcap()
    for file in bag_files(path):
        try:
            with _errors_named(file), file.open("rb") as stream:
                yield from _messages(_File(stream), _Channels(topics, types))
        except EOFError as error:
            if not cut_off:
                raise DataError(f"{file}: {error}; --cut-off takes what is there") from error


def about_bag(path: Path) -> dict[str, str]:
    """What a bag of ours says about how it was recorded, before its messages; empty for one of others, or
    where it was cut off before.

    Raises:
        DataError: as of :func:`read_bag`.
    """
    mcap = require_mcap()
    file = bag_files(path)[0]
    with suppress(EOFError), _errors_named(file), file.open("rb") as stream:
        for record in mcap.stream_reader.StreamReader(_File(stream), emit_chunks=True).records:
            if isinstance(record, mcap.records.Metadata) and record.name == ABOUT:
                return dict(record.metadata)
            if isinstance(record, mcap.records.Chunk | mcap.records.Message | mcap.records.DataEnd):
                break
    return {}


@contextmanager
def _errors_named(file: Path) -> Iterator[None]:
    """Have what readers of damaged bytes raise say which file it is, in one line; a file that ends early aside."""
    damaged = _expected_errors()
    try:
        yield
    except EOFError:
        raise
    except OSError as error:
        raise DataError(f"{file}: {error.strerror or one_line(error)}") from error
    except DataError as error:
        raise DataError(f"{file}: {error}") from error
    except damaged as error:
        raise DataError(f"{file}: no MCAP file, or damaged: {one_line(error)}") from error


class _File:
    """What the package mcap reads of: as many bytes as it asks for, within bounds, or an error."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._left = os.fstat(stream.fileno()).st_size

    def read(self, size: int) -> bytes:
        if not 0 <= size <= MOST_BYTES:
            raise DataError(f"damaged: claims a part of {size} bytes, allowed are {MOST_BYTES}")
        if size > self._left:
            raise EOFError("is cut off: it ends within a record")
        self._left -= size
        return self._stream.read(size)


class _Channels:
    """Schemas and channels as they are told, and messages by them."""

    def __init__(self, topics: Collection[str] | None, types: Collection[str] | None) -> None:
        self._topics, self._types = topics, types
        self._schemas: dict[int, Any] = {}
        self._channels: dict[int, Channel | None] = {}

    def take(self, record: Any) -> BagMessage | None:
        """The message of a record; None if it is none, or of a topic that is not wanted."""
        records = require_mcap().records
        if isinstance(record, records.Schema):
            self._schemas[record.id] = record
        elif isinstance(record, records.Channel):
            self._channels[record.id] = self._channel(record)
            if len(self._channels) > MOST_CHANNELS:
                raise DataError(f"damaged: names more than {MOST_CHANNELS} topics")
        elif isinstance(record, records.Message):
            if record.channel_id not in self._channels:
                raise DataError(f"damaged: a message of channel {record.channel_id}, which it does not name")
            channel = self._channels[record.channel_id]
            return None if channel is None else BagMessage(channel, record.data, record.log_time)
        return None

    def _channel(self, record: Any) -> Channel | None:
        if self._topics is not None and record.topic not in self._topics:
            return None
        schema = self._schemas.get(record.schema_id)
        if record.message_encoding != CDR or schema is None or schema.encoding != DEFINITION_FORMAT:
            if self._topics is None:
                return None
            told = f"{record.message_encoding or 'nothing'} by {schema.encoding if schema else 'no schema'}"
            raise DataError(f"{record.topic} holds {told}, expected {CDR} by {DEFINITION_FORMAT} of ROS 2")
        if self._types is not None and schema.name not in self._types:
            return None
        definition = schema.data.decode("utf-8")
        return Channel(record.topic, schema.name, definition, record.metadata.get("offered_qos_profiles", ""))


def _messages(file: _File, channels: _Channels) -> Iterator[BagMessage]:
    mcap = require_mcap()
    reader = mcap.stream_reader.StreamReader(file, emit_chunks=True, validate_crcs=True, record_size_limit=MOST_BYTES)
    for record in reader.records:
        if isinstance(record, mcap.records.DataEnd):
            return  # whole, and as its checksum says; what follows is an index of it
        if isinstance(record, mcap.records.Chunk):
            for inner in mcap.stream_reader.breakup_chunk(_inflated(record), validate_crc=True):
                if (message := channels.take(inner)) is not None:
                    yield message
        elif (message := channels.take(record)) is not None:
            yield message
    raise DataError("damaged: its data have no end")


def _inflated(chunk: Any) -> Any:
    """A chunk without compression, of the size that it claims."""
    size = chunk.uncompressed_size
    if size > MOST_BYTES:
        raise DataError(f"damaged: claims a chunk of {size} bytes, allowed are {MOST_BYTES}")
    if chunk.compression == "lz4":
        import lz4.frame

        data = lz4.frame.LZ4FrameDecompressor().decompress(chunk.data, max_length=size + 1)
    elif chunk.compression == "zstd":
        import zstandard

        data = zstandard.ZstdDecompressor().stream_reader(chunk.data).read(size + 1)
    elif chunk.compression:
        raise DataError(f"compressed by '{one_line(chunk.compression)}', known are lz4 and zstd")
    else:
        data = chunk.data
    if len(data) != size:
        raise DataError(f"damaged: a chunk of {len(data)} bytes, expected are {size}")
    _check_records(data)
    return replace(chunk, compression="", data=data)


def _check_records(data: bytes) -> None:
    """Refuse the content of a chunk whose records do not end where it ends: rosbag2 writes no checksums by itself.

    Raises:
        DataError: they do not, or a message is shorter than what stands before its data.
    """
    at = 0
    while at + _RECORD.size <= len(data):
        opcode, length = _RECORD.unpack_from(data, at)
        if opcode == _MESSAGE and length < _BEFORE_DATA:
            break
        at += _RECORD.size + length
    if at != len(data):
        raise DataError("damaged: records of a chunk do not end where it ends")


def _expected_errors() -> tuple[type[Exception], ...]:
    """What readers of damaged bytes raise."""
    import zstandard

    mcap_error: type[Exception] = require_mcap().exceptions.McapError
    return (mcap_error, zstandard.ZstdError, ValueError, RuntimeError, KeyError, OverflowError, struct.error)


def _in_order(file: Path) -> list[tuple[int, str]]:
    """A key that has ``run_2.mcap`` before ``run_10.mcap``."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", file.name)]
