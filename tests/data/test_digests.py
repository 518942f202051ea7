"""An episode is known by its content: nothing that can be seen of it changes without its digest, nothing else does."""

import io
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
import pytest

from mini_diffuser_ros.data import DataError, EpisodeStore, open_episodes
from mini_diffuser_ros.data.store.conversion import convert
from mini_diffuser_ros.data.store.database import Contents
from mini_diffuser_ros.records import Distortion, Episode, Provenance

from . import rlbench_writer as writer

EpisodeMaker = Callable[..., Episode]


def digest_of(path: Path) -> bytes:
    (stored,) = open_episodes(path).stored
    return stored.digest()


def with_view(episode: Episode, **changes: Any) -> Episode:
    """The episode with something else in the second view of the second keyframe."""
    first, view = episode.keyframes[1].views[0], replace(episode.keyframes[1].views[1], **changes)
    keyframe = replace(episode.keyframes[1], load_views=lambda: (first, view))
    return replace(episode, keyframes=(episode.keyframes[0], keyframe, *episode.keyframes[2:]))


def with_keyframe(episode: Episode, **changes: Any) -> Episode:
    return replace(episode, keyframes=(*episode.keyframes[:2], replace(episode.keyframes[2], **changes)))


def changed(episode: Episode) -> list[Episode]:
    """The episode with one thing else each."""
    view, keyframe = episode.keyframes[1].views[1], episode.keyframes[2]
    color, depth = view.color.copy(), view.depth.copy()
    color[3, 4, 1] ^= 1
    depth[5, 6] += 0.0002
    moved, bent, turned = view.base_from_camera.copy(), view.intrinsics.copy(), keyframe.pose.copy()
    moved[0, 3] += 1e-9
    bent[0, 0] += 1e-9
    turned[6] = -turned[6]
    joints = dict(keyframe.joint_positions)
    joints["panda_joint3"] += 1e-9
    return [
        with_view(episode, color=color),
        with_view(episode, depth=depth),
        with_view(episode, base_from_camera=moved),
        with_view(episode, intrinsics=bent),
        with_view(episode, stamp=view.stamp + 1e-6),
        with_view(episode, name="side"),
        with_view(episode, distortion=Distortion("plumb_bob", (0.1, 0.0, 0.0, 0.0, 0.0))),
        with_keyframe(episode, pose=turned),
        with_keyframe(episode, gripper_open=not keyframe.gripper_open),
        with_keyframe(episode, stamp=keyframe.stamp + 1e-6),
        with_keyframe(episode, joint_positions=joints),
        replace(episode, keyframes=episode.keyframes[:2]),
        replace(episode, sentences=episode.sentences[::-1]),
        replace(episode, sentences=("put a on c", episode.sentences[1])),
        replace(episode, variation=8),
        replace(episode, task="stack_cups"),
        replace(episode, source="another"),
        replace(episode, provenance=Provenance(("cell",))),
    ]


def test_everything_that_can_be_seen_is_in_the_digest(tmp_path: Path, make_episode: EpisodeMaker) -> None:
    episodes = [make_episode(), *changed(make_episode())]
    files = [EpisodeStore(tmp_path / str(i), "panda").write(episode) for i, episode in enumerate(episodes)]
    files.append(EpisodeStore(tmp_path / "fr3", "fr3").write(make_episode()))
    digests = [digest_of(file) for file in files]
    assert len(set(digests)) == len(digests) == 20
    assert digest_of(EpisodeStore(tmp_path / "again", "panda").write(make_episode())) == digests[0]


def test_an_image_of_the_same_size_and_checksum_is_another(tmp_path: Path, make_episode: EpisodeMaker) -> None:
    """The checksum by which a zip knows an image can be had for any content, by its last four bytes."""
    file = EpisodeStore(tmp_path, "panda").write(make_episode())
    before = digest_of(file)
    with zipfile.ZipFile(file) as archive:
        members = {info: archive.read(info) for info in archive.infolist()}
    [forged] = [info for info in members if info.filename == "1/front.color.png"]
    data = bytearray(members[forged])
    data[-40] ^= 1
    _force_crc(data, forged.CRC)
    with zipfile.ZipFile(file, "w") as archive:
        for info, content in members.items():
            archive.writestr(info.filename, bytes(data) if info is forged else content)
    with zipfile.ZipFile(file) as archive:
        assert archive.getinfo("1/front.color.png").CRC == forged.CRC
        assert archive.getinfo("1/front.color.png").file_size == forged.file_size
    assert digest_of(file) != before


