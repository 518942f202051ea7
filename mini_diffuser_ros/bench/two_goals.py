"""Two identical valid targets: does the policy keep both, and how often does it choose which?

Trains the small network for some minutes on scenes with two identical red blocks and a blue one, of which the
demonstrator takes one of the red ones at random. On unseen scenes each red block should then hold about half of the
hypotheses, and both should be among the ranked modes. With ``--checkpoint``, a shipped policy is asked besides to press
one of two buttons of the same colour on the simulated table, which it has never seen.

Writes JSON and a picture. Equal seeds give equal results on one machine.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from mini_diffuser_ros.bench.benchmark import Benchmark, at_least
from mini_diffuser_ros.bench.plotting import pyplot
from mini_diffuser_ros.geometry import top_down_quaternion
from mini_diffuser_ros.perception import FusionConfig, fuse_views
from mini_diffuser_ros.policy import MiniDiffuser, MiniDiffuserConfig, Policy, load_policy, scene_points
from mini_diffuser_ros.records import Cloud, KeyframeMode
from mini_diffuser_ros.simulation import TabletopWorld
from mini_diffuser_ros.simulation.palette import COLORS
from mini_diffuser_ros.support.files import write_whole
from mini_diffuser_ros.training.config import OptimConfig
from mini_diffuser_ros.training.dataset import Frame, Sample, collate, make_sample
from mini_diffuser_ros.training.frames import FrameKind
from mini_diffuser_ros.training.optimisation import WeightAverage, learning_rate, make_optimizer

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

SENTENCE = "take the red block"
EDGE = 0.04
APART = 0.12
NEAR = 0.03
FAIR = (0.35, 0.65)
TRAINING_SCENES, LEVEL2 = 16, 32


@dataclass(frozen=True, kw_only=True)
class TwoGoalsSetting:
    """What is trained and asked.

    Attributes:
        out: files to write, without .json and .png.
        checkpoint: a policy to ask about two equal buttons.
        train_steps: of the training.
        scenes: unseen scenes, one seed each.
        samples: hypotheses a decision.
        steps: sampling steps.
        seed: of the training.
    """

    out: Path
    checkpoint: Path | None = None
    train_steps: int = at_least(1, 400)
    scenes: int = at_least(1, 20)
    samples: int = at_least(1, 64)
    steps: int = at_least(1, 10)
    seed: int = at_least(0, 0)


@dataclass(frozen=True, eq=False)
class TwoGoals:
    """A scene with two equally good targets.

    Attributes:
        cloud: what is seen.
        goals: (2, 3) metres, the positions of the two targets.
        sentence: what is asked.
    """

    cloud: Cloud
    goals: Array
    sentence: str = SENTENCE


@dataclass(frozen=True)
class SharesOutcome:
    """What the policy made of one scene.

    Attributes:
        seed: of scene and noise.
        shares: of the hypotheses, at the first and at the second target.
        both: True if the two most probable modes are one at each target.
    """

    seed: int
    shares: tuple[float, float]
    both: bool

    @property
    def fair(self) -> bool:
        """True if each target has between 35 and 65 % of the hypotheses."""
        return all(FAIR[0] <= share <= FAIR[1] for share in self.shares)


def blocks(seed: int) -> TwoGoals:
    """Two red blocks and a blue one on the table, at random places and angles, surfaces sampled every 5 mm."""
    random = np.random.default_rng(seed)
    places: list[Array] = []
    while len(places) < 3:
        place = random.uniform((0.35, -0.28), (0.70, 0.28))
        if all(np.linalg.norm(place - other) > APART for other in places):
            places.append(place)
    surface = _block_surface()
    points, colors = [], []
    for place, color in zip(places, (COLORS["red"], COLORS["red"], COLORS["blue"]), strict=True):
        yaw = random.uniform(-np.pi / 4, np.pi / 4)
        turn = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
        points.append(surface @ turn.T + [*place, EDGE / 2])
        colors.append(np.tile(np.round(np.multiply(color, 255)), (len(surface), 1)))
    cloud = Cloud(np.concatenate(points).astype(np.float32), np.concatenate(colors).astype(np.uint8), "panda_link0")
    return TwoGoals(cloud, np.array([[*place, EDGE / 2] for place in places[:2]]))


def _block_surface() -> Array:
    """Points of a block's sides and top, around its centre."""
    line = np.arange(-EDGE / 2, EDGE / 2 + 1e-9, 0.005)
    grid = np.stack(np.meshgrid(line, line, line), -1).reshape(-1, 3)
    outside = np.abs(grid[:, :2]).max(1) > EDGE / 2 - 1e-9
    return grid[outside | (grid[:, 2] > EDGE / 2 - 1e-9)]


