"""From demonstrations of any kind to one database, in several processes, going on where an earlier run stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path

from mini_diffuser_ros.data.episodes import Episodes, StoredEpisode
from mini_diffuser_ros.data.errors import DataError
from mini_diffuser_ros.data.formats.episode_file import write_clouds
from mini_diffuser_ros.data.formats.recordings import RecordedEpisode
from mini_diffuser_ros.data.store.database import About, Contents, DatabaseEpisode, EpisodeDatabase
from mini_diffuser_ros.support.workers import map_in_workers


@dataclass(frozen=True)
class Converted:
    """What became of one episode.

    Attributes:
        source: its name.
        fault: why it was skipped; None if it is in the database.
    """

    source: str
    fault: str | None


def convert(
    episodes: Episodes, destination: Path, contents: Contents = Contents.CLOUDS, workers: int = 1
) -> Iterator[Converted]:
    """Write the episodes that a database lacks into it, one after the other; nothing happens until it is iterated.

    An episode is committed before it is yielded, and a killed conversion that is run again goes on with the next.

    Args:
        episodes: what to convert.
        destination: folder of the database.
        contents: whether to fuse the clouds or to keep the images, which only our own recordings allow.
        workers: processes that read and fuse.

    Raises:
        DataError: if the database cannot be written, or the episodes do not fit into it.
    """
    with EpisodeDatabase(destination, About(contents, episodes.fusion)) as database:
        there = database.sources()
        missing = [stored for stored in episodes.stored if stored.source not in there]
        for source in (stored.source for stored in episodes.stored if stored.source in there):
            yield Converted(source, None)
        function = partial(_attempt, _fused if contents is Contents.CLOUDS else _packed)
        for stored, result in zip(missing, map_in_workers(function, missing, workers), strict=True):
            if isinstance(result, DataError):
                yield Converted(stored.source, str(result))
            else:
                database.add(stored.source, result)
                yield Converted(stored.source, None)


def _attempt(function: Callable[[StoredEpisode], bytes], stored: StoredEpisode) -> bytes | DataError:
    """What the function returns; what is wrong with an episode is handed back, as others are to go on."""
    try:
        return function(stored)
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
