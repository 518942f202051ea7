"""The official behaviour against values of the published network: see :mod:`mini_diffuser_ros.bench.golden`."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Literal

import numpy as np
import pytest
import torch

from mini_diffuser_ros.bench.golden import ROW_STRIDE, golden_values, golden_weights
from mini_diffuser_ros.policy import MiniDiffuser, MiniDiffuserConfig, TrainingBatch, scene_points
from mini_diffuser_ros.policy.network.scene_network import EncodedScene
from mini_diffuser_ros.policy.official.config import OfficialBehaviour
from mini_diffuser_ros.policy.official.diffusion import OfficialSchedule
from mini_diffuser_ros.records import Cloud

Values = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def golden() -> Values:
    return golden_values()


@pytest.fixture(scope="module")
def model() -> MiniDiffuser:
    model = MiniDiffuser(MiniDiffuserConfig.official())
    model.load_state_dict(golden_weights(model.state_dict()))
    return model.eval()


@pytest.fixture(scope="module")
def scene(model: MiniDiffuser, golden: Values) -> EncodedScene:
    points, words = golden["pc_fts"], golden["txt_embeds"]
    with torch.inference_mode():
        return model.encode(points, torch.zeros(len(points), dtype=torch.long), words, torch.tensor([len(words)]))


def _relative_error(given: torch.Tensor, expected: torch.Tensor) -> float:
    return float((given - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("coarse_first", range(5))
def test_features_of_each_level(scene: EncodedScene, golden: Values, coarse_first: int) -> None:
    level = 4 - coarse_first
    # The golden rows of the finest level are in the order of the input, ours along the curve.
    rows = scene.source.argsort() if level == 0 else torch.arange(len(scene.levels[level]))
    coordinates, features = scene.levels[level].coordinates[rows], scene.features[level][rows]
    assert _relative_error(coordinates[::ROW_STRIDE], golden[f"level{coarse_first}_coord"]) < 1e-5
    assert _relative_error(features[::ROW_STRIDE], golden[f"level{coarse_first}_feat"]) < 1e-4


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
def test_ddim_step_by_step(
    model: MiniDiffuser, scene: EncodedScene, golden: Values, spacing: Literal["leading", "trailing"]
) -> None:
    steps = OfficialSchedule(model.config, OfficialBehaviour(step_spacing=spacing)).sampling_steps(10)
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


def test_the_configuration_chooses_the_class_and_a_copy_keeps_it(model: MiniDiffuser, scene: EncodedScene) -> None:
    ours = MiniDiffuser(MiniDiffuserConfig.small())
    assert isinstance(model, MiniDiffuser)
    assert type(model) is not type(ours)
    copied = copy.deepcopy(model)
    assert type(copied) is type(model)
    assert type(copy.deepcopy(ours)) is type(ours)
    with torch.inference_mode():
        draws = [each.sample(scene, 2, 2, generator=torch.Generator().manual_seed(0)) for each in (model, copied)]
    assert torch.equal(draws[0], draws[1])


def test_the_network_never_says_that_a_task_is_done(model: MiniDiffuser, scene: EncodedScene) -> None:
    with torch.inference_mode():
        logits = model.predict_action(scene, torch.zeros(2, 3), torch.zeros(2, dtype=torch.long))
    assert logits.termination.tolist() == [-torch.inf] * 2


def test_attention_weights_are_dropped_in_training_alone(make_batch: Callable[..., TrainingBatch]) -> None:
    def noise(share: float, training: bool) -> torch.Tensor:
        torch.manual_seed(0)
        config = MiniDiffuserConfig.official(layers={"dropout": 0.0}, official_behaviour={"attention_dropout": share})
        model, batch = MiniDiffuser(config), make_batch(width=512)
        model.load_state_dict(golden_weights(model.state_dict()))
        model.train(training)
        scene = model.encode(batch.points, batch.batch, batch.text_tokens, batch.text_lengths)
        return model.predict_noise(scene, torch.zeros(3, 3), torch.zeros(3, dtype=torch.long), torch.arange(3))

    with torch.no_grad():
        assert torch.equal(noise(0.5, training=False), noise(0.0, training=False))
        assert not torch.allclose(noise(0.5, training=True), noise(0.0, training=True))


def test_scenes_are_centred_on_their_cloud(block_cloud: Callable[..., Cloud]) -> None:
    points, centre = scene_points(block_cloud(), MiniDiffuserConfig.official())
    np.testing.assert_allclose(points[:, :3].mean(axis=0), 0.0, atol=1e-5)
    assert not np.allclose(centre, scene_points(block_cloud(seed=1), MiniDiffuserConfig.official()).centre)
