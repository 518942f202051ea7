"""Damaged files of each kind that carries checksums: refused in one line, or what they were."""

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from mini_diffuser_ros.bench.corruptions import DAMAGES, damage_one, digest_of, reader_of
from mini_diffuser_ros.data import EpisodeStore, open_episodes
from mini_diffuser_ros.data.bags.mcap import Channel
from mini_diffuser_ros.data.bags.writer import BagWriter
from mini_diffuser_ros.data.exchange.lerobot_export import export_lerobot
from mini_diffuser_ros.data.store.conversion import convert
from mini_diffuser_ros.policy import MiniDiffuser, MiniDiffuserConfig, save_policy
from mini_diffuser_ros.records import CameraView, Cloud, Episode, FusionConfig, Keyframe
from mini_diffuser_ros.support.errors import UserError
from mini_diffuser_ros.training.checkpoints import CheckpointStore, Trainee, TrainingProgress
from mini_diffuser_ros.training.identity import Identity, Stage
from mini_diffuser_ros.training.optimisation import WeightAverage


def episode(seed: int) -> Episode:
    rng = np.random.default_rng(seed)
    place = np.diag([1.0, -1.0, -1.0, 1.0])
    place[:3, 3] = (0.5, 0.0, 1.0)
    lens = np.array([[12.0, 0.0, 7.5], [0.0, 12.0, 5.5], [0.0, 0.0, 1.0]])

    def keyframe(number: int) -> Keyframe:
        color, depth = rng.integers(0, 256, (12, 16, 3), np.uint8), rng.uniform(0.6, 0.9, (12, 16)).astype(np.float32)
        view = CameraView("front", color, depth, lens, place, float(number))
        pose = np.array([0.4, 0.1 * number, 0.3, 1.0, 0.0, 0.0, 0.0])
        cloud = Cloud(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8), "panda_link0")
        return Keyframe(pose, bool(number % 2), float(number), lambda: cloud, lambda: (view,))

    return Episode("stack_blocks", 0, ("stack the blocks",), tuple(map(keyframe, range(3))), f"seed {seed}")


def recordings(folder: Path) -> Path:
    store = EpisodeStore(folder)
    for seed in range(2):
        store.write(episode(seed), seed)
    return folder


def converted(folder: Path) -> Path:
    list(convert(open_episodes(recordings(folder / "recordings")), folder / "set"))
    return folder / "set"


def policy(folder: Path) -> Path:
    torch.manual_seed(0)
    save_policy(MiniDiffuser(MiniDiffuserConfig.small()), folder, fusion=FusionConfig(), tasks={"stack": ("stack",)})
    return folder


def bag(folder: Path) -> Path:
    pytest.importorskip("mcap.writer")
    folder.mkdir()
    writer = BagWriter(folder / "run.mcap", {})
    for number in range(40):
        writer.add(Channel("/said", "std_msgs/msg/String", "string data\n", ""), bytes([number]) * 500, number)
    writer.close()
    return writer.path


def training(folder: Path) -> Path:
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(3)).sum().backward()
    optimizer.step()
    trainee = Trainee(model, WeightAverage(model, 0.9), optimizer)
    identity = Identity(("ab" * 32, "cd" * 32), {"optim.lr": 0.001})
    progress = TrainingProgress(7, 12.5, best_score=0.25, stages=(Stage(0, identity),), taught={"stack": ("stack",)})
    return CheckpointStore(folder, 2).save(trainee, progress)


def exported(folder: Path) -> Path:
    pytest.importorskip("pyarrow")
    list(export_lerobot(open_episodes(recordings(folder / "recordings")), folder / "lerobot", 1))
    return folder / "lerobot"


@pytest.mark.parametrize(
    ("make", "trials"), [(recordings, 120), (converted, 120), (policy, 40), (training, 60), (exported, 60), (bag, 120)]
)
def test_no_damage_is_taken_for_other_data(tmp_path: Path, make: Callable[[Path], Path], trials: int) -> None:
    path = make(tmp_path / "made")
    read, rng = reader_of(path), random.Random(7)
    original = digest_of(path, read)
    outcomes = [damage_one(path, read, original, rng) for _ in range(trials)]
    assert [outcome for outcome in outcomes if outcome[0] not in ("refused", "same")] == []
    assert {kind for kind, _ in outcomes} == {"refused", "same"} or make in (policy, training)
    assert digest_of(path, read) == original


def test_a_damage_changes_what_it_is_given() -> None:
    rng, content = random.Random(1), bytes(range(256)) * 40
    for damage in DAMAGES:
        changed = bytearray(content)
        damage(changed, rng)
        assert changed != content


def test_what_lies_somewhere_is_known_while_it_is_whole(tmp_path: Path) -> None:
    repository = Path(__file__).parents[2]
    recipe, cell = (repository / "config" / name for name in ("train/tabletop.yaml", "cells/example.yaml"))
    for file, other in ((recipe, cell), (cell, recipe)):
        assert digest_of(file, reader_of(file)) == digest_of(file, reader_of(file))
        with pytest.raises(UserError):
            digest_of(file, reader_of(other))
