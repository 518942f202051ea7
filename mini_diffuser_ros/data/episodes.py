"""A sequence of episodes, whatever they are stored as, each read when it is asked for."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol, overload

from mini_diffuser_ros.perception import FusionConfig
from mini_diffuser_ros.records import Episode

_EPISODE = re.compile(r"episode\d+")


class StoredEpisode(Protocol):
    """An episode on disk that has not been read. It is small and can be sent to another process."""

    @property
    def source(self) -> str:
        """Its name within the data set, which stays the same when the data set is moved or converted."""

    def digest(self) -> bytes:
        """A digest (32 bytes) of all that training or a person can see of it: the same demonstration has the same.

        Task, variation, sentences, provenance, stamps, poses, gripper, joint positions, calibrations and the bytes of
        the images or clouds of its keyframes go into it, but not its name. A cloud that was converted goes by the
        images that it was made from.

        Raises:
            EpisodeFileError: if something that goes into it cannot be read.
        """

    def pictures(self) -> frozenset[int]:
        """A number for each thing that was seen, an image with its depth and calibration or a cloud: whatever else is
        said of it, two episodes that share most of them are one. Nothing is decoded.

        Raises:
            EpisodeFileError: if that cannot be read.
        """

    def read(self) -> Episode:
        """The episode; its images and clouds are read when a keyframe is asked for them."""


class Episodes(Sequence[Episode]):
    """The episodes of a data set, in the natural order of their names (``episode9`` before ``episode10``).

    Attributes:
        stored: the episodes, unread.
        fusion: how the views of a keyframe became or become its cloud; None where the source does not say.
    """

    def __init__(self, stored: Iterable[StoredEpisode], fusion: FusionConfig | None) -> None:
        self.stored = tuple(sorted(stored, key=lambda episode: natural_order(episode.source)))
        self.fusion = fusion

    def __len__(self) -> int:
        return len(self.stored)

    @overload
    def __getitem__(self, index: int) -> Episode: ...

    @overload
    def __getitem__(self, index: slice) -> Episodes: ...

    def __getitem__(self, index: int | slice) -> Episode | Episodes:
        """One episode, read and validated but for its images, or some of the sequence.

        Raises:
            EpisodeFileError: naming the file and what is wrong with it.
        """
        if isinstance(index, slice):
            return Episodes(self.stored[index], self.fusion)
        return self.stored[index].read()


def natural_order(name: str) -> list[tuple[str, int]]:
    """Sorting key that compares numbers inside of names as numbers."""
    return [(text, int(digits or -1)) for text, digits in re.findall(r"(\D*)(\d*)", name)]


def below(root: Path, patterns: Sequence[str]) -> list[Path]:
    """Folders called ``episode<M>`` that match the first of some patterns that any does; ``""`` is the root itself."""
    absolute = Path(os.path.abspath(root))
    for pattern in patterns:
        candidates = absolute.glob(pattern) if pattern else [absolute]
        found = [path for path in candidates if _EPISODE.fullmatch(path.name)]
        if found:
            return found
    return []
