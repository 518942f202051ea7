"""What is recorded is what is read, and what is damaged is named in one line."""

import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from mini_diffuser_ros.data import DataError, EpisodeFileError, EpisodeStore, open_episodes
from mini_diffuser_ros.data.formats.episode_file import write_clouds
from mini_diffuser_ros.perception import FusionConfig, fuse_views
from mini_diffuser_ros.records import LAB, TABLE, UNKNOWN, Distortion, Episode, Provenance
from mini_diffuser_ros.robots import load_robot

EpisodeMaker = Callable[..., Episode]

HALF_STEP = 0.5e-4 + 1e-7  # metres; half of 0.1 mm and what single precision adds


def store_one(folder: Path, episode: Episode) -> Path:
    return EpisodeStore(folder, "panda").write(episode, seed=0)


def test_an_episode_comes_back_as_it_was(tmp_path: Path, make_episode: EpisodeMaker) -> None:
    episode = make_episode()
    store_one(tmp_path, episode)
    [read] = open_episodes(tmp_path)
    assert (read.task, read.variation, read.sentences) == (episode.task, episode.variation, episode.sentences)
    assert len(read.keyframes) == len(episode.keyframes)
    for ours, theirs in zip(read.keyframes, episode.keyframes, strict=True):
        np.testing.assert_array_equal(ours.pose, theirs.pose)
        assert ours.gripper_open is theirs.gripper_open
        assert ours.stamp == theirs.stamp
        assert ours.joint_positions == theirs.joint_positions
        for view, original in zip(ours.views, theirs.views, strict=True):
            assert (view.name, view.stamp) == (original.name, original.stamp)
            np.testing.assert_array_equal(view.color, original.color)
            np.testing.assert_array_equal(view.intrinsics, original.intrinsics)
            np.testing.assert_array_equal(view.base_from_camera, original.base_from_camera)
            assert np.abs(view.depth - original.depth).max() <= HALF_STEP


def test_an_episode_says_in_which_world_it_was_made_however_it_is_stored(
    tmp_path: Path, make_episode: EpisodeMaker
) -> None:
    made = replace(make_episode(), provenance=Provenance((LAB,), (), ("0123",)))
    file = store_one(tmp_path / "recordings", made)
    [read] = open_episodes(tmp_path / "recordings")
    names = tuple(sorted({view.name for view in made.keyframes[0].views}))
    assert read.provenance == Provenance((LAB,), ("panda",), ("0123",), names)
    (tmp_path / "clouds").mkdir()
    with (tmp_path / "clouds" / file.name).open("wb") as stream:
        write_clouds(stream, read)
    assert [episode.provenance for episode in open_episodes(tmp_path / "clouds")] == [read.provenance]
    for source, world in (
        ("tabletop seed 7", TABLE),
        ("recorded by hand", UNKNOWN),
    ):  # earlier ones
        with zipfile.ZipFile(file) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        index = {**json.loads(members["episode.json"]), "source": source}
        index.pop("world", None)
        with zipfile.ZipFile(file, "w") as archive:
            for name, data in {**members, "episode.json": json.dumps(index).encode()}.items():
                archive.writestr(name, data)
        [read] = open_episodes(tmp_path / "recordings")
        assert read.provenance == Provenance((world,), ("panda",))


def test_a_lens_that_bends_is_recorded_and_readers_of_pinholes_are_kept_away(
    tmp_path: Path, make_episode: EpisodeMaker
) -> None:
    lens = Distortion("rational_polynomial", (0.1, -0.05, 0.001, 0.0, 0.0, 0.02, 0.0, 0.0))
    episode = make_episode()
    bent = [
        replace(keyframe, load_views=partial(tuple, [replace(view, distortion=lens) for view in keyframe.views]))
        for keyframe in episode.keyframes
    ]
    file = store_one(tmp_path, replace(episode, keyframes=bent))
    keyframe = open_episodes(tmp_path)[0].keyframes[0]
    assert [view.distortion for view in keyframe.views] == [lens, lens]
    expected = fuse_views(keyframe.views, FusionConfig(), load_robot("panda"), keyframe.joint_positions)
    np.testing.assert_array_equal(keyframe.cloud.points, expected.points)
    with zipfile.ZipFile(file) as archive:
        assert json.loads(archive.read("episode.json"))["format_version"] == 3


def test_the_cloud_is_that_of_the_views_without_the_robot(tmp_path: Path, make_episode: EpisodeMaker) -> None:
    store_one(tmp_path, make_episode())
    config = FusionConfig(voxel_size=0.02)
    keyframe = open_episodes(tmp_path, config)[0].keyframes[1]
    expected = fuse_views(keyframe.views, config, load_robot("panda"), keyframe.joint_positions)
    assert len(expected) > 0
    np.testing.assert_array_equal(keyframe.cloud.points, expected.points)
    np.testing.assert_array_equal(keyframe.cloud.colors, expected.colors)
    assert (keyframe.cloud.frame, keyframe.cloud.stamp) == ("panda_link0", expected.stamp)


