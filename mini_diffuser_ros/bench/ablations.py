"""Each correction switched off alone: short trainings that differ in one field, compared on held-out demonstrations.

    mini-diffuser record --world tabletop --episodes 450 --seed 1000 --out recordings/tabletop
    mini-diffuser record --world tabletop --episodes 30 --seed 200000 --out recordings/held_out
    mini-diffuser bench ablations --data recordings/tabletop --held-out recordings/held_out --out ablations

Trains what is missing in the output directory, measures what is there and gives a row a variant: of each figure the
mean over its seeds, the lowest and the highest. Every run has the recipe of ``config/train/tabletop.yaml`` at 2 cm
voxels with half the scenes a step and equally many steps. ``--only`` names the variants to train, separated by commas;
``--only none`` trains nothing.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from mini_diffuser_ros.bench.benchmark import Benchmark, at_least, one_of, read_by
from mini_diffuser_ros.bench.held_out import HeldOutFrame, held_out_frames, token_states
from mini_diffuser_ros.policy import MiniDiffuserConfig
from mini_diffuser_ros.policy.storage import load_model
from mini_diffuser_ros.support.files import write_whole
from mini_diffuser_ros.support.settings import read_settings
from mini_diffuser_ros.training.config import TrainConfig, ValidateConfig
from mini_diffuser_ros.training.dataset import TokenStates
from mini_diffuser_ros.training.processes import Processes
from mini_diffuser_ros.training.report import FrameError
from mini_diffuser_ros.training.run import train
from mini_diffuser_ros.training.validation import validate

SMALL: dict[str, Any] = {"scene": {"voxel_size": 0.02}, "losses": {"heatmap_level": 0}}
VARIANTS: dict[str, dict[str, Any]] = {
    "all corrections": {},
    "no heat-map": {"losses.heatmap_weight": 0.0},
    "no rotation map": {"losses.rotation_map_weight": 0.0},
    "text in all heads": {"heads.head_text": True},
}


@dataclass(frozen=True, kw_only=True)
class AblationSetting:
    """Which runs to train and measure.

    Attributes:
        data: demonstrations to train on.
        held_out: demonstrations of other seeds to measure on.
        out: directory of the runs.
        recipe: of the trainings, a YAML file.
        seeds: of the trainings.
        steps: training steps of each run.
        episodes: held-out demonstrations a task, 0 for all.
        only: variants to train, or none.
    """

    data: str
    held_out: str
    out: Path
    recipe: Path = Path("config/train/tabletop.yaml")
    seeds: tuple[int, ...] = (1, 2, 3)
    steps: int = at_least(1, 450)
    episodes: int = at_least(0, 0)
    only: tuple[str, ...] = read_by(one_of((*VARIANTS, "none"), "variant"), tuple(VARIANTS))


def run_directory(out: Path, variant: str, seed: int) -> Path:
    """Where the training of a variant with a seed leaves its files."""
    return out / f"{variant.replace(' ', '_')}-{seed}"


def short_recipe(setting: AblationSetting, variant: str, seed: int) -> TrainConfig:
    """The short recipe of one run."""
    changes: dict[str, Any] = {
        "data.path": setting.data,
        "data.cache": str(setting.out / "cache"),
        "data.validation_share": 0,
        "model.overrides": SMALL | VARIANTS[variant],
        "batch.scenes": 16,
        "shards": 1,
        "budget.steps": setting.steps,
        "budget.minutes": 0,
        "checkpoint.interval": setting.steps,
        "seed": seed,
        "out": str(run_directory(setting.out, variant, seed)),
    }
    return read_settings(
        TrainConfig, setting.recipe, [(name, yaml.safe_dump(value)) for name, value in changes.items()]
    )


def measure(checkpoint: Path, frames: Sequence[HeldOutFrame], tokens: TokenStates) -> list[FrameError]:
    """Errors of one decision a frame: 16 hypotheses, 20 sampling steps, the densest mode."""
    model = load_model(checkpoint)
    model.eval()
    asked = [dataclasses.replace(each.frame, sentences=(each.sentence,)) for each in frames]
    return validate(model, asked, tokens, ValidateConfig(samples=16, steps=20), seed=0, processes=Processes())


def figures(errors: Sequence[FrameError]) -> dict[str, float]:
    """The figures of one run."""
    decisions = np.array([each.position for each in errors if each.kind.decides_object])
    rest = np.array([each.position for each in errors if not each.kind.decides_object])
    return {
        "decision frames within 3 cm, %": float(100 * np.mean(decisions < 0.03)),
        "rest, median mm": float(1000 * np.median(rest)),
        "rotation, median degrees": float(np.degrees(np.median([each.rotation for each in errors]))),
        "gripper and end right, %": float(100 * np.mean([each.gripper and each.terminate for each in errors])),
    }


def over_seeds(values: Sequence[float]) -> dict[str, float]:
    """Mean over the seeds, lowest and highest."""
    return {"value": float(np.mean(values)), "low": min(values), "high": max(values)}


def measure_ablations(settings: Sequence[AblationSetting]) -> Iterator[dict[str, object]]:
    """Train what is missing, then a row for each variant that is there."""
    for setting in settings:
        yield from _rows(setting)


def _rows(setting: AblationSetting) -> Iterator[dict[str, object]]:
    torch.set_num_threads(1)
    # Seeds before variants: an interrupted series has one seed of everything before the second of anything.
    for seed in setting.seeds:
        for variant in (one for one in VARIANTS if one in setting.only):
            if not _is_trained(run_directory(setting.out, variant, seed)):
                train(short_recipe(setting, variant, seed))
    frames = held_out_frames(setting.held_out, setting.out / "cache", setting.episodes, seed=0)
    tokens = token_states(frames, MiniDiffuserConfig.small())
    found: dict[str, list[dict[str, float]]] = {}
    for variant in VARIANTS:
        runs = [run_directory(setting.out, variant, seed) for seed in setting.seeds]
        found[variant] = [figures(measure(each / "policy", frames, tokens)) for each in runs if _is_trained(each)]
        if found[variant]:
            names = list(found[variant][0])
            cells = {name: over_seeds([run[name] for run in found[variant]]) for name in names}
            yield {"variant": variant, "seeds": len(found[variant]), **cells}
    write_whole(setting.out / "ablations.json", json.dumps(found, indent=1) + "\n")


def _is_trained(run: Path) -> bool:
    return (run / "policy" / "model.safetensors").exists()


BENCHMARK = Benchmark(AblationSetting, measure_ablations, __doc__)
