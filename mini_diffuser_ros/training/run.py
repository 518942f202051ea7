"""A training run from its recipe to the exported policy, in this process or in each of those that torchrun started."""

from __future__ import annotations

import logging
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import yaml
from torch import Tensor

from mini_diffuser_ros.cell import read_cell
from mini_diffuser_ros.perception import FusionConfig
from mini_diffuser_ros.policy import MiniDiffuserConfig, save_policy, tune_cpu
from mini_diffuser_ros.records import Provenance
from mini_diffuser_ros.support.settings import SettingsError, to_mapping, with_values, write_settings
from mini_diffuser_ros.training.card import model_card
from mini_diffuser_ros.training.config import TrainConfig
from mini_diffuser_ros.training.dataset import frames_of, split, without_empty_scenes
from mini_diffuser_ros.training.demonstrations import Demonstration, collect_demonstrations
from mini_diffuser_ros.training.processes import Processes, joined_processes
from mini_diffuser_ros.training.sentences import encode_sentences, taught_sentences
from mini_diffuser_ros.training.trainer import Trainer, TrainingOutcome

log = logging.getLogger(__name__)


def train(config: TrainConfig) -> TrainingOutcome:
    """Run the recipe: fuse, train or go on training, export to ``config.policy_directory`` unless interrupted.

    Raises:
        UserError: one line about data, recipe or output directory; DivergedError if the loss is no longer finite.
    """
    device = _device(config)
    tune_cpu(config.threads or torch.get_num_threads())
    with joined_processes(device) as processes:
        return _train_joined(config, device, processes)


def _train_joined(config: TrainConfig, device: torch.device, processes: Processes) -> TrainingOutcome:
    model_config = model_configuration(config)
    if processes.leads:
        # Before the images are fused, which takes minutes.
        _check_writable("out", Path(config.out))
        _check_writable("policy", config.policy_directory.parent)
    prepared = _prepare(config, model_config, processes)
    training, held_out = split(prepared.demonstrations, config.data.validation_share, config.seed)
    if processes.leads:
        write_settings(config, Path(config.out) / "recipe.yaml")
        log.info("recipe:\n%s", yaml.safe_dump(to_mapping(config), sort_keys=False).rstrip())
        log.info("%d demonstrations to train on, %d held out", len(training), len(held_out))
        for line in prepared.skipped:
            log.warning("skipped %s", line)
    frames, measured = frames_of(training), frames_of(held_out)
    trainer = Trainer(config, model_config, frames, measured, prepared.tokens, device, processes)
    trainer.progress.fusing += prepared.fusing
    trainer.progress.encoding += prepared.encoding
    outcome = trainer.run()
    if processes.leads and outcome.interrupted:
        log.info("stopped after step %d; the same command goes on from there", outcome.progress.step)
    elif processes.leads:
        parameters = sum(parameter.numel() for parameter in outcome.model.parameters())
        card = model_card(config, training, held_out, outcome.progress, outcome.report, parameters, device)
        tasks = taught_sentences(training)
        save_policy(outcome.model, config.policy_directory, card, prepared.fusion, tasks, prepared.world)
        phases = outcome.progress.phases().items()
        log.info("minutes: %s", ", ".join(f"{name} {seconds / 60.0:.1f}" for name, seconds in phases))
        log.info("policy exported to %s", config.policy_directory)
        if prepared.skipped:
            log.warning("%d episodes were skipped, see above", len(prepared.skipped))
    return outcome


@dataclass(frozen=True)
class _Prepared:
    """What a run trains on, and the seconds that preparing it took."""

    demonstrations: list[Demonstration]
    skipped: tuple[str, ...]
    fusion: FusionConfig | None
    world: Provenance
    tokens: dict[str, Tensor]
    fusing: float
    encoding: float


def _prepare(config: TrainConfig, model: MiniDiffuserConfig, processes: Processes) -> _Prepared:
    """Fuse and encode in the leading process, which caches both; the others then read its caches."""
    if not processes.leads:
        processes.wait()
    data, cache = config.data, config.cache_directory
    started = time.perf_counter()
    collection = collect_demonstrations(data, cache, progress=processes.leads)
    usable, empty = without_empty_scenes(collection.demonstrations, model, data.skip_bad)
    fused = time.perf_counter()
    tokens = encode_sentences(usable, model, cache, progress=processes.leads)
    encoded = time.perf_counter()
    if processes.leads:
        processes.wait()
    return _Prepared(
        demonstrations=usable,
        skipped=(*collection.skipped, *empty),
        fusion=collection.fusion,
        world=collection.world,
        tokens=tokens,
        fusing=fused - started,
        encoding=encoded - fused,
    )


def model_configuration(config: TrainConfig) -> MiniDiffuserConfig:
    """The network's configuration: the preset with the recipe's overrides.

    Raises:
        SettingsError: if an override is no field of it or ill-typed.
    """
    preset: MiniDiffuserConfig = getattr(MiniDiffuserConfig, config.model.preset)()
    if config.data.cell:
        cell = read_cell(config.data.cell)
        scene = replace(preset.scene, workspace=cell.workspace, table_height=cell.table.height)
        preset = replace(preset, scene=scene)
    return with_values(preset, config.model.overrides, "the recipe", "model.overrides")


def _device(config: TrainConfig) -> torch.device:
    available = torch.cuda.is_available()
    if config.device == "cuda" and not available:
        raise SettingsError("device", "is 'cuda', but torch finds no GPU; use cpu or auto")
    return torch.device("cuda" if available and config.device != "cpu" else "cpu")


def _check_writable(name: str, folder: Path) -> None:
    """Make a folder and a file in it, which is gone again at once.

    Args:
        name: field of the recipe.
        folder: that the field names.

    Raises:
        SettingsError: if that is not possible.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        problem = f"asks for files in {folder}, which cannot be written into ({error.strerror}); choose another"
        raise SettingsError(name, problem) from error
