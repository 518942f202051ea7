"""The policy that a training goes on from (fine-tuning), and what of the recipe does not go with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from mini_diffuser_ros.cell import read_cell
from mini_diffuser_ros.data import open_episodes
from mini_diffuser_ros.perception import FusionConfig
from mini_diffuser_ros.policy import Checkpoint, MiniDiffuserConfig, load_model, read_checkpoint, sentence_encoder
from mini_diffuser_ros.policy.storage import check_encoder
from mini_diffuser_ros.support.settings import flat, leaves, to_mapping, with_values
from mini_diffuser_ros.training.config import DataConfig, RehearsalConfig, TrainConfig
from mini_diffuser_ros.training.demonstrations import Demonstration, Survey, holds_clouds, survey_demonstrations
from mini_diffuser_ros.training.errors import StartError, all_of

_SIZES = ("text", "layers", "backbone", "neck", "heads")  # parts of a network that a preset decides for good


OF_CAMERAS = frozenset(
    {
        "link_margin",
        "hand_margin",
        "table_height",
        "level_reach",
        "table_spreads",
        "smooth_reach",
        "smooth_jump",
        "silhouette_jump",
        "least_neighbors",
        "neighbor_radius",
        "draw_fingers",
    }
)
"""Fields of the fusion that a recipe may change when it goes on from a policy: with them the clouds of cameras with
errors look like those that it knows."""


@dataclass(frozen=True, eq=False)
class Start:
    """Where a training starts.

    Attributes:
        name: of the directory.
        checkpoint: what it says of itself.
        weights: of its network, by name.
    """

    name: str
    checkpoint: Checkpoint
    weights: Mapping[str, Tensor]

    @property
    def digest(self) -> str:
        """Of the weights, 64 hexadecimal digits."""
        return self.checkpoint.weights_sha256


def read_start(config: TrainConfig) -> Start | None:
    """The policy of ``config.start_from``; None if the recipe starts with random weights.

    Raises:
        CheckpointError: if it is missing or damaged.
        StartError: if the recipe names another network or other clouds than its, of which all differences are named, or
            would replace it.
        SettingsError: if the recipe names a field that does not exist.
    """
    if not config.start_from:
        return None
    checkpoint = read_checkpoint(config.start_from)
    if config.policy_directory.exists() and config.policy_directory.samefile(config.start_from):
        raise StartError(f"policy {config.policy_directory}: is start_from, which it would replace; choose another")
    check_encoder(checkpoint, sentence_encoder(checkpoint.network), config.start_from)
    faults = [*_other_network(config, checkpoint.network), *_other_clouds(config.data, checkpoint)]
    if faults:
        raise StartError(f"{config.start_from}: {all_of(faults)}; leave that out, or train without --from")
    return Start(Path(config.start_from).resolve().name, checkpoint, load_model(config.start_from).state_dict())


def survey_started(data: DataConfig, start: Start | None, seed: int) -> Survey:
    """The survey of a recipe's data set, its images to be fused as those that the policy was trained on, but for what
    the recipe says of the errors of its cameras.

    Raises:
        StartError: if its clouds cannot be made so.
        DataError, DatasetError: as ``survey_demonstrations``.
    """
    if start is None or start.checkpoint.fusion is None:
        return survey_demonstrations(data, seed)
    fusion = with_values(start.checkpoint.fusion, data.fusion, "recipe", "data.fusion")
    return survey_demonstrations(_fused_as(data, fusion, start.name), seed)


def survey_rehearsed(config: TrainConfig, fusion: FusionConfig | None) -> Survey | None:
    """The survey of the old demonstrations, their images to be fused as the new ones; None if there are none.

    Raises:
        StartError: if their clouds cannot be made so.
        DataError, DatasetError: as ``survey_demonstrations``.
    """
    if not config.rehearsal.path:
        return None
    data = rehearsed_data(config.data, config.rehearsal)
    if fusion is not None:
        data = _fused_as(data, fusion, "data.path")
    return survey_demonstrations(data, config.seed)


def rehearsed_data(data: DataConfig, rehearsal: RehearsalConfig) -> DataConfig:
    """The old demonstrations as a data set of their own, handled as the new ones are."""
    return DataConfig(
        path=rehearsal.path,
        tasks=rehearsal.tasks,
        per_task=rehearsal.per_task,
        validation_share=data.validation_share,
        workers=data.workers,
        skip_bad=data.skip_bad,
    )


def _other_network(config: TrainConfig, network: MiniDiffuserConfig) -> Iterator[str]:
    """Fields that the recipe names and the policy has otherwise."""
    own, overrides = flat(to_mapping(network)), config.model.overrides
    asked = flat(to_mapping(with_values(network, overrides, "the recipe", "model.overrides")))
    others = [name for name, value in asked.items() if value != own.get(name)]
    for name in others:
        yield f"network.{name} is {own.get(name)}, the recipe's {asked[name]}"
    if config.model.preset == "auto":
        return
    preset: MiniDiffuserConfig = getattr(MiniDiffuserConfig, config.model.preset)()
    sizes = flat(to_mapping(with_values(preset, overrides, "the recipe", "model.overrides")))
    sizes = {name: value for name, value in sizes.items() if name.split(".")[0] in _SIZES and name not in others}
    if differing := [name for name, value in sizes.items() if value != own.get(name)]:
        first = differing[0]
        yield (
            f"network.{first} is {own.get(first)}, that of model.preset {config.model.preset} {sizes[first]}"
            + (f", and {len(differing) - 1} fields more" if len(differing) > 1 else "")
        )


def _other_clouds(data: DataConfig, checkpoint: Checkpoint) -> Iterator[str]:
    """What the recipe says about clouds and the policy has otherwise."""
    if data.cell:
        cell, scene = read_cell(data.cell), checkpoint.network.scene
        box = scene.workspace if checkpoint.fusion is None else checkpoint.fusion.workspace
        if cell.workspace != box:
            yield f"its clouds lie in {box}, those of data.cell {data.cell} in {cell.workspace}"
        if cell.table.height != scene.table_height:
            yield f"its table is at {scene.table_height} m, that of data.cell {data.cell} at {cell.table.height} m"
    if checkpoint.fusion is not None and data.fusion:
        own = {name: value for name, value in data.fusion.items() if name not in OF_CAMERAS}
        yield from _differences(checkpoint.fusion, with_values(checkpoint.fusion, own, "recipe", "data.fusion"))


def _fused_as(data: DataConfig, fusion: FusionConfig, whose: str) -> DataConfig:
    """The data set with the settings of a fusion, if its clouds can be made with them.

    Raises:
        StartError: if they are of another frame, or stored and were made otherwise.
    """
    episodes = open_episodes(data.path, sentences=data.sentences or None)
    own = episodes.fusion
    if own is None:
        raise StartError(f"{data.path}: holds clouds of unknown making, those of {whose} were fused; take other data")
    if own.frame != fusion.frame:
        raise StartError(f"{data.path}: its clouds are in the frame {own.frame}, those of {whose} in {fusion.frame}")
    if holds_clouds(episodes):
        if faults := [*_differences(fusion, own)]:
            raise StartError(f"{data.path}: holds clouds made otherwise than those of {whose}, whose {all_of(faults)}")
        return replace(data, cell="", fusion={})
    return replace(data, cell="", fusion=to_mapping(fusion))


def _differences(theirs: FusionConfig, ours: FusionConfig) -> Iterator[str]:
    before = {leaf.name: leaf.default for leaf in leaves(theirs)}
    for leaf in leaves(ours):
        if leaf.default != before[leaf.name]:
            yield f"fusion.{leaf.name} is {before[leaf.name]}, not {leaf.default}"


def not_rehearsed(before: Iterable[str], rehearsed: Sequence[Demonstration]) -> list[str]:
    """Of the tasks that a policy knew before those of which no old demonstration is drawn."""
    drawn = {demonstration.task for demonstration in rehearsed}
    return [task for task in before if task not in drawn]
