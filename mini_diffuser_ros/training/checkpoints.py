"""Checkpoints a killed run goes on from: a directory each, complete or absent, safetensors and JSON only.

::

    <out>/checkpoints/step_00000400/state.safetensors    model, averaged weights, optimiser moments, random state
    <out>/checkpoints/step_00000400/progress.json        step, seconds trained, best validation, data and recipe
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mini_diffuser_ros.support.errors import one_line
from mini_diffuser_ros.support.files import flush_folder, whole_file, write_whole
from mini_diffuser_ros.support.sealing import file_digest, sealed, unsealed
from mini_diffuser_ros.training.errors import TrainingCheckpointError
from mini_diffuser_ros.training.identity import Stage, stages_from_values, stages_to_values
from mini_diffuser_ros.training.optimisation import WeightAverage

log = logging.getLogger(__name__)

STATE = "state.safetensors"
PROGRESS = "progress.json"

_STATE_DIGEST = "state_sha256"
_STAGES = "stages"
_TAUGHT = "taught"
_MOMENTS = {False: {"step", "exp_avg", "exp_avg_sq"}, True: {"step", "momentum"}}
"""Of a parameter by AdamW, and of a matrix by Muon."""


@dataclass
class TrainingProgress:
    """How far a run has come.

    Attributes:
        step: finished optimiser steps.
        seconds: wall-clock seconds of training and validation, over all sessions of the run, as the others.
        validating: seconds of those that went into validation.
        fusing: seconds of fusing images into clouds, or of reading them from the cache.
        encoding: seconds of encoding sentences, likewise.
        best_score: best validation score so far, None before the first validation; higher is better.
        best_step: step of the best score.
        stages: what the steps were made with, in their order; none if nobody has said it.
        taught: task to the sentences of the data of all stages.
    """

    step: int = 0
    seconds: float = 0.0
    validating: float = 0.0
    fusing: float = 0.0
    encoding: float = 0.0
    best_score: float | None = None
    best_step: int = 0
    stages: tuple[Stage, ...] = ()
    taught: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def forget_best(self) -> None:
        """The next validation is the best so far, whatever it is."""
        self.best_score, self.best_step = None, 0

    def phases(self) -> dict[str, float]:
        """Seconds of each phase by name, in order."""
        return {
            "fusing clouds": self.fusing,
            "encoding sentences": self.encoding,
            "training": self.seconds - self.validating,
            "validation": self.validating,
        }


@dataclass(frozen=True)
class Trainee:
    """Everything that a step changes.

    Attributes:
        model: the network.
        average: its averaged weights.
        optimizer: its optimiser.
    """

    model: nn.Module
    average: WeightAverage
    optimizer: torch.optim.Optimizer

    def tensors(self) -> dict[str, Tensor]:
        """All state by name, torch's random state included."""
        state = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        state |= {f"average.{name}": value for name, value in self.average.tensors.items()}
        for index, moments in self.optimizer.state_dict()["state"].items():
            state |= {f"optimizer.{index}.{name}": value for name, value in moments.items()}
        state["random.cpu"] = torch.get_rng_state()
        if torch.cuda.is_available():
            state["random.cuda"] = torch.cuda.get_rng_state()
        return {name: value.detach().cpu().contiguous().clone() for name, value in state.items()}

    def load(self, state: dict[str, Tensor]) -> None:
        """Take over what :meth:`tensors` gave; moments of another optimiser are left, and its own begin anew.

        Raises:
            KeyError, RuntimeError: if the state is of another network.
        """
        self.model.load_state_dict(_below("model.", state))
        average = _below("average.", state)
        for name, value in self.average.tensors.items():
            value.copy_(average[name])
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in _below("optimizer.", state).items():
            index, moment = name.split(".")
            moments.setdefault(int(index), {})[moment] = value
        if self._has(moments):
            groups = self.optimizer.state_dict()["param_groups"]
            self.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        else:
            log.warning("the checkpoint is of another optimiser: the moments of this one begin anew")
        torch.set_rng_state(state["random.cpu"])
        if torch.cuda.is_available() and "random.cuda" in state:
            torch.cuda.set_rng_state(state["random.cuda"])

    def _has(self, moments: Mapping[int, Mapping[str, Tensor]]) -> bool:
        """Whether moments by a parameter's number are those of this optimiser's, which reads them unseen."""
        kinds = [
            (parameter, _MOMENTS[bool(group["matrices"])])
            for group in self.optimizer.param_groups
            for parameter in group["params"]
        ]
        return all(
            index < len(kinds)
            and mine.keys() == kinds[index][1]
            and all(value.shape in (kinds[index][0].shape, ()) for value in mine.values())
            for index, mine in moments.items()
        )