def train(steps: int, seed: int) -> Policy:
    """The small network after ``steps`` on fresh scenes; the averaged weights are the ones used."""
    torch.manual_seed(seed)
    config = MiniDiffuserConfig.small(scene={"voxel_size": 0.02}, losses={"heatmap_level": 0})
    policy = Policy(MiniDiffuser(config))
    model, words = policy.model, policy.text(SENTENCE)
    recipe = OptimConfig(lr=1.5e-3, warmup=50)
    optimizer, average = make_optimizer(model, recipe), WeightAverage(model, 0.99)
    generator = torch.Generator().manual_seed(seed)
    random = np.random.default_rng(seed)
    for step in tqdm(range(steps), desc="training", unit="step"):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(recipe, step, step / steps)
        batch = collate(
            [_sample(blocks(int(random.integers(2**62))), random, words, config) for _ in range(TRAINING_SCENES)]
        )
        model.train()
        loss = model.loss(batch, level2=LEVEL2, generator=generator)["total"]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
        optimizer.step()
        average.update(model, step + 1)
    model.load_state_dict(average.tensors)
    model.eval()
    return policy


def _sample(scene: TwoGoals, random: np.random.Generator, words: torch.Tensor, config: MiniDiffuserConfig) -> Sample:
    """A demonstration that grasps one of the two at random."""
    pose = np.concatenate([scene.goals[random.integers(2)], top_down_quaternion(0.0)])
    frame = Frame("two_goals", (scene.sentence,), scene.cloud, pose, False, False, FrameKind.FIRST)
    return make_sample(frame, words, config)


def judge(scene: TwoGoals, modes: Sequence[KeyframeMode], seed: int) -> SharesOutcome:
    """Shares of the two targets, and whether the two most probable modes are one at each."""
    distance = np.array([[np.linalg.norm(mode.pose[:3] - goal) for goal in scene.goals] for mode in modes])
    first, second = (
        float(sum(m.share for m, near in zip(modes, distance[:, g] < NEAR, strict=True) if near)) for g in (0, 1)
    )
    both = len(modes) > 1 and {int(row.argmin()) for row in distance[:2] if row.min() < NEAR} == {0, 1}
    return SharesOutcome(seed, (first, second), both)


def equal_buttons(world: TabletopWorld, seed: int) -> TwoGoals:
    """The table of ``push_buttons`` with a second button in the colour of the named one."""
    goal = world.reset("push_buttons", seed)
    color = str(goal.slots["color"])
    names = [world.model.body(index).name for index in range(world.model.nbody)]
    other = next(n for n in names if n.startswith("button_") and n.endswith("_cap") and n != f"button_{color}_cap")
    world.model.geom_rgba[world.model.body_geomadr[world.model.body(other).id]] = (*COLORS[color], 1.0)
    cloud = fuse_views(world.views(), FusionConfig(), world.robot, world.joint_positions())
    # Decided is the place above a button, 13 cm over the table.
    places = [world.body_pose(name)[:2, 3] for name in (f"button_{color}_cap", other)]
    return TwoGoals(cloud, np.array([[*place, 0.13] for place in places]), f"press the {color} button")


def evaluate(
    policy: Policy, make: Callable[[int], TwoGoals], seeds: Sequence[int], samples: int, steps: int
) -> tuple[list[SharesOutcome], list[tuple[TwoGoals, Array]]]:
    """One outcome a seed, and what was asked and answered: the scene with its hypotheses (K, 3)."""
    outcomes, shown = [], []
    for seed in seeds:
        scene = make(seed)
        outcomes.append(judge(scene, policy.decide(scene.cloud, scene.sentence, samples, steps, seed), seed))
        shown.append((scene, hypotheses(policy, scene, samples, steps, seed)))
    return outcomes, shown


def hypotheses(policy: Policy, scene: TwoGoals, samples: int, steps: int, seed: int) -> Array:
    """The positions (K, 3) behind the modes of ``Policy.decide``."""
    seen, words = scene_points(scene.cloud, policy.config), policy.text(scene.sentence)
    with torch.inference_mode():
        points = torch.from_numpy(seen.points)
        encoded = policy.model.encode(
            points, torch.zeros(len(points), dtype=torch.long), words, torch.tensor([len(words)])
        )
        xyz = policy.model.sample(encoded, samples, steps, generator=torch.Generator().manual_seed(seed))[0]
    centred: Array = xyz.double().numpy()
    return centred + seen.centre


