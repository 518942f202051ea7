"""What kind of bag lies at a path, by its content."""

from __future__ import annotations

from pathlib import Path

from mini_diffuser_ros.data.errors import DataError

MCAP, SQLITE = b"\x89MCAP0\r\n", b"SQLite format 3\x00"
"""First bytes of a file."""

METADATA = "metadata.yaml"
"""File that rosbag2 writes into each folder of its."""


def is_bag(path: Path) -> bool:
    """Whether an MCAP file, or a folder of rosbag2 with such, lies at a path.

    Raises:
        DataError: it is a bag of another storage, or cannot be looked at.
    """
    try:
        files = sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]
        begins = {_begin(file) for file in files}
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error
    if MCAP in begins:
        return True
    if SQLITE[: len(MCAP)] in begins or (path / METADATA).is_file():
        raise DataError(
            f"{path}: a bag without MCAP, write one: ros2 bag convert -i {path} -o mcap.yaml, which says "
            "'output_bags: [{uri: as_mcap, storage_id: mcap, all: true}]'"
        )
    return False


def _begin(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read(len(MCAP))
