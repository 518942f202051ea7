"""What few demonstrations are good for: trainings with 5, 10, 25 and more of each task, measured on unseen layouts.

    mini-diffuser record --world tabletop --episodes 450 --seed 1000 --out recordings/tabletop
    mini-diffuser record --world tabletop --episodes 30 --seed 200000 --out recordings/held_out
    mini-diffuser bench few --data recordings/tabletop --held-out recordings/held_out --out few --picture few.png

Trains what is missing in the output directory, measures what is there and gives a row for each variant and number of
demonstrations, over its seeds: mean, lowest and highest. A seed draws other demonstrations, too; fewer are part of
more. Decisions are asked with sentences that nobody was taught. ``shown`` are those of goals that were demonstrated:
nothing but a demonstration tells what a word is the name of. ``--closed-loop N`` runs N episodes of each task besides,
of all goals alike.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from mini_diffuser_ros.bench.ablations import over_seeds
from mini_diffuser_ros.bench.benchmark import Benchmark, at_least, one_of, read_by
from mini_diffuser_ros.bench.errors import BenchError
from mini_diffuser_ros.bench.on_the_way import record_on_the_way
from mini_diffuser_ros.bench.plotting import pyplot
from mini_diffuser_ros.evaluation.rollout import EpisodeResult
from mini_diffuser_ros.evaluation.tabletop import TabletopProtocol, tabletop_trials
from mini_diffuser_ros.evaluation.world_episodes import run_world_trial
from mini_diffuser_ros.policy import read_checkpoint, sentence_encoder
from mini_diffuser_ros.policy.storage import load_model
from mini_diffuser_ros.simulation import TASKS
from mini_diffuser_ros.simulation.task import Task
from mini_diffuser_ros.simulation.templates import fill
from mini_diffuser_ros.support.files import write_whole
from mini_diffuser_ros.support.settings import read_settings
from mini_diffuser_ros.training.config import DataConfig, TrainConfig, ValidateConfig
from mini_diffuser_ros.training.dataset import Frame, frames_of
from mini_diffuser_ros.training.demonstrations import Demonstration, load_demonstrations, survey_demonstrations
from mini_diffuser_ros.training.processes import Processes
from mini_diffuser_ros.training.report import FrameError
from mini_diffuser_ros.training.run import train
from mini_diffuser_ros.training.validation import validate

NEAR = 0.03
"""Metres; a decision that is nearer to the demonstrator's goes to the right thing."""

VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "recipe": {},
    "no colours exchanged": {"augment.recolored": 0},
    "no places exchanged": {"augment.exchanged": 0.0},
    "nothing turned or shifted": {"augment.yaw": 0.0, "augment.shift_xy": 0.0},
    "AdamW": {"optim.method": "adamw"},
    "cameras dropped": {"augment.sensor": "perfect missing=0.4", "augment.sensor_copies": 2},
    "scenes mixed": {"augment.mixed": 0.5},
    # Of each decision one on the way to it: the same number of versions with other colours needs three times as many.
    "frames between": {"augment.recolored": 270, "data.per_task": 0},
}
"""What a variant changes in the recipe."""

ON_THE_WAY = "frames between"
"""The variant that is shown the table on the way to its decisions as well."""


FIGURES = "figures.json"
"""In each run's directory: what was measured of it."""


@dataclass(frozen=True, kw_only=True)
class FewSetting:
    """Which runs to train and measure.

    Attributes:
        data: demonstrations to train on.
        held_out: demonstrations of other seeds to measure on.
        out: directory of the runs.
        recipe: of the trainings, a YAML file.
        counts: demonstrations of each task.
        seeds: of the trainings, and of which demonstrations are drawn.
        variants: of the recipe.
        changes: of the recipe in all of them, as ``augment.mixed=0``.
        steps: training steps of each run, 0 for those of the recipe.
        scenes: of each step, 0 for those of the recipe.
        voxel_size: of the network, metres; 0 for that of the recipe.
        episodes: held-out demonstrations a task, 0 for all.
        closed_loop: episodes of each task to run, 0 for none.
        layouts: seed of the first of those.
        cameras: that those are seen by; all by default.
        picture: file of a plot of success and of the decisions that are right, empty for none.
    """

    data: str
    held_out: str
    out: Path
    recipe: Path = Path("config/train/own_demos.yaml")
    counts: tuple[int, ...] = (5, 10, 25, 50, 100, 400)
    seeds: tuple[int, ...] = (1, 2, 3)
    variants: tuple[str, ...] = read_by(one_of(tuple(VARIANTS), "variant"), ("recipe",))
    changes: tuple[str, ...] = ()
    steps: int = at_least(0, 0)
    scenes: int = at_least(0, 0)
    voxel_size: float = 0.0
    episodes: int = at_least(0, 0)
    closed_loop: int = at_least(0, 0)
    layouts: int = at_least(0, 310000)
    cameras: tuple[str, ...] = ()
    picture: str = ""


