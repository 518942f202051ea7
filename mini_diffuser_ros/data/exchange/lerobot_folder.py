"""Reads the files of a LeRobotDataset of version 3: which episodes there are, and what their frames hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.data.errors import EpisodeFileError
from mini_diffuser_ros.data.exchange.lerobot_layout import EPISODES_FOLDER, Feature, read_info
from mini_diffuser_ros.data.exchange.parquet import ParquetFile, nested_numbers
from mini_diffuser_ros.data.formats.images import MAX_BYTES

MAX_TEXT = 2**16
"""Bytes of a text in one frame."""

_MOST_FILES = 10_000
_MOST_SENTENCES = 100  # of one episode


@dataclass(frozen=True)
class EpisodePlace:
    """Where an episode is.

    Attributes:
        index: its number.
        sentences: what LeRobot calls its tasks.
        length: how many frames it has.
        file: of its frames.
        videos: feature to file and the second at which the episode begins in it.
    """

    index: int
    sentences: tuple[str, ...]
    length: int
    file: Path
    videos: dict[str, tuple[Path, float]]


class LeRobotFolder:
    """A LeRobotDataset on disk.

    Args:
        root: its folder.

    Raises:
        EpisodeFileError: if it cannot be read or is of another version.

    Attributes:
        info: what it says of itself.
    """

    def __init__(self, root: Path) -> None:
        self.info = read_info(root)
        # Episodes come in order: one file after another.
        self._open = lru_cache(maxsize=1)(ParquetFile)
        self._column = lru_cache(maxsize=64)(lambda file, name, shape: self._open(file).numbers(name, shape))

    def episodes(self) -> list[EpisodePlace]:
        """All episodes in their order.

        Raises:
            EpisodeFileError: if they cannot be read, or are not those that info.json counts.
        """
        folder = self.info.root / EPISODES_FOLDER
        files = sorted(folder.glob("*/*.parquet"))[:_MOST_FILES]
        found = sorted((place for file in files for place in self._places(file)), key=lambda place: place.index)
        # Compared with what there is: total_episodes may be any number.
        if len(found) != self.info.episodes or any(place.index != index for index, place in enumerate(found)):
            raise EpisodeFileError(
                folder, f"has {len(found)} episodes, expected those from 0 to {self.info.episodes - 1}"
            )
        return found

    def feature(self, name: str) -> Feature:
        """What info.json says of a feature.

        Raises:
            EpisodeFileError: if there is none of this name, with those that there are.
        """
        if name not in self.info.features:
            there = ", ".join(map(str, self.info.features.values()))
            raise EpisodeFileError(self.info.root, f"has no feature {name}; it has {there:.400}")
        return self.info.features[name]

    def numbers(self, place: EpisodePlace, name: str) -> NDArray[np.float64]:
        """(T, ...) finite values of a feature; (T,) of one of shape (1,).

        Raises:
            EpisodeFileError: if they are not what info.json says.
        """
        shape = self.feature(name).shape
        values = self._column(place.file, name, () if shape == (1,) else shape)[self.rows(place)]
        if not np.all(np.isfinite(values)):
            raise EpisodeFileError(place.file, f"{name} of episode {place.index} is not finite")
        return np.asarray(values)

    def texts(self, place: EpisodePlace, name: str) -> list[str]:
        """A text of each frame.

        Raises:
            EpisodeFileError: if one is none.
        """
        found = []
        for _, values in self._open(place.file).values([name], self.rows(place)):
            text = values[name][0].as_py()
            if not isinstance(text, str) or len(text) > MAX_TEXT:
                raise EpisodeFileError(place.file, f"{name} is {text!r:.60}, expected a text of at most {MAX_TEXT}")
            found.append(text)
        return found

    def frame(self, place: EpisodePlace, number: int, names: Sequence[str]) -> dict[str, Any]:
        """Some features of one frame: PNG bytes of an image, else an array of its shape, of the type that it has.

        Raises:
            EpisodeFileError: if they are not what info.json says.
        """
        file = self._open(place.file)
        ((_, values),) = file.values(names, [self.rows(place)[number]])
        return {name: self._value(file, self.feature(name), values[name]) for name in names}

    def rows(self, place: EpisodePlace) -> range:
        """The rows of its file that are an episode's.

        Raises:
            EpisodeFileError: if they are not one after another, or not as many as there should be.
        """
        episodes, frames = (self._column(place.file, name, ()) for name in ("episode_index", "frame_index"))
        rows = np.flatnonzero(episodes == place.index)
        if not np.array_equal(frames[rows], np.arange(place.length)) or (np.diff(rows) != 1).any():
            raise EpisodeFileError(
                place.file, f"has {len(rows)} frames of episode {place.index}, expected 0 to {place.length - 1}"
            )
        return range(int(rows[0]), int(rows[0]) + place.length)

    def _value(self, file: ParquetFile, feature: Feature, array: Any) -> Any:
        if feature.dtype != "image":
            try:
                return nested_numbers(array, (1, *feature.shape))[0]
            except ValueError as error:
                raise file.fault(feature.name, str(error)) from error
        value = array[0].as_py()
        data = value.get("bytes") if isinstance(value, dict) else None
        if not isinstance(data, bytes) or len(data) > MAX_BYTES:
            raise file.fault(feature.name, f"holds no image of at most {MAX_BYTES} bytes in the file itself")
        return data

    def _places(self, found: Path) -> Iterator[EpisodePlace]:
        file = ParquetFile(self.info.inside(found))
        videos = [name for name, feature in self.info.features.items() if feature.dtype == "video"]
        counted = ["episode_index", "length", "data/chunk_index", "data/file_index"]
        where = {name: [f"videos/{name}/{what}" for what in ("chunk_index", "file_index")] for name in videos}
        names = [*counted, *(name for both in where.values() for name in both)]
        numbers = {name: file.numbers(name) for name in names}
        starts = {name: file.numbers(f"videos/{name}/from_timestamp") for name in videos}
        for name, values in numbers.items():
            if not (np.isfinite(values) & (values >= 0) & (values < 2**31) & (values == np.rint(values))).all():
                raise file.fault(name, "expected whole numbers of at least 0")
        for row, tasks in file.values(["tasks"], range(file.rows)):
            index, length, chunk, part = (int(numbers[name][row]) for name in counted)
            yield EpisodePlace(
                index=index,
                sentences=_sentences(file, tasks["tasks"]),
                length=length,
                file=self.info.data_file(chunk, part),
                videos={
                    name: (
                        self.info.video_file(name, *(int(numbers[column][row]) for column in where[name])),
                        float(starts[name][row]),
                    )
                    for name in videos
                },
            )


def _sentences(file: ParquetFile, array: Any) -> tuple[str, ...]:
    values = array[0].as_py()
    if not isinstance(values, list) or not all(isinstance(one, str) and len(one) <= MAX_TEXT for one in values):
        raise file.fault("tasks", f"is {values!r:.60}, expected a list of sentences")
    if not 0 < len(values) <= _MOST_SENTENCES:
        raise file.fault("tasks", f"has {len(values)} sentences, expected 1 to {_MOST_SENTENCES}")
    return tuple(values)
