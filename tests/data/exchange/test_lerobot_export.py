"""What is exported is a LeRobotDataset v3, by its files alone; `bench lerobot` has LeRobot itself read it."""

import json
import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from mini_diffuser_ros.commands.main import main
from mini_diffuser_ros.data import EpisodeStore, open_episodes
from mini_diffuser_ros.data.exchange.lerobot_export import export_lerobot
from mini_diffuser_ros.data.formats.images import decode_color, depth_steps

from ..conftest import EpisodeMaker


def test_every_keyframe_is_a_frame_with_nothing_lost(tmp_path: Path, make_episode: EpisodeMaker) -> None:
    recordings, out = tmp_path / "recordings", tmp_path / "out"
    store = EpisodeStore(recordings, "panda")
    store.write(make_episode(1), 1)
    store.write(make_episode(2, keyframes=5), 2)
    assert main(["export", str(recordings), str(out), "--format", "lerobot"]) == 0

    info = json.loads((out / "meta" / "info.json").read_text())
    assert (info["codebase_version"], info["robot_type"], info["total_frames"]) == ("v3.0", "panda", 8)
    table = pq.read_table(out / "data" / "chunk-000" / "file-000.parquet")
    assert set(table.column_names) == set(info["features"])
    rows = table.to_pylist()
    assert [row["episode_index"] for row in rows] == [0] * 3 + [1] * 5
    assert [row["frame_index"] for row in rows] == [0, 1, 2, 0, 1, 2, 3, 4]
    keyframes = [(keyframe, episode) for episode in open_episodes(recordings) for keyframe in episode.keyframes]
    for row, (keyframe, episode) in zip(rows, keyframes, strict=True):
        assert row["observation.state"][:7] == keyframe.pose.tolist()
        assert row["observation.state"][7:] == [keyframe.gripper_open, *keyframe.joint_positions.values()]
        assert row["observation.stamp"] == keyframe.stamp
        assert json.loads(row["mini_diffuser.episode"])["sentences"] == list(episode.sentences)
        for view in keyframe.views:
            png = row[f"observation.images.{view.name}"]["bytes"]
            np.testing.assert_array_equal(decode_color(png), view.color)
            np.testing.assert_array_equal(row[f"observation.depth.{view.name}"], depth_steps(view.depth))
            assert row[f"observation.intrinsics.{view.name}"] == view.intrinsics.tolist()
            assert row[f"observation.extrinsics.{view.name}"] == view.base_from_camera.tolist()
            assert row[f"observation.stamps.{view.name}"] == view.stamp


def test_the_action_is_the_next_keyframe_and_ends_with_the_last(tmp_path: Path, make_episode: EpisodeMaker) -> None:
    EpisodeStore(tmp_path / "in").write(make_episode(keyframes=4), 0)
    assert main(["export", str(tmp_path / "in"), str(tmp_path / "out"), "--format", "lerobot"]) == 0
    rows = pq.read_table(tmp_path / "out" / "data" / "chunk-000" / "file-000.parquet").to_pylist()
    following = [*rows[1:], rows[-1]]
    assert [row["action"][:8] for row in rows] == [row["observation.state"][:8] for row in following]
    assert [row["action"][8] for row in rows] == [0.0, 0.0, 1.0, 1.0]


def test_statistics_are_those_of_the_values(tmp_path: Path, make_episode: EpisodeMaker) -> None:
    for seed in range(3):
        EpisodeStore(tmp_path / "in").write(make_episode(seed), seed)
    assert main(["export", str(tmp_path / "in"), str(tmp_path / "out"), "--format", "lerobot"]) == 0
    found = json.loads((tmp_path / "out" / "meta" / "stats.json").read_text())
    keyframes = [keyframe for episode in open_episodes(tmp_path / "in") for keyframe in episode.keyframes]
    poses = np.array([keyframe.pose for keyframe in keyframes])
    np.testing.assert_allclose(found["observation.state"]["std"][:7], poses.std(axis=0))
    np.testing.assert_allclose(found["observation.state"]["q10"][:7], np.quantile(poses, 0.1, axis=0))
    pixels = np.array([keyframe.views[0].color for keyframe in keyframes]) / 255.0
    colors = found["observation.images.front"]
    np.testing.assert_allclose(np.squeeze(colors["mean"]), pixels.mean(axis=(0, 1, 2)))
    np.testing.assert_allclose(np.squeeze(colors["std"]), pixels.std(axis=(0, 1, 2)))
    np.testing.assert_allclose(np.squeeze(colors["max"]), pixels.max(axis=(0, 1, 2)))
    quantiles = np.quantile(pixels, 0.9, axis=(0, 1, 2), method="inverted_cdf")
    np.testing.assert_allclose(np.squeeze(colors["q90"]), quantiles)


def test_episodes_of_another_kind_are_named_and_nothing_is_left(
    tmp_path: Path, make_episode: EpisodeMaker, capsys: pytest.CaptureFixture[str]
) -> None:
    EpisodeStore(tmp_path / "in").write(make_episode(), 0)
    EpisodeStore(tmp_path / "in").write(make_episode(cameras=("front",)), 1)
    assert main(["export", str(tmp_path / "in"), str(tmp_path / "out"), "--format", "lerobot"]) == 2
    error = capsys.readouterr().err
    assert "stack_blocks-seed00000001 has robot none, 8 joints, cameras front 32x24, the episodes before have" in error
    assert [file.name for file in tmp_path.iterdir()] == ["in"]


def test_a_folder_that_is_not_empty_is_refused(
    tmp_path: Path, make_episode: EpisodeMaker, capsys: pytest.CaptureFixture[str]
) -> None:
    EpisodeStore(tmp_path / "in").write(make_episode(), 0)
    assert main(["export", str(tmp_path / "in"), str(tmp_path / "in"), "--format", "lerobot"]) == 2
    assert capsys.readouterr().err.endswith("is there already; name a new or an empty folder\n")


def test_the_second_exporter_is_told_and_what_a_killed_one_left_goes(
    tmp_path: Path, make_episode: EpisodeMaker, capsys: pytest.CaptureFixture[str]
) -> None:
    EpisodeStore(tmp_path / "in").write(make_episode(), 0)
    EpisodeStore(tmp_path / "in").write(make_episode(1), 1)
    left = tmp_path / ".out.partial" / "data"
    left.mkdir(parents=True)
    (left / "file").touch()
    first = export_lerobot(open_episodes(tmp_path / "in"), tmp_path / "out", 1)
    next(first)
    assert main(["export", str(tmp_path / "in"), str(tmp_path / "out"), "--format", "lerobot"]) == 2
    assert f"is being written by process {os.getpid()} on" in capsys.readouterr().err
    assert len(list(first)) == 1
    assert sorted(file.name for file in tmp_path.iterdir()) == ["in", "out"]
    assert not (tmp_path / "out" / "data" / "file").exists()
