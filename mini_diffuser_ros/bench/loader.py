"""``mini-diffuser bench loader``: augmented training samples a second and core, from clouds in memory to batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import torch

from mini_diffuser_ros.bench.benchmark import Benchmark, at_least, several
from mini_diffuser_ros.bench.isolation import measure_each
from mini_diffuser_ros.bench.measure import prepare, repeated
from mini_diffuser_ros.bench.scenes import WORDS, box_cloud
from mini_diffuser_ros.bench.setting import Setting
from mini_diffuser_ros.policy import MiniDiffuserConfig, TrainingBatch
from mini_diffuser_ros.training.config import AugmentConfig, BatchConfig
from mini_diffuser_ros.training.dataset import DrawnSamples, Frame, batches
from mini_diffuser_ros.training.frames import FrameKind

DESCRIPTION = """Training samples of one process: drawing a keyframe and a sentence, the published augmentation of
config/train/rlbench18.yaml (a turn by up to 45 degrees, noise on each point, a random 95 to 100 per cent of them) or
that of config/train/tabletop.yaml, which makes voxels once more after it, the workspace's crop, at most --points of
them, colours, heights, and collation. points is the mean that samples had in the end. Scenes are synthetic."""

SPARE = 1.25
"""Points of a stored cloud for one of a sample: turning it puts points into a common voxel, or out of the workspace."""

_SCENES = 24

_AUGMENTATIONS = {
    "published": AugmentConfig(
        shift_xy=0.0,
        shift_z=0.0,
        dropout=0.05,
        jitter=0.001,
        jitter_shape="uniform",
        color_gain=0.0,
        voxels="before",
    ),
    "tabletop": AugmentConfig(),
}


@dataclass(frozen=True, kw_only=True)
class LoaderSetting(Setting):
    """Batches of augmented samples.

    Attributes:
        batch: samples a batch.
        augmentation: that of config/train/rlbench18.yaml, or that of config/train/tabletop.yaml.
        repeats: measured batches, after one that does not count.
    """

    batch: int = several(100)
    augmentation: Literal["published", "tabletop"] = "published"
    repeats: int = at_least(1, 20)


@dataclass(frozen=True)
class LoaderRow:
    """A line of output; seconds are those of one sample."""

    config: str
    device: str
    threads: int
    augmentation: str
    batch: int
    points: float
    repeats: int
    cpu_s: float
    wall_s: float
    samples_per_s: float


def measure_loader(setting: LoaderSetting) -> LoaderRow:
    """Measure in this process.

    Raises:
        BenchError: too many points.
    """
    prepare(setting)
    source = _batches(setting)
    sizes: list[float] = []

    def load() -> None:
        sizes.append(len(next(source).points) / setting.batch)

    reading = repeated(load, setting)
    return LoaderRow(
        config=setting.config,
        device=setting.device,
        threads=setting.threads,
        augmentation=setting.augmentation,
        batch=setting.batch,
        points=float(np.mean(sizes)),
        repeats=setting.repeats,
        cpu_s=reading.cpu_s / setting.batch,
        wall_s=reading.wall_s / setting.batch,
        samples_per_s=setting.batch / reading.cpu_s,
    )


def _batches(setting: LoaderSetting) -> Iterator[TrainingBatch]:
    config = setting.network()
    sentences = ("push the red button", "press the button that is red")
    tokens = {sentence: torch.zeros(WORDS, config.text.width) for sentence in sentences}
    frames = [_frame(setting, config, sentences, number) for number in range(_SCENES)]
    augmentation = _AUGMENTATIONS[setting.augmentation]
    samples = DrawnSamples(frames, tokens, config, BatchConfig(scenes=setting.batch), augmentation, setting.seed)
    return batches(samples, 0, range(setting.batch), loaders=0)


def _frame(setting: LoaderSetting, config: MiniDiffuserConfig, sentences: tuple[str, ...], number: int) -> Frame:
    cloud = box_cloud(round(SPARE * setting.points), config, setting.seed + number)
    (x_low, y_low, _), (x_high, y_high, _) = config.scene.workspace.lower, config.scene.workspace.upper
    pose = np.array([(x_low + x_high) / 2, (y_low + y_high) / 2, 0.2, 1.0, 0.0, 0.0, 0.0])
    return Frame("push_buttons", sentences, cloud, pose, True, False, FrameKind.FIRST)


BENCHMARK = Benchmark(LoaderSetting, partial(measure_each, measure_loader), DESCRIPTION)
