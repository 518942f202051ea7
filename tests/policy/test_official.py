"""The official behaviour against values of the published network.

``golden/official_inference.npz`` holds one scene (693 points) through the official network at inference in float32,
with weights that follow from each tensor's name: inputs, every eighth row of the features of all levels (coarsest
first), the pooled text, predicted noise at 24 positions, head logits, and two DDIM runs of ten steps.
"""

from __future__ import annotations

import math
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from mini_diffuser_ros.policy import MiniDiffuser, MiniDiffuserConfig
from mini_diffuser_ros.policy.network import EncodedScene

Values = dict[str, torch.Tensor]
ROW_STRIDE = 8


@pytest.fixture(scope="module")
def golden() -> Values:
    with np.load(Path(__file__).parent / "golden" / "official_inference.npz") as file:
        return {name: torch.from_numpy(file[name]) for name in file.files}


@pytest.fixture(scope="module")
def model() -> MiniDiffuser:
    model = MiniDiffuser(MiniDiffuserConfig.official())
    model.load_state_dict({name: _weight(name, value) for name, value in model.state_dict().items()})
    return model.eval()


@pytest.fixture(scope="module")
def scene(model: MiniDiffuser, golden: Values) -> EncodedScene:
    points, words = golden["pc_fts"], golden["txt_embeds"]
    with torch.inference_mode():
        return model.encode(points, torch.zeros(len(points), dtype=torch.long), words, torch.tensor([len(words)]))


def _weight(name: str, like: torch.Tensor) -> torch.Tensor:
    """The golden weight of a tensor: normal numbers seeded by its name, scaled by its kind."""
    if not like.is_floating_point():
        return torch.zeros_like(like)
    shape = tuple(like.shape)
    random = np.random.RandomState(zlib.crc32(name.encode()))
    z = random.standard_normal(math.prod(shape)).reshape(shape).astype(np.float32)
    if name.endswith("running_var"):
        z = 0.5 + np.abs(z)
    elif len(shape) == 1:
        z = 1 + 0.1 * z if name.endswith("weight") else 0.1 * z
    elif len(shape) == 2:
        z = z / math.sqrt(shape[1])
    else:
        z = z / math.sqrt(9 * shape[-1])
    return torch.from_numpy(z.astype(np.float32))


def _relative_error(given: torch.Tensor, expected: torch.Tensor) -> float:
    return float((given - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("coarse_first", range(5))
def test_features_of_each_level(scene: EncodedScene, golden: Values, coarse_first: int) -> None:
    level = 4 - coarse_first
    coordinates = scene.levels[level].coordinates[::ROW_STRIDE]
    assert _relative_error(coordinates, golden[f"level{coarse_first}_coord"]) < 1e-5
    assert _relative_error(scene.features[level][::ROW_STRIDE], golden[f"level{coarse_first}_feat"]) < 1e-4


def test_pooled_text(scene: EncodedScene, golden: Values) -> None:
    assert scene.text is not None
    assert _relative_error(scene.text, golden["text_context"]) < 1e-4


def test_noise_at_many_positions(model: MiniDiffuser, scene: EncodedScene, golden: Values) -> None:
    batch = torch.zeros(24, dtype=torch.long)
    with torch.inference_mode():
        noise = model.predict_noise(scene, golden["query_xyz"], golden["query_k"].long(), batch)
    assert _relative_error(noise, golden["query_eps"]) < 1e-4


def test_heads(model: MiniDiffuser, scene: EncodedScene, golden: Values) -> None:
    with torch.inference_mode():
        rotation, gripper = model.predict_rotation(scene, golden["query_xyz"][:1], torch.zeros(1, dtype=torch.long))
    assert _relative_error(rotation, golden["rot_logits_at_query0"]) < 1e-4
    assert _relative_error(gripper, golden["open_logit_at_query0"]) < 1e-4


@pytest.mark.parametrize("spacing", ["leading", "trailing"])
def test_ddim_step_by_step(model: MiniDiffuser, scene: EncodedScene, golden: Values, spacing: str) -> None:
    steps = model.schedule.sampling_steps(10, spacing)  # type: ignore[arg-type]
    positions, noises = golden[f"ddim_{spacing}_10_xyz"], golden[f"ddim_{spacing}_10_eps"]
    assert steps == golden[f"ddim_{spacing}_10_k"].tolist()
    assert _relative_error(model.schedule.start(golden["ddim_init_noise"], steps[0]), positions[:1]) < 1e-5
    for number, (step, following) in enumerate(zip(steps, [*steps[1:], None], strict=True)):
        here = positions[number : number + 1]
        with torch.inference_mode():
            noise = model.predict_noise(scene, here, torch.tensor([step]), torch.zeros(1, dtype=torch.long))
        assert _relative_error(noise, noises[number : number + 1]) < 1e-4
        then = model.schedule.ddim_step(noise, here, step, following)
        assert _relative_error(then, positions[number + 1 : number + 2]) < 1e-4
