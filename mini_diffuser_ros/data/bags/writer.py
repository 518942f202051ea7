"""One MCAP file, written while things happen: whoever is killed loses what came since the last flush."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from mini_diffuser_ros.data.bags.mcap import ABOUT, DISTRIBUTION, Channel, require_mcap

PROFILE = "ros2"
CHUNK_BYTES = 4_000_000


class BagWriter:
    """Writes one bag. Not thread-safe.

    Args:
        path: of a file that is not there yet.
        about: goes into the metadata record ``mini_diffuser``.

    Raises:
        DataError: mcap is not installed.
        OSError: as every method: the file cannot be written; it is given up by :meth:`abandon` then.
    """

    def __init__(self, path: Path, about: Mapping[str, str]) -> None:
        writer = require_mcap().writer
        self.path = path
        self._stream = path.open("xb")
        # Its checksums cover all of the file but the indexes at its end.
        self._writer = writer.Writer(
            self._stream, chunk_size=CHUNK_BYTES, compression=writer.CompressionType.LZ4, enable_data_crcs=True
        )
        self._writer.start(PROFILE)
        self._writer.add_metadata(ABOUT, dict(about))
        if DISTRIBUTION in about:  # newer ones know by it that QoS is told as that one did
            self._writer.add_metadata("rosbag2", {"ROS_DISTRO": about[DISTRIBUTION]})
        self._schemas: dict[str, int] = {}
        self._channels: dict[str, int] = {}

    def add(self, channel: Channel, data: bytes, stamp: int) -> None:
        """Add a message, CDR, that came at ``stamp``, nanoseconds."""
        known = self._channels.get(channel.topic)
        if known is None:
            known = self._channels[channel.topic] = self._writer.register_channel(
                channel.topic, "cdr", self._schema(channel), {"offered_qos_profiles": channel.qos}
            )
        self._writer.add_message(known, stamp, data, stamp)

    def flush(self) -> None:
        """Hand everything to the operating system, from which no end of this process takes it."""
        self._writer.flush()

    def size(self) -> int:
        """Bytes so far, without those that wait for a flush."""
        return self._stream.tell()

    def close(self) -> None:
        """Write the indexes, and have the file on the disk."""
        self._writer.finish()
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()

    def abandon(self) -> None:
        """Leave the file as it is."""
        with suppress(OSError):
            self._stream.close()

    def _schema(self, channel: Channel) -> int:
        if channel.type_name not in self._schemas:
            self._schemas[channel.type_name] = self._writer.register_schema(
                channel.type_name, "ros2msg", channel.definition.encode()
            )
        return self._schemas[channel.type_name]
