"""``mini-diffuser bench encode``: what it costs to encode scenes, which a decision does once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch

from mini_diffuser_ros.bench.benchmark import Benchmark, several
from mini_diffuser_ros.bench.isolation import measure_each
from mini_diffuser_ros.bench.measure import held_mb, peak_mb, prepare, repeated
from mini_diffuser_ros.bench.scenes import box_cloud, training_batch
from mini_diffuser_ros.bench.setting import Setting
from mini_diffuser_ros.policy import MiniDiffuser

DESCRIPTION = """Medians of MiniDiffuser.encode at inference: everything of a decision that does not depend on the noise
step, from points and token states. peak_mb is the most memory the process held (on a GPU: the most it allocated there),
base_mb what it held before the network was built. Scenes are synthetic."""


@dataclass(frozen=True, kw_only=True)
class EncodeSetting(Setting):
    """Encoding scenes together.

    Attributes:
        batch: scenes.
    """

    batch: int = several(1)


@dataclass(frozen=True)
class EncodeRow:
    """A line of output; seconds and MiB."""

    config: str
    device: str
    threads: int
    dtype: str
    batch: int
    points: int
    repeats: int
    cpu_s: float
    wall_s: float
    peak_mb: float
    base_mb: float


def measure_encode(setting: EncodeSetting) -> EncodeRow:
    """Measure in this process.

    Raises:
        BenchError: too many points.
    """
    device = prepare(setting)
    base = held_mb(device)
    config = setting.network()
    model = MiniDiffuser(config).to(device).eval()
    clouds = [box_cloud(setting.points, config, setting.seed + number) for number in range(setting.batch)]
    batch = training_batch(config, clouds, setting.seed).to(device)

    def encode() -> None:
        with torch.inference_mode(), setting.precision():
            model.encode(batch.points, batch.batch, batch.text_tokens, batch.text_lengths)

    reading = repeated(encode, setting)
    return EncodeRow(
        **setting.columns(),
        batch=setting.batch,
        cpu_s=reading.cpu_s,
        wall_s=reading.wall_s,
        peak_mb=peak_mb(device),
        base_mb=base,
    )


BENCHMARK = Benchmark(EncodeSetting, partial(measure_each, measure_encode), DESCRIPTION)
