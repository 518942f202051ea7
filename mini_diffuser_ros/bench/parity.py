"""``mini-diffuser bench parity``: the official behaviour against recorded values of the published network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mini_diffuser_ros.bench.benchmark import Benchmark
from mini_diffuser_ros.bench.golden import ROW_STRIDE, golden_values, golden_weights
from mini_diffuser_ros.bench.setting import DeviceSetting
from mini_diffuser_ros.policy import MiniDiffuser, MiniDiffuserConfig, tune_cpu
from mini_diffuser_ros.policy.network.scene_network import EncodedScene

BOUND = 1e-4
"""Largest relative error that passes."""

DESCRIPTION = f"""Relative errors in float32 (largest deviation over largest value) of one recorded scene: features of
every level, pooled text, predicted noise, heads, and two DDIM runs of ten steps, each step from the recorded position.
Exit code 1 if one is above {BOUND:.0e}."""

_SPACINGS = ("leading", "trailing")


@dataclass(frozen=True)
class ParityRow:
    """A line of output."""

    config: str
    device: str
    threads: int
    quantity: str
    relative_error: float


def measure_parity(settings: Sequence[DeviceSetting]) -> Iterator[ParityRow]:
    """A row for each recorded quantity."""
    for setting in settings:
        tune_cpu(setting.threads)
        for quantity, error in relative_errors(torch.device(setting.device)):
            yield ParityRow("official", setting.device, setting.threads, quantity, error)


@torch.inference_mode()
def relative_errors(device: torch.device) -> Iterator[tuple[str, float]]:
    """Each recorded quantity with the error of ours."""
    golden = {name: value.to(device) for name, value in golden_values().items()}
    model = MiniDiffuser(MiniDiffuserConfig.official())
    model.load_state_dict(golden_weights(model.state_dict()))
    model.eval().to(device)
    points, words = golden["pc_fts"], golden["txt_embeds"]
    alone = torch.zeros(len(points), dtype=torch.long, device=device)
    scene = model.encode(points, alone, words, torch.tensor([len(words)], device=device))
    yield from _features(scene, golden)
    if scene.text is not None:
        yield "pooled text", _error(scene.text, golden["text_context"])
    noise = model.predict_noise(scene, golden["query_xyz"], golden["query_k"].long(), alone[:24])
    yield "noise at 24 positions", _error(noise, golden["query_eps"])
    rotation, gripper = model.predict_rotation(scene, golden["query_xyz"][:1], alone[:1])
    yield "rotation logits", _error(rotation, golden["rot_logits_at_query0"])
    yield "gripper logit", _error(gripper, golden["open_logit_at_query0"])
    for spacing in _SPACINGS:
        yield from _ddim(model, scene, golden, spacing)


def _features(scene: EncodedScene, golden: dict[str, Tensor]) -> Iterator[tuple[str, float]]:
    last = len(scene.levels) - 1
    for number in reversed(range(last + 1)):
        # Recorded in the order of the input at the finest level, along the curve at the others.
        features = scene.features[number][scene.source.argsort()] if number == 0 else scene.features[number]
        yield f"features of level {number}", _error(features[::ROW_STRIDE], golden[f"level{last - number}_feat"])


def _ddim(
    model: MiniDiffuser, scene: EncodedScene, golden: dict[str, Tensor], spacing: str
) -> Iterator[tuple[str, float]]:
    positions, noises = golden[f"ddim_{spacing}_10_xyz"], golden[f"ddim_{spacing}_10_eps"]
    steps = [int(step) for step in golden[f"ddim_{spacing}_10_k"].tolist()]
    for number, (step, following) in enumerate(zip(steps, [*steps[1:], None], strict=True)):
        here = positions[number : number + 1]
        level = torch.full((1,), step, device=here.device)
        noise = model.predict_noise(scene, here, level, torch.zeros_like(level))
        yield f"ddim {spacing} {number}, noise", _error(noise, noises[number : number + 1])
        then = model.schedule.ddim_step(noise, here, step, following)
        yield f"ddim {spacing} {number}, position", _error(then, positions[number + 1 : number + 2])


def _error(given: Tensor, expected: Tensor) -> float:
    return float((given - expected).abs().max() / expected.abs().max())


BENCHMARK = Benchmark(DeviceSetting, measure_parity, DESCRIPTION, lambda row: row.relative_error <= BOUND)
