"""The network: who sees whom, what is refused, that it learns."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch

from mini_diffuser_ros.policy import MiniDiffuser, MiniDiffuserConfig, TrainingBatch
from mini_diffuser_ros.policy.network.scene_network import EncodedScene

MakeBatch = Callable[..., TrainingBatch]
TOLERANCE = {"atol": 2e-5, "rtol": 1e-4}


def _encode(model: MiniDiffuser, batch: TrainingBatch) -> EncodedScene:
    return model.encode(batch.points, batch.batch, batch.text_tokens, batch.text_lengths)


def _scene(batch: TrainingBatch, number: int) -> tuple[torch.Tensor, ...]:
    """The arguments of encode for one scene of a batch alone."""
    points = batch.points[batch.batch == number]
    end = int(batch.text_lengths[: number + 1].sum())
    words = batch.text_tokens[end - int(batch.text_lengths[number]) : end]
    return points, torch.zeros(len(points), dtype=torch.long), words, batch.text_lengths[number : number + 1]


def test_a_query_is_the_same_alone_and_among_255_others(model: MiniDiffuser, make_batch: MakeBatch) -> None:
    scene = _encode(model, make_batch())
    generator = torch.Generator().manual_seed(0)
    xyz = torch.randn((256, 3), generator=generator) * 0.1
    steps = torch.randint(100, (256,), generator=generator)
    batch = torch.randint(3, (256,), generator=generator)
    together = model.predict_noise(scene, xyz, steps, batch)
    rotation, gripper = model.predict_rotation(scene, xyz, batch)
    for query in (0, 100, 255):
        one = slice(query, query + 1)
        alone = model.predict_noise(scene, xyz[one], steps[one], batch[one])
        torch.testing.assert_close(alone, together[one], **TOLERANCE)
        own_rotation, own_gripper = model.predict_rotation(scene, xyz[one], batch[one])
        torch.testing.assert_close(own_rotation, rotation[one], **TOLERANCE)
        torch.testing.assert_close(own_gripper, gripper[one], **TOLERANCE)


def test_gradients_do_not_cross_between_queries(model: MiniDiffuser, make_batch: MakeBatch) -> None:
    scene = _encode(model, make_batch())
    xyz = (torch.randn(16, 3) * 0.1).requires_grad_()
    batch = torch.arange(16) % 3
    noise = model.predict_noise(scene, xyz, torch.full((16,), 30), batch)
    (gradient,) = torch.autograd.grad(noise[5].sum(), xyz)
    assert gradient[5].abs().sum() > 0
    assert gradient[[i for i in range(16) if i != 5]].abs().sum() == 0


def test_no_point_sees_a_query(model: MiniDiffuser, make_batch: MakeBatch) -> None:
    scene = _encode(model, make_batch())
    before = [features.clone() for features in scene.features]
    model.predict_noise(scene, torch.zeros(2, 3), torch.zeros(2, dtype=torch.long), torch.zeros(2, dtype=torch.long))
    assert all(torch.equal(a, b) for a, b in zip(before, scene.features, strict=True))


@pytest.mark.parametrize("training", [False, True])
def test_a_scene_is_the_same_alone_and_among_others(model: MiniDiffuser, make_batch: MakeBatch, training: bool) -> None:
    model.train(training)
    batch = make_batch()
    torch.manual_seed(1)  # draws the same curves for both
    together = _encode(model, batch)
    torch.manual_seed(1)
    alone = model.encode(*_scene(batch, 1))
    for level, features, own in zip(together.levels, together.features, alone.features, strict=True):
        torch.testing.assert_close(features[level.batch == 1], own, **TOLERANCE)


def test_the_published_grid_leaks_between_scenes(make_batch: MakeBatch) -> None:
    torch.manual_seed(0)
    model = MiniDiffuser(MiniDiffuserConfig.official()).eval()
    batch = make_batch(width=512)
    shifted = dataclasses.replace(batch, points=batch.points - 0.034 * (batch.batch == 0)[:, None])
    finest = [_encode(model, each).features[0][batch.batch == 1] for each in (batch, shifted)]
    assert (finest[0] - finest[1]).abs().max() > 1e-3


def test_gripper_and_termination_do_not_read_the_sentence(model: MiniDiffuser, make_batch: MakeBatch) -> None:
    batch = make_batch()
    other = dataclasses.replace(batch, text_tokens=batch.text_tokens.flip(0))
    xyz, of = torch.zeros(3, 3), torch.arange(3)
    first, second = (model.predict_action(_encode(model, each), xyz, of) for each in (batch, other))
    torch.testing.assert_close(first.gripper, second.gripper, **TOLERANCE)
    torch.testing.assert_close(first.termination, second.termination, **TOLERANCE)
    assert (first.rotation - second.rotation).abs().max() > 1e-3


def test_equal_seeds_draw_equal_samples(model: MiniDiffuser, make_batch: MakeBatch) -> None:
    scene = _encode(model, make_batch())
    draws = [model.sample(scene, 4, 3, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert draws[0].shape == (3, 4, 3)


SWITCHES: tuple[dict[str, Any], ...] = (
    {"neck.film_text": True},
    {"heads.head_text": True},
    {"heads.gripper_symmetry": False, "losses.rotation_sigma": 0.0},
    {"backbone.scene_rotary": False},
    {"layers.dropout": 0.1},
    {"neck.film_text": True, "heads.head_text": True, "official_behaviour": {"curve_shuffle": True}},
)


@pytest.mark.parametrize("switch", SWITCHES, ids=lambda switch: next(iter(switch)))
def test_each_switch_turns_alone(switch: dict[str, Any], make_batch: MakeBatch) -> None:
    torch.manual_seed(0)
    model = MiniDiffuser(MiniDiffuserConfig.small(**switch))
    losses = model.loss(make_batch(), level2=3)
    assert next(iter(losses)) == "total"
    assert all(value.isfinite() and value.ndim == 0 for value in losses.values())
    ours = model.config.official_behaviour is None
    assert ("heatmap" in losses) == ("termination" in losses) == ("rotation_map" in losses) == ours
    losses["total"].backward()
    unused = [name for name, value in model.named_parameters() if value.grad is None]
    assert all("heatmap_mlp" in name for name in unused), unused


@pytest.mark.slow
def test_a_few_steps_on_one_batch_lower_the_loss(make_batch: MakeBatch) -> None:
    torch.manual_seed(0)
    model, batch = MiniDiffuser(MiniDiffuserConfig.small()), make_batch()
    optimiser = torch.optim.AdamW(model.parameters(), 2e-3)
    generator = torch.Generator().manual_seed(0)
    totals = []
    for _ in range(15):
        total = model.loss(batch, level2=16, generator=generator)["total"]
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        totals.append(total.item())
    assert sum(totals[-4:]) < 0.85 * sum(totals[:4])


@pytest.mark.parametrize("count", [1, 2])
def test_tiny_scenes_are_encoded(model: MiniDiffuser, make_batch: MakeBatch, count: int) -> None:
    scene = _encode(model, make_batch(counts=(count, 40)))
    assert model.sample(scene, 2, 2).isfinite().all()


def test_duplicate_points_are_encoded(model: MiniDiffuser, make_batch: MakeBatch) -> None:
    batch = make_batch(counts=(30,))
    doubled = batch.points.repeat(2, 1)
    scene = model.encode(doubled, torch.zeros(60, dtype=torch.long), batch.text_tokens, batch.text_lengths)
    assert model.sample(scene, 2, 2).isfinite().all()


@pytest.fixture
def arguments(network_points: Callable[[int, int], torch.Tensor]) -> dict[str, torch.Tensor]:
    return {
        "points": network_points(0, 10),
        "batch": torch.zeros(10, dtype=torch.long),
        "text_tokens": torch.randn(4, 384),
        "text_lengths": torch.tensor([4]),
    }


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("points", torch.zeros(10, 6), r"points has shape \(10, 6\), expected \(any, 7\)"),
        ("points", torch.full((10, 7), torch.nan), r"points \(10, 7\) has values that are not finite"),
        ("batch", torch.zeros(9, dtype=torch.long), r"batch has shape \(9\), expected \(10\)|batch has shape \(9,\)"),
        ("batch", torch.arange(10).flip(0), "non-decreasing"),
        ("text_tokens", torch.zeros(3, 384), r"text_tokens has shape \(3, 384\), expected \(4, 384\)"),
        ("text_tokens", torch.full((4, 384), torch.inf), "text_tokens .* not finite"),
        ("text_lengths", torch.tensor([0, 4]), "must be positive"),
        (
            "points",
            torch.zeros(10, 7, dtype=torch.float64),
            r"points \(10, 7\) is of torch.float64, expected torch.float32",
        ),
        ("points", torch.full((10, 7), 1e5), r"points \(10, 3\) reaches 1e\+05 m from the origin, expected at most"),
        ("batch", torch.zeros(10, dtype=torch.int32), r"batch \(10,\) is of torch.int32, expected torch.int64"),
        ("text_lengths", torch.tensor([2, 2]), "scene 1 of 2 without a point"),
    ],
)
def test_bad_scenes_are_refused(
    model: MiniDiffuser, arguments: dict[str, torch.Tensor], argument: str, value: torch.Tensor, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        model.encode(**(arguments | {argument: value}))


def test_an_empty_scene_is_refused(model: MiniDiffuser, arguments: dict[str, torch.Tensor]) -> None:
    empty = {"points": torch.zeros(0, 7), "batch": torch.zeros(0, dtype=torch.long)}
    with pytest.raises(ValueError, match=r"points \(0, 7\) is empty"):
        model.encode(**(arguments | empty))


def test_bad_queries_are_refused(model: MiniDiffuser, arguments: dict[str, torch.Tensor]) -> None:
    scene = model.encode(**arguments)
    zeros, one = torch.zeros(2, 3), torch.zeros(2, dtype=torch.long)
    with pytest.raises(ValueError, match=r"steps has shape \(3,\), expected \(2\)"):
        model.predict_noise(scene, zeros, torch.zeros(3, dtype=torch.long), one)
    with pytest.raises(ValueError, match=r"steps \(2,\) must be 0 to 99"):
        model.predict_noise(scene, zeros, one + 100, one)
    with pytest.raises(ValueError, match=r"steps \(2,\) is of torch.float32, expected torch.int64"):
        model.predict_noise(scene, zeros, one.float(), one)
    with pytest.raises(ValueError, match=r"xyz \(2, 3\) reaches 1e\+30 m from the origin"):
        model.predict_rotation(scene, zeros + 1e30, one)
    with pytest.raises(ValueError, match="must name scenes 0 to 0"):
        model.predict_noise(scene, zeros, one, one + 1)
    with pytest.raises(ValueError, match=r"xyz .* not finite"):
        model.predict_rotation(scene, zeros / 0, one)
    with pytest.raises(ValueError, match="samples is 0"):
        model.sample(scene, 0, 5)
