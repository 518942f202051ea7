"""Kill -9 training at random moments and see whether it loses anything.

    mini-diffuser bench kill-training --data recordings/tabletop --kills 20

Each session trains in a process of its own, writes a checkpoint after every step, and is killed a random time after its
first.
After each kill every checkpoint must be whole, and none that was there before may be gone but those that newer ones
replace. After the last kill the run is trained to its end, and its losses are compared with those of a run that nobody
killed. Exit code 1 if anything was lost or differs.
"""

from __future__ import annotations

import json
import multiprocessing
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

import yaml
from safetensors.torch import load_file
from tqdm import tqdm

from mini_diffuser_ros.bench.benchmark import Benchmark, at_least
from mini_diffuser_ros.bench.compare_losses import losses
from mini_diffuser_ros.support.settings import read_settings
from mini_diffuser_ros.training.checkpoints import PROGRESS, STATE
from mini_diffuser_ros.training.config import TrainConfig
from mini_diffuser_ros.training.run import train

KEEP = 2


@dataclass(frozen=True, kw_only=True)
class KillTrainingSetting:
    """What to train and how often to kill it.

    Attributes:
        data: what mini-diffuser train --data takes, best a dozen episodes.
        recipe: of the training, a YAML file.
        kills: how often.
        steps: of the whole run.
        seconds: longest wait for a kill.
        seed: of the moments.
    """

    data: str
    recipe: Path = Path("config/train/tabletop.yaml")
    kills: int = at_least(1, 20)
    steps: int = at_least(1, 100)
    seconds: float = 1.0
    seed: int = at_least(0, 0)


def small_recipe(setting: KillTrainingSetting, out: Path, cache: Path) -> TrainConfig:
    """A short run of small steps."""
    values = {
        "data.path": setting.data,
        "out": str(out),
        "batch.scenes": 4,
        "batch.level2": 4,
        "budget.steps": setting.steps,
        "budget.minutes": 0,
        "optim.warmup": 10,
        "checkpoint.interval": 1,
        "checkpoint.keep": KEEP,
        "data.validation_share": 0,
        "data.workers": 1,
        "data.cache": str(cache),
    }
    return read_settings(TrainConfig, setting.recipe, [(name, yaml.safe_dump(value)) for name, value in values.items()])


def committed(out: Path) -> set[int]:
    """Steps of the checkpoints that are there under their final name."""
    return {int(path.name.removeprefix("step_")) for path in (out / "checkpoints").glob("step_*")}


def damaged(out: Path) -> list[str]:
    """Checkpoints that cannot be read."""
    faulty = []
    for step in committed(out):
        folder = out / "checkpoints" / f"step_{step:08d}"
        try:
            load_file(folder / STATE)
            json.loads((folder / PROGRESS).read_text(encoding="utf-8"))
        except Exception as error:  # whatever is wrong with it, it is damaged
            faulty.append(f"{folder.name}: {error}")
    return faulty


def session(config: TrainConfig) -> BaseProcess:
    """Training in a process of its own; imports take seconds, it is forked from a server that has done them."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([train.__module__])
    process = context.Process(target=train, args=(config,))
    process.start()
    return process


@dataclass
class KillTally:
    """What kills have done.

    Attributes:
        lost: a line for each checkpoint that is damaged or gone.
        unfinished: kills while training.
        writing: kills while a checkpoint was written.
    """

    lost: list[str]
    unfinished: int = 0
    writing: int = 0


def kill_once(config: TrainConfig, out: Path, wait: float, tally: KillTally) -> None:
    """Train until there is a new checkpoint, kill ``wait`` seconds later, and look."""
    start = max(committed(out), default=0)
    process = session(config)
    while max(committed(out), default=0) == start and process.is_alive():
        time.sleep(0.01)
    time.sleep(wait)
    seen = committed(out)
    tally.unfinished += process.is_alive()
    process.kill()
    process.join()
    left = committed(out)
    tally.writing += any((out / "checkpoints").glob(".step_*"))
    tally.lost += damaged(out)
    # Those of before may be gone only where as many newer ones have come.
    newest = sorted(seen | left)[-KEEP:]
    tally.lost += [f"step {step} of {sorted(seen)} is gone" for step in newest if step in seen and step not in left]


def measure_kills(settings: Sequence[KillTrainingSetting]) -> Iterator[dict[str, object]]:
    """Train, kill, look, and train on."""
    for setting in settings:
        with tempfile.TemporaryDirectory(prefix="kill-training-") as folder:
            yield _report(setting, Path(folder))


def _report(setting: KillTrainingSetting, folder: Path) -> dict[str, object]:
    whole, killed = folder / "whole", folder / "killed"
    session(small_recipe(setting, whole, folder / "cache")).join()
    config, moments, tally = small_recipe(setting, killed, folder / "cache"), random.Random(setting.seed), KillTally([])
    for _ in tqdm(range(setting.kills), desc="killing", unit="kill"):
        kill_once(config, killed, moments.uniform(0.0, setting.seconds), tally)
    reached = max(committed(killed), default=0)
    session(config).join()
    equal, exported = losses(killed) == losses(whole), (killed / "policy" / "model.safetensors").exists()
    return {
        "kills": setting.kills,
        "passed": not tally.lost and equal and exported,
        "while_training": tally.unfinished,
        "while_writing_a_checkpoint": tally.writing,
        "lost": tally.lost,
        "step_after_the_last_kill": reached,
        "steps": setting.steps,
        "losses_as_without_kills": equal,
        "policy_exported": exported,
    }


BENCHMARK = Benchmark(KillTrainingSetting, measure_kills, __doc__)
