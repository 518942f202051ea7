"""How true it is what the policy says of its modes: expected calibration errors, and a plot.

    mini-diffuser bench sureness --episodes 40 --seed 310000 --out docs/results/sureness.png

Demonstrations of the simulated table on layouts that nobody has seen, every other one asked with a sentence that the
policy was taught, the others with one of templates that no training saw. What is said is compared with what the expert
does: a mode's share with whether its place (3 cm), rotation (30 degrees) and gripper are right. The error is that of
ten bins of equal width, weighted by how many claims each holds; ``plain`` is what the network itself says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from mini_diffuser_ros.bench.benchmark import Benchmark, at_least
from mini_diffuser_ros.bench.errors import BenchError
from mini_diffuser_ros.bench.plotting import pyplot
from mini_diffuser_ros.motion import MotionConfig, MotionPlanner
from mini_diffuser_ros.policy import Policy, load_policy
from mini_diffuser_ros.running.task_world import DemonstrationFailed
from mini_diffuser_ros.simulation import TASKS, TabletopWorld
from mini_diffuser_ros.simulation.episode import demonstrate
from mini_diffuser_ros.simulation.sentences import fill
from mini_diffuser_ros.training.dataset import Frame, frames_of
from mini_diffuser_ros.training.demonstrations import fuse_episode
from mini_diffuser_ros.training.knowledge.sureness import Claim, claims_on, columns, names

Array = NDArray[np.float64]

BINS = 10
TAUGHT, HELD_OUT = "taught", "held out"


@dataclass(frozen=True, kw_only=True)
class SurenessSetting:
    """Which policy, how many demonstrations.

    Attributes:
        checkpoint: directory of a policy that knows how sure it is.
        episodes: demonstrations of each task.
        seed: of the first layout; the next episode takes the next seed.
        out: PNG file of the plot; none where empty.
        renderer: rays or egl.
    """

    checkpoint: str = "models/tabletop"
    episodes: int = at_least(1, 40)
    seed: int = at_least(0, 310_000)
    out: str = ""
    renderer: str = "rays"


@dataclass(frozen=True)
class SurenessRow:
    """Expected calibration errors of one number on one group of modes.

    Attributes:
        number: which.
        group: of modes; ``first`` are the most probable ones of their decisions.
        modes: how many.
        right: share of them.
        plain: error of what the network says.
        calibrated: error of what the policy says.
    """

    number: str
    group: str
    modes: int
    right: float
    plain: float
    calibrated: float


@dataclass(frozen=True)
class _Asked:
    """A claim of the network, with the sentence it was asked by."""

    claim: Claim
    sentence: str


def measure(settings: Sequence[SurenessSetting]) -> Iterator[SurenessRow]:
    """Rows of each number and group."""
    (setting,) = settings
    policy = load_policy(setting.checkpoint)
    if policy.knowledge.sureness is None:
        raise BenchError(f"{setting.checkpoint}: does not know how sure it is; teach it with 'mini-diffuser assess'")
    plain = list(_ask(policy, setting))
    calibrate = policy.knowledge.sureness.calibrated
    calibrated = [replace(each, claim=replace(each.claim, said=calibrate(each.claim.said))) for each in plain]
    for number in names():
        for name, belongs in _GROUPS.items():
            chosen = [index for index, each in enumerate(plain) if belongs(each)]
            before, after = ([several[index].claim for index in chosen] for several in (plain, calibrated))
            if chosen:
                right = float(columns(before, number)[1].mean())
                errors = (calibration_error(*columns(several, number)[:2]) for several in (before, after))
                yield SurenessRow(number, name, len(chosen), right, *errors)
    if setting.out:
        _draw(plain, calibrated, Path(setting.out))


_GROUPS: dict[str, Callable[[_Asked], bool]] = {
    "all modes": lambda _: True,
    "first": lambda each: each.claim.first,
    "first, decision frames": lambda each: each.claim.first and each.claim.decides_object,
    "first, other frames": lambda each: each.claim.first and not each.claim.decides_object,
    "first, taught sentences": lambda each: each.claim.first and each.sentence == TAUGHT,
    "first, held-out sentences": lambda each: each.claim.first and each.sentence == HELD_OUT,
}


def calibration_error(said: Array, true: Array) -> float:
    """Expected calibration error of claims (C,) in [0, 1] that were true (1) or not (0)."""
    return sum(abs(float((said[inside] - true[inside]).sum())) for inside in _filled_bins(said)) / len(said)


def _filled_bins(said: Array) -> list[NDArray[np.bool_]]:
    """Which claims (C,) each bin holds, of those that hold any."""
    bins = np.minimum((said * BINS).astype(int), BINS - 1)
    return [bins == number for number in np.unique(bins)]


def _ask(policy: Policy, setting: SurenessSetting) -> Iterator[_Asked]:
    random = np.random.default_rng(setting.seed)
    for frame, sentence in _frames(setting, random):
        for claim in claims_on(policy, frame, random):
            yield _Asked(claim, sentence)


def _frames(setting: SurenessSetting, random: np.random.Generator) -> Iterator[tuple[Frame, str]]:
    """Frames of new demonstrations, each with the one sentence that it is asked with, and where that is from."""
    world = TabletopWorld(renderer=setting.renderer)
    planner = MotionPlanner(world.robot, MotionConfig())
    for number in tqdm(range(setting.episodes * len(TASKS)), unit="episode"):
        task = list(TASKS)[number % len(TASKS)]
        try:
            episode = demonstrate(world, planner, task, setting.seed + number)
        except DemonstrationFailed:
            continue
        templates = TASKS[task].templates
        kind = (TAUGHT, HELD_OUT)[number // len(TASKS) % 2]
        for frame in frames_of([fuse_episode(episode)]):
            of_kind = templates.training if kind == TAUGHT else templates.held_out
            sentence = fill(of_kind[int(random.integers(len(of_kind)))], world.goal.slots)
            yield replace(frame, sentences=(sentence,)), kind


def _draw(plain: Sequence[_Asked], calibrated: Sequence[_Asked], path: Path) -> None:
    """What was said against how often it was true, of every number; the larger a dot, the more claims it holds."""
    plots = pyplot()
    figure, axes = plots.subplots(1, len(names()), figsize=(3 * len(names()), 3.2), sharey=True, layout="constrained")
    for axis, number in zip(axes, names(), strict=True):
        axis.plot([0, 1], [0, 1], color="0.8")
        for label, asked in (("plain", plain), ("calibrated", calibrated)):
            said, true, _ = columns([each.claim for each in asked], number)
            filled = _filled_bins(said)
            sizes = [8 + 60 * float(inside.mean()) for inside in filled]
            means = [[float(several[inside].mean()) for inside in filled] for several in (said, true)]
            axis.scatter(*means, s=sizes, label=f"{label}, error {calibration_error(said, true):.3f}")
        axis.set(title=number, xlabel="said", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        axis.legend(fontsize=7)
    axes[0].set_ylabel("true")
    figure.savefig(path, dpi=80)
    plots.close(figure)


BENCHMARK = Benchmark(SurenessSetting, measure, __doc__)
