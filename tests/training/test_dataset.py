"""Samples: what a draw takes is a function of seed, step and slot, whoever draws it."""

from collections.abc import Callable
from dataclasses import fields, replace
from itertools import islice

import numpy as np
import pytest
import torch

from mini_diffuser_ros.policy import MiniDiffuserConfig, TrainingBatch, workspace_centre
from mini_diffuser_ros.records import Cloud, Episode, Keyframe
from mini_diffuser_ros.training.config import AugmentConfig, BatchConfig
from mini_diffuser_ros.training.dataset import DrawnSamples, batches, collate, frames_of, make_sample, split
from mini_diffuser_ros.training.demonstrations import Demonstration, fuse_episode
from mini_diffuser_ros.training.errors import DatasetError
from mini_diffuser_ros.training.frames import FrameKind

MODEL = MiniDiffuserConfig.small()


@pytest.fixture(scope="module")
def demonstrations(make_episode: Callable[[int], Episode]) -> list[Demonstration]:
    return [fuse_episode(make_episode(seed)) for seed in range(6)]


def tokens_of(demonstrations: list[Demonstration]) -> dict[str, torch.Tensor]:
    sentences = sorted({sentence for demonstration in demonstrations for sentence in demonstration.sentences})
    return {sentence: torch.full((3 + index % 3, 8), float(index)) for index, sentence in enumerate(sentences)}


def draws(demonstrations: list[Demonstration], seed: int = 0, scenes: int = 10) -> DrawnSamples:
    frames, tokens = frames_of(demonstrations), tokens_of(demonstrations)
    return DrawnSamples(frames, tokens, MODEL, BatchConfig(scenes=scenes), AugmentConfig(), seed)


def assert_equal(first: TrainingBatch, second: TrainingBatch) -> None:
    for field in fields(TrainingBatch):
        torch.testing.assert_close(getattr(first, field.name), getattr(second, field.name), rtol=0, atol=0)


def test_a_frame_is_a_cloud_with_the_next_keyframe(demonstrations: list[Demonstration]) -> None:
    frames = frames_of(demonstrations[:1])
    poses = demonstrations[0].poses
    assert len(frames) == len(poses) - 1
    for t, frame in enumerate(frames):
        np.testing.assert_array_equal(frame.pose, poses[t + 1])
        assert frame.cloud is demonstrations[0].clouds[t]
    assert [frame.terminate for frame in frames] == [False] * 5 + [True]
    assert [frame.gripper_open for frame in frames] == [True, False, False, False, True, True]


def test_target_and_points_share_the_centred_frame(demonstrations: list[Demonstration]) -> None:
    frame = frames_of(demonstrations)[0]
    sample = make_sample(frame, torch.zeros(2, 8), MODEL)
    np.testing.assert_allclose(sample.target[:3].numpy() + workspace_centre(MODEL), frame.pose[:3], atol=1e-6)
    under_target = torch.linalg.norm(sample.points[:, :2] - sample.target[:2], dim=1).min()
    assert under_target < 0.02


@pytest.mark.process
def test_batches_do_not_depend_on_the_processes_that_prepare_them(demonstrations: list[Demonstration]) -> None:
    samples = draws(demonstrations)
    alone = list(islice(batches(samples, 0, range(10), loaders=0), 3))
    shared = list(islice(batches(samples, 0, range(10), loaders=2), 3))
    resumed = next(batches(samples, 2, range(10), loaders=0))
    for first, second in zip(alone, shared, strict=True):
        assert_equal(first, second)
    assert_equal(alone[2], resumed)


def test_processes_share_out_the_slots_of_one_batch(demonstrations: list[Demonstration]) -> None:
    samples = draws(demonstrations)
    whole = next(batches(samples, 5, range(10), loaders=0))
    parts = [next(batches(samples, 5, slots, loaders=0)) for slots in (range(5), range(5, 10))]
    torch.testing.assert_close(whole.target_xyz, torch.cat([part.target_xyz for part in parts]), rtol=0, atol=0)
    torch.testing.assert_close(whole.points, torch.cat([part.points for part in parts]), rtol=0, atol=0)


