"""Demonstrations that begin on the way to a decision's keyframe."""

from pathlib import Path

import numpy as np
import pytest

from mini_diffuser_ros.bench.errors import BenchError
from mini_diffuser_ros.bench.on_the_way import record_on_the_way
from mini_diffuser_ros.data import open_episodes
from mini_diffuser_ros.training.demonstrations import fuse_episode
from mini_diffuser_ros.training.frames import frame_kinds


def test_each_decision_is_seen_from_the_way_to_it_too_with_the_same_action(tmp_path: Path) -> None:
    record_on_the_way(tmp_path, ["put_item_in_bowl-seed00001002"])
    whole, *begun = map(fuse_episode, open_episodes(tmp_path))
    kinds = frame_kinds(whole.poses, whole.gripper_open)
    decisions = [t for t, kind in enumerate(kinds) if kind.decides_object]
    assert len(decisions) == len(begun) == 2
    for t, short in zip(decisions, begun, strict=True):
        assert short.sentences == whole.sentences
        assert short.gripper_open[0] == whole.gripper_open[t]
        np.testing.assert_array_equal(short.poses[1:], whole.poses[t + 1 :])
        before, after = (np.linalg.norm(short.poses[0, :3] - pose[:3]) for pose in whole.poses[t : t + 2])
        assert min(before, after) > 0.3 * np.linalg.norm(whole.poses[t + 1, :3] - whole.poses[t, :3])
    files = {file: file.stat().st_mtime_ns for file in tmp_path.glob("*.zip")}
    record_on_the_way(tmp_path, ["put_item_in_bowl-seed00001002"])
    assert {file: file.stat().st_mtime_ns for file in tmp_path.glob("*.zip")} == files
    with pytest.raises(BenchError, match="put_item_in_bowl of seed 1002, which is not asked for"):
        record_on_the_way(tmp_path, ["put_item_in_bowl-seed00001003"])


def test_what_was_not_made_from_a_seed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="pick-000001 is not made again from a seed"):
        record_on_the_way(tmp_path, ["pick-000001"])
