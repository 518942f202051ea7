"""Whatever comes in: a ValueError in one line that names the argument, or finite numbers out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch

from mini_diffuser_ros.policy import MiniDiffuser, MiniDiffuserConfig, Policy, TrainingBatch
from mini_diffuser_ros.policy.network.scene_network import EncodedScene
from mini_diffuser_ros.records import Cloud

MakeBatch = Callable[..., TrainingBatch]
PRESETS = ("small", "base", "official")


def _decided(model: MiniDiffuser, batch: TrainingBatch) -> EncodedScene:
    """Encode the batch and check that a decision on it is finite."""
    with torch.inference_mode():
        scene = model.encode(batch.points, batch.batch, batch.text_tokens, batch.text_lengths)
        xyz = model.sample(scene, 2, 2)
        rotation, gripper = model.predict_rotation(scene, xyz[0], torch.zeros(2, dtype=torch.long))
    assert xyz.isfinite().all()
    assert rotation.isfinite().all()
    assert gripper.isfinite().all()
    return scene


@pytest.fixture(params=PRESETS)
def preset(request: pytest.FixtureRequest) -> MiniDiffuser:
    torch.manual_seed(0)
    config: MiniDiffuserConfig = getattr(MiniDiffuserConfig, request.param)()
    return MiniDiffuser(config).eval()


def test_one_point_is_a_scene(preset: MiniDiffuser, make_batch: MakeBatch) -> None:
    _decided(preset, make_batch(counts=(1,), width=preset.config.text.width))


def test_many_points_in_one_voxel_are_a_scene(preset: MiniDiffuser, make_batch: MakeBatch) -> None:
    batch = make_batch(counts=(40, 30), width=preset.config.text.width)
    crowded = batch.points.clone()
    crowded[:40, :3] = crowded[0, :3] + torch.linspace(0, 1e-4, 40)[:, None]
    crowded[40:60] = crowded[40]
    _decided(preset, dataclasses.replace(batch, points=crowded))


def test_training_on_duplicates_stays_finite(preset: MiniDiffuser, make_batch: MakeBatch) -> None:
    batch = make_batch(counts=(40, 30), width=preset.config.text.width)
    batch.points[10:20] = batch.points[10]
    total = preset.train().loss(batch, level2=2)["total"]
    total.backward()
    assert total.isfinite()
    assert all(value.grad.isfinite().all() for value in preset.parameters() if value.grad is not None)


@pytest.mark.slow
def test_a_hundred_thousand_points_are_encoded(model: MiniDiffuser, make_batch: MakeBatch) -> None:
    batch = make_batch(counts=(1,))
    random = np.random.default_rng(0)
    cells = random.choice(64**3, 100_000, replace=False)
    xyz = (np.stack(np.unravel_index(cells, (64, 64, 64)), 1) - 32) * 0.01 + 0.005
    points = torch.from_numpy(np.concatenate([xyz, random.uniform(-1, 1, (100_000, 4))], 1).astype(np.float32))
    many = dataclasses.replace(batch, points=points, batch=torch.zeros(100_000, dtype=torch.long))
    assert len(_decided(model, many).levels[0]) == 100_000


def test_a_decision_on_a_hundred_thousand_points_keeps_what_the_network_holds(model: MiniDiffuser) -> None:
    random = np.random.default_rng(0)
    points = random.uniform([0.3, -0.4, 0.0], [0.8, 0.4, 0.5], (100_000, 3)).astype(np.float32)
    cloud = Cloud(points, random.integers(0, 256, (100_000, 3)).astype(np.uint8), "panda_link0")
    modes = Policy(model).decide(cloud, "press the blue button", samples=4, steps=2)
    assert all(np.isfinite(mode.pose).all() for mode in modes)


def test_a_cloud_that_is_not_finite_or_elsewhere_is_refused(model: MiniDiffuser) -> None:
    policy = Policy(model)
    points = np.full((5, 3), 0.4, np.float32)
    colors = np.zeros((5, 3), np.uint8)
    for bad, message in (
        (np.where(np.eye(5, 3) > 0, np.nan, points), r"cloud.points \(5, 3\) has 3 points that are not finite"),
        (points + 9, r"cloud.points \(5, 3\) has no point inside the workspace"),
        (points[:0], r"cloud.points \(0, 3\) has no point inside the workspace"),
    ):
        with pytest.raises(ValueError, match=message):
            policy.decide(Cloud(bad.astype(np.float32), colors[: len(bad)], "base"), "press the button")


@pytest.mark.parametrize(("samples", "steps"), [(0, 5), (4, 0), (4, 101)])
def test_a_decision_out_of_range_is_refused(
    model: MiniDiffuser, block_cloud: Callable[..., Cloud], samples: int, steps: int
) -> None:
    with pytest.raises(ValueError, match=r"(samples|steps) is \d+, expected"):
        Policy(model).decide(block_cloud(), "press the button", samples=samples, steps=steps)


def test_mismatched_targets_are_refused(make_batch: MakeBatch) -> None:
    batch = make_batch()
    for name, shape in (("target_xyz", r"\(3, 3\)"), ("target_quat", r"\(3, 4\)"), ("terminate", r"\(3,\)")):
        with pytest.raises(ValueError, match=rf"TrainingBatch.{name} has shape \(2.*, expected {shape}"):
            dataclasses.replace(batch, **{name: getattr(batch, name)[:2]})


def test_training_without_actions_is_refused(model: MiniDiffuser, make_batch: MakeBatch) -> None:
    with pytest.raises(ValueError, match="level2 is 0, expected at least 1"):
        model.loss(make_batch(), level2=0)


def test_an_unknown_device_is_refused(model: MiniDiffuser) -> None:
    for device in ("abacus", "cuda:99", "meta"):
        with pytest.raises(ValueError, match=f"device '{device}' is"):
            Policy(model, device)