def test_seeds_and_steps_draw_differently(demonstrations: list[Demonstration]) -> None:
    keyed = {
        draws(demonstrations, seed)[step, slot].target.numpy().tobytes()
        for seed in range(2)
        for step in range(2)
        for slot in range(2)
    }
    assert len(keyed) == 8


def test_first_slots_draw_decisions_then_grasps(demonstrations: list[Demonstration]) -> None:
    samples = draws(demonstrations)
    decisions = [samples[step, slot] for step in range(10) for slot in range(6)]
    grasps = [samples[step, 6] for step in range(10)]
    anything = [samples[step, slot] for step in range(10) for slot in range(7, 10)]
    # In these episodes decisions go to 15 cm above the objects, grasps to 2 cm; both but for augmentation.
    height = MODEL.scene.centre_height
    assert all(float(sample.target[2]) + height > 0.1 for sample in decisions)
    assert all(float(sample.target[2]) + height < 0.05 and not sample.gripper_open for sample in grasps)
    assert any(sample.terminate for sample in anything)


def test_weighted_tasks_are_drawn_more_often(demonstrations: list[Demonstration]) -> None:
    renamed = [replace(d, task="other", sentences=("only this",)) for d in demonstrations[:3]]
    frames = frames_of([*renamed, *demonstrations[3:]])
    tokens = tokens_of([*renamed, *demonstrations[3:]])
    tokens["only this"] = torch.full((1, 8), -1.0)
    batch = BatchConfig(scenes=10, task_weights={"other": 4.0})
    samples = DrawnSamples(frames, tokens, MODEL, batch, AugmentConfig(), 0)
    drawn = [bool(samples[step, slot].tokens[0, 0] == -1.0) for step in range(30) for slot in range(10)]
    assert 0.7 < np.mean(drawn) < 0.9


@pytest.mark.parametrize("scenes", [10, 7, 3])
@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.9])
def test_each_step_rehearses_its_share_and_the_kinds_of_frames_stay_as_they_are(
    demonstrations: list[Demonstration], scenes: int, share: float
) -> None:
    old = [replace(d, task="old", sentences=("only this",)) for d in demonstrations[3:]]
    tokens = tokens_of(demonstrations)
    tokens["only this"] = torch.full((1, 8), -1.0)
    frames = frames_of(demonstrations[:3])
    batch = BatchConfig(scenes=scenes)
    samples = DrawnSamples(frames, tokens, MODEL, batch, AugmentConfig(), 0, frames_of(old), share)
    grasps = range(round(0.6 * scenes), round(0.7 * scenes))
    for step in range(5):
        drawn = [samples[step, slot] for slot in range(scenes)]
        assert sum(bool(sample.tokens[0, 0] == -1.0) for sample in drawn) == round(share * scenes)
        assert not any(drawn[slot].gripper_open for slot in grasps)


def test_without_old_frames_the_draws_are_those_of_a_training_that_rehearses_nothing(
    demonstrations: list[Demonstration],
) -> None:
    frames, tokens = frames_of(demonstrations), tokens_of(demonstrations)
    samples = DrawnSamples(frames, tokens, MODEL, BatchConfig(scenes=10), AugmentConfig(), 0, [], 0.5)
    for slot in range(10):
        torch.testing.assert_close(samples[3, slot].target, draws(demonstrations)[3, slot].target, rtol=0, atol=0)


