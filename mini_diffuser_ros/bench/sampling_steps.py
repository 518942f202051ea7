"""Position error of decisions against the number of sampling steps, as JSON and as a plot.

    mini-diffuser record --world tabletop --episodes 30 --seed 200000 --out recordings/held_out
    mini-diffuser bench sampling-steps DDIM=models/tabletop \\
        --data recordings/held_out --out docs/results/sampling_steps

Each curve is ``LABEL=DIRECTORY[,DIRECTORY...]``, checkpoints. Error bars: of one checkpoint, 95 % bootstrap intervals
over episodes; of several, the lowest and the highest of them around their mean.

Two estimates are measured: ``mode``, the most probable mode of all hypotheses as ``Policy.decide`` gives it, and
``sample``, every single hypothesis. Frames are grouped: ``decision``, where only the sentence tells the object;
``rest``; and ``press``, a part of the rest in which the height of the decided position decides about success.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from mini_diffuser_ros.bench.benchmark import Benchmark, at_least, positional
from mini_diffuser_ros.bench.held_out import HeldOutFrame, held_out_frames, token_states
from mini_diffuser_ros.bench.plotting import pyplot
from mini_diffuser_ros.policy import MiniDiffuser, load_policy
from mini_diffuser_ros.policy.modes import Hypotheses, rank_modes
from mini_diffuser_ros.policy.network.rotation import decode_rotation
from mini_diffuser_ros.policy.network.scene_network import EncodedScene
from mini_diffuser_ros.support.files import write_whole
from mini_diffuser_ros.training.dataset import collate, make_sample

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]
Estimate = Literal["mode", "sample"]

SCENES = 16
RESAMPLES = 400
GROUPS: dict[str, Callable[[HeldOutFrame], bool]] = {
    "decision": lambda each: each.frame.kind.decides_object,
    "rest": lambda each: not each.frame.kind.decides_object,
    "press": lambda each: each.presses,
}


@dataclass(frozen=True)
class Curve:
    """What one line of the plot shows.

    Attributes:
        label: in the legend.
        checkpoints: policy directories that differ in nothing but the seed.
    """

    label: str
    checkpoints: tuple[Path, ...]

    @classmethod
    def parse(cls, text: str) -> Curve:
        """``LABEL=DIRECTORY[,DIRECTORY...]``."""
        label, equals, rest = text.partition("=")
        if not equals or not rest:
            raise ValueError(f"{text!r} is not LABEL=DIRECTORY[,DIRECTORY...]")
        return cls(label, tuple(map(Path, rest.split(","))))

    def models(self) -> Iterator[MiniDiffuser]:
        """The networks, one after the other."""
        for checkpoint in self.checkpoints:
            yield load_policy(checkpoint).model


@dataclass(frozen=True, kw_only=True)
class SamplingSetting:
    """What is decided how often, and where the figures go.

    Attributes:
        curves: LABEL=DIRECTORY[,DIRECTORY...] of each, checkpoints.
        data: demonstrations that no checkpoint was trained on.
        cache: directory of fused clouds; by default cache in the data.
        episodes: demonstrations a task, 0 for all.
        steps: numbers of sampling steps.
        samples: hypotheses a decision.
        seed: of sentences and noise.
        also: draw these results, JSON files, too.
        out: files to write, without .json and .png.
    """

    curves: tuple[Curve, ...] = positional(Curve.parse)
    data: str
    cache: Path | None = None
    episodes: int = at_least(0, 0)
    steps: tuple[int, ...] = (1, 2, 3, 5, 10, 20, 100)
    samples: int = at_least(1, 64)
    seed: int = at_least(0, 0)
    also: tuple[Path, ...] = ()
    out: Path


@dataclass(frozen=True)
class Statistic:
    """A number with its error bar.

    Attributes:
        value: the estimate.
        low: lower end of the error bar.
        high: upper end.
    """

    value: float
    low: float
    high: float


def decided_errors(
    model: MiniDiffuser, frames: Sequence[HeldOutFrame], steps: Sequence[int], samples: int, seed: int
) -> dict[int, dict[Estimate, Array]]:
    """For each number of steps the errors, metres, of modes (F, 1, 3) and of samples (F, K, 3)."""
    tokens = token_states(frames, model.config)
    errors: dict[int, dict[Estimate, list[Array]]] = {count: {"mode": [], "sample": []} for count in steps}
    for start in tqdm(range(0, len(frames), SCENES), desc="deciding", unit="batch"):
        chunk = frames[start : start + SCENES]
        batch = collate([make_sample(each.frame, tokens[each.sentence], model.config) for each in chunk])
        target = batch.target_xyz[:, None]
        with torch.inference_mode():
            scene = model.encode(batch.points, batch.batch, batch.text_tokens, batch.text_lengths)
            for count in steps:
                generator = torch.Generator().manual_seed(seed + start)
                xyz = model.sample(scene, samples, count, generator=generator)
                errors[count]["sample"].append((xyz - target).double().numpy())
                errors[count]["mode"].append((_modes(model, scene, xyz) - target).double().numpy())
    return {count: {name: np.concatenate(parts) for name, parts in both.items()} for count, both in errors.items()}


def _modes(model: MiniDiffuser, scene: EncodedScene, xyz: Tensor) -> Tensor:
    """Position (B, 1, 3) of the most probable mode of each scene's hypotheses (B, K, 3)."""
    scenes, samples, _ = xyz.shape
    logits = model.predict_action(scene, xyz.flatten(0, 1), torch.arange(scenes).repeat_interleave(samples))
    quaternions = decode_rotation(logits.rotation, refine=model.config.losses.rotation_sigma > 0).double().numpy()
    opens, ends = (logits.gripper > 0).numpy(), (logits.termination > 0).numpy()
    modes = []
    for number in range(scenes):
        own = slice(number * samples, (number + 1) * samples)
        hypotheses = Hypotheses(xyz[number].double().numpy(), quaternions[own], opens[own], ends[own])
        modes.append(rank_modes(hypotheses, model.config.heads.gripper_symmetry)[0].pose[:3])
    return torch.tensor(np.stack(modes)[:, None], dtype=xyz.dtype)


