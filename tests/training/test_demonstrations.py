"""Recorded images are fused once; the cache gives the same back, is rebuilt when damaged, and never goes stale."""

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mini_diffuser_ros.data import DataError, EpisodeStore, open_episodes
from mini_diffuser_ros.data.lmdb_file import read_keys
from mini_diffuser_ros.records import LAB, CameraView, Episode, Provenance
from mini_diffuser_ros.robots import load_robot
from mini_diffuser_ros.training.config import DataConfig
from mini_diffuser_ros.training.demonstrations import (
    Demonstration,
    collect_demonstrations,
    load_demonstrations,
    survey_demonstrations,
)
from mini_diffuser_ros.training.errors import DatasetError

from .conftest import edit_recording


def assert_same(first: list[Demonstration], second: list[Demonstration]) -> None:
    assert [(d.task, d.sentences, d.source) for d in first] == [(d.task, d.sentences, d.source) for d in second]
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.poses, other.poses)
        np.testing.assert_array_equal(one.gripper_open, other.gripper_open)
        for mine, theirs in zip(one.clouds, other.clouds, strict=True):
            np.testing.assert_array_equal(mine.points, theirs.points)
            np.testing.assert_array_equal(mine.colors, theirs.colors)


def converted_set(cache: Path) -> Path:
    (folder,) = cache.iterdir()
    return folder


@pytest.mark.process
def test_cache_and_processes_change_nothing(recordings: Path, tmp_path: Path) -> None:
    alone = load_demonstrations(str(recordings), tmp_path / "a", workers=1, progress=False)
    shared = load_demonstrations(str(recordings), tmp_path / "b", workers=2, progress=False)
    cached = load_demonstrations(str(recordings), tmp_path / "a", workers=1, progress=False)
    assert_same(alone, shared)
    assert_same(alone, cached)
    assert len(alone) == 3
    converted = converted_set(tmp_path / "a")
    assert [episode.source for episode in open_episodes(converted)] == [one.source for one in alone]


def test_damaged_cache_is_rebuilt(recordings: Path, tmp_path: Path) -> None:
    fused = load_demonstrations(str(recordings), tmp_path / "cache", progress=False)
    file = converted_set(tmp_path / "cache") / "data.mdb"
    file.write_bytes(file.read_bytes()[:-5000])
    assert_same(load_demonstrations(str(recordings), tmp_path / "cache", progress=False), fused)


def test_new_episodes_are_not_missed(recordings: Path, tmp_path: Path, make_episode: Callable[[int], Episode]) -> None:
    load_demonstrations(str(recordings), tmp_path / "cache", progress=False)
    EpisodeStore(recordings).write(make_episode(9), 9)
    assert len(load_demonstrations(str(recordings), tmp_path / "cache", progress=False)) == 4


def test_clouds_are_cut_to_the_workspace_of_the_cell(recordings: Path, tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "config" / "cells" / "example.yaml").read_text()
    cell = tmp_path / "cell.yaml"
    cell.write_text(text.replace("upper: [0.80, 0.38, 0.55]", "upper: [0.80, 0.38, 0.05]"))
    assert "0.05]" in cell.read_text()
    data = DataConfig(path=str(recordings), cell=str(cell), workers=1)
    collection = collect_demonstrations(data, tmp_path / "cache", progress=False)
    assert collection.fusion is not None
    assert collection.fusion.workspace.upper == (0.80, 0.38, 0.05)
    assert max(cloud.points[:, 2].max() for one in collection.demonstrations for cloud in one.clouds) <= 0.051