@pytest.mark.parametrize("changes", [{"exchanged": 1.0}, {"exchanged_grasps": 1.0}], ids=["decisions", "grasps"])
def test_things_are_exchanged_in_the_frames_that_are_named_alone(
    demonstrations: list[Demonstration], changes: dict[str, float]
) -> None:
    frames, tokens = frames_of(demonstrations), tokens_of(demonstrations)
    still = AugmentConfig(yaw=0.0, shift_xy=0.0, shift_z=0.0, dropout=0.0, jitter=0.0, color_gain=0.0)
    recorded = {tuple(make_sample(frame, tokens[frame.sentences[0]], MODEL).target.tolist()) for frame in frames}
    batch = BatchConfig(scenes=10, decision_share=0.5, grasp_share=0.5)
    samples = DrawnSamples(frames, tokens, MODEL, batch, replace(still, **changes), 0)
    drawn = [[tuple(samples[step, slot].target.tolist()) not in recorded for slot in range(10)] for step in range(10)]
    decisions, grasps = np.array(drawn)[:, :5].sum(), np.array(drawn)[:, 5:].sum()
    assert (decisions > 0, grasps > 0) == ("exchanged" in changes, "exchanged_grasps" in changes)


@pytest.mark.parametrize("kind", [FrameKind.FIRST, FrameKind.LATER])
def test_things_may_be_exchanged_in_later_decisions_alone(demonstrations: list[Demonstration], kind: FrameKind) -> None:
    tokens = tokens_of(demonstrations)
    frames = [frame for frame in frames_of(demonstrations) if frame.kind is kind]
    still = AugmentConfig(yaw=0.0, shift_xy=0.0, shift_z=0.0, dropout=0.0, jitter=0.0, color_gain=0.0)
    recorded = {tuple(make_sample(frame, tokens[frame.sentences[0]], MODEL).target.tolist()) for frame in frames}
    samples = DrawnSamples(frames, tokens, MODEL, BatchConfig(scenes=10), replace(still, exchanged_later=1.0), 0)
    drawn = [tuple(samples[step, slot].target.tolist()) not in recorded for step in range(5) for slot in range(10)]
    assert any(drawn) == (kind is FrameKind.LATER)


def test_things_are_exchanged_in_decision_frames_alone(demonstrations: list[Demonstration]) -> None:
    frames, tokens = frames_of(demonstrations), tokens_of(demonstrations)
    still = AugmentConfig(yaw=0.0, shift_xy=0.0, shift_z=0.0, dropout=0.0, jitter=0.0, color_gain=0.0)
    batch = BatchConfig(scenes=10)
    recorded = {tuple(make_sample(frame, tokens[frame.sentences[0]], MODEL).target.tolist()) for frame in frames}
    changed = {}
    for share in (0.0, 0.5, 1.0):
        samples = DrawnSamples(frames, tokens, MODEL, batch, replace(still, exchanged=share), 0)
        decisions = [tuple(samples[step, slot].target.tolist()) for step in range(10) for slot in range(6)]
        changed[share] = sum(target not in recorded for target in decisions)
        grasps = [tuple(samples[step, 6].target.tolist()) for step in range(10)]
        assert all(target in recorded for target in grasps)
    assert changed[0.0] == 0 < changed[0.5] < changed[1.0] < 60


def test_scenes_are_mixed_in_decision_frames_alone_and_with_what_another_sentence_means(
    demonstrations: list[Demonstration],
) -> None:
    still = AugmentConfig(yaw=0.0, shift_xy=0.0, shift_z=0.0, dropout=0.0, jitter=0.0, color_gain=0.0)
    batch = BatchConfig(scenes=10)

    def changed(shown: list[Demonstration], share: float) -> tuple[int, int]:
        """How many of 60 decision frames and of 10 grasps have points that none was recorded with."""
        frames, tokens = frames_of(shown), tokens_of(shown)
        recorded = {make_sample(frame, tokens[frame.sentences[0]], MODEL).points.numpy().tobytes() for frame in frames}
        samples = DrawnSamples(frames, tokens, MODEL, batch, replace(still, mixed=share), 0)
        new = [
            [samples[step, slot].points.numpy().tobytes() not in recorded for slot in range(10)] for step in range(10)
        ]
        return int(np.array(new)[:, :6].sum()), int(np.array(new)[:, 6].sum())

    assert changed(demonstrations, 0.0) == (0, 0)
    some, all_that_can = changed(demonstrations, 0.5), changed(demonstrations, 1.0)
    assert 0 < some[0] < all_that_can[0]
    assert some[1] == all_that_can[1] == 0
    same_sentence = [replace(each, sentences=("do it",)) for each in demonstrations]
    assert changed(same_sentence, 1.0) == (0, 0)


