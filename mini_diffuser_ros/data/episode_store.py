"""A directory of episode files that survives being killed at any instant."""

from __future__ import annotations

import fcntl
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from mini_diffuser_ros.data.episode_numbers import EpisodeNumbers
from mini_diffuser_ros.data.errors import DataError
from mini_diffuser_ros.data.formats.episode_file import write_images
from mini_diffuser_ros.perception import FusionConfig
from mini_diffuser_ros.records import Episode
from mini_diffuser_ros.robots import load_robot
from mini_diffuser_ros.support.files import flush_folder

log = logging.getLogger(__name__)

_TASK_NAME = re.compile(r"[a-z0-9_]+")
_SEEDED = re.compile(r"(?P<task>[a-z0-9_]+)-seed(?P<seed>\d{8,})\.zip")
_PARTIAL = ".partial"


def check_task(task: str) -> None:
    """Refuse a task whose name cannot be part of a file's name.

    Raises:
        DataError: saying what is expected.
    """
    if not _TASK_NAME.fullmatch(task):
        raise DataError(f"task {task!r} cannot name a file, expected lower-case letters, digits and _")


class EpisodeStore:
    """Writes episodes, one file each, into a directory that any number of processes may share.

    A file is written under a temporary name, flushed to the disk and only then given its own name: whoever is killed
    meanwhile, a file ``*.zip`` is a whole episode. An episode made from a seed is always called the same, so that a
    recording that is run again goes on where it stopped; others get the next number of their task. No number is given
    twice, whatever is deleted meanwhile: ``.numbers`` in the directory remembers those that were given.

    Args:
        path: the directory; made if missing. Leftovers of killed writers are removed from it.
        robot: name of the robot description whose points are to be taken out of the clouds; None for none.

        numbered_in: directory whose episodes and this one's share their numbers; by default its own.

    Raises:
        DataError: if the directory cannot be made.
        UnknownRobotError: if there is no such description.

    Attributes:
        path, robot: as given.
        frame: of all poses, the robot's base.
    """

    def __init__(self, path: str | Path, robot: str | None = None, numbered_in: Path | None = None) -> None:
        self.path = Path(path)
        self._numbers = EpisodeNumbers(self.path if numbered_in is None else numbered_in)
        self.robot = robot
        self.frame = FusionConfig().frame if robot is None else load_robot(robot).base_frame
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"cannot make the directory {self.path}: {error.strerror}") from error
        self._remove_leftovers()

    def seeds(self, task: str) -> frozenset[int]:
        """Seeds of a task's episodes that are already here."""
        matches = (_SEEDED.fullmatch(file.name) for file in self.path.iterdir())
        return frozenset(int(match["seed"]) for match in matches if match and match["task"] == task)

    def file_of(self, task: str, seed: int) -> Path:
        """Where the episode of a seed is or would be."""
        return self.path / f"{task}-seed{seed:08d}.zip"

    def write(self, episode: Episode, seed: int | None = None) -> Path:
        """Add an episode.

        Args:
            episode: with camera views in each keyframe.
            seed: what the episode was made from; None takes the next number.

        Returns:
            the new file, on the disk before this returns.

        Raises:
            DataError: if the episode lacks something, or the file cannot be written.
        """
        check_task(episode.task)
        try:
            with self._partial_file() as (stream, partial):
                write_images(stream, episode, self.robot, self.frame)
                stream.flush()
                os.fsync(stream.fileno())
                if seed is None:
                    file = self._take_number(episode.task, partial)
                else:
                    file = self.file_of(episode.task, seed)
                    partial.replace(file)
            flush_folder(self.path)
        except OSError as error:
            raise DataError(f"cannot write an episode into {self.path}: {error.strerror or error}") from error
        return file

    def adopt(self, whole: Path, task: str) -> Path:
        """Give an episode file that was written elsewhere on this disk, and lies on it, the next number.

        Args:
            whole: the file; it keeps its own name too.
            task: of the episode.

        Returns:
            the new name, on the disk before this returns.

        Raises:
            DataError: if the file cannot be named.
        """
        check_task(task)
        try:
            file = self._take_number(task, whole)
            flush_folder(self.path)
        except OSError as error:
            raise DataError(f"cannot write an episode into {self.path}: {error.strerror or error}") from error
        return file

    def _take_number(self, task: str, whole: Path) -> Path:
        """Give the file a number of its task that no other has or had."""
        while True:
            file = self.path / f"{task}-{self._numbers.take(task):06d}.zip"
            with suppress(FileExistsError):  # somebody has copied it there just now
                os.link(whole, file)
                return file

    @contextmanager
    def _partial_file(self) -> Iterator[tuple[BinaryIO, Path]]:
        """A locked temporary file; its temporary name is gone at the end, renamed or not."""
        stream, partial = self._locked_file()
        with stream:
            try:
                yield stream, partial
            finally:
                partial.unlink(missing_ok=True)

    def _locked_file(self) -> tuple[BinaryIO, Path]:
        while True:
            partial = self.path / f".{uuid4().hex}{_PARTIAL}"
            stream = partial.open("xb")
            fcntl.flock(stream, fcntl.LOCK_EX)
            # In the instant before the lock another process may have removed the file as a leftover.
            if os.fstat(stream.fileno()).st_nlink:
                return stream, partial
            stream.close()

    def _remove_leftovers(self) -> None:
        """Remove temporary files that nobody holds locked any more: their writers were killed."""
        for partial in self.path.glob(f".*{_PARTIAL}"):
            with suppress(OSError), partial.open("rb") as stream:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                partial.unlink()
                log.info("removed %s, left behind by a writer that was killed", partial)