@dataclass(frozen=True, eq=False)
class AskedFrame:
    """A decision to be made, and whether its goal was demonstrated."""

    frame: Frame
    shown: bool


def measure_few(settings: Sequence[FewSetting]) -> Iterator[dict[str, Any]]:
    """Train what is missing, then a row for each variant and number of demonstrations."""
    torch.set_num_threads(1)
    for setting in settings:
        rows = []
        for row in _rows(setting):
            rows.append(row)
            yield row
        if setting.picture:
            _draw(rows, setting.picture)


def _rows(setting: FewSetting) -> Iterator[dict[str, Any]]:
    held_out = first_of_each_task(load_demonstrations(setting.held_out, setting.out / "cache"), setting.episodes)
    for count in setting.counts:
        for variant in setting.variants:
            found = [_figures(setting, variant, count, seed, held_out) for seed in setting.seeds]
            cells = {name: over_seeds([run[name] for run in found]) for name in found[0]}
            yield {"variant": variant, "demonstrations": count, "seeds": len(found), **cells}


def _figures(
    setting: FewSetting, variant: str, count: int, seed: int, held_out: Sequence[Demonstration]
) -> dict[str, float]:
    out = setting.out / f"{variant.replace(' ', '_')}-{count}-{seed}"
    of = ("held_out", "episodes", "closed_loop", "layouts")
    asked = {**{name: getattr(setting, name) for name in of}, "cameras": list(setting.cameras)}
    known = out / FIGURES
    if known.exists():
        found = json.loads(known.read_text(encoding="utf-8"))
        if found["asked"] == asked:
            return dict(found["figures"])
    figures = _measured(setting, _recipe(setting, variant, count, seed, out), held_out)
    write_whole(known, json.dumps({"asked": asked, "figures": figures}, indent=1) + "\n")
    return figures


def _measured(setting: FewSetting, recipe: TrainConfig, held_out: Sequence[Demonstration]) -> dict[str, float]:
    out = Path(recipe.out)
    if not (out / "policy" / "model.safetensors").exists():
        train_whole(recipe)
    taught = {sentence for known in read_checkpoint(out / "policy").tasks.values() for sentence in known}
    questions = questions_of(held_out, TASKS, taught)
    figures = decision_figures(ask(out / "policy", questions), questions)
    if setting.closed_loop:
        cameras = setting.cameras or TabletopProtocol().cameras
        protocol = TabletopProtocol(episodes=setting.closed_loop, seed=setting.layouts, cameras=cameras)
        results = [run_world_trial(trial) for trial in tabletop_trials(str(out / "policy"), protocol)]
        figures |= success_figures(results, taught)
    return figures


def _recipe(setting: FewSetting, variant: str, count: int, seed: int, out: Path) -> TrainConfig:
    changes: dict[str, Any] = {
        "data.path": str(_on_the_way(setting, count, seed)) if variant == ON_THE_WAY else setting.data,
        "data.cache": str(setting.out / "cache"),
        "data.per_task": count,
        "data.validation_share": 0.0,
        "seed": seed,
        "shards": 1,
        "knowledge": False,
        "out": str(out),
        **dict(_change(text) for text in setting.changes),
        **VARIANTS[variant],
    }
    changes |= {"budget.steps": setting.steps} if setting.steps else {}
    changes |= {"batch.scenes": setting.scenes} if setting.scenes else {}
    if setting.voxel_size:
        changes["model.overrides"] = {"scene": {"voxel_size": setting.voxel_size}, "losses": {"heatmap_level": 0}}
    return read_settings(
        TrainConfig, setting.recipe, [(name, yaml.safe_dump(value)) for name, value in changes.items()]
    )


def _change(text: str) -> tuple[str, Any]:
    name, separator, value = text.partition("=")
    if not separator:
        raise BenchError(f"changes: {text!r} is no change of a recipe, as augment.mixed=0")
    return name, yaml.safe_load(value)


def _on_the_way(setting: FewSetting, count: int, seed: int) -> Path:
    """The demonstrations that the recipe would draw, made again with what is seen between their keyframes."""
    drawn = survey_demonstrations(DataConfig(path=setting.data, per_task=count), seed).episodes
    seeds = [(episode.task, int(episode.stored.source.rpartition("-seed")[2])) for episode in drawn]
    return record_on_the_way(setting.out / f"on_the_way-{count}-{seed}", seeds)


def train_whole(config: TrainConfig) -> None:
    """Train, or go on with it, to the end.

    Raises:
        BenchError: if the training was interrupted, of which nothing can be measured.
    """
    if train(config).interrupted:
        raise BenchError(f"{config.out}: interrupted; the same command goes on from there")


