"""Our own recordings, opened as a sequence of episodes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import overload

from mini_diffuser_ros.data.episode_file import read_episode
from mini_diffuser_ros.data.errors import DataError
from mini_diffuser_ros.perception import FusionConfig
from mini_diffuser_ros.records import Episode


class Recordings(Sequence[Episode]):
    """The episodes of some files, each read when it is asked for.

    Args:
        files: episode files, in the order of the sequence.
        fusion: how the views of a keyframe become its cloud.
    """

    def __init__(self, files: Sequence[Path], fusion: FusionConfig) -> None:
        self.files = tuple(files)
        self.fusion = fusion

    def __len__(self) -> int:
        return len(self.files)

    @overload
    def __getitem__(self, index: int) -> Episode: ...

    @overload
    def __getitem__(self, index: slice) -> Recordings: ...

    def __getitem__(self, index: int | slice) -> Episode | Recordings:
        """One episode, its index validated, or some of the sequence.

        Raises:
            EpisodeFileError: naming the file and the field that is wrong.
        """
        if isinstance(index, slice):
            return Recordings(self.files[index], self.fusion)
        return read_episode(self.files[index], self.fusion)


def open_episodes(path: str | Path, fusion: FusionConfig | None = None) -> Sequence[Episode]:
    """Open demonstrations; nothing but the names of the files is read until an episode is asked for.

    Args:
        path: a directory of recorded episodes, or one episode file.
        fusion: how the views of a keyframe become its cloud; by default that of :class:`FusionConfig`.

    Returns:
        the episodes in the order of their names, which is by task and then by seed.

    Raises:
        DataError: if there is nothing of the kind at the path.
    """
    root = Path(path)
    if root.is_file():
        files = [root]
    elif root.is_dir():
        files = sorted(root.glob("*.zip"))
    else:
        raise DataError(f"{root}: no such file or directory")
    if not files:
        raise DataError(f"{root}: holds no episode files, expected *.zip as `mini-diffuser record` writes them")
    return Recordings(files, FusionConfig() if fusion is None else fusion)
