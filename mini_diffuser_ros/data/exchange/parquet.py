"""Parquet files by pyarrow, imported when it is needed: bounded before they are read, a line for what is wrong."""

from __future__ import annotations

import faulthandler
import os
import resource
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.data.errors import DataError, EpisodeFileError
from mini_diffuser_ros.support.errors import one_line

MAX_FILE_BYTES = 2**31
"""LeRobot begins a new file after 100 MB, unless it is told otherwise."""

MAX_ROWS = 10**7
"""Of one file: four days of frames at 30 Hz."""

MAX_GROUP_BYTES = 2**30
"""Of one row group, as it claims for itself once it is unpacked; files are unpacked by such groups."""

MAX_NUMBERS = 2 * 10**7
"""Of one column that is read at once: 160 MB."""


def require_pyarrow() -> Any:
    """The module pyarrow, with its ``parquet``.

    Raises:
        DataError: if it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise DataError(f"LeRobot's files need pyarrow ({error}): pip install 'mini_diffuser_ros[lerobot]'") from error
    return pyarrow


class ParquetFile:
    """One file, opened; nothing but its footer is read before a column is asked for.

    Args:
        file: its path.

    Raises:
        EpisodeFileError: if it is no readable parquet file, or larger than any that is read.

    Attributes:
        file: as given.
        rows: how many there are.
        columns: their names, of nested ones the outermost.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        arrow = require_pyarrow()
        with self._one_line():
            size = file.stat().st_size
            if not file.is_file():  # a named pipe would be waited for
                raise EpisodeFileError(file, "is no file")
            if size > MAX_FILE_BYTES:
                raise EpisodeFileError(file, f"has {size} bytes, expected at most {MAX_FILE_BYTES}")
            self._parquet = arrow.parquet.ParquetFile(
                file,
                memory_map=True,
                pre_buffer=False,
                page_checksum_verification=True,
                thrift_string_size_limit=2**24,
                thrift_container_size_limit=10**6,
            )
            about = self._parquet.metadata
            groups = [about.row_group(number) for number in range(about.num_row_groups)]
            if not _survives(lambda: _chunks(groups)):
                raise EpisodeFileError(file, "is no readable parquet file (its footer contradicts itself)")
            chunks = _chunks(groups)
            self._claimed = [(f"{chunk.path_in_schema}.", int(chunk.num_values)) for chunk in chunks]
            self.columns = tuple(self._parquet.schema_arrow.names)
        largest = max((group.total_byte_size for group in groups), default=0)
        if not 0 <= about.num_rows <= MAX_ROWS or sum(group.num_rows for group in groups) != about.num_rows:
            raise EpisodeFileError(file, f"claims {about.num_rows} rows, expected at most {MAX_ROWS}")
        if not 0 <= largest <= MAX_GROUP_BYTES:
            raise EpisodeFileError(file, f"claims {largest} bytes in a row group, expected at most {MAX_GROUP_BYTES}")
        self.rows = int(about.num_rows)
        self._starts = np.cumsum([0, *(group.num_rows for group in groups)])

    def require(self, columns: Sequence[str]) -> None:
        """Refuse a file that lacks one of some columns.

        Raises:
            EpisodeFileError: naming it and those that there are.
        """
        for column in columns:
            if column not in self.columns:
                there = ", ".join(self.columns)
                raise EpisodeFileError(self.file, f"column {column} is missing, expected it beside {there:.200}")

    def numbers(self, column: str, shape: tuple[int, ...] = ()) -> NDArray[np.float64]:
        """A column of numbers, or of nested lists of them, (rows, *shape) float64; whole numbers keep their values.

        Raises:
            EpisodeFileError: if it is of another kind or shape, or has gaps.
        """
        self.require([column])
        # Columns whose names go on after a dot are read with it.
        claimed = sum(count for path, count in self._claimed if path.startswith(f"{column}."))
        if claimed > MAX_NUMBERS:
            raise EpisodeFileError(self.file, f"{column} claims {claimed} numbers, expected at most {MAX_NUMBERS}")
        with self._one_line():
            array = self._parquet.read(columns=[column], use_threads=False).column(column).combine_chunks()
            return nested_numbers(array, (self.rows, *shape)).astype(np.float64)

    def fault(self, column: str, problem: str) -> EpisodeFileError:
        """The error that something is wrong with the values of a column."""
        return EpisodeFileError(self.file, f"{column}: {problem}")

    def values(self, columns: Sequence[str], rows: Sequence[int]) -> Iterator[tuple[int, dict[str, Any]]]:
        """Number and values of some rows, a row at a time: each value is a pyarrow array of one.

        What is in the file once and repeated a million times is small until it is unpacked, so it is not, all at once.

        Args:
            columns: their names.
            rows: in increasing order.

        Raises:
            EpisodeFileError: if they cannot be read.
        """
        self.require(columns)
        wanted = np.asarray(rows, dtype=np.int64)
        for group, (start, stop) in enumerate(zip(self._starts[:-1], self._starts[1:], strict=True)):
            inside = wanted[(wanted >= start) & (wanted < stop)]
            if not len(inside):
                continue
            with self._one_line():
                batches = self._parquet.iter_batches(1, row_groups=[group], columns=list(columns), use_threads=False)
            for row in range(int(start), int(inside[-1]) + 1):
                with self._one_line():
                    batch = next(batches, None)
                if batch is None:
                    raise EpisodeFileError(self.file, f"ends before its row {row}")
                if row in inside:
                    yield row, {column: batch.column(column) for column in columns}

    @contextmanager
    def _one_line(self) -> Iterator[None]:
        arrow = require_pyarrow()
        try:
            yield
        except EpisodeFileError:
            raise
        except OSError as error:
            raise EpisodeFileError(self.file, f"cannot be read ({error.strerror or one_line(error):.200})") from error
        except (
            arrow.ArrowException,
            ValueError,
            KeyError,
            TypeError,
            OverflowError,
            MemoryError,
        ) as error:
            raise EpisodeFileError(self.file, f"is no readable parquet file ({one_line(error):.200})") from error