def _force_crc(data: bytearray, wanted: int) -> None:
    """Set the last four bytes so that the CRC-32 is the wanted one: it is linear in them, a system of 32 equations."""
    import zlib

    data[-4:] = bytes(4)
    base = zlib.crc32(data)
    columns = []
    for bit in range(32):
        data[-4:] = (1 << bit).to_bytes(4, "little")
        columns.append(zlib.crc32(data) ^ base)
    matrix = np.array([[column >> row & 1 for column in columns] for row in range(32)], np.uint8)
    right = np.array([(wanted ^ base) >> row & 1 for row in range(32)], np.uint8)
    for pivot in range(32):
        row = pivot + int(np.argmax(matrix[pivot:, pivot]))
        matrix[[pivot, row]], right[[pivot, row]] = matrix[[row, pivot]], right[[row, pivot]]
        for other in range(32):
            if other != pivot and matrix[other, pivot]:
                matrix[other] ^= matrix[pivot]
                right[other] ^= right[pivot]
    data[-4:] = sum(int(bit) << number for number, bit in enumerate(right)).to_bytes(4, "little")


def test_it_is_the_same_however_it_is_packed(tmp_path: Path, make_episode: EpisodeMaker) -> None:
    file = EpisodeStore(tmp_path / "recordings", "panda").write(make_episode())
    with zipfile.ZipFile(file) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    index = json.loads(members["episode.json"])
    index["keyframes"][0]["cameras"][0]["color"] = "elsewhere.png"
    members["elsewhere.png"] = members.pop("0/front.color.png")
    members["episode.json"] = json.dumps(dict(reversed(index.items())), indent=2).encode()
    (tmp_path / "packed").mkdir()
    with zipfile.ZipFile(tmp_path / "packed" / "other_name.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in reversed(members.items()):
            archive.writestr(name, data)
    assert digest_of(tmp_path / "packed") == digest_of(file)


def test_converted_it_stays_the_same(tmp_path: Path, make_episode: EpisodeMaker) -> None:
    file = EpisodeStore(tmp_path / "recordings", "panda").write(make_episode())
    for contents in Contents:
        list(convert(open_episodes(file), tmp_path / contents.value, contents))
        assert digest_of(tmp_path / contents.value) == digest_of(file)
    list(convert(open_episodes(tmp_path / "images"), tmp_path / "from_images"))
    list(convert(open_episodes(tmp_path / "from_images"), tmp_path / "from_clouds"))
    assert digest_of(tmp_path / "from_images") == digest_of(tmp_path / "from_clouds") == digest_of(file)


def test_a_converted_episode_that_was_changed_is_refused(tmp_path: Path, make_episode: EpisodeMaker) -> None:
    file = EpisodeStore(tmp_path / "recordings", "panda").write(make_episode())
    list(convert(open_episodes(file), tmp_path / "set"))
    with lmdb.open(str(tmp_path / "set")) as environment, environment.begin(write=True) as transaction:
        with zipfile.ZipFile(io.BytesIO(transaction.get(file.stem.encode()))) as archive:
            members = {info.filename: archive.read(info) for info in archive.infolist()}
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            for name, data in members.items():
                archive.writestr(name, data.replace(b"put a on b", b"put b on a"))
        transaction.put(file.stem.encode(), stream.getvalue())
    with pytest.raises(DataError, match="is not what was converted"):
        digest_of(tmp_path / "set")


def test_a_damaged_or_missing_image_has_no_digest(tmp_path: Path, make_episode: EpisodeMaker) -> None:
    file = EpisodeStore(tmp_path, "panda").write(make_episode())
    data = bytearray(file.read_bytes())
    data[data.index(b"IDAT") + 40] ^= 255
    file.write_bytes(data)
    with pytest.raises(DataError, match="not a complete zip archive"):
        digest_of(file)


@pytest.mark.parametrize("peract", [False, True])
def test_rlbench_goes_by_content_not_by_time(tmp_path: Path, peract: bool) -> None:
    if peract:
        writer.write_peract(tmp_path / "a", "stack_cups", [3], ["stack"])
    else:
        writer.write_raw(tmp_path / "a", "stack_cups", 3, 1, ["stack"], cameras=("front",))
    before = digest_of(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b", copy_function=shutil.copyfile)  # with times of its own
    assert digest_of(tmp_path / "b") == before
    image = next((tmp_path / "b").rglob("front_depth/0.png"))
    status, data = image.stat(), bytearray(image.read_bytes())
    data[-20] ^= 1
    image.write_bytes(data)
    os.utime(image, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert digest_of(tmp_path / "b") != before
    image.unlink()
    with pytest.raises(DataError, match=r"0\.png: cannot be read"):
        digest_of(tmp_path / "b")


def test_keysteps_go_by_value_task_and_sentences(tmp_path: Path) -> None:
    digests = set()
    for name, sentence in (("a+1", "do a"), ("a+1", "do b"), ("a+2", "do a"), ("b+1", "do a")):
        place = tmp_path / str(len(digests))
        writer.write_lotus(place / name, {"episode0": writer.keysteps()})
        writer.write_sentences(place / "instr.json", {name: [sentence]})
        digests.add(digest_of(place))
    assert len(digests) == 4


def pictures_of(path: Path) -> list[frozenset[int]]:
    return [stored.pictures() for stored in open_episodes(path).stored]


def test_what_was_seen_is_known_whatever_is_said_of_it(tmp_path: Path, make_episode: EpisodeMaker) -> None:
    episode = make_episode()
    frames = [replace(frame, stamp=frame.stamp + 1e6) for frame in episode.keyframes[:2]]
    renamed = replace(episode, task="stack_cups", sentences=("stack cups",), source="another", keyframes=frames)
    whole, part, other = (
        pictures_of(EpisodeStore(tmp_path / name, "panda").write(one))[0]
        for name, one in (("whole", episode), ("part", renamed), ("other", make_episode(1)))
    )
    assert len(whole) == 6  # of two cameras at three keyframes
    assert len(part) == 4
    assert part < whole
    assert not whole & other
    view = episode.keyframes[1].views[1]
    depth = view.depth.copy()
    depth[5, 6] += 0.0002
    seen = pictures_of(EpisodeStore(tmp_path / "depth", "panda").write(with_view(episode, depth=depth)))[0]
    assert len(seen & whole) == 5


def test_converted_clouds_are_pictures_too(tmp_path: Path, make_episode: EpisodeMaker) -> None:
    store = EpisodeStore(tmp_path / "images", "panda")
    for seed in range(2):
        store.write(make_episode(seed), seed)
    for name, contents in (("same", Contents.IMAGES), ("clouds", Contents.CLOUDS)):
        assert not [
            done.fault for done in convert(open_episodes(store.path), tmp_path / name, contents, 1) if done.fault
        ]
    assert pictures_of(tmp_path / "same") == pictures_of(store.path)
    one, other = pictures_of(tmp_path / "clouds")
    assert len(one) == len(other) == 3
    assert not one & other


@pytest.mark.parametrize("peract", [True, False])
def test_pictures_of_rlbench_and_of_keysteps_are_those_of_the_demonstration(tmp_path: Path, peract: bool) -> None:
    if peract:
        writer.write_peract(tmp_path / "a", "stack_cups", [3], ["stack"])
        writer.write_peract(tmp_path / "b", "close_jar", [2], ["close the jar"])
    else:
        writer.write_raw(tmp_path / "a", "stack_cups", 3, 1, ["stack"], cameras=("front",))
        writer.write_raw(tmp_path / "b", "close_jar", 2, 1, ["close the jar"], cameras=("front",))
    [one], [same] = pictures_of(tmp_path / "a"), pictures_of(tmp_path / "b")
    assert one == same != frozenset()
    for place, name, seed in (("c", "stack_cups_peract+3", 0), ("d", "close_jar_peract+1", 0), ("e", "a_peract+0", 1)):
        writer.write_lotus(tmp_path / place / name, {"episode0": writer.keysteps(seed)})
        writer.write_sentences(tmp_path / place / "instr.json", {name: [f"do {place}"]})
    first, again, other = (pictures_of(tmp_path / place)[0] for place in "cde")
    assert first == again
    assert len(first) == 4
    assert not first & other
