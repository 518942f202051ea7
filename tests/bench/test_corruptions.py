"""Damaged files of each kind that carries checksums: refused in one line, or what they were."""

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from mini_diffuser_ros.bench.corruptions import DAMAGES, damage_one, digest_of
from mini_diffuser_ros.data import EpisodeStore, open_episodes
from mini_diffuser_ros.data.bags.mcap import Channel
from mini_diffuser_ros.data.bags.writer import BagWriter
from mini_diffuser_ros.data.store.conversion import convert
from mini_diffuser_ros.policy import MiniDiffuser, MiniDiffuserConfig, save_policy
from mini_diffuser_ros.records import CameraView, Cloud, Episode, FusionConfig, Keyframe


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


def checkpoint(folder: Path) -> Path:
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


@pytest.mark.parametrize(("make", "trials"), [(recordings, 120), (converted, 120), (checkpoint, 40), (bag, 120)])
def test_no_damage_is_taken_for_other_data(tmp_path: Path, make: Callable[[Path], Path], trials: int) -> None:
    path = make(tmp_path / "made")
    original, rng = digest_of(path), random.Random(7)
    outcomes = [damage_one(path, original, rng) for _ in range(trials)]
    assert [outcome for outcome in outcomes if outcome[0] not in ("refused", "same")] == []
    assert {kind for kind, _ in outcomes} == {"refused", "same"} or make is checkpoint
    assert digest_of(path) == original


def test_a_damage_changes_what_it_is_given() -> None:
    rng, content = random.Random(1), bytes(range(256)) * 40
    for damage in DAMAGES:
        changed = bytearray(content)
        damage(changed, rng)
        assert changed != content