class CheckpointStore:
    """The checkpoints of one output directory.

    Attributes:
        root: the folder in it that holds them.
    """

    def __init__(self, out: Path, keep: int) -> None:
        self.root = out / "checkpoints"
        self._keep = keep

    def save(self, trainee: Trainee, progress: TrainingProgress) -> Path:
        """Write a checkpoint, then drop those beyond the latest ``keep`` and the best; a step is written once.

        Raises:
            TrainingCheckpointError, OSError: if it cannot be written; those before it are still there.
        """
        target = self.root / f"step_{progress.step:08d}"
        if target.exists():
            return target
        part = self.root / f".{target.name}.{os.getpid()}"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        try:
            with whole_file(part / STATE) as file:
                save_file(trainee.tensors(), file)
        except SafetensorError as error:
            shutil.rmtree(part)
            raise TrainingCheckpointError(f"{target}: the checkpoint cannot be written ({error})") from error
        _write_progress(part, progress)
        part.rename(target)
        flush_folder(self.root)
        self._drop_old(progress)
        return target

    def has(self, step: int) -> bool:
        """Whether there is a checkpoint of a step."""
        return (self.root / f"step_{step:08d}").exists()

    def tell(self, progress: TrainingProgress) -> None:
        """Say anew how far the checkpoint of a step has come, which has been validated since it was written."""
        _write_progress(self.root / f"step_{progress.step:08d}", progress)
        self._drop_old(progress)

    def latest(self) -> Path | None:
        """The checkpoint to go on from, None where there is none."""
        steps = self._complete()
        return steps[-1] if steps else None

    def load(self, directory: Path, trainee: Trainee) -> TrainingProgress:
        """Put the checkpoint into the trainee.

        Raises:
            TrainingCheckpointError: if it is damaged or of another network.
        """
        try:
            progress, state = _read_all(directory)
            trainee.load(state)
        except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise _unusable(directory, error) from error
        return progress

    def progress(self) -> TrainingProgress | None:
        """How far the latest checkpoint has come, without its weights; None where there is none.

        Raises:
            TrainingCheckpointError: if that is damaged.
        """
        latest = self.latest()
        if latest is None:
            return None
        try:
            return _read_progress(latest)[1]
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise _unusable(latest, error) from error

    def _complete(self) -> list[Path]:
        return sorted(self.root.glob("step_*"))

    def _drop_old(self, progress: TrainingProgress) -> None:
        best = f"step_{progress.best_step:08d}" if progress.best_score is not None else ""
        for directory in self._complete()[: -self._keep]:
            if directory.name != best:
                # Out of sight first: a kill within rmtree must not leave half a checkpoint under its name.
                directory.rename(directory.with_name(f".{directory.name}.old"))
        for part in self.root.glob(".step_*"):
            shutil.rmtree(part)


def _write_progress(directory: Path, progress: TrainingProgress) -> None:
    values = {**asdict(progress), _STAGES: stages_to_values(progress.stages)}
    values[_STATE_DIGEST] = file_digest(directory / STATE)
    write_whole(directory / PROGRESS, json.dumps(sealed(values), indent=1))


def read_state(directory: Path) -> tuple[TrainingProgress, dict[str, Tensor]]:
    """What one checkpoint holds, whatever network it is of: progress, and tensors by name.

    Raises:
        TrainingCheckpointError: if it is damaged.
    """
    try:
        return _read_all(directory)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise _unusable(directory, error) from error


def _read_all(directory: Path) -> tuple[TrainingProgress, dict[str, Tensor]]:
    values, progress = _read_progress(directory)
    if values.get(_STATE_DIGEST, expected := file_digest(directory / STATE)) != expected:
        raise ValueError(f"{STATE} has changed since it was written")
    return progress, load_file(directory / STATE)


def _read_progress(directory: Path) -> tuple[dict[str, Any], TrainingProgress]:
    """All fields of a checkpoint's progress file, and the progress that they say."""
    values = unsealed(dict(json.loads((directory / PROGRESS).read_text(encoding="utf-8"))))
    if strange := sorted(values.keys() - {one.name for one in fields(TrainingProgress)} - {_STATE_DIGEST}):
        raise ValueError(f"{PROGRESS} has the field {strange[0]!r}, which is unknown")
    known = {one.name: values[one.name] for one in fields(TrainingProgress) if one.name not in (_STAGES, _TAUGHT)}
    # Both came later: those of earlier versions do not have them.
    taught = {str(task): tuple(map(str, sentences)) for task, sentences in dict(values.get(_TAUGHT, {})).items()}
    return values, TrainingProgress(**known, stages=stages_from_values(values.get(_STAGES, ())), taught=taught)


def _unusable(directory: Path, error: Exception) -> TrainingCheckpointError:
    return TrainingCheckpointError(
        f"{directory}: cannot go on from this checkpoint, remove it or choose another --out ({one_line(error)})"
    )


def _below(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name[len(prefix) :]: value for name, value in state.items() if name.startswith(prefix)}
