"""Episodes that are still being recorded: each keyframe is on the disk before the next is asked for.

An unfinished episode is a directory ``unfinished/<name>`` of files ``000.zip``, ``001.zip``, …, each an episode file of
one keyframe. Finishing writes them into one file beside them, gives that file its number in the store with a hard
link, and only then removes the directory; whoever is killed meanwhile loses nothing and records nothing twice.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import BinaryIO

from mini_diffuser_ros.data.checks import check_sentences
from mini_diffuser_ros.data.episode_store import EpisodeStore, check_task
from mini_diffuser_ros.data.errors import DataError
from mini_diffuser_ros.data.formats.episode_file import Origin, join_recordings, read_episode, read_origin, write_images
from mini_diffuser_ros.data.formats.recordings import RecordedEpisode
from mini_diffuser_ros.perception import FusionConfig
from mini_diffuser_ros.records import UNSAID, Episode, Keyframe, Provenance
from mini_diffuser_ros.support.files import flush_folder, whole_file

UNFINISHED, DROPPED = "unfinished", "dropped"
"""Directories, below that of the store, of episodes under way and of what was dropped."""

_WHOLE = "episode.zip"


def local_time() -> datetime:
    """Date and time of this machine, with its time zone."""
    return datetime.now().astimezone()


class UnfinishedEpisode:
    """One episode under way, held by this process alone. Made by :meth:`begin` or :meth:`reopen`.

    Attributes:
        folder: of its keyframes.
        task, variation, sentences: as in :class:`Episode`.
        source: where it comes from.
    """

    def __init__(self, store: EpisodeStore, folder: Path, lock: int, about: Episode) -> None:
        self.folder = folder
        self.task, self.variation, self.sentences = about.task, about.variation, about.sentences
        self.source, self.provenance = about.source, about.provenance
        self._store = store
        self._lock = lock
        self._files = _keyframe_files(folder)

    @classmethod
    def begin(
        cls,
        store: EpisodeStore,
        task: str,
        sentences: tuple[str, ...],
        variation: int = 0,
        source: str = "recorded",
        provenance: Provenance = UNSAID,
        now: datetime | None = None,
    ) -> UnfinishedEpisode:
        """A new episode without keyframes.

        Args:
            store: where it goes when it is finished.
            task: name of the task.
            sentences: the instruction in words, at least one.
            variation: number of the task's variation.
            source: where it comes from; date and time are added.
            provenance: in which world it is made.
            now: date and time; those of this machine if left out.

        Raises:
            DataError: if nobody could train on such sentences, the task cannot name a file, or the disk cannot be
                written to.
        """
        check_task(task)
        check_sentences(sentences)
        now = local_time() if now is None else now
        try:
            folder, lock = _new_folder(store.path / UNFINISHED, f"{task}-{now:%Y%m%d-%H%M%S}")
        except OSError as error:
            raise DataError(f"cannot begin an episode in {store.path}: {error.strerror or error}") from error
        about = Episode(task, variation, sentences, (), f"{source} {now.isoformat(timespec='seconds')}", provenance)
        return cls(store, folder, lock, about)

    @classmethod
    def reopen(cls, store: EpisodeStore, folder: Path) -> UnfinishedEpisode:
        """Go on with an episode whose recorder is gone.

        Args:
            store: where it goes when it is finished.
            folder: one of :func:`find_unfinished`.

        Raises:
            DataError: if another process records it, if it was recorded for another robot, or if its first keyframe
                cannot be read.
        """
        lock = _take(folder)
        if lock is None:
            raise DataError(f"{folder} is being recorded by another process")
        try:
            first = _keyframe_files(folder)[0]
            about, origin = _read(first), read_origin(_recorded(first))
            if origin.robot != store.robot:
                raise DataError(f"{folder} was recorded with the robot {origin.robot}, not {store.robot}")
        except DataError:
            os.close(lock)
            raise
        return cls(store, folder, lock, _from(about, origin))

    @property
    def name(self) -> str:
        """Name of its folder."""
        return self.folder.name

    def last(self) -> Keyframe | None:
        """The keyframe that was added last, None if there is none.

        Raises:
            EpisodeFileError: if it cannot be read.
        """
        return _read(self._files[-1]).keyframes[0] if self._files else None

    def __len__(self) -> int:
        return len(self._files)

    def add(self, keyframe: Keyframe) -> int:
        """Add a keyframe; it is on the disk before this returns.

        Returns:
            the number of keyframes there are now.

        Raises:
            DataError: if the keyframe lacks something, or cannot be written; the earlier ones stay.
        """
        number = int(self._files[-1].stem) + 1 if self._files else 0
        part = Episode(self.task, self.variation, self.sentences, (keyframe,), self.source, self.provenance)
        robot, frame = self._store.robot, self._store.frame
        file = self._write(f"{number:03d}.zip", lambda stream: write_images(stream, part, robot, frame, least=1))
        self._files.append(file)
        return len(self)

    def drop_last(self) -> Path:
        """Take the last keyframe out of the episode; its file is kept.

        Returns:
            where the file is now.

        Raises:
            DataError: if there is none, or it cannot be moved.
        """
        if not self._files:
            raise DataError(f"episode {self.name} has no keyframe to drop")
        file = self._files[-1]
        moved = self._put_aside(file, f"{self.name}-keyframe-{file.stem}", file.suffix)
        del self._files[-1]
        return moved

    def drop(self) -> Path | None:
        """Put the whole episode aside. This object is of no further use.

        Returns:
            where its folder is now, None if there was nothing in it to keep.

        Raises:
            DataError: if it cannot be moved.
        """
        moved = self._put_aside(self.folder, self.name, "") if self._files else None
        if moved is None:
            _remove(self.folder)
        self.close()
        return moved

    def finish(self, store: EpisodeStore | None = None) -> Path:
        """Make one episode file of the keyframes. This object is of no further use.

        Args:
            store: where it goes, on the same disk; by default the one that it was begun for.

        Returns:
            the file, on the disk before this returns.

        Raises:
            DataError: if there are too few keyframes, or the file cannot be written; the episode stays as it is.
        """
        if len(self) < 2:
            raise DataError(
                f"episode {self.name} has {len(self)} keyframe{'s' * (len(self) != 1)}, expected at least 2: "
                "mark another one, or drop the episode"
            )
        parts = [_recorded(file) for file in self._files]
        whole = self._write(_WHOLE, lambda stream: join_recordings(stream, parts))
        try:
            file = (store or self._store).adopt(whole, self.task)
        except DataError:
            # It must not be taken for the episode later, when there are more keyframes.
            whole.unlink()
            raise
        _remove(self.folder)
        self.close()
        return file

    def close(self) -> None:
        """Let another process have it."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _write(self, name: str, write: Callable[[BinaryIO], None]) -> Path:
        file = self.folder / name
        try:
            with whole_file(file) as partial, partial.open("wb") as stream:
                write(stream)
        except OSError as error:
            safe = f"; marked before and safe in {self.folder}: {len(self)}" if len(self) else ""
            raise DataError(f"cannot write {file}: {error.strerror or error}{safe}") from error
        return file

    def _put_aside(self, path: Path, name: str, suffix: str) -> Path:
        dropped = self._store.path / DROPPED
        try:
            dropped.mkdir(exist_ok=True)
            candidates = (dropped / f"{name}{'' if i == 0 else f'-{i}'}{suffix}" for i in count())
            free = next(candidate for candidate in candidates if not candidate.exists())
            path.rename(free)
            flush_folder(dropped)
            flush_folder(path.parent)
        except OSError as error:
            raise DataError(f"cannot move {path} to {dropped}: {error.strerror or error}") from error
        return free


