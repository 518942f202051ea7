"""3D-LOTUS keysteps, written by a helper that knows nothing of the reader, come back as they were."""

import pickle
from pathlib import Path
from typing import Any

import lmdb
import msgpack
import numpy as np
import pytest

from mini_diffuser_ros.data import DataError, EpisodeFileError, open_episodes
from mini_diffuser_ros.perception import FusionConfig

from . import rlbench_writer as writer

SENTENCES = {"close_jar_peract+3": ["close the jar", "Deckel drauf"], "push_buttons_peract+12": ["push it"]}


@pytest.fixture
def keysteps(tmp_path: Path) -> Path:
    """Two task variations as the published set lays them out, the sentences two folders above."""
    root = tmp_path / "keysteps_bbox_pcd" / "voxel1cm"
    writer.write_lotus(root / "close_jar_peract+3", {f"episode{n}": writer.keysteps(n) for n in (0, 2, 10)})
    writer.write_lotus(root / "push_buttons_peract+12", {"episode7": writer.keysteps(7)})
    writer.write_sentences(tmp_path / "taskvars_instructions_peract.json", SENTENCES)
    return root


def test_keysteps_come_back_exactly_without_the_arm(keysteps: Path) -> None:
    episodes = open_episodes(keysteps)
    assert [episode.source for episode in episodes] == [
        "close_jar_peract+3/episode0",
        "close_jar_peract+3/episode2",
        "close_jar_peract+3/episode10",
        "push_buttons_peract+12/episode7",
    ]
    episode, original = episodes[1], writer.keysteps(2)
    assert (episode.task, episode.variation) == ("close_jar", 3)
    assert episode.sentences == tuple(SENTENCES["close_jar_peract+3"])
    taken = 0
    for t, keyframe in enumerate(episode.keyframes):
        np.testing.assert_array_equal(keyframe.pose, original["action"][t, :7])
        assert keyframe.gripper_open is bool(original["action"][t, 7])
        assert keyframe.views == ()
        cloud, points = keyframe.cloud, original["xyz"][t]
        assert cloud.frame == "world"
        # The writer's box: 0.2 x 0.4 x 0.1 m about (0, 0, 0.8), turned by 0.6 rad about z.
        x, y = points[:, 0], points[:, 1]
        across, along = np.cos(0.6) * x + np.sin(0.6) * y, np.cos(0.6) * y - np.sin(0.6) * x
        inside = (np.abs(across) <= 0.1) & (np.abs(along) <= 0.2) & (np.abs(points[:, 2] - 0.8) <= 0.05)
        taken += inside.sum()
        np.testing.assert_array_equal(cloud.points, points[~inside])
        np.testing.assert_array_equal(cloud.colors, original["rgb"][t][~inside])
    assert taken > 0


def test_clouds_without_boxes_come_as_stored(tmp_path: Path) -> None:
    values = writer.keysteps()
    del values["bbox_info"], values["pose_info"]
    writer.write_lotus(tmp_path / "a+0", {"episode0": values})
    writer.write_sentences(tmp_path / "instr.json", {"a+0": ["do a"]})
    for keyframe, points, colors in zip(
        open_episodes(tmp_path)[0].keyframes, values["xyz"], values["rgb"], strict=True
    ):
        np.testing.assert_array_equal(keyframe.cloud.points, points)
        np.testing.assert_array_equal(keyframe.cloud.colors, colors)


def test_one_task_variation_can_be_opened_and_episodes_sent_to_processes(keysteps: Path) -> None:
    episodes = open_episodes(keysteps / "push_buttons_peract+12")
    assert [episode.source for episode in episodes] == ["push_buttons_peract+12/episode7"]
    sent = pickle.loads(pickle.dumps(episodes[0]))
    np.testing.assert_array_equal(sent.keyframes[1].cloud.points, episodes[0].keyframes[1].cloud.points)