def test_depth_beyond_the_range_or_without_a_value_is_no_measurement(
    tmp_path: Path, make_episode: EpisodeMaker
) -> None:
    episode = make_episode(cameras=("front",))
    [view] = episode.keyframes[0].views
    view.depth.reshape(-1)[:7] = (0.0, -1.0, np.nan, np.inf, 7.0, 6.5535, 0.0001)
    store_one(tmp_path, episode)
    [read] = open_episodes(tmp_path)[0].keyframes[0].views
    np.testing.assert_allclose(read.depth.reshape(-1)[:7], (0.0, 0.0, 0.0, 0.0, 0.0, 6.5535, 0.0001), atol=1e-6)


def test_a_zip_reader_and_an_image_viewer_suffice(tmp_path: Path, make_episode: EpisodeMaker) -> None:
    episode = make_episode()
    with zipfile.ZipFile(store_one(tmp_path, episode)) as archive:
        index = json.loads(archive.read("episode.json"))
        camera = index["keyframes"][2]["cameras"][1]
        color = np.asarray(Image.open(io.BytesIO(archive.read(camera["color"]))))
        depth = np.asarray(Image.open(io.BytesIO(archive.read("2/wrist.depth.png")))) * index["depth_unit_metres"]
    original = episode.keyframes[2].views[1]
    assert (index["format_version"], index["robot"], index["base_frame"]) == (1, "panda", "panda_link0")
    assert color.dtype == np.uint8
    np.testing.assert_array_equal(color, original.color)
    assert np.abs(depth - original.depth).max() <= HALF_STEP


def test_the_same_episode_gives_the_same_bytes(tmp_path: Path, make_episode: EpisodeMaker) -> None:
    first, second = (store_one(tmp_path / name, make_episode(seed=3)) for name in "ab")
    assert first.read_bytes() == second.read_bytes()


def test_nothing_is_read_before_it_is_asked_for(tmp_path: Path, make_episode: EpisodeMaker) -> None:
    file = store_one(tmp_path, make_episode())
    (tmp_path / "zzz.zip").write_bytes(b"no zip at all")
    episodes = open_episodes(tmp_path)
    assert len(episodes) == 2
    keyframe = episodes[0].keyframes[0]
    file.unlink()
    with pytest.raises(EpisodeFileError, match="No such file"):
        _ = keyframe.views


def test_episodes_can_be_sliced_and_sent_to_processes(tmp_path: Path, make_episode: EpisodeMaker) -> None:
    store = EpisodeStore(tmp_path, "panda")
    for seed in range(4):
        store.write(make_episode(seed), seed)
    episodes = open_episodes(tmp_path)
    assert [e.source for e in episodes[1:3]] == [e.source for e in (episodes[1], episodes[2])]
    sent = pickle.loads(pickle.dumps(episodes[-1]))
    np.testing.assert_array_equal(sent.keyframes[0].views[0].color, episodes[3].keyframes[0].views[0].color)


def test_one_file_is_a_sequence_of_one(tmp_path: Path, make_episode: EpisodeMaker) -> None:
    assert len(open_episodes(store_one(tmp_path, make_episode()))) == 1


@pytest.mark.parametrize("name", ["", "missing"])
def test_a_path_without_episodes_is_refused_by_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=str(tmp_path / name)):
        open_episodes(tmp_path / name)


def rewrite(file: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change an episode's index."""
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    index = json.loads(members["episode.json"])
    change(index)
    members["episode.json"] = json.dumps(index).encode()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(format="other"), "format is 'other', expected 'mini_diffuser_ros episode'"),
        (lambda d: d.update(format_version=4), "format_version is 4, expected 1, 2 or 3"),
        (lambda d: d.pop("task"), "task is missing"),
        (lambda d: d.update(sentences=[]), r"sentences is \[\], expected a list of at least one non-empty string"),
        (lambda d: d.update(variation=-1), "variation is -1, expected a whole number of at least 0"),
        (lambda d: d.update(depth_unit_metres=0), "depth_unit_metres is 0, expected a positive length"),
        (lambda d: d.update(robot="r2d2"), "unknown robot 'r2d2'; known robots: fr3, panda, ur5e"),
        (lambda d: d["keyframes"].pop(), "keyframes is .* expected a list of 2 to 1000 objects"),
        (lambda d: d["keyframes"][1].update(pose=[0, 1]), r"keyframes\[1\].pose is \[0, 1\], expected finite .*\(7,\)"),
        (lambda d: d["keyframes"][0].update(stamp="now"), r"keyframes\[0\].stamp is 'now', expected a finite number"),
        (lambda d: d["keyframes"][0].update(gripper_open=1), r"gripper_open is 1, expected true or false"),
        (lambda d: d["keyframes"][0]["joint_positions"].clear(), "panda_joint1"),
        (lambda d: d["keyframes"][0].update(joint_positions={"a": None}), "joint_positions.a is None, expected a fin"),
        (
            lambda d: d["keyframes"][0]["cameras"][1].update(intrinsics=[[1]]),
            r"keyframes\[0\].cameras\[1\].intrinsics is \[\[1\]\], expected finite numbers of shape \(3, 3\)",
        ),
        (
            lambda d: d["keyframes"][0]["cameras"][0].update(base_from_camera=np.ones((4, 4)).tolist()),
            "camera 'front': the rotation of base_from_camera",
        ),
        (
            lambda d: d["keyframes"][0]["cameras"][0].update(base_from_camera=np.diag([1, 1, -1, 1]).tolist()),
            "camera 'front': the rotation of base_from_camera is mirrored",
        ),
        (
            lambda d: d["keyframes"][0]["cameras"][1].update(distortion={"model": "own", "coefficients": [1.0]}),
            r"keyframes\[0\].cameras\[1\].distortion.model is 'own'.*'own' with D = \[1.0\] is not known",
        ),
        (
            lambda d: d["keyframes"][0]["cameras"][1].update(distortion={"model": "plumb_bob", "coefficients": "k1"}),
            r"distortion.coefficients is 'k1', expected a list of finite numbers",
        ),
        (lambda d: d["keyframes"][0]["cameras"][0].update(depth="0/no.png"), "member 0/no.png is missing"),
        (lambda d: d["keyframes"][0]["cameras"][0].update(depth="episode.json"), "not a readable PNG"),
        (
            lambda d: d["keyframes"][0]["cameras"][0].update(depth="0/front.color.png"),
            "member 0/front.color.png: image is of mode RGB, expected I;16",
        ),
    ],
)
def test_a_wrong_field_is_named_with_its_file_in_one_line(
    tmp_path: Path, make_episode: EpisodeMaker, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    file = store_one(tmp_path, make_episode(keyframes=2))
    rewrite(file, change)
    with pytest.raises(EpisodeFileError, match=message) as caught:
        _ = open_episodes(tmp_path)[0].keyframes[0].cloud
    assert str(caught.value).startswith(f"{file}: ")
    assert "\n" not in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


damaging = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)


