"""Our own recordings: a directory of episode files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mini_diffuser_ros.data.episode_file import read_episode
from mini_diffuser_ros.perception import FusionConfig
from mini_diffuser_ros.records import Episode


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
        """The bytes of its zip."""
        return self.place.open("rb")

    def read(self) -> Episode:
        """Read the episode's index; images are read when a keyframe's views or cloud are asked for.

        Raises:
            EpisodeFileError: naming the file, the field and what was expected.
        """
        return read_episode(self, self.source, self.fusion)


def find_recordings(path: Path, fusion: FusionConfig) -> list[RecordedEpisode]:
    """The episode files of a directory, or the one that the path is."""
    files = [path] if path.is_file() else path.glob("*.zip")
    return [RecordedEpisode(file, fusion) for file in files]