@pytest.mark.parametrize("seed", range(6))
def test_spread_draws_say_everything_once_before_anything_twice(
    recordings: Path, make_episode: Callable[[int], Episode], seed: int
) -> None:
    store = EpisodeStore(recordings)
    # Nine of one sentence beside two and one of others.
    for number, sentence in enumerate(["this"] * 6 + ["that"] * 2 + ["something else"], 10):
        store.write(replace(make_episode(number), sentences=(sentence,)), number)

    def said(per_task: int, spread: bool = True) -> Counter[tuple[str, ...]]:
        data = DataConfig(path=str(recordings), per_task=per_task, spread=spread)
        return Counter(episode.sentences for episode in survey_demonstrations(data, seed).episodes)

    distinct = len(said(12))
    for count in range(1, distinct + 1):
        assert set(said(count).values()) == {1}
    assert max(said(distinct + 1).values()) == 2
    assert said(5) <= said(6) <= said(12) == said(12, spread=False)


def test_absent_path_and_task_are_named(recordings: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere"):
        load_demonstrations(str(tmp_path / "nowhere"), tmp_path, progress=False)
    with pytest.raises(DatasetError, match=r"juggle.*stack_blobs"):
        load_demonstrations(str(recordings), tmp_path, tasks=("juggle",), progress=False)


def test_other_images_under_the_same_name_are_fused_anew(
    recordings: Path, tmp_path: Path, make_episode: Callable[[int], Episode]
) -> None:
    before = load_demonstrations(str(recordings), tmp_path / "cache", progress=False)
    episode, other = make_episode(0), make_episode(5)
    frames = [replace(k, load_views=o.load_views) for k, o in zip(episode.keyframes, other.keyframes, strict=True)]
    EpisodeStore(recordings).write(replace(episode, keyframes=frames), 0)
    after = load_demonstrations(str(recordings), tmp_path / "cache", progress=False)
    np.testing.assert_array_equal(before[0].poses, after[0].poses)
    assert not np.array_equal(before[0].clouds[0].colors, after[0].clouds[0].colors)


def test_a_copy_is_no_further_demonstration_whatever_it_is_called(
    recordings: Path, tmp_path: Path, make_episode: Callable[[int], Episode]
) -> None:
    renamed = replace(make_episode(0), task="twice_blobs", sentences=("once more",))
    EpisodeStore(recordings).write(renamed, 7)
    with pytest.raises(DatasetError, match=r"^twice_blobs-seed00000007: a copy of stack_blobs-seed00000000, .*remove"):
        load_demonstrations(str(recordings), tmp_path, progress=False)
    data = DataConfig(path=str(recordings), skip_bad=True, workers=1)
    collection = collect_demonstrations(data, tmp_path, progress=False)
    assert len(collection.demonstrations) == 3
    assert [line.split(":")[0] for line in collection.skipped] == ["twice_blobs-seed00000007"]


@pytest.mark.parametrize("otherwise", ["colors", "depth", "calibration"])
def test_the_same_path_seen_otherwise_is_another_demonstration_and_may_be_copied_itself(
    recordings: Path, tmp_path: Path, make_episode: Callable[[int], Episode], otherwise: str
) -> None:
    def seen(view: CameraView) -> CameraView:
        if otherwise == "colors":
            return replace(view, color=view.color[::-1].copy())
        if otherwise == "depth":
            return replace(view, depth=view.depth + 0.004)
        moved = view.base_from_camera.copy()
        moved[0, 3] += 0.003
        return replace(view, base_from_camera=moved)

    episode = make_episode(0)
    views = [tuple(map(seen, keyframe.load_views())) for keyframe in episode.keyframes]
    frames = [replace(k, load_views=lambda v=v: v) for k, v in zip(episode.keyframes, views, strict=True)]
    store, other = EpisodeStore(recordings), replace(episode, keyframes=frames)
    store.write(other, 7)
    assert len(load_demonstrations(str(recordings), tmp_path, progress=False)) == 4
    store.write(replace(other, task="twice_blobs"), 8)
    with pytest.raises(DatasetError, match=r"^twice_blobs-seed00000008: a copy of stack_blobs-seed00000007, "):
        load_demonstrations(str(recordings), tmp_path, progress=False)


@pytest.mark.process
def test_a_killed_fusion_leaves_no_worker_and_is_resumed(
    recordings: Path, tmp_path: Path, make_episode: Callable[[int], Episode]
) -> None:
    store = EpisodeStore(recordings)
    for seed in range(3, 200):
        store.write(make_episode(seed), seed)
    cache = tmp_path / "cache"
    text = (
        "import sys; from pathlib import Path; from mini_diffuser_ros.training.demonstrations import *\n"
        "if __name__ == '__main__':\n    load_demonstrations(sys.argv[1], Path(sys.argv[2]), workers=2, progress=False)"
    )
    script = tmp_path / "fuse.py"
    script.write_text(text, encoding="utf-8")
    run = subprocess.Popen([sys.executable, str(script), str(recordings), str(cache)])
    deadline = time.monotonic() + 120
    # A file is empty for an instant before LMDB has written its first pages.
    while (
        not (files := [f for f in cache.glob("*/data.mdb") if f.stat().st_size]) or len(read_keys(files[0].parent)) < 3
    ):
        assert time.monotonic() < deadline
        assert run.poll() is None
    workers = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
    assert len(workers) >= 2
    run.kill()
    run.wait()
    while any(is_running(worker) for worker in workers):
        assert time.monotonic() < deadline
    half = len(open_episodes(converted_set(cache)))
    assert 1 <= half <= 200
    assert len(load_demonstrations(str(recordings), cache, progress=False)) == 200
    assert len(list(cache.iterdir())) == 1


def is_running(process: str) -> bool:
    """Whether a process of an id exists and is no zombie that waits for its parent."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


Index = dict[str, Any]


def scaled(index: Index) -> None:
    for keyframe in index["keyframes"]:
        keyframe["pose"][:3] = [1000.0 * value for value in keyframe["pose"][:3]]


def without_rotation(index: Index) -> None:
    index["keyframes"][1]["pose"][3:] = [0.0, 0.0, 0.0, 0.0]


def in_degrees(index: Index) -> None:
    index["keyframes"][3]["pose"][3:] = [90.0, 0.0, 0.0, 0.0]


def mirrored(index: Index) -> None:
    index["keyframes"][2]["cameras"][0]["intrinsics"][1][1] *= -1.0


def far_camera(index: Index) -> None:
    index["keyframes"][0]["cameras"][0]["base_from_camera"][2][3] = 1000.0


def swapped(index: Index) -> None:
    frames = index["keyframes"]
    frames[2], frames[5] = frames[5], frames[2]


def at_one_time(index: Index) -> None:
    index["keyframes"][4]["stamp"] = index["keyframes"][3]["stamp"]


def seen_twice(index: Index) -> None:
    index["keyframes"][1]["cameras"] *= 2


def in_pictures(index: Index) -> None:
    index["sentences"] = ["\U0001f600 \U0001f600"]


def with_controls(index: Index) -> None:
    index["sentences"].append("press the\x07 red button")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (scaled, "keyframe 0: the tool is at "),
        (without_rotation, "keyframe 1: quaternion of norm 0, expected 1"),
        (in_degrees, "keyframe 3: quaternion of norm 90, expected 1"),
        (mirrored, "keyframe 2: camera top: focal lengths 60, -60 pixels, expected above 0"),
        (far_camera, "keyframe 0: view of camera 'top': it is at "),
        (swapped, "keyframe 3: its stamp is 2.000 s before that of the keyframe before"),
        (at_one_time, "keyframe 4: its stamp is that of the keyframe before"),
        (seen_twice, "keyframe 1: camera top is there twice"),
        (in_pictures, "holds no word that the sentence encoder knows"),
        (with_controls, "holds '\\x07', which is no letter"),
    ],
)
def test_what_cannot_be_is_refused_before_it_is_fused_or_left_out_and_counted(
    recordings: Path, tmp_path: Path, change: Callable[[Index], None], named: str
) -> None:
    file = edit_recording(sorted(recordings.glob("*.zip"))[1], change)
    with pytest.raises(DatasetError) as raised:
        survey_demonstrations(DataConfig(path=str(recordings)))
    assert str(raised.value).startswith(f"{file.stem}: ")
    assert named in str(raised.value)
    assert "\n" not in str(raised.value)
    survey = survey_demonstrations(DataConfig(path=str(recordings), skip_bad=True))
    assert len(survey.episodes) == 2
    assert [line.split(":")[0] for line in survey.unreadable] == [file.stem]


def test_joint_positions_that_contradict_the_pose_are_refused(
    recordings: Path, make_episode: Callable[[int], Episode]
) -> None:
    panda = load_robot("panda")
    positions = dict(zip(panda.arm_joint_names, panda.home.tolist(), strict=True))
    episode = make_episode(5)
    frames = [replace(keyframe, joint_positions=positions) for keyframe in episode.keyframes]
    said = Provenance((LAB,), ("panda",))
    EpisodeStore(recordings).write(replace(episode, keyframes=frames, provenance=said), 5)
    named = r"^stack_blobs-seed00000005: keyframe \d: the joint positions of a panda put"
    with pytest.raises(DatasetError, match=named):
        survey_demonstrations(DataConfig(path=str(recordings)))
    # Of a robot that nobody knows here, they say nothing.
    edit_recording(recordings / "stack_blobs-seed00000005.zip", lambda index: index["world"].update(robots=["own_arm"]))
    assert len(survey_demonstrations(DataConfig(path=str(recordings))).episodes) == 4


def test_many_tokens_are_left_to_the_recipe(recordings: Path) -> None:
    words = "put the red block on the blue block and wait " * 8
    edit_recording(sorted(recordings.glob("*.zip"))[0], lambda index: index["sentences"].append(words))
    assert len(survey_demonstrations(DataConfig(path=str(recordings))).episodes) == 3


def cut_off(index: Index) -> None:
    del index["keyframes"][-1]


def later(index: Index) -> None:
    for keyframe in index["keyframes"]:
        keyframe["stamp"] += 1e6


def moved(index: Index) -> None:
    index["keyframes"][2]["pose"][2] += 0.001


def half(index: Index) -> None:
    del index["keyframes"][2:]
    index.update(task="other_blobs", sentences=["put it elsewhere"])


@pytest.mark.parametrize("change", [cut_off, later, moved, half])
@pytest.mark.parametrize("first", [True, False])
def test_a_copy_is_one_whatever_was_changed_beside_its_images(
    recordings: Path, change: Callable[[Index], None], first: bool
) -> None:
    source = recordings / "stack_blobs-seed00000001.zip"
    copy = edit_recording(source, change, recordings / ("a_copy.zip" if first else "z_copy.zip"))
    told, kept = (source.stem, copy.stem) if first else (copy.stem, source.stem)
    with pytest.raises(DatasetError, match=f"^{told}: a copy of {kept}, "):
        survey_demonstrations(DataConfig(path=str(recordings)))
    survey = survey_demonstrations(DataConfig(path=str(recordings), skip_bad=True))
    assert [one.stored.source for one in survey.episodes].count(kept) == 1
    assert len(survey.episodes) == 3


def test_where_nothing_is_held_out_parts_of_others_may_be_trained_on_and_whole_copies_not(recordings: Path) -> None:
    def looks(index: Index) -> None:
        """Each keyframe seen from a little further on, so that they differ."""
        for number, keyframe in enumerate(index["keyframes"]):
            keyframe["cameras"][0]["base_from_camera"][0][3] += 0.01 * number

    source = edit_recording(recordings / "stack_blobs-seed00000001.zip", looks)
    edit_recording(source, lambda index: index["keyframes"].pop(0), recordings / "z_part.zip")
    data = DataConfig(path=str(recordings), validation_share=0.0)
    assert len(survey_demonstrations(data).episodes) == 4
    with pytest.raises(DatasetError, match=r"^z_part: a copy of stack_blobs-seed00000001"):
        survey_demonstrations(replace(data, validation_share=0.1))
    edit_recording(source, later, recordings / "z_part.zip")
    with pytest.raises(DatasetError, match=r"^z_part: a copy of stack_blobs-seed00000001"):
        survey_demonstrations(data)
