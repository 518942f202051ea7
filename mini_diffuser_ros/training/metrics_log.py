"""Metrics of a run as JSON lines and TensorBoard events, always, and in Weights & Biases where it is installed."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

# Writes the same files as tensorboard's own writer for a fiftieth of its size (docs/results/training.md).
from tensorboardX import SummaryWriter

from mini_diffuser_ros.support.errors import one_line
from mini_diffuser_ros.support.files import write_whole
from mini_diffuser_ros.training.outputs import METRICS, TENSORBOARD

log = logging.getLogger(__name__)


class Board(Protocol):
    """Something that draws curves."""

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Add one point to each curve."""

    def close(self) -> None:
        """Write everything out."""


class MetricsLog:
    """``<out>/metrics.jsonl``: one object a line, each with the ``step`` after which it was measured.

    Going on from a checkpoint drops the lines of the steps that are about to be repeated, so that the file reads
    like that of an uninterrupted run.
    """

    def __init__(self, out: Path, step: int, wandb_project: str = "", recipe: Mapping[str, Any] | None = None) -> None:
        """Go on with the log of a run.

        Args:
            out: output directory of the run.
            step: finished steps.
            wandb_project: project on Weights & Biases; empty leaves it alone.
            recipe: shown with the run there.
        """
        out.mkdir(parents=True, exist_ok=True)
        self._path = out / METRICS
        self._drop_after(step)
        self._file = self._path.open("a", buffering=1, encoding="utf-8")
        self._boards: list[Board] = [_TensorBoard(out / TENSORBOARD, step)]
        if wandb_project:
            self._boards += _weights_and_biases(wandb_project, out, recipe or {})

    def write(self, step: int, values: Mapping[str, Any]) -> None:
        """Append one line; nested mappings become paths in TensorBoard."""
        self._file.write(json.dumps({"step": step, **values}) + "\n")
        scalars = dict(_scalars(values))
        for board in self._boards:
            board.write(step, scalars)

    def close(self) -> None:
        """Write everything out."""
        self._file.close()
        for board in self._boards:
            board.close()

    def _drop_after(self, step: int) -> None:
        if not self._path.exists():
            return
        kept = [line for line in self._path.read_text(encoding="utf-8").splitlines() if _step(line, step) <= step]
        write_whole(self._path, "".join(line + "\n" for line in kept))


def _step(line: str, after: int) -> int:
    """The step of a line; a line that a kill cut short counts as one after ``after``."""
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return after + 1


class _TensorBoard:
    def __init__(self, directory: Path, step: int) -> None:
        # Points of steps that are about to be repeated are hidden.
        self._writer = SummaryWriter(str(directory), purge_step=step + 1)

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        for name, value in scalars.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


class _WeightsAndBiases:
    def __init__(self, run: Any) -> None:
        self._run = run

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        self._run.log(dict(scalars), step=step)

    def close(self) -> None:
        self._run.finish()


def _weights_and_biases(project: str, out: Path, recipe: Mapping[str, Any]) -> list[Board]:
    """The run on Weights & Biases, which an interrupted one goes on with; nothing where the package is missing."""
    try:
        import wandb
    except ImportError:
        return []
    identity = hashlib.sha256(str(out.resolve()).encode()).hexdigest()[:16]
    # Without a key it would ask for one, and training would wait for an answer.
    mode = None if "WANDB_MODE" in os.environ or wandb.api.api_key else "offline"
    try:
        run = wandb.init(
            project=project, id=identity, name=out.name, dir=str(out), config=dict(recipe), resume="allow", mode=mode
        )
    except wandb.Error as error:
        log.warning("no metrics on Weights & Biases: %s", one_line(error))
        return []
    return [_WeightsAndBiases(run)]


def _scalars(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _scalars(value, f"{prefix}{name}/")
        elif isinstance(value, (int, float)):
            yield f"{prefix}{name}", float(value)
