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
from mini_diffuser_ros.support.settings import read_settings, to_mapping
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
    "scenes not mixed": {"augment.mixed": 0.0},
    "nothing turned or shifted": {"augment.yaw": 0.0, "augment.shift_xy": 0.0},
    "AdamW": {"optim.method": "adamw"},
    "cameras dropped": {"augment.sensor": "perfect missing=0.4", "augment.sensor_copies": 2},
    # Three times as many where each of two decisions is seen from the way to it as well: as often in other colours.
    "frames between": {"augment.recolored": 810},
}
"""What a variant changes in the recipe."""

ON_THE_WAY = "frames between"
"""The variant that is shown the table on the way to its decisions as well."""


FIGURES = "figures.json"
"""In each run's directory: what was measured of it."""


_OWN = ("data.path", "data.cache", "data.per_task", "data.validation_share", "seed", "shards", "knowledge", "out")


def _change(text: str) -> str:
    name, separator, _ = text.partition("=")
    if not separator or name in ("", *_OWN):
        raise ValueError(f"{text[:60]!r} is no change of a recipe as augment.mixed=0, or of what is set here anyway")
    return text


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
        changes: of the recipe in all of them, as ``augment.mixed=0``; a value with a comma cannot be given.
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
    changes: tuple[str, ...] = read_by(_change, ())
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
    """A decision to be made, and whether its goal was demonstrated.

    Versions in other colours have some of their goals' sentences, a demonstration all of them.
    """

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
    recipe = recipe_of(setting, variant, count, seed)
    of = ("held_out", "episodes", "closed_loop", "layouts")
    said = {**{name: getattr(setting, name) for name in of}, "cameras": setting.cameras, "recipe": to_mapping(recipe)}
    asked = json.loads(json.dumps(said))  # as it is read back: lists, no tuples
    known = Path(recipe.out) / FIGURES
    if known.exists():
        found = json.loads(known.read_text(encoding="utf-8"))
        if found["asked"] == asked:
            return dict(found["figures"])
        # Training would go on from its end, as with more steps: that is not the run that was asked for.
        if found["asked"].get("recipe") != asked["recipe"]:
            raise BenchError(f"{recipe.out} holds a run of another recipe; choose another --out")
    figures = _measured(setting, recipe, held_out)
    write_whole(known, json.dumps({"asked": asked, "figures": figures}, indent=1) + "\n")
    return figures


def _measured(setting: FewSetting, recipe: TrainConfig, held_out: Sequence[Demonstration]) -> dict[str, float]:
    train_whole(recipe)  # of one that is whole it sees whether it is of this recipe and these demonstrations
    policy = recipe.policy_directory
    taught = {sentence for known in read_checkpoint(policy).tasks.values() for sentence in known}
    questions = questions_of(held_out, TASKS, taught)
    figures = decision_figures(ask(policy, questions), questions)
    if setting.closed_loop:
        cameras = setting.cameras or TabletopProtocol().cameras
        protocol = TabletopProtocol(episodes=setting.closed_loop, seed=setting.layouts, cameras=cameras)
        results = [run_world_trial(trial) for trial in tabletop_trials(str(policy), protocol)]
        figures |= success_figures(results, taught)
    return figures


def recipe_of(setting: FewSetting, variant: str, count: int, seed: int) -> TrainConfig:
    """The recipe of a run."""
    out = setting.out / f"{variant.replace(' ', '_')}-{count}-{seed}"
    changes: dict[str, Any] = {
        "data.path": setting.data,
        "data.cache": str(setting.out / "cache"),
        "data.per_task": count,
        "data.validation_share": 0.0,
        "seed": seed,
        "shards": 1,
        "knowledge": False,
        "out": str(out),
    }
    changes |= {"budget.steps": setting.steps} if setting.steps else {}
    changes |= {"batch.scenes": setting.scenes} if setting.scenes else {}
    if setting.voxel_size:
        changes["model.overrides"] = {"scene": {"voxel_size": setting.voxel_size}, "losses": {"heatmap_level": 0}}
    words = {name: yaml.safe_dump(value) for name, value in changes.items()}
    words |= dict(text.split("=", 1) for text in setting.changes)
    words |= {name: yaml.safe_dump(value) for name, value in VARIANTS[variant].items()}
    recipe = read_settings(TrainConfig, setting.recipe, list(words.items()))
    return replace(recipe, data=_on_the_way(setting, recipe)) if variant == ON_THE_WAY else recipe


def _on_the_way(setting: FewSetting, recipe: TrainConfig) -> DataConfig:
    """The demonstrations that a recipe draws, made again with what is seen between their keyframes."""
    drawn = [episode.stored.source for episode in survey_demonstrations(recipe.data, recipe.seed).episodes]
    made = record_on_the_way(Path(f"{recipe.out}-recordings"), drawn, setting.cameras)
    return replace(recipe.data, path=str(made), per_task=0)


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
            questions.append(
                AskedFrame(replace(frame, sentences=(sentence,)), taught.issuperset(demonstration.sentences))
            )
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
    of_shown = [result.success for result in results if taught.issuperset(_sentences(result))]
    return {
        "success, %": 100 * float(np.mean([result.success for result in results])),
        "success of shown, %": 100 * float(np.mean(of_shown)) if of_shown else float("nan"),
    }


def _sentences(result: EpisodeResult) -> tuple[str, ...]:
    """What a demonstration of an episode's goal is told."""
    task = TASKS[result.task]
    meant = task.match(result.sentence)
    if meant is None:
        raise BenchError(f"{result.sentence!r} is no sentence of {task.name}")
    return task.goal(meant.slots).sentences


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
