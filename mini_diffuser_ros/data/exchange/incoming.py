"""Where episodes of other formats go: a folder of recordings that knows by content what it has already."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from mini_diffuser_ros.data.episode_store import EpisodeStore, check_task
from mini_diffuser_ros.data.errors import DataError
from mini_diffuser_ros.data.exchange.content import ContentDigest
from mini_diffuser_ros.data.formats.episode_file import digest_of_content, write_images
from mini_diffuser_ros.data.formats.recordings import RecordedEpisode
from mini_diffuser_ros.perception import FusionConfig
from mini_diffuser_ros.records import Cloud, Episode
from mini_diffuser_ros.support.files import flush_folder, whole_file
from mini_diffuser_ros.support.holding import HeldError, Hold

_LOCK, _WORKPLACE = ".importer", ".import"  # file that is locked, and folder of what is not yet an episode


@dataclass(frozen=True)
class IncomingEpisode:
    """An episode that is to become a recording.

    Attributes:
        episode: its keyframes have camera views; its ``source`` is what the recording says of where it came from.
        robot: name of the robot description whose points are to be taken out of the clouds; None for none.
        frame: of poses and views.
        name: that it had as a recording, empty where it was none.
        digests: of its content up to and with each keyframe, as it went out; empty where they are not known.
        exported_robot: that they were made with.
    """

    episode: Episode
    robot: str | None
    frame: str
    name: str = ""
    digests: Sequence[str] = ()
    exported_robot: str | None = None


Reading = Callable[[], IncomingEpisode]
"""Reads one episode when it is called."""


def no_cloud() -> Cloud:
    """For keyframes that come in: they are written first, and their clouds are made when they are read."""
    raise AssertionError("an episode that comes in has no clouds yet")


class IncomingFolder:
    """Adds episodes to a folder of recordings, alone, until :meth:`close` or the end of a ``with`` block.

    Args:
        path: the folder; made if missing. What a killed importer has left there is removed.

    Raises:
        DataError: if it cannot be made or read, or others import into it.
    """

    def __init__(self, path: Path) -> None:
        self._store = EpisodeStore(path)
        try:
            self._hold = Hold(path / _LOCK, f"the folder of recordings {path}")
        except HeldError as error:
            raise DataError(str(error)) from None
        except OSError as error:
            raise DataError(f"cannot write into {path}: {error.strerror or error}") from error
        shutil.rmtree(path / _WORKPLACE, ignore_errors=True)
        there = path.glob("*.zip")
        self._known = {_content(RecordedEpisode(file, FusionConfig())) for file in there}

    def close(self) -> None:
        """Let others import into it."""
        self._hold.release()

    def __enter__(self) -> IncomingFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, incoming: IncomingEpisode) -> Path | None:
        """Write an episode.

        Returns:
            the new file, on the disk before this returns; None if there is one of the same content.

        Raises:
            DataError: if the episode lacks something, is not what went out, or cannot be written.
        """
        check_task(incoming.episode.task)
        try:
            with self.workplace() as folder:
                file = folder / "episode.zip"
                with whole_file(file) as partial, partial.open("wb") as stream:
                    write_images(stream, incoming.episode, incoming.robot, incoming.frame)
                written = RecordedEpisode(file, FusionConfig())
                _compare(written.read(), incoming)
                return self._take(written, lambda: self._name(file, incoming))
        except OSError as error:
            raise DataError(f"cannot write into {self._store.path}: {error.strerror or error}") from error

    @contextmanager
    def workplace(self) -> Iterator[Path]:
        """A folder on the same disk, for what is not yet an episode of this one; it is gone afterwards.

        Raises:
            DataError: if it cannot be made.
        """
        folder = self._store.path / _WORKPLACE
        try:
            folder.mkdir()
        except OSError as error:
            raise DataError(f"cannot write into {self._store.path}: {error.strerror or error}") from error
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def adopt(self, file: Path) -> Path | None:
        """Give an episode file that was recorded in a :meth:`workplace` its number.

        Returns:
            the new name, on the disk before this returns; None if there is an episode of the same content.

        Raises:
            DataError: if it cannot be read or named.
        """
        recorded = RecordedEpisode(file, FusionConfig())
        return self._take(recorded, lambda: self._store.adopt(file, recorded.read().task))

    def _take(self, recorded: RecordedEpisode, name: Callable[[], Path]) -> Path | None:
        """The name that a file is given, if its content is not there yet."""
        digest = _content(recorded)
        if digest in self._known:
            return None
        named = name()
        self._known.add(digest)
        return named

    def _name(self, file: Path, incoming: IncomingEpisode) -> Path:
        """Give the file the name that it had, if it was made from a seed and the name is free, or the next number."""
        seeded = re.fullmatch(rf"{incoming.episode.task}-seed(\d{{8,18}})", incoming.name)
        if seeded:
            named = self._store.file_of(incoming.episode.task, int(seeded[1]))
            with suppress(FileExistsError):
                os.link(file, named)
                flush_folder(self._store.path)
                return named
        return self._store.adopt(file, incoming.episode.task)


def _content(stored: RecordedEpisode) -> bytes:
    """By what an episode is known to be there: not by where it came from, as folders of data sets are renamed."""
    return digest_of_content(stored, but=("source",))


def _compare(written: Episode, incoming: IncomingEpisode) -> None:
    """Refuse what is not what went out."""
    if not incoming.digests:
        return
    digest = ContentDigest(written, incoming.exported_robot, incoming.frame)
    for number, (keyframe, expected) in enumerate(zip(written.keyframes, incoming.digests, strict=True)):
        if digest.add(keyframe, keyframe.views) != expected:
            raise DataError(
                f"{incoming.episode.source}: keyframe {number} is not what was exported: something was changed since"
            )