def summary(errors: Sequence[Array], episodes: NDArray[np.int64], of: Callable[[Array], float]) -> Statistic:
    """A statistic of errors (F, K, 3), one array a checkpoint, whose frames belong to ``episodes`` (F,)."""
    values = [of(each) for each in errors]
    if len(errors) > 1:
        return Statistic(float(np.mean(values)), min(values), max(values))
    random = np.random.default_rng(0)
    frames_of = [np.flatnonzero(episodes == episode) for episode in np.unique(episodes)]
    drawn = random.integers(len(frames_of), size=(RESAMPLES, len(frames_of)))
    resampled = [of(errors[0][np.concatenate([frames_of[episode] for episode in row])]) for row in drawn]
    low, high = np.percentile(resampled, (2.5, 97.5))
    return Statistic(values[0], float(low), float(high))


def median_mm(errors: Array) -> float:
    """Median distance, millimetres."""
    return float(1000 * np.median(np.linalg.norm(errors, axis=-1)))


def p90_mm(errors: Array) -> float:
    """90th percentile of the distance, millimetres."""
    return float(1000 * np.percentile(np.linalg.norm(errors, axis=-1), 90))


def bias_z_mm(errors: Array) -> float:
    """Mean height above the demonstrated position, millimetres."""
    return float(1000 * errors[..., 2].mean())


STATISTICS: dict[str, Callable[[Array], float]] = {"median_mm": median_mm, "p90_mm": p90_mm, "bias_z_mm": bias_z_mm}


