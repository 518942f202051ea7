"""Writes the files of a LeRobotDataset of version 3, a frame after another."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.data.exchange.lerobot_layout import (
    COUNTERS,
    DATA_PATH,
    EPISODES_PATH,
    FILE_MEGABYTES,
    FILES_PER_CHUNK,
    INFO,
    STATS,
    TASKS,
    VERSION,
    VIDEO_MEGABYTES,
)
from mini_diffuser_ros.data.exchange.lerobot_statistics import StatisticsOfAll
from mini_diffuser_ros.data.exchange.parquet import require_pyarrow
from mini_diffuser_ros.support.files import write_whole

_GROUP_BYTES = 2**26  # in memory, of the frames that are written together


@dataclass(frozen=True)
class WrittenFrame:
    """One frame of an episode.

    Attributes:
        numbers: feature to its value, of the feature's shape; () where that is (1,).
        images: feature to its PNG.
        texts: feature to its text.
        histograms: feature of an image to (3, 256) how often each value occurs in a colour.
    """

    numbers: Mapping[str, NDArray[Any]]
    images: Mapping[str, bytes]
    texts: Mapping[str, str]
    histograms: Mapping[str, NDArray[np.int64]]

    @property
    def size(self) -> int:
        """Bytes in memory."""
        return sum(value.nbytes for value in self.numbers.values()) + sum(map(len, self.images.values()))


class DatasetWriter:
    """Writes episodes into a folder.

    Args:
        folder: an empty one.
        fps: frames a second.
        robot: its name, None where there is none.
        features: those of info.json, without the ones that every dataset has.
    """

    def __init__(self, folder: Path, fps: int, robot: str | None, features: Mapping[str, Mapping[str, Any]]) -> None:
        self._folder, self._fps, self._robot = folder, fps, robot
        counters = {name: {"dtype": "int64", "shape": [1], "names": None} for name in COUNTERS}
        time = {"timestamp": {"dtype": "float32", "shape": [1], "names": None}}
        self._features: dict[str, Any] = {**features, **time, **counters}
        self._arrow = require_pyarrow()
        self._statistics = StatisticsOfAll()
        self._tasks: dict[str, int] = {}
        self._episodes: list[dict[str, Any]] = []
        self._frames = 0
        self._file = -1
        self._writer: Any = None

    def add(self, frames: Iterable[WrittenFrame], sentence: str) -> None:
        """Write an episode.

        Args:
            frames: all of the same features.
            sentence: what LeRobot calls its task.
        """
        writer = self._open_file()
        task = self._tasks.setdefault(sentence, len(self._tasks))
        first = self._frames
        together: list[WrittenFrame] = []
        small: dict[str, list[NDArray[np.float64]]] = {}
        histograms: dict[str, NDArray[np.int64]] = {}
        for frame in frames:
            together.append(frame)
            for name, histogram in frame.histograms.items():
                histograms[name] = histograms.get(name, 0) + histogram
            for name, value in frame.numbers.items():
                if value.dtype == np.float64:
                    small.setdefault(name, []).append(np.atleast_1d(value))
            if sum(one.size for one in together) > _GROUP_BYTES:
                writer.write_table(self._table(together, task, first))
                together = []
        if together:
            writer.write_table(self._table(together, task, first))
        numbers = {name: np.stack(values) for name, values in small.items()}
        self._episodes.append(self._entry(sentence, first, self._statistics.add(numbers, histograms)))

    def close(self) -> None:
        """Write what belongs to all episodes."""
        if self._writer is not None:
            self._writer.close()
        episodes = self._folder / EPISODES_PATH.format(chunk_index=0, file_index=0)
        episodes.parent.mkdir(parents=True)
        parquet = self._arrow.parquet
        parquet.write_table(self._arrow.Table.from_pylist(self._episodes), episodes, write_page_checksum=True)
        parquet.write_table(self._table_of_tasks(), self._folder / TASKS, write_page_checksum=True)
        write_whole(self._folder / STATS, json.dumps(self._statistics.all(), indent=4))
        write_whole(self._folder / INFO, json.dumps(self._info(), indent=4, ensure_ascii=False))

    def _open_file(self) -> Any:
        """The writer of the present file of frames, or of a new one once that is large enough."""
        if self._writer is not None:
            path = self._path()
            if path.stat().st_size < FILE_MEGABYTES * 2**20:
                return self._writer
            self._writer.close()
        self._file += 1
        path = self._path()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = self._arrow.parquet.ParquetWriter(
            path, self._schema(), compression="zstd", write_page_checksum=True
        )
        return self._writer

    def _path(self) -> Path:
        return self._folder / DATA_PATH.format(**self._place())

    def _place(self) -> dict[str, int]:
        chunk, file = divmod(self._file, FILES_PER_CHUNK)
        return {"chunk_index": chunk, "file_index": file}

    def _schema(self) -> Any:
        return self._arrow.schema([(name, self._type(feature)) for name, feature in self._features.items()])

    def _type(self, feature: Mapping[str, Any]) -> Any:
        arrow = self._arrow
        if feature["dtype"] == "image":
            return arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())])
        kind = {"bool": arrow.bool_(), "string": arrow.string()}.get(feature["dtype"])
        kind = getattr(arrow, feature["dtype"])() if kind is None else kind
        sides: Sequence[int] = feature["shape"]
        if sides == [1]:
            return kind
        if len(sides) == 1:
            return arrow.list_(kind, sides[0])
        for _ in sides:
            kind = arrow.list_(kind)
        return kind

    def _table(self, frames: Sequence[WrittenFrame], task: int, first: int) -> Any:
        """Frames, the next of an episode that began with the frame ``first``, as a table."""
        numbers = np.arange(self._frames, self._frames + len(frames))
        counted: dict[str, NDArray[Any]] = {
            "timestamp": ((numbers - first) / self._fps).astype(np.float32),
            "frame_index": numbers - first,
            "episode_index": np.full(len(frames), len(self._episodes)),
            "index": numbers,
            "task_index": np.full(len(frames), task),
        }
        self._frames += len(frames)
        return self._arrow.table(
            [self._column(name, frames, counted) for name in self._features], schema=self._schema()
        )

    def _column(self, name: str, frames: Sequence[WrittenFrame], counted: Mapping[str, NDArray[Any]]) -> Any:
        kind = self._type(self._features[name])
        if name in counted:
            return self._arrow.array(counted[name], kind)
        if name in frames[0].images:
            return self._arrow.array([{"bytes": frame.images[name], "path": None} for frame in frames], kind)
        if name in frames[0].texts:
            return self._arrow.array([frame.texts[name] for frame in frames], kind)
        return self._nested(np.stack([frame.numbers[name] for frame in frames]))

    def _nested(self, values: NDArray[Any]) -> Any:
        """An array of values (T, ...): lists of a fixed length of one dimension, lists in lists of several."""
        arrow = self._arrow
        array = arrow.array(values.ravel())
        if values.ndim == 2:
            return arrow.FixedSizeListArray.from_arrays(array, values.shape[1])
        for side in reversed(values.shape[1:]):
            array = arrow.ListArray.from_arrays(np.arange(0, len(array) + 1, side, dtype=np.int32), array)
        return array

    def _entry(self, sentence: str, first: int, statistics: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """The line of meta/episodes of the episode whose last frame has just been written."""
        place = self._place()
        return {
            "episode_index": len(self._episodes),
            "tasks": [sentence],
            "length": self._frames - first,
            "data/chunk_index": place["chunk_index"],
            "data/file_index": place["file_index"],
            "dataset_from_index": first,
            "dataset_to_index": self._frames,
            "meta/episodes/chunk_index": 0,
            "meta/episodes/file_index": 0,
            **{f"stats/{name}/{what}": value for name, all_of in statistics.items() for what, value in all_of.items()},
        }

    def _table_of_tasks(self) -> Any:
        """Sentences and their numbers; pandas takes the sentences for its index, and LeRobot reads them as such."""
        index = "__index_level_0__"
        kinds = {"task_index": ("int64", "int64"), index: ("unicode", "object")}
        columns = [
            {"name": None if name == index else name, "field_name": name, "pandas_type": one, "numpy_type": other}
            for name, (one, other) in kinds.items()
        ]
        about = {
            "index_columns": [index],
            "column_indexes": [],
            "columns": [{**column, "metadata": None} for column in columns],
            "pandas_version": "2.0.0",
        }
        table = self._arrow.table({"task_index": list(self._tasks.values()), index: list(self._tasks)})
        return table.replace_schema_metadata({"pandas": json.dumps(about)})

    def _info(self) -> dict[str, Any]:
        return {
            "codebase_version": VERSION,
            "robot_type": self._robot,
            "total_episodes": len(self._episodes),
            "total_frames": self._frames,
            "total_tasks": len(self._tasks),
            "chunks_size": FILES_PER_CHUNK,
            "data_files_size_in_mb": FILE_MEGABYTES,
            "video_files_size_in_mb": VIDEO_MEGABYTES,
            "fps": self._fps,
            "splits": {"train": f"0:{len(self._episodes)}"},
            "data_path": DATA_PATH,
            "video_path": None,
            "features": self._features,
        }