def test_sentences_can_be_given(keysteps: Path, tmp_path: Path) -> None:
    writer.write_sentences(tmp_path / "other.json", {"close_jar_peract+3": ["shut it"]})
    episodes = open_episodes(keysteps, sentences=tmp_path / "other.json")
    assert episodes[0].sentences == ("shut it",)
    with pytest.raises(EpisodeFileError, match=r"other.json: has no sentences for push_buttons_peract\+12"):
        episodes[3]


def test_without_sentences_the_error_says_where_they_were_looked_for(keysteps: Path, tmp_path: Path) -> None:
    (tmp_path / "taskvars_instructions_peract.json").unlink()
    with pytest.raises(DataError, match=rf"no sentences, looked for \*instr\*.json in {keysteps}, {keysteps.parent}, "):
        open_episodes(keysteps)


def test_another_fusion_is_refused(keysteps: Path) -> None:
    with pytest.raises(DataError, match="its clouds are stored as they are"):
        open_episodes(keysteps, FusionConfig())


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in writer.keysteps().items() if key != name}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (without("action"), "episode0: has no action"),
        (without("xyz"), "episode0: has no xyz"),
        (without("rgb"), "episode0: has no rgb"),
        ({**writer.keysteps(), "action": np.zeros((1, 8))}, r"action of shape \(1, 8\), expected at least two rows"),
        ({**writer.keysteps(), "rgb": []}, r"colours 0 are float64 of shape \(0, 3\), expected uint8 \(50, 3\)"),
        ({**writer.keysteps(), "xyz": []}, "0 clouds for 4 actions"),
        ({**writer.keysteps(), "key_frameids": [1]}, r"key_frameids array\(\[1\]\), expected 4 whole numbers"),
        ({b"nd": True, b"type": "|O", b"kind": b"O", b"shape": [1], b"data": b""}, "array of type object"),
        ({b"nd": True, b"type": "<f8", b"kind": b"", b"shape": [2**40], b"data": b"12345678"}, "not msgpack of arrays"),
        ([1, 2], r"holds \[1, 2\], expected a map"),
    ],
)
def test_a_bad_value_is_named_with_its_file_and_key(tmp_path: Path, value: Any, message: str) -> None:
    writer.write_lotus(tmp_path / "a+0", {"episode0": value})
    writer.write_sentences(tmp_path / "instr.json", {"a+0": ["do a"]})
    with pytest.raises(EpisodeFileError, match=message) as caught:
        _ = [keyframe.cloud for keyframe in open_episodes(tmp_path)[0].keyframes]
    assert str(caught.value).startswith(f"{tmp_path / 'a+0' / 'data.mdb'}: episode0: ")
    assert "\n" not in str(caught.value)


def test_truncated_values_are_named(tmp_path: Path) -> None:
    whole = msgpack.packb(writer.keysteps(points=3), default=writer.array_map)
    writer.write_sentences(tmp_path / "instr.json", {"a+0": ["do a"]})
    writer.write_lotus(tmp_path / "a+0", {})
    with lmdb.open(str(tmp_path / "a+0")) as environment, environment.begin(write=True) as transaction:
        for length in range(0, len(whole), 97):
            transaction.put(f"episode{length}".encode(), whole[:length])
    for stored in open_episodes(tmp_path).stored:
        with pytest.raises(EpisodeFileError, match=f"{stored.source.split('/')[1]}: not msgpack of arrays"):
            stored.read()


def test_an_episode_that_is_gone_and_a_cut_off_file_are_named(keysteps: Path) -> None:
    folder = keysteps / "close_jar_peract+3"
    episodes = open_episodes(folder)
    with lmdb.open(str(folder)) as environment, environment.begin(write=True) as transaction:
        transaction.delete(b"episode2")
    with pytest.raises(EpisodeFileError, match=r"data.mdb: key 'episode2' is missing"):
        episodes[1]
    file = folder / "data.mdb"
    file.write_bytes(file.read_bytes()[:9000])
    with pytest.raises(EpisodeFileError, match=r"data.mdb: is cut off, has 9000 of \d+ bytes"):
        open_episodes(folder)