def _chunks(groups: Sequence[Any]) -> list[Any]:
    """What the footer says of each column in each row group."""
    return [group.column(place) for group in groups for place in range(group.num_columns)]


def _survives(look: Callable[[], object]) -> bool:
    """Whether a look at a file can be taken here: pyarrow ends the process, without an exception, at some footers.

    The look is taken in a child first, which costs a millisecond.
    """
    child = os.fork()
    if not child:
        try:
            faulthandler.disable()
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            look()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def nested_numbers(array: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    """Numbers of a pyarrow array of them, or of lists in lists of them.

    Args:
        array: of pyarrow.
        shape: that it has to have, its own length first.

    Raises:
        ValueError: if it has another, has gaps, or is of something else than numbers or flags.
    """
    arrow = require_pyarrow()
    for depth, length in enumerate(shape[1:], 1):
        kind = array.type
        if not (arrow.types.is_list(kind) or arrow.types.is_large_list(kind) or arrow.types.is_fixed_size_list(kind)):
            raise ValueError(f"numbers of {depth} dimensions, expected the shape {shape}")
        if array.null_count:
            raise ValueError("a list is missing")
        lengths = np.asarray(array.value_lengths())
        if len(lengths) and not (lengths == length).all():
            raise ValueError(f"lists of {lengths.min()} to {lengths.max()} values, expected {length}")
        array = array.flatten()
    kind = array.type
    if not (arrow.types.is_integer(kind) or arrow.types.is_floating(kind) or arrow.types.is_boolean(kind)):
        raise ValueError(f"values are {kind}, expected numbers of the shape {shape}")
    if array.null_count:
        raise ValueError("a number is missing")
    values = array.to_numpy(zero_copy_only=False)
    if values.size != int(np.prod(shape)):
        raise ValueError(f"{values.size} numbers, expected the shape {shape}")
    return np.asarray(values).reshape(shape)
