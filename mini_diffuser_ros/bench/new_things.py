"""A colour and a thing that are new to a policy, taught by a few demonstrations: are they learned, what is forgotten?

    mini-diffuser record --world tabletop --episodes 30 --seed 200000 --out recordings/held_out
    mini-diffuser bench new-things --rehearse recordings/tabletop --held-out recordings/held_out --out new_things

Brown buttons and a pear are put on the simulated table beside what has always been there. They are demonstrated, the
policy is fine-tuned to them with and without rehearsal, and is asked about layouts that it has not seen, with sentences
that nobody was taught: of the new goals, and of the old tasks, before and after.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
import yaml

from mini_diffuser_ros.bench.benchmark import Benchmark, at_least, between, read_by
from mini_diffuser_ros.bench.few import ask, decision_figures, first_of_each_task, questions_of, train_whole
from mini_diffuser_ros.data import EpisodeStore
from mini_diffuser_ros.evaluation.rollout import roll_out
from mini_diffuser_ros.evaluation.tabletop_cell import TabletopCell
from mini_diffuser_ros.motion import MotionConfig, MotionPlanner
from mini_diffuser_ros.perception import FusionConfig
from mini_diffuser_ros.policy import load_policy
from mini_diffuser_ros.running import LoopSettings
from mini_diffuser_ros.running.task_world import DemonstrationFailed
from mini_diffuser_ros.simulation import TASKS, TabletopWorld
from mini_diffuser_ros.simulation.episode import demonstrate
from mini_diffuser_ros.simulation.objects import ItemShape
from mini_diffuser_ros.simulation.palette import COLORS
from mini_diffuser_ros.simulation.recording import ROBOT
from mini_diffuser_ros.simulation.task import Task
from mini_diffuser_ros.simulation.tasks.push_buttons import PushButtons
from mini_diffuser_ros.simulation.tasks.put_item_in_bowl import ITEMS, PutItemInBowl
from mini_diffuser_ros.simulation.templates import fill
from mini_diffuser_ros.support.settings import read_settings
from mini_diffuser_ros.training.config import TrainConfig
from mini_diffuser_ros.training.demonstrations import Demonstration, load_demonstrations


class PushBrownButton(PushButtons):
    """The brown one of three buttons."""

    colors = MappingProxyType({**COLORS, "brown": (0.36, 0.20, 0.09)})
    slots = MappingProxyType({"color": ("brown",)})


class PutPearInBowl(PutItemInBowl):
    """The pear of three things: a short capsule, between lime and cucumber in colour."""

    items = MappingProxyType({**ITEMS, "pear": ItemShape("capsule", (0.038, 0.024, 0.024), (0.72, 0.78, 0.22), 0.06)})
    slots = MappingProxyType({"item": ("pear",)})


NEW: Mapping[str, Task] = MappingProxyType({task.name: task for task in (PushBrownButton(), PutPearInBowl())})
"""The tasks with the new things, under the names of the old ones."""

_TEST_SEED = 600_000


@dataclass(frozen=True, kw_only=True)
class NewThingsSetting:
    """What to teach and to measure.

    Attributes:
        rehearse: demonstrations of what the policy knows, to rehearse.
        held_out: demonstrations of it that the policy was not trained on.
        out: directory of the runs.
        start: the policy.
        recipe: of the fine-tuning, a YAML file.
        demonstrations: of each new thing.
        shares: of the scenes that are rehearsed, a run each.
        per_task: old demonstrations of each task to rehearse, 0 for all.
        steps: of the fine-tuning.
        scenes: of each step.
        rate: learning rate.
        seeds: of the fine-tunings, and of the demonstrations.
        asked: layouts of each new thing that are measured on.
        episodes: old held-out demonstrations a task, 0 for all.
        closed_loop: episodes to run of each new thing, and of each old task, 0 for none.
    """

    rehearse: str
    held_out: str
    out: Path
    start: str = "models/tabletop"
    recipe: Path = Path("config/train/own_demos.yaml")
    demonstrations: int = at_least(1, 5)
    shares: tuple[float, ...] = read_by(between(0.0, 0.95), (0.0, 0.5))
    per_task: int = at_least(0, 0)
    steps: int = at_least(1, 300)
    scenes: int = at_least(1, 32)
    rate: float = 5e-4
    seeds: tuple[int, ...] = (1, 2, 3)
    asked: int = at_least(1, 30)
    episodes: int = at_least(0, 0)
    closed_loop: int = at_least(0, 0)


def measure_new_things(settings: Sequence[NewThingsSetting]) -> Iterator[dict[str, Any]]:
    """A row of the policy as it is, then one for each share and seed."""
    torch.set_num_threads(1)
    for setting in settings:
        cache = setting.out / "cache"
        test = record_new(setting.out / "test", setting.asked, _TEST_SEED)
        new = load_demonstrations(str(test), cache)
        old = first_of_each_task(load_demonstrations(setting.held_out, cache), setting.episodes)
        yield {"policy": setting.start, "seed": None, **_figures(setting, setting.start, new, old)}
        for seed in setting.seeds:
            for share in setting.shares:
                policy = _taught(setting, share, seed)
                yield {"policy": f"rehearsed {share:g}", "seed": seed, **_figures(setting, policy, new, old)}


def record_new(out: Path, count: int, seed: int) -> Path:
    """Demonstrations of each new thing in a directory, as far as they are not there; seeds from ``seed`` on."""
    store = EpisodeStore(out, ROBOT)
    world = TabletopWorld(tasks=NEW)
    planner = MotionPlanner(world.robot, MotionConfig())
    for task in NEW:
        number = seed
        while len(store.seeds(task)) < count:
            if number not in store.seeds(task):
                with suppress(DemonstrationFailed):  # the next seed takes its place
                    store.write(demonstrate(world, planner, task, number), number)
            number += 1
    return store.path


def _taught(setting: NewThingsSetting, share: float, seed: int) -> str:
    """Directory of the policy that was fine-tuned with a share of rehearsal."""
    out = setting.out / f"rehearsed-{share:g}-{seed}"
    if not (out / "policy" / "model.safetensors").exists():
        shown = record_new(setting.out / f"shown-{seed}", setting.demonstrations, 1000 * seed)
        changes: dict[str, Any] = {
            "start_from": setting.start,
            "data.path": str(shown),
            "data.cache": str(setting.out / "cache"),
            "data.validation_share": 0.0,
            "rehearsal.path": setting.rehearse if share else "",
            "rehearsal.per_task": setting.per_task,
            "rehearsal.share": share,
            "batch.scenes": setting.scenes,
            "optim.lr": setting.rate,
            "optim.warmup": setting.steps // 10,
            "budget.steps": setting.steps,
            "seed": seed,
            "shards": 1,
            "knowledge": False,
            "out": str(out),
        }
        words = [(name, yaml.safe_dump(value)) for name, value in changes.items()]
        train_whole(read_settings(TrainConfig, setting.recipe, words))
    return str(out / "policy")


def _figures(
    setting: NewThingsSetting, policy: str, new: Sequence[Demonstration], old: Sequence[Demonstration]
) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for what, demonstrations, tasks in (("new", new, NEW), ("old", old, TASKS)):
        questions = questions_of(demonstrations, tasks, set())
        found = decision_figures(ask(policy, questions), questions)
        figures |= {f"{what}: {name}": value for name, value in found.items() if name != "shown, %"}
        if setting.closed_loop:
            figures[f"{what}: success"] = _succeeded(policy, tasks, setting.closed_loop)
    return figures


def _succeeded(directory: str, tasks: Mapping[str, Task], episodes: int) -> str:
    """How many episodes of each task succeed."""
    policy = load_policy(directory)
    cell = TabletopCell(TabletopWorld(tasks=tasks), policy.fusion or FusionConfig())
    counts = []
    for name, task in tasks.items():
        done = 0
        for number in range(episodes):
            goal = cell.world.reset(name, _TEST_SEED + 1000 + number)
            sentence = fill(task.templates.held_out[number % len(task.templates.held_out)], goal.slots)
            done += roll_out(cell, policy, name, sentence, number, LoopSettings()).success
        counts.append(f"{name} {done} of {episodes}")
    cell.world.close()
    return ", ".join(counts)


BENCHMARK = Benchmark(NewThingsSetting, measure_new_things, __doc__)
