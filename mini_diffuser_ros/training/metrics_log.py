"""Metrics of a run as JSON lines, always, and in TensorBoard where it is installed."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)


class MetricsLog:
    """``<out>/metrics.jsonl``: one object a line, each with the ``step`` after which it was measured.

    Going on from a checkpoint drops the lines of the steps that are about to be repeated, so that the file reads
    like that of an uninterrupted run.
    """

    def __init__(self, out: Path, step: int) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self._path = out / "metrics.jsonl"
        self._drop_after(step)
        self._file = self._path.open("a", buffering=1, encoding="utf-8")
        self._board = _tensorboard(out / "tensorboard", step)

    def write(self, step: int, values: Mapping[str, Any]) -> None:
        """Append one line; nested mappings become paths in TensorBoard."""
        self._file.write(json.dumps({"step": step, **values}) + "\n")
        if self._board is not None:
            for name, value in _scalars(values):
                self._board.add_scalar(name, value, step)

    def close(self) -> None:
        """Write everything out."""
        self._file.close()
        if self._board is not None:
            self._board.close()

    def _drop_after(self, step: int) -> None:
        if not self._path.exists():
            return
        kept = [line for line in self._path.read_text(encoding="utf-8").splitlines() if _step(line, step) <= step]
        part = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        part.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
        os.replace(part, self._path)


def _step(line: str, after: int) -> int:
    """The step of a line; a line that a kill cut short counts as one after ``after``."""
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return after + 1


def _tensorboard(directory: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        log.info("no TensorBoard files: install tensorboard for them")
        return None
    return SummaryWriter(str(directory), purge_step=step + 1)


def _scalars(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _scalars(value, f"{prefix}{name}/")
        elif isinstance(value, (int, float)):
            yield f"{prefix}{name}", float(value)
