"""Scenes with and without what a sentence names: is a missing thing told, and is a present one?

    mini-diffuser bench presence --scenes 200 --seed 300000

Layouts of the simulated table that nobody has seen, sentences of templates that no training saw, tasks in turn. Of the
scenes without, one half names something else than lies there, the other lacks what is named; of two things that a
sentence names either may be missing, or both. Each scene is looked at once, before anything moves, as policy_node looks
for the first keyframe.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from xml.etree import ElementTree

import numpy as np
from tqdm import tqdm

from mini_diffuser_ros.bench.benchmark import Benchmark, at_least
from mini_diffuser_ros.bench.errors import BenchError
from mini_diffuser_ros.perception import FusionConfig, fuse_views
from mini_diffuser_ros.policy import load_policy
from mini_diffuser_ros.records import Cloud
from mini_diffuser_ros.simulation import TASKS, TabletopWorld
from mini_diffuser_ros.simulation.sensor import SensorModel, sensor_of
from mini_diffuser_ros.simulation.sentences import fill
from mini_diffuser_ros.simulation.task import Slots, Task

log = logging.getLogger(__name__)

PRESENT, OTHER_NAMED, TAKEN_AWAY = "present", "another named", "taken away"


@dataclass(frozen=True, kw_only=True)
class PresenceSetting:
    """Which policy, how many scenes.

    Attributes:
        checkpoint: directory of a policy that knows of presence.
        scenes: with what is named, and as many without.
        seed: of the first layout; the next scene takes the next seed.
        renderer: rays or egl.
        sensor: what kind of cameras they are, as ``d435``.
    """

    checkpoint: str = "models/tabletop"
    scenes: int = at_least(1, 200)
    seed: int = at_least(0, 300_000)
    renderer: str = "rays"
    sensor: str = "perfect"


@dataclass(frozen=True)
class PresenceRow:
    """What was told of one kind of scenes of one task.

    Attributes:
        task: name.
        kind: of scenes.
        scenes: how many.
        told_missing: how many of them the policy says to lack what is named.
        share: of them.
    """

    task: str
    kind: str
    scenes: int
    told_missing: int
    share: float


class _Lacking:
    """A task on whose table some bodies are missing."""

    def __init__(self, task: Task, gone: Sequence[str]) -> None:
        self._task, self._gone = task, frozenset(gone)

    def __getattr__(self, name: str) -> object:
        return getattr(self._task, name)

    def layout(self, rng: np.random.Generator, slots: Slots) -> list[ElementTree.Element]:
        """As of the task, without those bodies."""
        return [body for body in self._task.layout(rng, slots) if body.get("name") not in self._gone]


def measure(settings: Sequence[PresenceSetting]) -> Iterator[PresenceRow]:
    """Rows of each task and kind, and of all tasks together."""
    (setting,) = settings
    policy = load_policy(setting.checkpoint)
    if policy.knowledge.presence is None:
        raise BenchError(f"{setting.checkpoint}: knows nothing of presence; teach it with 'mini-diffuser assess'")
    worlds = _Worlds(setting.renderer, sensor_of(setting.sensor))
    kinds = [PRESENT] * setting.scenes + [(OTHER_NAMED, TAKEN_AWAY)[i // len(TASKS) % 2] for i in range(setting.scenes)]
    told: dict[tuple[str, str], list[bool]] = {}
    for number, kind in enumerate(tqdm(kinds, unit="scene")):
        task = list(TASKS)[number % len(TASKS)]
        cloud, sentence = worlds.scene(task, kind, setting.seed + number, policy.fusion or FusionConfig())
        missing = bool(policy.assess(cloud, sentence, samples=1, steps=1).not_found)
        if missing == (kind == PRESENT):
            log.info("%s, seed %d, %s: '%s' was told wrongly", task, setting.seed + number, kind, sentence)
        told.setdefault((task, kind), []).append(missing)
    for (task, kind), answers in sorted(told.items()):
        yield PresenceRow(task, kind, len(answers), sum(answers), sum(answers) / len(answers))
    for kind, of_kind in (("present", (PRESENT,)), ("missing", (OTHER_NAMED, TAKEN_AWAY))):
        answers = [answer for (_, each), several in told.items() for answer in several if each in of_kind]
        yield PresenceRow("all", kind, len(answers), sum(answers), sum(answers) / len(answers))


class _Worlds:
    """Lays tables out and looks at them."""

    def __init__(self, renderer: str, sensor: SensorModel) -> None:
        self._world = TabletopWorld(renderer=renderer, sensor=sensor)

    def scene(self, name: str, kind: str, seed: int, fusion: FusionConfig) -> tuple[Cloud, str]:
        """What is seen, and what is asked."""
        task = TASKS[name]
        rng = np.random.default_rng([seed, 1])
        templates = task.templates.held_out
        template = templates[int(rng.integers(len(templates)))]
        slots = task.draw_slots(task.generator(seed, "layout"))  # as the world draws them
        if kind != TAKEN_AWAY:
            self._world.tasks = TASKS
            self._world.reset(name, seed)
            asked = slots if kind == PRESENT else self._not_there(task, slots, rng)
            return self._look(fusion), fill(template, asked)
        needed = task.required_bodies(slots)
        gone = [needed[int(rng.integers(len(needed)))]] if rng.random() < 0.7 else list(needed)
        self._world.tasks = MappingProxyType({**TASKS, name: _Lacking(task, gone)})  # type: ignore[dict-item]
        self._world.reset(name, seed)
        return self._look(fusion), fill(template, slots)

    def _not_there(self, task: Task, slots: Slots, rng: np.random.Generator) -> Slots:
        """Slots of which something is not on the table; where there are two, often only one of them."""
        absent = [each for each in task.variations if not self._world.has_objects_for(task.name, each)]
        close = [each for each in absent if any(each[slot] == slots[slot] for slot in slots)]
        chosen = close if close and rng.random() < 0.7 else absent
        return chosen[int(rng.integers(len(chosen)))]

    def _look(self, fusion: FusionConfig) -> Cloud:
        return fuse_views(self._world.views(), fusion, self._world.robot, self._world.joint_positions())


BENCHMARK = Benchmark(PresenceSetting, measure, __doc__)
