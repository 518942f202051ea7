"""Recorded images are fused once; the cache gives the same back, is rebuilt when damaged, and never goes stale."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mini_diffuser_ros.data import DataError, EpisodeStore
from mini_diffuser_ros.records import Episode
from mini_diffuser_ros.training.demonstrations import Demonstration, load_demonstrations
from mini_diffuser_ros.training.errors import DatasetError


def assert_same(first: list[Demonstration], second: list[Demonstration]) -> None:
    assert [(d.task, d.sentences, d.source) for d in first] == [(d.task, d.sentences, d.source) for d in second]
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.poses, other.poses)
        np.testing.assert_array_equal(one.gripper_open, other.gripper_open)
        for mine, theirs in zip(one.clouds, other.clouds, strict=True):
            np.testing.assert_array_equal(mine.points, theirs.points)
            np.testing.assert_array_equal(mine.colors, theirs.colors)


@pytest.mark.process
def test_cache_and_processes_change_nothing(recordings: Path, tmp_path: Path) -> None:
    alone = load_demonstrations(str(recordings), tmp_path / "a", workers=1, progress=False)
    shared = load_demonstrations(str(recordings), tmp_path / "b", workers=2, progress=False)
    cached = load_demonstrations(str(recordings), tmp_path / "a", workers=1, progress=False)
    assert_same(alone, shared)
    assert_same(alone, cached)
    assert len(alone) == 3
    assert [path.suffix for path in (tmp_path / "a").iterdir()] == [".safetensors"]


def test_damaged_cache_is_rebuilt(recordings: Path, tmp_path: Path) -> None:
    fused = load_demonstrations(str(recordings), tmp_path / "cache", progress=False)
    (file,) = (tmp_path / "cache").iterdir()
    file.write_bytes(file.read_bytes()[:-100])
    assert_same(load_demonstrations(str(recordings), tmp_path / "cache", progress=False), fused)


def test_new_episodes_are_not_missed(recordings: Path, tmp_path: Path, make_episode: Callable[[int], Episode]) -> None:
    load_demonstrations(str(recordings), tmp_path / "cache", progress=False)
    EpisodeStore(recordings).write(make_episode(9), 9)
    assert len(load_demonstrations(str(recordings), tmp_path / "cache", progress=False)) == 4


def test_absent_path_and_task_are_named(recordings: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere"):
        load_demonstrations(str(tmp_path / "nowhere"), tmp_path, progress=False)
    with pytest.raises(DatasetError, match=r"juggle.*stack_blobs"):
        load_demonstrations(str(recordings), tmp_path, tasks=("juggle",), progress=False)