def summary(outcomes: Sequence[SharesOutcome]) -> dict[str, Any]:
    """The figures of one policy."""
    shares = np.array([outcome.shares for outcome in outcomes])
    return {
        "scenes": len(outcomes),
        "both_found": sum(outcome.both for outcome in outcomes),
        "each_with_35_to_65_percent": sum(outcome.fair for outcome in outcomes),
        "mean_shares": [round(float(share), 4) for share in shares.mean(0)],
        "elsewhere": round(float(1 - shares.sum(1).mean()), 4),
        "outcomes": [asdict(outcome) for outcome in outcomes],
    }


def plot(rows: Sequence[tuple[str, Sequence[SharesOutcome], Sequence[tuple[TwoGoals, Array]]]], file: Path) -> None:
    """One row a policy: three scenes from above, then the shares of all scenes."""
    plt = pyplot()
    figure, axes = plt.subplots(len(rows), 4, figsize=(13, 3.6 * len(rows)), layout="constrained", squeeze=False)
    for row, (title, outcomes, shown) in zip(axes, rows, strict=True):
        for axis, outcome, (scene, found) in zip(row, outcomes[:3], shown, strict=False):
            _draw_scene(axis, outcome, scene, found)
        _draw_shares(row[3], outcomes)
        row[0].set_ylabel(f"{title}\nx, m")
    figure.savefig(file, dpi=85)
    plt.close(figure)


def _draw_scene(axis: Axes, outcome: SharesOutcome, scene: TwoGoals, found: Array) -> None:
    points, colors = scene.cloud.points, scene.cloud.colors
    axis.scatter(points[:, 1], points[:, 0], s=2, c=colors / 255.0, linewidths=0)
    axis.scatter(found[:, 1], found[:, 0], s=14, c="none", edgecolors="black", linewidths=0.6, label="hypothesis")
    for goal, share in zip(scene.goals, outcome.shares, strict=True):
        axis.annotate(f"{share:.0%}", (goal[1], goal[0]), (0, 16), textcoords="offset points", ha="center")
    # As the robot sees its table: x away from it, y to its left.
    axis.set(xlim=(0.38, -0.38), ylim=(0.27, 0.80), aspect="equal", xlabel="y, m", title=f"seed {outcome.seed}")


def _draw_shares(axis: Axes, outcomes: Sequence[SharesOutcome]) -> None:
    place = np.arange(len(outcomes))
    first, second = np.array([outcome.shares for outcome in outcomes]).T
    axis.bar(place, first, color="C0", label="one target")
    axis.bar(place, second, bottom=first, color="C1", label="the other")
    for bound in FAIR:
        axis.axhline(bound, color="black", linewidth=0.8, linestyle=":")
    axis.set(ylim=(0, 1), xlabel="scene", ylabel="share of the hypotheses")
    axis.legend(loc="lower right", fontsize=8)


def measure_two_goals(settings: Sequence[TwoGoalsSetting]) -> Iterator[dict[str, Any]]:
    """Train, ask, write and draw; a row for each policy."""
    pyplot()
    torch.set_num_threads(1)
    for setting in settings:
        asked = list(_ask(setting))
        plot(asked, setting.out.with_suffix(".png"))
        report = {title: summary(outcomes) for title, outcomes, _ in asked}
        write_whole(setting.out.with_suffix(".json"), json.dumps(report, indent=1) + "\n")
        for title, figures in report.items():
            yield {"config": title, **{name: value for name, value in figures.items() if name != "outcomes"}}


def _ask(setting: TwoGoalsSetting) -> Iterator[tuple[str, list[SharesOutcome], list[tuple[TwoGoals, Array]]]]:
    setting.out.parent.mkdir(parents=True, exist_ok=True)
    seeds = range(setting.scenes)
    trained = train(setting.train_steps, setting.seed)
    yield "trained on two goals", *evaluate(trained, blocks, seeds, setting.samples, setting.steps)
    if setting.checkpoint:
        world = TabletopWorld()
        shipped = load_policy(setting.checkpoint)
        found = evaluate(
            shipped, lambda seed: equal_buttons(world, 300_000 + seed), seeds, setting.samples, setting.steps
        )
        yield f"{setting.checkpoint.name}, two equal buttons", *found
        world.close()


BENCHMARK = Benchmark(TwoGoalsSetting, measure_two_goals, __doc__)