def test_a_pipe_is_named_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "stack-000000.zip")
    with pytest.raises(EpisodeFileError, match="a named pipe"):
        open_episodes(tmp_path)[0]


@pytest.mark.parametrize("name", ["../front", "..", "a/../../b", "/etc/x", "a\\..\\b", "", "a\nb"])
def test_a_camera_whose_name_leads_out_of_an_unpacked_file_is_not_recorded(
    tmp_path: Path, make_episode: EpisodeMaker, name: str
) -> None:
    episode = make_episode()
    (view, *others) = episode.keyframes[0].views
    keyframe = replace(episode.keyframes[0], load_views=lambda: (replace(view, name=name), *others))
    with pytest.raises(DataError, match="cannot name a file"):
        EpisodeStore(tmp_path).write(replace(episode, keyframes=(keyframe, *episode.keyframes[1:])))
    assert list(tmp_path.glob("*.zip")) == []


@damaging
@given(share=st.floats(0.0, 1.0, exclude_max=True))
def test_a_truncated_file_is_named(tmp_path: Path, make_episode: EpisodeMaker, share: float) -> None:
    file = store_one(tmp_path, make_episode(keyframes=2, cameras=("front",)))
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    with pytest.raises(EpisodeFileError, match="not a complete zip archive"):
        open_episodes(tmp_path)[0]


@damaging
@given(place=st.floats(0.0, 1.0, exclude_max=True), flip=st.integers(1, 255))
def test_a_flipped_byte_is_named_or_harmless(
    tmp_path: Path, make_episode: EpisodeMaker, place: float, flip: int
) -> None:
    episode = make_episode(keyframes=2, cameras=("front",))
    file = store_one(tmp_path, episode)
    data = bytearray(file.read_bytes())
    data[int(place * len(data))] ^= flip
    file.write_bytes(data)
    try:
        read = open_episodes(tmp_path)[0]
        views = [keyframe.views[0] for keyframe in read.keyframes]
    except EpisodeFileError as error:
        complaint = str(error)
    else:
        complaint = ""
    if complaint:
        assert complaint.startswith(f"{file}: ")
        assert "\n" not in complaint
        return
    assert read.sentences == episode.sentences
    for view, keyframe in zip(views, episode.keyframes, strict=True):
        np.testing.assert_array_equal(view.color, keyframe.views[0].color)
        assert np.abs(view.depth - keyframe.views[0].depth).max() <= HALF_STEP


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e: replace(e, keyframes=e.keyframes[:1]), "1 keyframes, expected at least 2"),
        (lambda e: replace(e, sentences=()), "at least one sentence"),
        (lambda e: replace(e, task="../up"), "task '../up' cannot name a file"),
        (
            lambda e: replace(e, keyframes=(replace(e.keyframes[0], pose=np.full(7, np.nan)), *e.keyframes[1:])),
            "keyframe 0: pose .* is not finite",
        ),
        (
            lambda e: replace(e, keyframes=(e.keyframes[0], replace(e.keyframes[1], load_views=lambda: ()))),
            "keyframe 1: has no camera views",
        ),
    ],
)
def test_an_incomplete_episode_is_not_written(
    tmp_path: Path, make_episode: EpisodeMaker, change: Callable[[Episode], Episode], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        store_one(tmp_path, change(make_episode(keyframes=2)))
    assert list(tmp_path.iterdir()) == []
