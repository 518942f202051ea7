"""``mini-diffuser train``: from a recipe and recordings to a policy directory.

Run it under torchrun for several GPUs or processes::

    torchrun --nproc-per-node 2 -m mini_diffuser_ros.commands.train --config config/train/tabletop.yaml
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import yaml
from torch import Tensor

from mini_diffuser_ros.commands.parser import CommandParser
from mini_diffuser_ros.data import DataError
from mini_diffuser_ros.perception import FusionConfig
from mini_diffuser_ros.policy import MiniDiffuserConfig, PolicyError, save_policy, tune_cpu
from mini_diffuser_ros.support.errors import UserError
from mini_diffuser_ros.support.settings import SettingsError, to_mapping
from mini_diffuser_ros.training.card import model_card
from mini_diffuser_ros.training.config import TrainConfig, read_config, write_config
from mini_diffuser_ros.training.dataset import frames_of, split, without_empty_scenes
from mini_diffuser_ros.training.demonstrations import Demonstration, collect_demonstrations
from mini_diffuser_ros.training.errors import DivergedError
from mini_diffuser_ros.training.processes import Processes, joined_processes
from mini_diffuser_ros.training.sentences import encode_sentences, taught_sentences
from mini_diffuser_ros.training.trainer import Trainer

log = logging.getLogger(__name__)

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


def main(arguments: list[str]) -> int:
    """Train; returns 0 when the policy is exported, 2 on a user's error, 1 if training diverged, 130 after Ctrl-C."""
    try:
        return train(_parse(arguments))
    except (UserError, PolicyError, DataError, OSError) as error:
        sys.stderr.write(f"mini-diffuser train: {_one_line(error)}\n")
        return 2
    except DivergedError as error:
        sys.stderr.write(f"mini-diffuser train: {error}\n")
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED


def train(config: TrainConfig) -> int:
    """Run the recipe: fuse, train or go on training, export. Returns the exit code."""
    device = _device(config)
    tune_cpu(config.threads or torch.get_num_threads())
    with joined_processes(device) as processes:
        return _train_joined(config, device, processes)


def _train_joined(config: TrainConfig, device: torch.device, processes: Processes) -> int:
    model_config = model_configuration(config)
    prepared = _prepare(config, model_config, processes)
    training, held_out = split(prepared.demonstrations, config.data.validation_share, config.seed)
    if processes.leads:
        Path(config.out).mkdir(parents=True, exist_ok=True)
        write_config(config, Path(config.out) / "recipe.yaml")
        log.info("recipe:\n%s", yaml.safe_dump(to_mapping(config), sort_keys=False).rstrip())
        log.info("%d demonstrations to train on, %d held out", len(training), len(held_out))
        for line in prepared.skipped:
            log.warning("skipped %s", line)
    frames, measured = frames_of(training), frames_of(held_out)
    trainer = Trainer(config, model_config, frames, measured, prepared.tokens, device, processes)
    trainer.progress.fusing += prepared.fusing
    trainer.progress.encoding += prepared.encoding
    outcome = trainer.run()
    if outcome.interrupted:
        if processes.leads:
            log.info("stopped after step %d; the same command goes on from there", outcome.progress.step)
        return INTERRUPTED
    if processes.leads:
        parameters = sum(parameter.numel() for parameter in outcome.model.parameters())
        card = model_card(config, training, held_out, outcome.progress, outcome.report, parameters, device)
        tasks = taught_sentences(training)
        save_policy(outcome.model, config.policy_directory, card, prepared.fusion, tasks)
        phases = outcome.progress.phases().items()
        log.info("minutes: %s", ", ".join(f"{name} {seconds / 60.0:.1f}" for name, seconds in phases))
        log.info("policy exported to %s", config.policy_directory)
        if prepared.skipped:
            log.warning("%d episodes were skipped, see above", len(prepared.skipped))
    return 0


@dataclass(frozen=True)
class _Prepared:
    """What a run trains on, and the seconds that preparing it took."""

    demonstrations: list[Demonstration]
    skipped: tuple[str, ...]
    fusion: FusionConfig | None
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
        tokens=tokens,
        fusing=fused - started,
        encoding=encoded - fused,
    )


def model_configuration(config: TrainConfig) -> MiniDiffuserConfig:
    """The network's configuration: the preset with the recipe's overrides.

    Raises:
        PolicyError: if an override is no field of it or ill-typed.
    """
    preset: MiniDiffuserConfig = getattr(MiniDiffuserConfig, config.model.preset)()
    return MiniDiffuserConfig.from_dict(preset.to_dict() | config.model.overrides)


def _parse(arguments: Sequence[str]) -> TrainConfig:
    parser = CommandParser(
        "train",
        description="Train a policy on recorded episodes. Goes on from the latest checkpoint in the output directory.",
        epilog="Any field of the recipe can be set by its dotted name, e.g. --optim.lr 1e-3 --budget.minutes 10.",
    )
    parser.add_argument("--config", required=True, help="recipe, a YAML file such as config/train/tabletop.yaml")
    parser.add_argument("--data", help="directory of episodes (data.path)")
    parser.add_argument("--skip-bad", action="store_true", help="leave out faulty episodes, list them (data.skip_bad)")
    parser.add_argument("--out", help="output directory (out)")
    known, others = parser.parse_known_args(arguments)
    overrides = _overrides(others)
    overrides += [("data.path", known.data)] if known.data else []
    overrides += [("out", known.out)] if known.out else []
    overrides += [("data.skip_bad", "true")] if known.skip_bad else []
    return read_config(known.config, overrides)


def _overrides(words: Sequence[str]) -> list[tuple[str, str]]:
    """``--a.b value`` and ``--a.b=value`` as pairs."""
    pairs = []
    remaining = list(words)
    while remaining:
        word = remaining.pop(0)
        if not word.startswith("--"):
            raise SettingsError(repr(word), "belongs to no option, expected --field value", "command line")
        name, equals, value = word[2:].partition("=")
        if not equals:
            if not remaining:
                raise SettingsError(f"--{name}", "has no value", "command line")
            value = remaining.pop(0)
        pairs.append((name, value))
    return pairs


def _device(config: TrainConfig) -> torch.device:
    available = torch.cuda.is_available()
    if config.device == "cuda" and not available:
        raise SettingsError("device", "is 'cuda', but torch finds no GPU; use cpu or auto")
    return torch.device("cuda" if available and config.device != "cpu" else "cpu")


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split())


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    sys.exit(main(sys.argv[1:]))
