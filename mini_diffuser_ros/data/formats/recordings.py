"""Our own recordings: a directory of episode files."""

from __future__ import annotations

import errno
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mini_diffuser_ros.data.episodes import Episodes
from mini_diffuser_ros.data.formats.episode_file import digest_of_content, pictures_in, read_episode
from mini_diffuser_ros.perception import FusionConfig
from mini_diffuser_ros.records import Episode

LAYOUT = "recordings (*.zip)"


@dataclass(frozen=True)
class RecordedEpisode:
    """An episode file, unread.

    Attributes:
        place: the file.
        fusion: how the views of a keyframe become its cloud.
    """

    place: Path
    fusion: FusionConfig

    @property
    def source(self) -> str:
        """The file's name without its ending: it tells the task and the seed."""
        return self.place.stem

    def open(self) -> BinaryIO:
        """The bytes of its zip.

        Raises:
            OSError: if it cannot be opened, or is no file: a named pipe, which no one may ever write to.
        """
        if stat.S_ISFIFO(self.place.stat().st_mode):
            raise OSError(errno.EINVAL, "it is a named pipe", str(self.place))
        return self.place.open("rb")

    def digest(self) -> bytes:
        """A digest of the fields and images, whatever the file is called."""
        return digest_of_content(self)

    def pictures(self) -> frozenset[int]:
        """See :class:`StoredEpisode`."""
        return pictures_in(self)

    def read(self) -> Episode:
        """Read the episode's index; images are read when a keyframe's views or cloud are asked for.

        Raises:
            EpisodeFileError: naming the file, the field and what was expected.
        """
        return read_episode(self, self.source, self.fusion)


def find_episodes(root: Path, fusion: FusionConfig | None, sentences: Path | None) -> Episodes | None:
    """The episode files of a directory, or the one that the path is; None if there are none.

    Raises:
        OSError: if the directory cannot be listed.
    """
    files = [root] if root.is_file() else list(root.glob("*.zip"))
    chosen = FusionConfig() if fusion is None else fusion
    return Episodes([RecordedEpisode(file, chosen) for file in files], chosen) if files else None