def measure(curve: Curve, frames: Sequence[HeldOutFrame], steps: Sequence[int], samples: int, seed: int) -> list[Any]:
    """One row a number of steps, group of frames and estimate."""
    errors = [decided_errors(model, frames, steps, samples, seed) for model in curve.models()]
    episodes = np.array([each.episode for each in frames])
    rows = []
    for count in steps:
        for group, belongs in GROUPS.items():
            mine = np.array([belongs(each) for each in frames])
            for estimate in ("mode", "sample"):
                of_group = [each[count][estimate][mine] for each in errors]
                statistics = {
                    name: dataclasses.asdict(summary(of_group, episodes[mine], of)) for name, of in STATISTICS.items()
                }
                row = {"label": curve.label, "steps": count, "group": group, "estimate": estimate}
                rows.append(row | {"frames": int(mine.sum()), "checkpoints": len(errors)} | statistics)
    return rows


def plot(rows: Sequence[Any], file: Path) -> None:
    """Medians per group, 90th percentiles dashed, and the height of the press."""
    plt = pyplot()
    figure, axes = plt.subplots(2, 3, figsize=(13, 7.5), layout="constrained")
    for row, estimate in zip(axes, ("mode", "sample"), strict=True):
        mine = [each for each in rows if each["estimate"] == estimate]
        words = {"mode": "most probable mode", "sample": "single samples"}[estimate]
        for axis, group in zip(row[:2], ("decision", "rest"), strict=True):
            _draw(axis, mine, group, "median_mm", "-")
            _draw(axis, mine, group, "p90_mm", ":")
            axis.set(title=f"{group} frames, {words}", ylabel="position error, mm")
            axis.set_yscale("log")
            axis.set_yticks([2, 3, 4, 6, 8, 10, 15, 20, 30], minor=False)
            axis.yaxis.set_major_formatter("{x:g}")
            axis.yaxis.set_minor_locator(plt.NullLocator())
        _draw(row[2], mine, "press", "bias_z_mm", "-")
        row[2].axhline(0, color="grey", linewidth=0.8)
        row[2].set(title=f"press frames, {words}", ylabel="mean height above the demonstrator's, mm")
    axes[0, 0].legend(title="solid: median, dotted: 90th percentile", fontsize=8, title_fontsize=8)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=90)
    plt.close(figure)


def _draw(axis: Axes, rows: Sequence[Any], group: str, statistic: str, line: str) -> None:
    labels = list(dict.fromkeys(row["label"] for row in rows))
    for number, label in enumerate(labels):
        mine = [row for row in rows if row["label"] == label and row["group"] == group]
        steps = np.array([row["steps"] for row in mine]) * 1.04 ** (number - (len(labels) - 1) / 2)
        value, low, high = (np.array([row[statistic][key] for row in mine]) for key in ("value", "low", "high"))
        bars = np.maximum(np.stack([value - low, high - value]), 0)
        text = label if line == "-" else None
        axis.errorbar(steps, value, bars, fmt=line, color=f"C{number}", marker="o", markersize=3, capsize=2, label=text)
    ticks = sorted({row["steps"] for row in rows})
    axis.set_xscale("log")
    axis.set_xticks(ticks, [str(tick) for tick in ticks])
    axis.xaxis.set_minor_locator(pyplot().NullLocator())
    axis.set_xlabel("sampling steps")
    axis.grid(alpha=0.3)


def measure_sampling(settings: Sequence[SamplingSetting]) -> Iterator[dict[str, Any]]:
    """The rows of each curve; files are written and drawn at the end."""
    pyplot()
    torch.set_num_threads(1)
    for setting in settings:
        cache = setting.cache or Path(setting.data) / "cache"
        frames = held_out_frames(setting.data, cache, setting.episodes, setting.seed)
        rows = [row for file in setting.also for row in json.loads(file.read_text(encoding="utf-8"))]
        for curve in setting.curves:
            for row in measure(curve, frames, setting.steps, setting.samples, setting.seed):
                rows.append(row)
                yield row
        plot(rows, setting.out.with_suffix(".png"))
        lines = ",\n".join(json.dumps(row) for row in rows)
        write_whole(setting.out.with_suffix(".json"), f"[\n{lines}\n]\n")


BENCHMARK = Benchmark(SamplingSetting, measure_sampling, __doc__)
