"""What will not work, said before the first cloud is fused: all of it in one line, not one thing after another."""

from __future__ import annotations

import logging
import shutil
from collections import Counter
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

import torch

from mini_diffuser_ros.policy import MiniDiffuser, MiniDiffuserConfig
from mini_diffuser_ros.policy.encoding import SentenceEncoder
from mini_diffuser_ros.policy.errors import TextError
from mini_diffuser_ros.support.settings import SettingsError, unknown_name
from mini_diffuser_ros.training.config import TrainConfig
from mini_diffuser_ros.training.dataset import single_demonstration
from mini_diffuser_ros.training.demonstrations import Seen, Survey
from mini_diffuser_ros.training.errors import TrainingError, all_of
from mini_diffuser_ros.training.processes import Processes
from mini_diffuser_ros.training.robots import robot_faults
from mini_diffuser_ros.training.start import Start

log = logging.getLogger(__name__)

_BYTES = 4  # of a weight
_STEPPED = 5  # numbers of a weight while it is trained: itself, its gradient, average and two moments
_MISSPELT = 0.9  # alike from which on a name is another one misspelt: "stak_blocks", and not "sort_blocks"
_KEPT = 4  # numbers of a weight in a checkpoint: all of those but the gradient


def check_training(
    config: TrainConfig,
    network: MiniDiffuserConfig,
    survey: Survey,
    encoder: SentenceEncoder,
    device: torch.device,
    processes: Processes,
    rehearsed: Survey | None = None,
    start: Start | None = None,
) -> None:
    """Refuse a training that cannot reach its end, as far as data and recipe tell.

    Args:
        config: the recipe.
        network: the network's configuration.
        survey: of the data set.
        encoder: of the network.
        device: where it would train.
        processes: of the training.
        rehearsed: survey of the old demonstrations, None without any.
        start: policy that it goes on from, None for random weights.

    Raises:
        TrainingError: with everything that will not work.
    """
    faults = [
        *_of_sentences(survey, encoder),
        *_of_episodes(survey, config.data.validation_share),
        *(_of_rehearsal(survey, rehearsed, encoder, config.data.validation_share) if rehearsed is not None else ()),
        *(() if _goes_on(config) else _of_robots(config, survey, rehearsed, start)),
        *_of_recipe(config, network, survey, rehearsed, processes),
        *_of_room(config, network, device),
    ]
    if faults:
        raise TrainingError(all_of(faults))


def _of_sentences(survey: Survey, encoder: SentenceEncoder) -> Iterator[str]:
    first = {sentence: one.stored.source for one in reversed(survey.episodes) for sentence in one.sentences}
    for sentence, source in sorted(first.items()):
        try:
            encoder.check(sentence)
        except TextError as error:
            yield f"{source}: {error}; shorten it, or set model.overrides.text.max_tokens"


def _of_episodes(survey: Survey, validation_share: float) -> Iterator[str]:
    for one in survey.episodes:
        if one.keyframes < 2:
            yield f"{one.stored.source}: {one.keyframes} keyframes, an episode needs at least two"
        if not one.sentences:
            yield f"{one.stored.source}: no sentence, an episode needs at least one"
    counts = Counter(one.task for one in survey.episodes)
    if validation_share:
        yield from (single_demonstration(task) for task, count in sorted(counts.items()) if count == 1)


def _of_rehearsal(survey: Survey, rehearsed: Survey, encoder: SentenceEncoder, share: float) -> Iterator[str]:
    yield from _of_sentences(rehearsed, encoder)
    yield from _of_episodes(rehearsed, share)
    digests, seen = {episode.digest for episode in survey.episodes}, Seen(survey.episodes)
    both = [episode for episode in rehearsed.episodes if episode.digest in digests or seen.copied_by(episode)]
    if both:
        yield (
            f"{len(both)} episodes are in data.path and in rehearsal.path, e.g. {both[0].stored.source}, and would be "
            "held out and trained on; rehearse others"
        )


def _of_robots(config: TrainConfig, survey: Survey, rehearsed: Survey | None, start: Start | None) -> Iterator[str]:
    episodes = [*survey.episodes, *(() if rehearsed is None else rehearsed.episodes)]
    policies = {} if start is None else {start.name: start.checkpoint.world.robots}
    yield from robot_faults(episodes, policies, config.data.cell)


