"""A training run from its recipe to the exported policy, in this process or in each of those that torchrun started."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import yaml
from torch import Tensor

from mini_diffuser_ros.cell import read_cell
from mini_diffuser_ros.perception import FusionConfig
from mini_diffuser_ros.policy import (
    MiniDiffuserConfig,
    load_policy,
    read_checkpoint,
    save_policy,
    sentence_encoder,
    tune_cpu,
)
from mini_diffuser_ros.policy.knowledge.knowledge import Knowledge, write_knowledge
from mini_diffuser_ros.records import Provenance
from mini_diffuser_ros.support.files import expect_output, make_writable
from mini_diffuser_ros.support.holding import Hold
from mini_diffuser_ros.support.settings import SettingsError, to_mapping, with_values, write_settings
from mini_diffuser_ros.training.card import model_card, skipped_rows, start_rows
from mini_diffuser_ros.training.checkpoints import CheckpointStore
from mini_diffuser_ros.training.config import DataConfig, TrainConfig
from mini_diffuser_ros.training.dataset import as_old, frames_of, split, without_empty_scenes
from mini_diffuser_ros.training.demonstrations import Collection, Demonstration, Survey, fuse_demonstrations
from mini_diffuser_ros.training.errors import TrainingCheckpointError
from mini_diffuser_ros.training.foresight import check_training
from mini_diffuser_ros.training.identity import Identity, Stage, identity_of
from mini_diffuser_ros.training.knowledge.learning import LEARNERS, learn
from mini_diffuser_ros.training.knowledge.lesson import Demonstrations, Lesson
from mini_diffuser_ros.training.outputs import METRICS, RECIPE, TENSORBOARD
from mini_diffuser_ros.training.processes import Processes, joined_processes
from mini_diffuser_ros.training.recoloring import recolored_versions
from mini_diffuser_ros.training.sensor_copies import SensorCopies, check_sensor, fuse_copies
from mini_diffuser_ros.training.sentences import encode_sentences, taught_sentences, together
from mini_diffuser_ros.training.start import (
    Start,
    not_rehearsed,
    read_start,
    rehearsed_data,
    survey_rehearsed,
    survey_started,
)
from mini_diffuser_ros.training.trainer import Trainer, TrainingOutcome, precision_of

log = logging.getLogger(__name__)

_LOCK = ".training"  # file in the output directory, locked by the process that leads the training


def train(config: TrainConfig, continue_anyway: bool = False) -> TrainingOutcome:
    """Run the recipe: fuse, train or go on training, export to ``config.policy_directory`` unless interrupted.

    Args:
        config: the recipe.
        continue_anyway: goes on from a checkpoint of other data or another recipe, too; the card says so.

    Raises:
        HeldError: if another training has the output directory.
        UserError: one line about data, recipe or output directory; DivergedError if the loss is no longer finite.
    """
    config = config.with_scene()
    device = _device(config)
    tune_cpu(config.threads or torch.get_num_threads())
    with joined_processes(device) as processes, ExitStack() as held:
        if processes.leads:
            # Before the images are fused, which takes minutes.
            make_writable(config.out, "out")
            held.enter_context(Hold(Path(config.out) / _LOCK, f"the training in {config.out}"))
            _open_outputs(config)
        return _train_joined(config, device, processes, continue_anyway)


def _train_joined(
    config: TrainConfig, device: torch.device, processes: Processes, continue_anyway: bool
) -> TrainingOutcome:
    start = read_start(config)
    model_config = model_configuration(config) if start is None else start.checkpoint.network
    prepared = _prepare(config, model_config, start, device, processes, continue_anyway)
    training, held_out, recolored = prepared.training, prepared.held_out, prepared.recolored
    old, old_held_out = split(prepared.rehearsed, config.data.validation_share, config.seed)
    if processes.leads:
        write_settings(config, Path(config.out) / RECIPE)
        log.info("recipe:\n%s", yaml.safe_dump(to_mapping(config), sort_keys=False).rstrip())
        log.info("%d demonstrations to train on, %d held out", len(training), len(held_out))
        if old:
            log.info("%d old ones to rehearse, %d held out", len(old), len(old_held_out))
        for line in prepared.skipped:
            log.warning("skipped %s", line)
    rehearsed = old if config.rehearsal.share else []
    tasks_before = {} if start is None else start.checkpoint.tasks
    neglected = not_rehearsed(tasks_before, rehearsed)
    if processes.leads and neglected:
        log.warning("not rehearsed, so that they may be forgotten: %s; --rehearse their episodes", ", ".join(neglected))
    trainer = Trainer(
        config,
        model_config,
        frames_of([*prepared.copies.of(training), *recolored]),
        [*frames_of(prepared.copies.of(held_out)), *map(as_old, frames_of(old_held_out))],
        prepared.tokens,
        device,
        processes,
        frames_of(rehearsed),
        None if start is None else start.weights,
    )
    if trainer.progress.stages != prepared.stages:
        trainer.progress.forget_best()  # it was measured on other demonstrations, or of another recipe
    trainer.progress.stages = prepared.stages
    before = trainer.progress.taught or tasks_before
    trainer.progress.taught = together(before, taught_sentences([*training, *recolored, *rehearsed]))
    trainer.progress.fusing += prepared.fusing
    trainer.progress.encoding += prepared.encoding
    outcome = trainer.run()
    if processes.leads and outcome.interrupted:
        log.info("stopped after step %d; the same command goes on from there", outcome.progress.step)
    elif processes.leads:
        parameters = sum(parameter.numel() for parameter in outcome.model.parameters())
        rows = [*start_rows(config, start, neglected, rehearsed, old_held_out), *skipped_rows(prepared.skipped)]
        card = model_card(config, training, held_out, outcome.progress, outcome.report, parameters, device, rows)
        learned = outcome.progress.step > prepared.stages[-1].start
        taught = outcome.progress.taught if learned or not before else before
        world = prepared.world if start is None else prepared.world | start.checkpoint.world
        digest = None if start is None else start.digest
        known = () if start is None else start.checkpoint.trained_on
        trained_on = {*known, *(prepared.trained_on if learned else ()), *_earlier(prepared.stages)}
        save_policy(outcome.model, config.policy_directory, card, prepared.fusion, taught, world, digest, trained_on)
        phases = outcome.progress.phases().items()
        log.info("minutes: %s", ", ".join(f"{name} {seconds / 60.0:.1f}" for name, seconds in phases))
        log.info("policy exported to %s", config.policy_directory)
        if config.knowledge:
            _teach(config, Demonstrations([*training, *rehearsed], [*held_out, *old_held_out]))
        if prepared.skipped:
            log.warning("%d episodes were skipped, see above", len(prepared.skipped))
    return outcome


def _earlier(stages: Sequence[Stage]) -> Iterator[str]:
    """Digests of all episodes of the stages before the last, of which nobody knows any more what was held out."""
    for stage in stages[:-1]:
        yield from () if stage.identity is None else stage.identity.episodes


def _teach(config: TrainConfig, demonstrations: Demonstrations) -> None:
    """Teach the exported policy what it knows about itself."""
    folder = config.policy_directory
    weights = read_checkpoint(folder).weights_sha256
    lesson = Lesson(load_policy(folder), lambda: demonstrations, config.seed)
    write_knowledge(learn(lesson, tuple(LEARNERS), Knowledge()), folder, weights)


@dataclass(frozen=True)
class _Prepared:
    """What a run trains on, and the seconds that preparing it took."""

    training: list[Demonstration]
    held_out: list[Demonstration]
    rehearsed: list[Demonstration]
    copies: SensorCopies
    recolored: list[Demonstration]
    skipped: tuple[str, ...]
    fusion: FusionConfig | None
    world: Provenance
    tokens: dict[str, Tensor]
    stages: tuple[Stage, ...]
    trained_on: frozenset[str]
    fusing: float
    encoding: float


def _prepare(
    config: TrainConfig,
    model: MiniDiffuserConfig,
    start: Start | None,
    device: torch.device,
    processes: Processes,
    continue_anyway: bool,
) -> _Prepared:
    """Fuse and encode in the leading process, which caches both; the others then read its caches."""
    check_sensor(config.augment)
    if not processes.leads:
        processes.wait()
    data, cache = config.data, config.cache_directory
    started = time.perf_counter()
    survey = survey_started(data, start, config.seed)
    old_survey = survey_rehearsed(config, survey.fusion)
    encoder = sentence_encoder(model)
    identity = identity_of(
        config,
        model,
        _digests(survey),
        survey.fusion,
        encoder.digest(),
        precision_of(config, device),
        "" if start is None else start.digest,
        [] if old_survey is None else _digests(old_survey),
    )
    stages = _stages(config, identity, continue_anyway)
    check_training(config, model, survey, encoder, device, processes, old_survey, start)
    new = _usable(survey, data, model, cache, processes.leads)
    copies = fuse_copies(survey, config.augment, data, cache, processes.leads)
    old = None
    if old_survey is not None:
        old = _usable(old_survey, rehearsed_data(data, config.rehearsal), model, cache, processes.leads)
    fused = time.perf_counter()
    rehearsed = [] if old is None else old.demonstrations
    training, held_out = split(new.demonstrations, config.data.validation_share, config.seed)
    versions = recolored_versions(training, config.augment.recolored, config.seed)
    recolored = [version for each in training for version in versions[each.source]]
    old_training = split(rehearsed, config.data.validation_share, config.seed)[0] if config.rehearsal.share else []
    tokens = encode_sentences([*new.demonstrations, *recolored, *rehearsed], model, cache, progress=processes.leads)
    encoded = time.perf_counter()
    if processes.leads:
        processes.wait()
    return _Prepared(
        training=training,
        held_out=held_out,
        rehearsed=rehearsed,
        copies=copies,
        recolored=recolored,
        skipped=new.skipped if old is None else (*new.skipped, *old.skipped),
        fusion=new.fusion,
        world=Provenance.of_all([new.world, copies.world, *([] if old is None else [old.world])]),
        tokens=tokens,
        stages=stages,
        trained_on=frozenset(_digests_of(survey, training) | _digests_of(old_survey, old_training)),
        fusing=fused - started,
        encoding=encoded - fused,
    )


def _usable(survey: Survey, data: DataConfig, model: MiniDiffuserConfig, cache: Path, progress: bool) -> Collection:
    """The surveyed demonstrations that the network can be trained on, fused."""
    collection = fuse_demonstrations(survey, data, cache, progress)
    usable, empty = without_empty_scenes(collection.demonstrations, model, data.skip_bad)
    return replace(collection, demonstrations=usable, skipped=(*collection.skipped, *empty))


def _digests_of(survey: Survey | None, demonstrations: Sequence[Demonstration]) -> set[str]:
    """Of those episodes of a survey that are among some demonstrations, hexadecimal."""
    names = {demonstration.source for demonstration in demonstrations}
    episodes = () if survey is None else survey.episodes
    return {episode.digest.hex() for episode in episodes if episode.stored.source in names}


def _digests(survey: Survey) -> list[bytes]:
    return [episode.digest for episode in survey.episodes]


def _stages(config: TrainConfig, identity: Identity, continue_anyway: bool) -> tuple[Stage, ...]:
    """What the steps so far were made with, and those that are to come.

    Raises:
        TrainingCheckpointError: if there is a checkpoint, of something else, and going on is not asked for.
    """
    before = CheckpointStore(Path(config.out), config.checkpoint.keep).progress()
    if before is None:
        return (Stage(0, identity),)
    stages = before.stages or (Stage(0, None),)
    known = stages[-1].identity
    differences = "it does not say of which data and recipe it is" if known is None else identity.differences(known)
    if not differences:
        return stages
    if not continue_anyway:
        raise TrainingCheckpointError(
            f"{config.out} holds another training, at step {before.step}: {differences}; choose another --out, or "
            "--continue-anyway"
        )
    log.warning("going on from step %d of another training: %s", before.step, differences)
    return (*stages, Stage(before.step, identity))


def model_configuration(config: TrainConfig) -> MiniDiffuserConfig:
    """The configuration of a network with random weights: the preset with the recipe's overrides.

    Raises:
        SettingsError: if an override is no field of it or ill-typed.
    """
    name = "small" if config.model.preset == "auto" else config.model.preset
    preset: MiniDiffuserConfig = getattr(MiniDiffuserConfig, name)()
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


def _open_outputs(config: TrainConfig) -> None:
    """Write into each folder that the training is to write into, before hours are spent on what goes there.

    Raises:
        UnwritableError: if that is not possible, naming the field of the recipe.
    """
    out, policy = Path(config.out), config.policy_directory
    for folder in (CheckpointStore(out, config.checkpoint.keep).root, out / TENSORBOARD):
        make_writable(folder, "out")
    for name in (RECIPE, METRICS):
        expect_output(out / name, "out")
    make_writable(config.cache_directory, "data.cache")
    # A policy that is not there yet is made as a whole, when there is one.
    make_writable(policy if policy.exists() else policy.parent, "policy")
