"""From demonstrations of any kind to one database, in several processes, going on where an earlier run stopped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from io import BytesIO
from pathlib import Path

from mini_diffuser_ros.data.episodes import Episodes, StoredEpisode, natural_order
from mini_diffuser_ros.data.errors import DataError
from mini_diffuser_ros.data.formats.episode_file import write_clouds
from mini_diffuser_ros.data.formats.recordings import RecordedEpisode
from mini_diffuser_ros.data.store.database import About, Contents, DatabaseEpisode, EpisodeDatabase, read_digests
from mini_diffuser_ros.support.workers import map_in_workers


class ConversionOutcome(Enum):
    """What became of an episode."""

    KEPT = "kept"
    ADDED = "added"
    RENEWED = "made anew"
    FAULTY = "skipped"
    GONE = "not in the source any more"
    REMOVED = "removed"


@dataclass(frozen=True)
class Converted:
    """What became of one episode.

    Attributes:
        source: its name.
        outcome: what became of it.
        fault: why it was skipped; empty if it was not. What the database held under its name is still there.
    """

    source: str
    outcome: ConversionOutcome
    fault: str = ""


def convert(
    episodes: Episodes,
    destination: Path,
    contents: Contents = Contents.CLOUDS,
    workers: int = 1,
    prune: bool = False,
) -> Iterator[Converted]:
    """Write the episodes that a database lacks into it, one after the other; nothing happens until it is iterated.

    What is there is known by the digest of what it was made from: an episode whose content has changed is made anew.
    One is committed before it is yielded, and a killed conversion that is run again goes on with the next.

    Args:
        episodes: what to convert.
        destination: folder of the database.
        contents: whether to fuse the clouds or to keep the images, which only our own recordings allow.
        workers: processes that read and fuse.
        prune: remove from the database what the episodes do not contain; that is the last to be yielded.

    Raises:
        DataError: if the database cannot be written, another process writes it, or the episodes do not fit into it.
    """
    with EpisodeDatabase(destination, About(contents, episodes.fusion)) as database:
        there, known = database.sources(), read_digests(destination)
        tasks = [_Task(stored, known.get(stored.source), contents) for stored in episodes.stored]
        for stored, result in zip(episodes.stored, map_in_workers(_attempt, tasks, workers), strict=True):
            if isinstance(result, DataError):
                yield Converted(stored.source, ConversionOutcome.FAULTY, str(result))
            elif result is None:
                yield Converted(stored.source, ConversionOutcome.KEPT)
            else:
                database.add(stored.source, result.episode, result.digest)
                yield Converted(
                    stored.source, ConversionOutcome.RENEWED if stored.source in there else ConversionOutcome.ADDED
                )
        for source in sorted(there - {stored.source for stored in episodes.stored}, key=natural_order):
            if prune:
                database.remove(source)
            yield Converted(source, ConversionOutcome.REMOVED if prune else ConversionOutcome.GONE)


@dataclass(frozen=True)
class _Task:
    """An episode, and the digest of what the database holds under its name."""

    stored: StoredEpisode
    known: bytes | None
    contents: Contents


@dataclass(frozen=True)
class _Made:
    """The zip of an episode, and the digest of what it was made from."""

    episode: bytes
    digest: bytes


def _attempt(task: _Task) -> _Made | DataError | None:
    """The episode, None if it is known; what is wrong with it is handed back, as others are to go on."""
    try:
        digest = task.stored.digest()
        if digest == task.known:
            return None
        make = _fused if task.contents is Contents.CLOUDS else _packed
        return _Made(make(task.stored), digest)
    except DataError as error:
        return error


def _fused(stored: StoredEpisode) -> bytes:
    stream = BytesIO()
    write_clouds(stream, stored.read())
    return stream.getvalue()


def _packed(stored: StoredEpisode) -> bytes:
    """The recording as it is, once every image has been seen to be readable."""
    if not isinstance(stored, (RecordedEpisode, DatabaseEpisode)):
        raise DataError(f"{stored.source} is no recording of ours, and only their images can be kept; fuse the clouds")
    for number, keyframe in enumerate(stored.read().keyframes):
        if not keyframe.views:
            raise DataError(f"{stored.place}: keyframe {number} has no images to keep; convert the clouds")
    with stored.open() as stream:
        return stream.read()