def questions_of(
    demonstrations: Sequence[Demonstration], tasks: Mapping[str, Task], taught: set[str], seed: int = 0
) -> list[AskedFrame]:
    """All frames of the demonstrations, each with a held-out sentence of its goal.

    Args:
        demonstrations: of the simulated table.
        tasks: that they are of, by name.
        taught: sentences of the demonstrations that were trained on.
        seed: of the sentences.

    Raises:
        BenchError: a demonstration's sentences are none of its task.
    """
    random = np.random.default_rng(seed)
    questions = []
    for demonstration in demonstrations:
        task = tasks[demonstration.task]
        meant = task.match(demonstration.sentences[0])
        if meant is None:
            raise BenchError(f"{demonstration.source}: {demonstration.sentences[0]!r} is no sentence of {task.name}")
        templates = task.templates.held_out
        for frame in frames_of([demonstration]):
            sentence = fill(templates[random.integers(len(templates))], meant.slots)
            questions.append(AskedFrame(replace(frame, sentences=(sentence,)), demonstration.sentences[0] in taught))
    return questions


def ask(policy: Path | str, questions: Sequence[AskedFrame]) -> list[FrameError]:
    """Errors of one decision a question: 16 hypotheses, 5 sampling steps, the densest mode."""
    model = load_model(policy).eval()
    tokens = dict(sentence_encoder(model.config).many(sorted({one.frame.sentences[0] for one in questions})))
    frames = [one.frame for one in questions]
    return validate(model, frames, tokens, ValidateConfig(), seed=0, processes=Processes())


def decision_figures(errors: Sequence[FrameError], questions: Sequence[AskedFrame]) -> dict[str, float]:
    """Shares of right decisions, of all and of the goals that were demonstrated; of each task; the rest in mm."""
    right: dict[str, list[bool]] = {"decisions right, %": [], "shown, %": []}
    rest = []
    for error, question in zip(errors, questions, strict=True):
        if not error.kind.decides_object:
            rest.append(1000 * error.position)
            continue
        is_right = error.position < NEAR
        for name in ("decisions right, %", f"{error.task}, %", *(("shown, %",) if question.shown else ())):
            right.setdefault(name, []).append(is_right)
    shares = {name: 100 * float(np.mean(values)) if values else float("nan") for name, values in right.items()}
    return {**shares, "rest, median mm": float(np.median(rest))}


def success_figures(results: Sequence[EpisodeResult], taught: set[str]) -> dict[str, float]:
    """Success of all episodes of the simulated table, and of those whose goal was demonstrated."""
    of_shown = [result.success for result in results if _first_sentence(result) in taught]
    return {
        "success, %": 100 * float(np.mean([result.success for result in results])),
        "success of shown, %": 100 * float(np.mean(of_shown)) if of_shown else float("nan"),
    }


def _first_sentence(result: EpisodeResult) -> str:
    """What a demonstration of an episode's goal is told first."""
    task = TASKS[result.task]
    meant = task.match(result.sentence)
    if meant is None:
        raise BenchError(f"{result.sentence!r} is no sentence of {task.name}")
    return task.goal(meant.slots).sentences[0]


def first_of_each_task(demonstrations: Sequence[Demonstration], count: int) -> list[Demonstration]:
    """The first ``count`` of each task, 0 for all."""
    tasks = sorted({demonstration.task for demonstration in demonstrations})
    by_task = [[each for each in demonstrations if each.task == task] for task in tasks]
    return [demonstration for mine in by_task for demonstration in mine[: count or None]]


def _draw(rows: Sequence[Mapping[str, Any]], file: str) -> None:
    names = [name for name in ("success, %", "decisions right, %") if name in rows[0]]
    figure, all_axes = pyplot().subplots(
        1, len(names), figsize=(5 * len(names), 4), squeeze=False, layout="constrained"
    )
    for name, axes in zip(names, all_axes[0], strict=True):
        for variant in dict.fromkeys(row["variant"] for row in rows):
            mine = [row for row in rows if row["variant"] == variant]
            counts = [row["demonstrations"] for row in mine]
            cells = [row[name] for row in mine]
            axes.plot(counts, [cell["value"] for cell in cells], marker="o", label=variant)
            axes.fill_between(counts, [cell["low"] for cell in cells], [cell["high"] for cell in cells], alpha=0.2)
        axes.set(xscale="log", xlabel="demonstrations of each task", ylabel=name, ylim=(0, 101))
        axes.set_xticks(counts, [str(count) for count in counts])
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(file, dpi=100)


BENCHMARK = Benchmark(FewSetting, measure_few, __doc__)