def test_samples_that_a_turn_would_empty_are_left_as_recorded(demonstrations: list[Demonstration]) -> None:
    far = Cloud(np.array([[0.7, 0.35, 0.05]], np.float32), np.zeros((1, 3), np.uint8), "base")
    frames = [replace(frame, cloud=far) for frame in frames_of(demonstrations[:1])]
    wild = AugmentConfig(yaw=np.pi, center=(0.3, 0.0))
    samples = DrawnSamples(frames, tokens_of(demonstrations), MODEL, BatchConfig(scenes=20), wild, 0)
    assert all(len(samples[0, slot].points) == 1 for slot in range(20))


def test_voxels_made_before_turning_are_not_made_again(demonstrations: list[Demonstration]) -> None:
    # Two points in neighbouring voxels, four millimetres apart: turned, they often share one.
    near = Cloud(np.array([[0.518, 0.0, 0.1], [0.522, 0.0, 0.1]], np.float32), np.zeros((2, 3), np.uint8), "base")
    frames = [replace(frame, cloud=near) for frame in frames_of(demonstrations[:1])]
    sizes = {}
    for when in ("before", "after"):
        turned = AugmentConfig(yaw=0.7, dropout=0.0, jitter=0.0, voxels=when)
        samples = DrawnSamples(frames, tokens_of(demonstrations), MODEL, BatchConfig(scenes=20), turned, 0)
        sizes[when] = {len(samples[0, slot].points) for slot in range(20)}
    assert sizes == {"before": {2}, "after": {1, 2}}


def test_collation_is_ragged(demonstrations: list[Demonstration]) -> None:
    samples = draws(demonstrations)
    picked = [samples[0, slot] for slot in range(4)]
    batch = collate(picked)
    assert len(batch.points) == sum(len(sample.points) for sample in picked)
    assert torch.equal(torch.bincount(batch.batch), torch.tensor([len(sample.points) for sample in picked]))
    assert len(batch.text_tokens) == int(batch.text_lengths.sum())


def test_each_task_holds_out_its_share(demonstrations: list[Demonstration]) -> None:
    training, held_out = split(demonstrations, 0.3, seed=1)
    assert len(held_out) == 2
    assert not {d.source for d in training} & {d.source for d in held_out}
    assert [d.source for d in split(demonstrations, 0.3, seed=1)[1]] == [d.source for d in held_out]
    assert len(split(demonstrations, 0.01, seed=1)[1]) == 1
    assert split(demonstrations, 0.0, seed=1)[1] == []


def test_decision_frames_are_marked(demonstrations: list[Demonstration]) -> None:
    kinds = [frame.kind for frame in frames_of(demonstrations[:1])]
    assert [kind.decides_object for kind in kinds] == [True, False, False, True, False, False]
    assert kinds[1] is FrameKind.GRASP


def one_point() -> Cloud:
    return Cloud(np.zeros((1, 3), np.float32), np.zeros((1, 3), np.uint8), "base")


def no_point() -> Cloud:
    return Cloud(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8), "base")


@pytest.mark.parametrize(
    ("keyframes", "sentences", "cloud", "fault"),
    [
        (1, ("go",), one_point, "two"),
        (2, (), one_point, "sentence"),
        (2, ("go",), no_point, "keyframe 0"),
    ],
)
def test_unusable_episodes_are_named(
    keyframes: int, sentences: tuple[str, ...], cloud: Callable[[], Cloud], fault: str
) -> None:
    pose = np.array([0.5, 0, 0.1, 1, 0, 0, 0])
    frames = [Keyframe(pose, True, float(t), cloud) for t in range(keyframes)]
    with pytest.raises(DatasetError, match=f"episode-7.*{fault}"):
        fuse_episode(Episode("t", 0, sentences, frames, "episode-7"))
