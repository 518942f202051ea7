"""Each correction switched off alone: short trainings that differ in one field, compared on held-out demonstrations.

    mini-diffuser record --world tabletop --episodes 450 --seed 1000 --out recordings/tabletop
    mini-diffuser record --world tabletop --episodes 30 --seed 200000 --out recordings/held_out
    python benchmarks/ablations.py --data recordings/tabletop --held-out recordings/held_out --out ablations

Trains what is missing in the output directory, measures what is there and prints a table, with as many seeds as there
are. Every run has the recipe of ``config/train/tabletop.yaml`` at 2 cm voxels with half the scenes a step and equally
many steps. ``--only`` names the variants to train; ``--only none`` trains nothing.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from held_out import HeldOutFrame, held_out_frames, token_states

from mini_diffuser_ros.policy import MiniDiffuserConfig
from mini_diffuser_ros.policy.storage import load_model
from mini_diffuser_ros.support.settings import read_settings
from mini_diffuser_ros.training.config import TrainConfig, ValidateConfig
from mini_diffuser_ros.training.dataset import TokenStates
from mini_diffuser_ros.training.processes import Processes
from mini_diffuser_ros.training.report import FrameError
from mini_diffuser_ros.training.run import train
from mini_diffuser_ros.training.validation import validate

RECIPE = Path(__file__).parents[1] / "config" / "train" / "tabletop.yaml"
SMALL: dict[str, Any] = {"scene": {"voxel_size": 0.02}, "losses": {"heatmap_level": 0}}
VARIANTS: dict[str, dict[str, Any]] = {
    "all corrections": {},
    "no heat-map": {"losses.heatmap_weight": 0.0},
    "no rotation map": {"losses.rotation_map_weight": 0.0},
    "text in all heads": {"heads.head_text": True},
}


def run_directory(out: Path, variant: str, seed: int) -> Path:
    """Where the training of a variant with a seed leaves its files."""
    return out / f"{variant.replace(' ', '_')}-{seed}"


def recipe(variant: str, seed: int, data: str, out: Path, steps: int) -> TrainConfig:
    """The short recipe of one run."""
    changes: dict[str, Any] = {
        "data.path": data,
        "data.cache": str(out / "cache"),
        "data.validation_share": 0,
        "model.overrides": SMALL | VARIANTS[variant],
        "batch.scenes": 16,
        "shards": 1,
        "budget.steps": steps,
        "budget.minutes": 0,
        "checkpoint.interval": steps,
        "seed": seed,
        "out": str(run_directory(out, variant, seed)),
    }
    return read_settings(TrainConfig, RECIPE, [(name, yaml.safe_dump(value)) for name, value in changes.items()])


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


def table(found: dict[str, list[dict[str, float]]]) -> str:
    """Markdown: a row a variant, the mean over its seeds and in brackets the lowest and the highest."""
    names = list(next(iter(found.values()))[0])
    lines = ["| | seeds | " + " | ".join(names) + " |", "|---" * (len(names) + 2) + "|"]
    for variant, runs in found.items():
        cells = [_cell([run[name] for run in runs]) for name in names]
        lines.append(f"| {variant} | {len(runs)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(values: Sequence[float]) -> str:
    mean = f"{np.mean(values):.1f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.1f} to {max(values):.1f})"


def main() -> None:
    """Train, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="demonstrations to train on")
    parser.add_argument("--held-out", required=True, help="demonstrations of other seeds to measure on")
    parser.add_argument("--out", type=Path, required=True, help="directory of the runs")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="(default: 1 2 3)")
    parser.add_argument("--steps", type=int, default=450, help="training steps of each run (default: %(default)s)")
    parser.add_argument("--episodes", type=int, default=0, help="held-out demonstrations a task, 0 for all (default)")
    parser.add_argument("--only", nargs="+", choices=(*VARIANTS, "none"), default=list(VARIANTS), metavar="VARIANT")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    torch.set_num_threads(1)
    # Seeds before variants: an interrupted series has one seed of everything before the second of anything.
    wanted = [(seed, variant) for seed in arguments.seeds for variant in VARIANTS if variant in arguments.only]
    for seed, variant in wanted:
        if not (run_directory(arguments.out, variant, seed) / "policy" / "model.safetensors").exists():
            train(recipe(variant, seed, arguments.data, arguments.out, arguments.steps))
    frames = held_out_frames(arguments.held_out, arguments.out / "cache", arguments.episodes, seed=0)
    tokens = token_states(frames, MiniDiffuserConfig.small())
    found: dict[str, list[dict[str, float]]] = {}
    for variant in VARIANTS:
        checkpoints = [run_directory(arguments.out, variant, seed) / "policy" for seed in arguments.seeds]
        runs = [figures(measure(each, frames, tokens)) for each in checkpoints if (each / "model.safetensors").exists()]
        found |= {variant: runs} if runs else {}
    (arguments.out / "ablations.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(table(found) + "\n" if found else "no run in the output directory\n")


if __name__ == "__main__":
    main()