def find_unfinished(store: EpisodeStore) -> list[Path]:
    """Folders of the episodes that nobody records any more, the oldest first.

    Those whose recorder was killed while it finished them are finished here; what is empty is removed.

    Raises:
        DataError: if the directory cannot be read or written to.
    """
    parent = store.path / UNFINISHED
    try:
        folders = sorted(path for path in parent.iterdir() if path.is_dir()) if parent.is_dir() else []
        return [folder for folder in folders if _is_unfinished(store, folder)]
    except OSError as error:
        raise DataError(f"cannot look for unfinished episodes in {parent}: {error.strerror or error}") from error


def _is_unfinished(store: EpisodeStore, folder: Path) -> bool:
    lock = _take(folder)
    if lock is None:
        return False
    try:
        whole = folder / _WHOLE
        if whole.is_file():
            if whole.stat().st_nlink == 1:  # written, but not yet named in a store
                store.adopt(whole, _read(whole, least=2).task)
            _remove(folder)
            return False
        if _keyframe_files(folder):
            return True
        _remove(folder)
        return False
    finally:
        os.close(lock)


def _new_folder(parent: Path, name: str) -> tuple[Path, int]:
    """A new, empty directory of about this name, and the descriptor that holds its lock."""
    parent.mkdir(exist_ok=True)
    for number in count():
        folder = parent / (name if number == 0 else f"{name}-{number}")
        with suppress(FileExistsError):
            folder.mkdir()
            lock = _take(folder)
            # In the instant before the lock another process may have removed the empty directory.
            if lock is not None:
                flush_folder(parent)
                return folder, lock
    raise AssertionError("count() never ends")


def _take(folder: Path) -> int | None:
    """Descriptor that holds the lock of a directory, None if another process holds it or the directory is gone."""
    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    if os.fstat(lock).st_nlink == 0:
        os.close(lock)
        return None
    return lock


def _remove(folder: Path) -> None:
    """Remove a directory of which nothing is needed any more; the whole episode goes last, as the proof of that.

    What fails is tried again when unfinished episodes are looked for, and somebody's own file may stay there.
    """
    with suppress(OSError):
        for file in (*_keyframe_files(folder), *folder.glob(".*.partial")):
            file.unlink()
        (folder / _WHOLE).unlink(missing_ok=True)
        folder.rmdir()


def _keyframe_files(folder: Path) -> list[Path]:
    return sorted((file for file in folder.glob("*.zip") if file.stem.isdecimal()), key=lambda file: int(file.stem))


def _recorded(file: Path) -> RecordedEpisode:
    return RecordedEpisode(file, FusionConfig())


def _read(file: Path, least: int = 1) -> Episode:
    return read_episode(_recorded(file), file.stem, FusionConfig(), least)


def _from(about: Episode, origin: Origin) -> Episode:
    return Episode(about.task, about.variation, about.sentences, (), origin.source, about.provenance)