def _of_recipe(
    config: TrainConfig,
    network: MiniDiffuserConfig,
    survey: Survey,
    rehearsed: Survey | None,
    processes: Processes,
) -> Iterator[str]:
    if not _goes_on(config):  # what was begun is not forbidden later
        yield from _of_weights(config, survey, rehearsed)
        yield from _of_center(config, network)
    if config.validate.steps > network.diffusion.steps:
        yield (
            f"validate.steps is {config.validate.steps}, expected at most the network's diffusion.steps, "
            f"{network.diffusion.steps}"
        )
    try:
        processes.slots(config.batch.scenes)
    except SettingsError as error:
        yield str(error)
    if config.shards > 1 and network.layers.dropout:
        yield "shards is above 1 with dropout in the network; set shards to 1 or model.overrides.layers.dropout to 0"
    if survey.fusion is not None:
        ours, theirs = survey.fusion.workspace, network.scene.workspace
        low = [max(pair) for pair in zip(ours.lower, theirs.lower, strict=True)]
        high = [min(pair) for pair in zip(ours.upper, theirs.upper, strict=True)]
        if any(a >= b for a, b in zip(low, high, strict=True)):
            yield (
                f"the clouds, which lie in {ours}, have no point in the network's workspace {theirs}; set "
                "model.overrides.scene.workspace, or data.fusion.workspace"
            )


def _of_weights(config: TrainConfig, survey: Survey, rehearsed: Survey | None) -> Iterator[str]:
    """Weights of tasks that are misspelt ones; of others that there are not, as of a recipe for more, it is logged."""
    tasks = {episode.task for one in (survey, rehearsed) if one is not None for episode in one.episodes}
    weights = config.batch.task_weights
    for task in sorted(weights.keys() - tasks):
        problem = f"batch.task_weights.{task}: {unknown_name(task, sorted(tasks), 'task')}"
        if get_close_matches(task, tasks, n=1, cutoff=_MISSPELT):
            yield f"{problem}; rename it, or set batch.task_weights to {{}}"
        else:
            log.warning("%s", problem)


def _of_center(config: TrainConfig, network: MiniDiffuserConfig) -> Iterator[str]:
    """About a point beside the workspace nearly all turns lead out of it, and samples stay as they are."""
    box, center = network.scene.workspace, config.augment.center
    sides = list(zip(box.lower[:2], box.upper[:2], strict=True))
    if config.augment.yaw and not all(low <= at <= high for at, (low, high) in zip(center, sides, strict=True)):
        x, y = ((low + high) / 2 for low, high in sides)
        yield (
            f"augment.center is {list(center)}, outside of the network's workspace {box}; set it to its middle, "
            f"[{x:g}, {y:g}], in metres"
        )


def _goes_on(config: TrainConfig) -> bool:
    """Whether the output directory has a checkpoint."""
    return any(Path(config.out).glob("checkpoints/step_*"))


def _of_room(config: TrainConfig, network: MiniDiffuserConfig, device: torch.device) -> Iterator[str]:
    """Memory of the GPU and room on the disk that the weights alone need, whatever the clouds take."""
    with torch.device("meta"):
        weights = sum(one.numel() for one in MiniDiffuser(network).parameters())
    out = Path(config.out)
    # The latest ones, the best, and the one that is being written.
    needed = _BYTES * weights * _KEPT * (config.checkpoint.keep + 2)
    free = shutil.disk_usage(out).free
    if free < needed and not _goes_on(config):
        yield (
            f"out {out}: {_megabytes(free)} free, and checkpoints of {weights:,} weights take {_megabytes(needed)}; "
            f"choose another out, or lower checkpoint.keep ({config.checkpoint.keep})"
        )
    if device.type == "cuda":
        room = torch.cuda.mem_get_info(device)[0]
        needed = _BYTES * weights * _STEPPED
        if room < needed:
            yield (
                f"the GPU has {_megabytes(room)} free, and {weights:,} weights take {_megabytes(needed)} before any "
                f"cloud does; take a smaller model.preset ({config.model.preset}), or end what else is on it"
            )


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.0f} MB"
